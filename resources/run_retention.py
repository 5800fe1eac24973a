"""How long Dagster remembers: runs, their events, checks and logs go after some days, and what is the newest of something stays.

What belongs here: which runs are kept, and deleting the others in Dagster's own tables (its API deletes one run at a time). What does not: ticks of
sensors and schedules, which Dagster purges itself (dagster.yaml), and forgetting a customer (run_history.py).
"""
from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from resources.postgres import ORCHESTRATOR, Postgres

BATCH = 500
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
FINISHED_BACKFILLS = ("COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
# The newest materialization of each asset and partition, the newest result of each check, the newest run of each partition and job.
NEWEST = """SELECT run_id FROM (SELECT DISTINCT ON (asset_key, partition) run_id FROM event_logs
        WHERE dagster_event_type = 'ASSET_MATERIALIZATION' ORDER BY asset_key, partition, id DESC) made
    UNION SELECT run_id FROM (SELECT DISTINCT ON (asset_key, check_name, partition) run_id FROM asset_check_executions
        ORDER BY asset_key, check_name, partition, id DESC) checked
    UNION SELECT run_id FROM (SELECT DISTINCT ON (partition, pipeline_name) run_id FROM runs ORDER BY partition, pipeline_name, id DESC) launched"""
EXPIRED = f"""SELECT r.run_id FROM runs r WHERE r.status = ANY(%(finished)s) AND r.update_timestamp < %(before)s
    AND NOT EXISTS (SELECT 1 FROM ({NEWEST}) newest WHERE newest.run_id = r.run_id)
    AND NOT EXISTS (SELECT 1 FROM run_tags t JOIN bulk_actions b ON b.key = t.value
                    WHERE t.run_id = r.run_id AND t.key = 'dagster/backfill' AND NOT b.status = ANY(%(ended)s)) ORDER BY r.id"""
OF_RUNS = ("event_logs", "asset_check_executions", "pending_steps", "concurrency_slots", "runs")


@dataclass(frozen=True)
class Forgotten:
    """What went: runs, their events, and backfills."""

    runs: int = 0
    events: int = 0
    backfills: int = 0


def forget_runs(postgres: Postgres, before: datetime) -> Forgotten:
    """Delete what ended before a moment (UTC) and is the newest of nothing. A run of a backfill that is under way stays."""
    values = {"finished": list(FINISHED), "before": before.replace(tzinfo=None), "ended": list(FINISHED_BACKFILLS)}
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster, autocommit=True) as connection:
        runs = [run for (run,) in connection.execute(EXPIRED, values)]
        events = sum(_delete(connection, runs[start:start + BATCH]) for start in range(0, len(runs), BATCH))
        with connection.transaction():
            ended = """status = ANY(%(ended)s) AND timestamp < %(before)s
                AND NOT EXISTS (SELECT 1 FROM run_tags t WHERE t.key = 'dagster/backfill' AND t.value = b.key)"""
            connection.execute(f"DELETE FROM backfill_tags WHERE backfill_id IN (SELECT key FROM bulk_actions b WHERE {ended})", values)
            backfills = connection.execute(f"DELETE FROM bulk_actions b WHERE {ended}", values).rowcount
    for run in runs:
        _delete_logs(postgres.settings.dagster_home / "storage", run)
    return Forgotten(len(runs), events, backfills)


def _delete(connection: psycopg.Connection, runs: list[str]) -> int:
    """Some runs with all that hangs on them, in one transaction; returns their events."""
    with connection.transaction():
        gone = [connection.execute(f"DELETE FROM {table} WHERE run_id = ANY(%s)", [runs]).rowcount for table in OF_RUNS]
    return gone[0]


def _delete_logs(storage: Path, run: str) -> None:
    """A run's folder of captured output, by its exact name."""
    folder = storage / run
    if run and folder.parent == storage and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)  # what resists holds up nobody: the next look finds no run for it
