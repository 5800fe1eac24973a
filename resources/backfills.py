"""Backfills as Dagster keeps them: which tables of which customers, made, read and counted.

What belongs here: the one place that touches `AssetGraphSubset` and `PartitionBackfill`, which Dagster does not publish (pinned in
tests/characterization/test_dagster_backfill.py). What does not: who is due (partitions/schedules.py, platform_assets/refreshes.py) and words
for people (cli/backfill.py).

One order (`strata/backfill`, the same in all its parts and runs) is one Dagster backfill per size class and set of tables: runs of a backfill
share their tags, and a parent joins its child's run only where both have the same customers.
"""
from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.utils import make_new_backfill_id

from partitions.customers import UNFINISHED, Customer
from resources.failpoints import failpoint

ORDER_TAG, CAUSE_TAG, SIZE_TAG = "strata/backfill", "strata/cause", "strata/size_class"
PARTITION_TAG = "dagster/partition"
RUN_TAGS = {"dagster/max_runtime": "21600"}  # seconds; of every run, also of those that no job of ours makes
BEGUN = [status for status in dg.DagsterRunStatus if status not in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED)]
UNDER_WAY = [status for status in BulkActionStatus if status not in BULK_ACTION_TERMINAL_STATUSES]


@dataclass(frozen=True)
class Part:
    """One Dagster backfill: the same tables for customers of one size class."""

    keys: frozenset[dg.AssetKey]
    customers: tuple[str, ...]
    size_class: str

    @property
    def title(self) -> str:
        return f"{len(self.customers)} {self.size_class} customers, {len(self.keys)} assets"


@dataclass(frozen=True)
class Launched:
    """What was launched for one customer: a run, or a backfill that has not made the customer's run yet. `keys` None: everything.

    `at`: when it began to read, or was made where it ended before that (somebody canceled it); None while it waits. `is_over`: whether it ended.
    """

    customer: str
    keys: frozenset[dg.AssetKey] | None
    at: datetime | None
    is_over: bool

    def covers(self, keys: frozenset[dg.AssetKey], since: datetime) -> bool:
        """Whether it computes these tables from all that was there at a moment."""
        has_all = self.keys is None or keys <= self.keys
        return has_all and (self.at is None or self.at >= since)


def parts_of(wanted: Mapping[str, frozenset[dg.AssetKey]], customers: Mapping[str, Customer]) -> list[Part]:
    """Customers that want the same tables and are of one size class go together."""
    grouped: dict[tuple[str, frozenset[dg.AssetKey]], list[str]] = {}
    for name, keys in wanted.items():
        grouped.setdefault((customers[name].size_class, keys), []).append(name)
    return [Part(keys, tuple(sorted(names)), size) for (size, keys), names in sorted(grouped.items(), key=lambda item: (item[0][0], item[1]))]


def new_order(cause: str, now: datetime) -> str:
    """A name that sorts by time and says what for, such as `release-20241127T053000Z`."""
    return f"{cause}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def tags_of(order: str, cause: str, part: Part, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What every run of a part carries. No customer's id: Dagster has that as the run's partition."""
    return {**RUN_TAGS, **(more or {}), ORDER_TAG: order, CAUSE_TAG: cause, SIZE_TAG: part.size_class}


def subset_of(part: Part) -> AssetGraphSubset:
    subsets = {key: DefaultPartitionsSubset(set(part.customers)) for key in part.keys}
    return AssetGraphSubset(partitions_subsets_by_asset_key=subsets)  # type: ignore[call-arg]  # the other argument has a default


def request_of(part: Part, tags: Mapping[str, str]) -> dg.RunRequest:
    """What a sensor yields: its daemon makes a real backfill of it, once, also when it dies on the way."""
    return dg.RunRequest.for_asset_graph_subset(subset_of(part), tags)


def waiting_order(instance: dg.DagsterInstance, parts: Iterable[Part], cause: str, more: Mapping[str, str]) -> str | None:
    """The order that asks for one of these parts by the same tags and of which no run has begun: somebody gives it again, as after a command that
    died between storing its parts and saying so. What it will compute is what a new one would."""
    for part in parts:
        for found in _waiting(instance, part):
            if found.tags == tags_of(name := found.tags[ORDER_TAG], cause, part, more):
                return name
    return None


