"""Garbage collection: versions that nobody can reach any more, in the warehouse and in the lake.

What belongs here: what is kept. Live, previous and pinned versions stay; of each lake table the newest version and those that a kept
version read. What does not: erasing a customer.
"""
from __future__ import annotations

import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg
from psycopg import sql

from partitions.customers import load_customers
from partitions.errors import StrataError
from resources import lake_objects
from resources.deliveries import INCOMING
from resources.postgres import Postgres
from resources.quarantine import QUARANTINE
from resources.session import RunIdentity, Session
from resources.settings import Settings

ORPHAN_SECONDS = 86_400  # a file that no snapshot names is left alone this long: a running writer may be about to name it


@dataclass(frozen=True)
class Collected:
    """What was removed for one customer."""

    versions: int
    rows: int
    files: int


def collect(postgres: Postgres, settings: Settings, keep: int = 0) -> dict[str, Collected | StrataError]:
    """Collect every declared customer, each under its own lock; one that cannot be (busy, never applied) holds up nobody."""
    done: dict[str, Collected | StrataError] = {}
    for name, found in load_customers(settings.customers).items():
        try:
            done[name] = collect_customer(Session(settings, postgres, found, RunIdentity("gc", None, "gc", "gc")), keep)
        except StrataError as error:
            done[name] = error
    return done


def collect_customer(session: Session, keep: int = 0) -> Collected:
    """Remove what one customer no longer needs; `keep` newest versions of each table stay besides the reachable ones."""
    try:
        session.assert_fence()
        connection = session.warehouse
        with connection.transaction():
            gone = _unreachable(connection, session.customer_id, keep)
            rows = sum(_delete(connection, session.customer_id, name, version) for name, version, in_lake in gone if not in_lake)
            for name, version, _ in gone:
                for registry in ("table_version", "validation"):
                    connection.execute(f"DELETE FROM platform.{registry} WHERE customer_id = %s AND table_name = %s AND version = %s",
                                       [session.customer_id, name, version])
        files = _expire(session) + _sweep([*(session.settings.landing_root / session.customer_id / INCOMING).glob("*"), *_scratch(session)])
        return Collected(len(gone), rows, files)
    finally:
        session.close()


def _unreachable(connection: psycopg.Connection, customer: str, keep: int) -> list[tuple[str, int, bool]]:
    """(table, version, is in the lake) of what may go, transitively: what a kept version read is kept."""
    kept = {(name, version) for name, live, previous in connection.execute(
        "SELECT table_name, version, previous_version FROM platform.live_version WHERE customer_id = %s", [customer]) for version in (live, previous)}
    known = connection.execute("""SELECT table_name, version, inputs, snapshot_id IS NOT NULL, row_number() OVER (PARTITION BY table_name ORDER BY version DESC)
        FROM platform.table_version WHERE customer_id = %s""", [customer]).fetchall()
    kept |= {(name, version) for name, version, _, in_lake, rank in known if rank <= max(keep, 1)}
    inputs = {(name, version): used for name, version, used, _, _ in known}
    waiting = list(kept)
    while waiting:
        for used in inputs.get(waiting.pop(), {}).items():
            if used not in kept:
                kept.add(used)
                waiting.append(used)
    return [(name, version, in_lake) for name, version, _, in_lake, _ in known if (name, version) not in kept]


def _delete(connection: psycopg.Connection, customer: str, name: str, version: int) -> int:
    """Rows of a warehouse version, and what gold kept back with it."""
    schema, table = name.split(".")
    target = sql.Identifier(schema, table)
    if schema.endswith("_gold"):
        connection.execute(sql.SQL("DELETE FROM {} WHERE customer_id = %s AND version = %s AND table_name = %s").format(sql.Identifier(schema, QUARANTINE)),
                           [customer, version, table])
    return connection.execute(sql.SQL("DELETE FROM {} WHERE customer_id = %s AND version = %s").format(target), [customer, version]).rowcount


def _expire(session: Session) -> int:
    """Drop the lake's snapshots that no registered version names, then the files that only they named."""
    named = [row[0] for row in session.lock.execute(
        "SELECT DISTINCT snapshot_id FROM platform.table_version WHERE customer_id = %s AND snapshot_id IS NOT NULL", [session.customer_id])]
    con = session.con
    head = con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0]
    expired = [row[0] for row in con.execute("SELECT snapshot_id FROM lake.snapshots()").fetchall() if row[0] not in {*named, head}]
    if expired:
        con.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{', '.join(map(str, expired))}])")
    files = con.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)").fetchall()
    with suppress(duckdb.Error):  # an object store that cannot be listed keeps its orphans until it can
        files += con.execute(f"CALL ducklake_delete_orphaned_files('lake', older_than => now() - INTERVAL '{ORPHAN_SECONDS} seconds')").fetchall()
    lake_objects.forget(session, [path for (path,) in files])
    return len(files)


def _scratch(session: Session) -> list[Path]:
    """Scratch folders of the customer's runs but this one."""
    return [path for path in session.settings.temp_root.glob(f"{session.customer_id}-*") if path != session.temp]


def _sweep(paths: list[Path]) -> int:
    """Remove what a landing or a run that was killed left in folders of its own; anything younger than a day may be under way."""
    left = [path for path in paths if time.time() - path.stat().st_mtime > ORPHAN_SECONDS]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)  # what resists is tried again at the next collection
    return len(left)
