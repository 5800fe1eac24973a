"""What a customer takes along: its deliveries as landed, silver as Parquet, live platinum as CSV, and a manifest, in one zip.

What belongs here: writing it and its counts. What does not: when it is due and what is deleted afterwards (erasure.py).
"""
from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

import duckdb
from psycopg import sql

from resources.object_store import ObjectStore, is_remote
from resources.postgres import READER
from resources.session import Session

BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One file of the bundle. `rows`: records of a delivery, or rows of a table."""

    name: str
    rows: int
    bytes: int
    sha256: str


def next_bundle(folder: Path, customer: str) -> Path:
    """`<folder>/<customer>-<n>.zip` with the first free n."""
    folder.mkdir(parents=True, exist_ok=True)
    return next(path for n in range(1, 1_000_000) if not (path := folder / f"{customer}-{n}.zip").exists())


def write_bundle(session: Session, bundle: Path) -> list[Entry]:
    """Write the zip, whole or not at all."""
    draft = bundle.with_name(bundle.name + ".part")
    session.temp.mkdir(parents=True, exist_ok=True)
    entries = []
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for name, path, rows in chain(_deliveries(session), _silver(session), _platinum(session)):
            archive.write(path, name)
            entries.append(Entry(name, rows, path.stat().st_size, sha256_of(path)))
        manifest = {"customer": session.customer_id, "files": [asdict(entry) for entry in entries]}
        archive.writestr("manifest.json", json.dumps(manifest, indent=1))
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.rename(bundle)
    return entries


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _deliveries(session: Session) -> Iterator[tuple[str, Path, int]]:
    rows = session.lock.execute("SELECT source, path, rows FROM platform.delivery WHERE customer_id = %s ORDER BY source, path", [session.customer_id])
    root = session.settings.landing_root
    if is_remote(session.settings.landing_store or ""):
        store = ObjectStore(session.settings, session.customer_id)
        for number, (_, path, count) in enumerate(rows.fetchall()):
            fetched = session.temp / f"delivery-{number}"
            store.get(store.landed(path), fetched)
            yield f"deliveries/{path.removeprefix(session.customer_id + '/')}", fetched, count
            fetched.unlink()
        return
    for _, path, count in rows.fetchall():
        file = root / path
        with suppress(FileNotFoundError):
            yield f"deliveries/{file.resolve(strict=True).relative_to((root / session.customer_id).resolve())}", file, count


def _silver(session: Session) -> Iterator[tuple[str, Path, int]]:
    """The lake's silver tables and their quarantine, as they stand."""
    try:
        tables = session.con.execute("SELECT schema_name, table_name FROM duckdb_tables() "
                                     "WHERE database_name = 'lake' AND ends_with(schema_name, '_silver') ORDER BY ALL").fetchall()
    except duckdb.IOException:  # the files of a lake that is gone in part are not exported; what is left of it is deleted all the same
        tables = []
    for schema, table in tables:
        path = session.temp / f"{schema}.{table}.parquet"
        rows = session.con.execute(f"COPY (FROM lake.{schema}.\"{table}\") TO '{path}' (FORMAT parquet)").fetchone()[0]
        yield f"silver/{path.name}", path, rows


def _platinum(session: Session) -> Iterator[tuple[str, Path, int]]:
    """What readers see now, as readers see it."""
    with session.postgres.connect(READER, customer=session.customer_id) as connection:
        views = connection.execute("SELECT schemaname, viewname FROM pg_views WHERE schemaname ~ '_platinum$' AND viewname ~ '_live$' ORDER BY 1, 2").fetchall()
        for schema, view in views:
            path = session.temp / f"{schema}.{view.removesuffix('_live')}.csv"
            target = sql.Identifier(schema, view)
            with path.open("wb") as file, connection.cursor().copy(sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER)").format(target)) as copy:
                for block in copy:
                    file.write(block)
            rows = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(target)).fetchone()[0]
            yield f"platinum/{path.name}", path, rows