def _waiting(instance: dg.DagsterInstance, part: Part) -> Iterator[PartitionBackfill]:
    """Backfills of exactly this part, newest first, of which no run has begun to read."""
    asked = dict.fromkeys(part.customers, part.keys)
    for found in instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
        begun = dg.RunsFilter(tags={"dagster/backfill": found.backfill_id}, statuses=BEGUN)
        if ORDER_TAG in found.tags and targets_of(found) == asked and not instance.get_runs_count(begun):
            yield found


def add(instance: dg.DagsterInstance, part: Part, tags: Mapping[str, str]) -> str:
    """A real backfill, which a daemon takes up; returns Dagster's id of it. One of the same part and tags (its order among them) that waits already
    is not made twice."""
    for found in _waiting(instance, part):
        if found.tags == tags:
            return found.backfill_id
    made = PartitionBackfill.from_asset_graph_subset(
        backfill_id=make_new_backfill_id(), backfill_timestamp=time.time(), tags=tags, dynamic_partitions_store=instance,
        asset_graph_subset=subset_of(part), title=f"{tags[ORDER_TAG]}: {part.title}", description=None, run_config=None)
    failpoint("backfills.before_store")
    instance.add_backfill(made)
    failpoint("backfills.after_store")
    return made.backfill_id


def targets_of(backfill: PartitionBackfill) -> dict[str, frozenset[dg.AssetKey] | None]:
    """Customer -> tables; None: everything, as a backfill of the job has it."""
    if backfill.asset_backfill_data is None:
        return dict.fromkeys(backfill.partition_names or ())
    found: dict[str, set[dg.AssetKey]] = {}
    for key, subset in backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key.items():
        for name in subset.get_partition_keys():
            found.setdefault(name, set()).add(key)
    return {name: frozenset(keys) for name, keys in found.items()}


def launched(instance: dg.DagsterInstance, names: Iterable[str], since: datetime) -> dict[str, list[Launched]]:
    """What is under way for customers, and what was there since a moment. A backfill that failed before its runs counts for nothing
    (`failed_since`); one that somebody canceled counts: that is what was wanted."""
    asked = sorted(set(names))
    found: dict[str, list[Launched]] = {name: [] for name in asked}
    if not asked:
        return found
    mine = {PARTITION_TAG: asked}
    records = {record.dagster_run.run_id: record for wanted in (dg.RunsFilter(tags=mine, statuses=UNFINISHED),
               dg.RunsFilter(tags=mine, updated_after=since)) for record in instance.get_run_records(wanted)}
    for record in records.values():
        run = record.dagster_run
        made = record.create_timestamp.replace(tzinfo=UTC) if run.is_finished else None
        at = datetime.fromtimestamp(record.start_time, UTC) if record.start_time else made
        keys = frozenset(run.asset_selection) if run.asset_selection is not None else None
        found[run.tags[PARTITION_TAG]].append(Launched(run.tags[PARTITION_TAG], keys, at, run.is_finished))
    canceled = BulkActionsFilter(statuses=[BulkActionStatus.CANCELED], created_after=since)
    for backfill in (*instance.get_backfills(BulkActionsFilter(statuses=UNDER_WAY)), *instance.get_backfills(canceled)):
        is_over = backfill.status == BulkActionStatus.CANCELED
        at = datetime.fromtimestamp(backfill.backfill_timestamp, UTC) if is_over else None
        for name, keys in targets_of(backfill).items():
            if name in found and not _has_run(instance, name, backfill.backfill_id):
                found[name].append(Launched(name, keys, at, is_over))
    return found


def _has_run(instance: dg.DagsterInstance, name: str, backfill: str) -> bool:
    """Whether a backfill has made a customer's run, which then speaks for itself."""
    return instance.get_runs_count(dg.RunsFilter(tags={PARTITION_TAG: name, "dagster/backfill": backfill})) > 0


def failed_since(instance: dg.DagsterInstance, cause: str, since: datetime) -> dict[str, int]:
    """Customer -> backfills of a cause that failed as a whole, as where the code location does not load."""
    counted: dict[str, int] = {}
    wanted = BulkActionsFilter(statuses=[BulkActionStatus.FAILED], tags={CAUSE_TAG: cause}, created_after=since - timedelta(seconds=1))
    for backfill in instance.get_backfills(wanted):
        for name in targets_of(backfill):
            counted[name] = counted.get(name, 0) + 1
    return counted
