"""What Dagster remembers of a customer: runs, events, checks, backfills, ticks, and what its asset pages keep at hand.

What belongs here: counting and deleting it in Dagster's own tables, by the ids of the customer's runs (its API deletes one run at a time, and
knows no events without a run). What does not: partition keys (partitions/customers.py). The tables are pinned in
tests/customers/test_leaving.py: a Dagster that keeps a customer somewhere else fails the scan there.
"""
from __future__ import annotations

from collections.abc import Sequence

import psycopg

from partitions.errors import ErasureError
from resources.byte_scan import token

RUNS = """SELECT run_id FROM runs WHERE partition = %(name)s UNION SELECT run_id FROM run_tags WHERE key = 'dagster/partition' AND value = %(name)s"""
# table -> which of its rows are the customer's; `%(token)s` is a regular expression of the id as a word
OF_CUSTOMER = {
    "event_logs": "run_id = ANY(%(runs)s) OR partition = %(name)s",
    "asset_check_executions": "run_id = ANY(%(runs)s) OR partition = %(name)s",
    "pending_steps": "run_id = ANY(%(runs)s)",
    "concurrency_slots": "run_id = ANY(%(runs)s)",
    "bulk_actions": "body ~ %(token)s",
    "job_ticks": "tick_body ~ %(token)s",
    "asset_daemon_asset_evaluations": "asset_evaluation_body ~ %(token)s",
    "runs": "run_id = ANY(%(runs)s)",
}
AT_HAND = "last_run_id = ANY(%(runs)s) OR last_materialization ~ %(token)s OR cached_status_data ~ %(token)s"
UNFINISHED_BACKFILLS = "SELECT key FROM bulk_actions WHERE body ~ %(token)s AND status IN ('REQUESTED', 'CANCELING', 'FAILING')"


def runs_of(connection: psycopg.Connection, customer: str) -> list[str]:
    return sorted(run for (run,) in connection.execute(RUNS, {"name": customer}))


def refuse_unfinished_backfills(connection: psycopg.Connection, customer: str) -> None:
    """A backfill that is under way would launch the customer once more. Raises ErasureError."""
    found = connection.execute(UNFINISHED_BACKFILLS, {"token": token(customer)}).fetchall()
    if found:
        raise ErasureError(f"a backfill of this customer is not finished: {', '.join(key for (key,) in found)}", customer=customer,
                           fix="wait for it or cancel it, then try again")


def counted(connection: psycopg.Connection, customer: str, runs: Sequence[str]) -> dict[str, int]:
    """Table -> rows of the customer."""
    values = {"name": customer, "runs": list(runs), "token": token(customer)}
    found = {table: connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}", values).fetchone()[0] for table, condition in OF_CUSTOMER.items()}
    return {**found, "asset_keys": connection.execute(f"SELECT count(*) FROM asset_keys WHERE {AT_HAND}", values).fetchone()[0]}


def forget(connection: psycopg.Connection, customer: str, runs: Sequence[str]) -> None:
    """Delete it, in the caller's transaction. What an asset's page keeps at hand is emptied, and Dagster reads it anew from other customers' events."""
    values = {"name": customer, "runs": list(runs), "token": token(customer)}
    connection.execute(f"UPDATE asset_keys SET last_materialization = NULL, last_run_id = NULL, cached_status_data = NULL WHERE {AT_HAND}", values)
    connection.execute("DELETE FROM backfill_tags WHERE backfill_id IN (SELECT key FROM bulk_actions WHERE body ~ %(token)s)", values)
    for table, condition in OF_CUSTOMER.items():
        connection.execute(f"DELETE FROM {table} WHERE {condition}", values)
