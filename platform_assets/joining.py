"""How customers join without a command: the daemon follows the folder of customers, so that a merge is enough.

What belongs here: noticing that the folder changed. What does not: what then happens (resources/reconciliation.py).
"""
from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import dagster as dg

from partitions.customers import load_customers
from resources.postgres import Postgres
from resources.reconciliation import settled
from resources.settings import settings

TICK_SECONDS = 30


def state_of_folder(folder: Path) -> str:
    """sha256 over names and contents of the customer files."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.yaml")):
        digest.update(f"{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def joining_sensor() -> dg.SensorDefinition:
    """Applies the folder of customers whenever it changed. A file that does not validate fails the tick, and the next one tries again."""

    @dg.sensor(name="customers_folder", minimum_interval_seconds=TICK_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING,
               description="Makes partitions, lake catalogs, roles and landing folders follow the folder of customers after a merge.")
    def customers_folder(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        configured = settings()
        if not Postgres(configured).administers:
            return dg.SkipReason("this process may not make roles: `strata customers apply` follows the folder, in a job of its own")
        state = state_of_folder(configured.customers)
        if context.cursor == state:
            return dg.SkipReason("the folder of customers did not change")
        changes = settled(Postgres(configured), context.instance, load_customers(configured.customers))
        context.update_cursor(state)
        counted = Counter(change.action for change in changes)  # counts alone: Dagster keeps what a tick says after a customer has left
        return dg.SkipReason(", ".join(f"{action}: {number}" for action, number in sorted(counted.items())) or "nothing to change")

    return customers_folder
