"""What must hold between Dagster's memory and the data: runs that somebody works on, materializations whose versions are there.

What belongs here: questions to Dagster's own tables, for all customers at once. What does not: forgetting (run_retention.py) and ending runs
(Dagster's run monitor does).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import psycopg

from resources.invariants import Finding, Looked
from resources.postgres import BACKUP, ORCHESTRATOR, Postgres

STALE_SECONDS = 300  # a run may take 180 s to start, and the monitor looks every 30 s (dagster.yaml): twice that, and some
UNDER_WAY = """SELECT run_id, partition, status, extract(epoch FROM now() AT TIME ZONE 'UTC' - update_timestamp) AS seconds FROM runs
    WHERE status IN ('STARTING', 'STARTED', 'CANCELING') AND partition = ANY(%s)"""
HELD = """SELECT name FROM unnest(%s::text[]) name JOIN pg_locks k ON k.locktype = 'advisory' AND k.granted AND k.objsubid = 1
    AND (k.classid::bigint << 32 | k.objid::bigint) = hashtextextended('strata:' || name, 0)"""
NEWEST = """SELECT DISTINCT ON (asset_key, partition) asset_key, partition, event FROM event_logs
    WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND partition = ANY(%s) AND asset_key IS NOT NULL ORDER BY asset_key, partition, id DESC"""
KNOWN = "SELECT customer_id, table_name, version FROM platform.table_version WHERE customer_id = ANY(%s)"


def ask_runs(postgres: Postgres, customers: Sequence[str], tables: Sequence[str]) -> Looked:
    """I6 and I12 of the customers; nothing is looked at where Dagster has made no tables yet. `tables`: qualified names of all that have versions."""
    looked, names = Looked(), list(customers)
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:
        if not connection.execute("SELECT to_regclass('runs') IS NOT NULL AND to_regclass('event_logs') IS NOT NULL").fetchone()[0]:
            return looked
        under_way = connection.execute(UNDER_WAY, [names]).fetchall()
        told = {(customer, _table(key)): _version(event) for key, customer, event in connection.execute(NEWEST, [names])}
    locked = held(postgres, names)
    with postgres.connect(BACKUP) as connection:
        known = _versions(connection, names)
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:  # again: a run that ended meanwhile let its lock go
        still = {run for run, *_ in connection.execute(UNDER_WAY, [names])}
    looked.add("I6", len(under_way), [_abandoned(run, customer, status, seconds) for run, customer, status, seconds in under_way
                                      if seconds > STALE_SECONDS and customer not in locked and run in still])
    looked.add("I12", len(told))
    for (customer, table), version in sorted(told.items()):
        if table in tables and version is not None and version not in known.get((customer, table), set()):
            looked.add("I12", 0, [Finding("I12", customer, table, f"Dagster's newest materialization names version {version}, which is not registered",
                                          "launch the customer: the newest version is told anew")])
    for (customer, table), versions in sorted(known.items()):
        if told.get((customer, table)) != max(versions):
            looked.add("I12", 0, [Finding("I12", customer, table, f"version {max(versions)} is the newest, and Dagster's newest materialization is not of it",
                                          "launch the customer: unchanged tables are told without being computed", is_note=True)])
    looked.findings.sort(key=lambda one: (one.customer, one.invariant, one.table or ""))
    return looked


def held(postgres: Postgres, names: Sequence[str]) -> set[str]:
    """The customers, of these, whose lock somebody holds: a run, or a command that writes."""
    with postgres.connect(BACKUP) as connection:
        return {name for (name,) in connection.execute(HELD, [list(names)])}


def _versions(connection: psycopg.Connection, names: list[str]) -> dict[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = {}
    for customer, table, version in connection.execute(KNOWN, [names]):
        found.setdefault((customer, table), set()).add(version)
    return found


def _abandoned(run: str, customer: str, status: str, seconds: Any) -> Finding:
    return Finding("I6", customer, None, f"run {run[:8]} is {status} since {float(seconds) / 60:.0f} minutes and nobody holds the customer's lock",
                   "leave it to the monitor of a running daemon, or end it in Dagster (Runs, Terminate, force)")


def _table(asset_key: str) -> str:
    """`["greenit", "gold", "activity"]`, as Dagster stores a key, is `greenit_gold.activity`."""
    *schema, table = json.loads(asset_key)
    return f"{'_'.join(schema)}.{table}"


def _version(event: str) -> int | None:
    """The version that a materialization names; None for one of something else."""
    from dagster import EventLogEntry
    from dagster._serdes import deserialize_value

    found = deserialize_value(event, EventLogEntry).asset_materialization
    said = found.metadata.get("version") if found else None
    return said.value if said is not None and isinstance(said.value, int) else None
