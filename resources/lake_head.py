"""The lake as it stands now, where files that it names are gone: what a run replaces before it can write.

What belongs here: seeing that and dropping it. What does not: the write (lake.py), versions, which pin the snapshot they read (lake_objects.py).
"""
from __future__ import annotations

from contextlib import suppress

import duckdb

from resources import lake_objects
from resources.lake_tables import drop_table
from resources.quarantine import QUARANTINE, ensure_quarantine
from resources.session import Session
from resources.storage import TableSpec


def replace_lost(session: Session, spec: TableSpec) -> None:
    """Drop what of a table and its layer's quarantine has lost files, since DuckLake deletes no row of a file that it cannot read.

    Older snapshots still know the dropped tables. What other tables kept back is taken over from the newest registered one; where that lost files too,
    it goes, and the run that comes to those tables makes them anew.
    """
    session.assert_fence()
    for table in lost_at_head(session, spec):
        drop_table(session, f"{spec.schema}.{table}")
        if table == QUARANTINE:
            _take_over_quarantine(session, spec)


def _take_over_quarantine(session: Session, spec: TableSpec) -> None:
    """A new quarantine of the layer, with the rows of other tables as they were registered last."""
    ensure_quarantine(session.con, spec.schema)
    newest = session.lock.execute("SELECT max(snapshot_id) FROM platform.table_version WHERE customer_id = %s AND starts_with(table_name, %s)",
                                  [session.customer_id, f"{spec.schema}."]).fetchone()[0]
    if newest is not None and _is_whole(session, spec, newest):  # the copy itself may not fail unnoticed: it is all there is of those rows
        session.con.execute(f"INSERT INTO lake.{spec.schema}.{QUARANTINE} BY NAME SELECT * FROM lake.{spec.schema}.{QUARANTINE} AT (VERSION => {newest}) "
                            f"WHERE table_name <> '{spec.name}'")


def _is_whole(session: Session, spec: TableSpec, snapshot: int) -> bool:
    """Whether the layer's quarantine stands in a snapshot with all its files."""
    try:
        return not lake_objects.absent(session, spec.schema, QUARANTINE, snapshot)
    except (duckdb.CatalogException, duckdb.InvalidInputException):  # there was no quarantine then; the snapshot is not known any more
        return False


def lost_at_head(session: Session, spec: TableSpec) -> list[str]:
    """Of the table and its layer's quarantine, what names a file that is gone, as the lake stands now."""
    head = session.con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0]
    found = []
    for table in (spec.name, QUARANTINE):
        with suppress(duckdb.CatalogException):  # no such table at the head
            found += [table] if lake_objects.absent(session, spec.schema, table, head) else []
    return found
