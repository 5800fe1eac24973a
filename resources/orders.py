"""Orders of backfills: how each customer of one stands, whoever carried it out.

What belongs here: reading an order back from its Dagster backfills and its runs, which all name it in the tag `strata/backfill`. What does
not: making them (backfills.py). An order carried out without a daemon has runs alone.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from partitions.errors import CustomerError
from resources.backfills import CAUSE_TAG, ORDER_TAG, PARTITION_TAG, RUN_TAGS, SIZE_TAG, UNDER_WAY, targets_of

STATES = {dg.DagsterRunStatus.SUCCESS: "succeeded", dg.DagsterRunStatus.FAILURE: "failed", dg.DagsterRunStatus.CANCELED: "canceled",
          dg.DagsterRunStatus.QUEUED: "waiting", dg.DagsterRunStatus.NOT_STARTED: "waiting"}
WITHOUT_RUN = {BulkActionStatus.FAILED: "failed", BulkActionStatus.CANCELED: "canceled"}
OWN_TAGS = {ORDER_TAG, CAUSE_TAG, SIZE_TAG, *RUN_TAGS}


@dataclass(frozen=True)
class Order:
    """One order now. `states`: customer -> waiting, running, succeeded, failed or canceled, of its newest run. `keys`: customer -> its tables;
    None: everything. `tags`: what was asked for besides, such as a day or a commit."""

    name: str
    cause: str
    backfills: tuple[str, ...]
    states: Mapping[str, str]
    keys: Mapping[str, frozenset[dg.AssetKey] | None]
    tags: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.states.values()).items()))

    @property
    def failed(self) -> list[str]:
        """Whom a retry computes again."""
        return sorted(name for name, state in self.states.items() if state in ("failed", "canceled"))

    @property
    def is_over(self) -> bool:
        return not {"waiting", "running"} & set(self.states.values())


def order_names(instance: dg.DagsterInstance, limit: int) -> list[str]:
    """The newest orders, newest first. Their names end in the moment when they were made."""
    with_runs = {value for _, values in instance.get_run_tags(tag_keys=[ORDER_TAG]) for value in values}
    without = {backfill.tags[ORDER_TAG] for backfill in instance.get_backfills(limit=limit) if ORDER_TAG in backfill.tags}
    return sorted(with_runs | without, key=lambda name: (name.rpartition("-")[2], name), reverse=True)[:limit]


def order_of(instance: dg.DagsterInstance, name: str) -> Order:
    """One order. Raises CustomerError if there is none of that name."""
    backfills = instance.get_backfills(BulkActionsFilter(tags={ORDER_TAG: name}))
    runs = instance.get_runs(dg.RunsFilter(tags={ORDER_TAG: name}))
    if not backfills and not runs:
        raise CustomerError(f"there is no backfill {ascii(name)[:64]}", fix="`strata backfill status` lists them")
    states: dict[str, str] = {}
    keys: dict[str, frozenset[dg.AssetKey] | None] = {}
    begun = set()
    for run in runs:  # newest first
        customer = run.tags[PARTITION_TAG]
        begun.add((customer, run.tags.get("dagster/backfill")))
        state = "waiting" if run.is_complete_and_waiting_to_retry else STATES.get(run.status, "running")
        states.setdefault(customer, state)
        keys.setdefault(customer, frozenset(run.asset_selection) if run.asset_selection is not None else None)
    for backfill in backfills:
        for customer, wanted in targets_of(backfill).items():
            keys[customer] = wanted
            if (customer, backfill.backfill_id) not in begun:
                if backfill.status in UNDER_WAY:
                    states[customer] = "waiting"
                else:
                    states.setdefault(customer, WITHOUT_RUN.get(backfill.status, "canceled"))
    told = [*(backfill.tags for backfill in backfills), *(run.tags for run in runs)][-1]
    return Order(name, told.get(CAUSE_TAG, "unknown"), tuple(backfill.backfill_id for backfill in backfills), states, keys,
                 {key: value for key, value in told.items() if key.startswith("strata/") and key not in OWN_TAGS})
