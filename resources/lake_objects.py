"""The lake's files by content: a sha256 of each, taken when it is written and compared when a run first reads it.

What belongs here: hashing files and keeping what was found in `platform.lake_object`. What does not: writing and reading rows (lake.py) and
the landing folder, whose files have their hash in the delivery. One flipped bit in a Parquet page loads without a word in DuckDB, polars
and pyarrow (FINDINGS), so no reader would tell.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import duckdb
from psycopg.types.json import Jsonb

from partitions.errors import IntegrityError
from resources.object_store import ObjectStore, is_remote
from resources.quarantine import QUARANTINE
from resources.session import Session
from resources.storage import TableSpec
from resources.versions import Version

HASHERS = 2  # threads; hashing lets go of the interpreter's lock
RESTORE = "restore the file from a backup; or remove it and launch the customer: a table whose files are gone is made anew"


@dataclass(frozen=True)
class LakeObject:
    """One file as it lies there; `sha256` None where it is gone. `path` is relative to the customer's part of the lake."""

    path: str
    bytes: int
    sha256: str | None


def record(session: Session, spec: TableSpec, version: Version, table: str | None = None) -> int:
    """Keep the hashes of the files of a version that this session has just committed; returns how many were new.

    Call it after the commit and before the version is registered, so that no reader meets a version without hashes. `table`: another table
    of the same schema that the commit wrote too, such as the layer's quarantine.
    """
    name = table or spec.name
    known = set(_kept(session, f"{spec.schema}.{name}"))
    new = [path for path in files_of(session, spec.schema, name, version.snapshot_id) if _relative(session, path) not in known]
    return _keep(session, f"{spec.schema}.{name}", _found(session, new))


def verify(session: Session, spec: TableSpec, version: Version, table: str | None = None) -> int:
    """Compare the files of a version with what was kept; returns the bytes that were read. Raises IntegrityError naming the file.

    A file is read once per session, and not at all if this session wrote it. A version from before hashes were kept (none of its files
    has one) is taken as it lies there and kept from now on.
    """
    name = table or spec.name
    qualified = f"{spec.schema}.{name}"
    files = [path for path in files_of(session, spec.schema, name, version.snapshot_id) if path not in session.trusted]
    if not files:
        return 0
    kept, found = _kept(session, qualified), _found(session, files)
    if not any(one.path in kept for one in found) and all(one.sha256 for one in found):
        _keep(session, qualified, found)
        return sum(one.bytes for one in found)
    for one in found:
        problem = None
        if one.sha256 is None:
            problem = "this file of the lake is gone"
        elif one.path not in kept:
            problem = "this file of the lake was not written by Strata"
        elif kept[one.path] != one.sha256:
            problem = "this file of the lake is no longer what was written"
        if problem:
            raise IntegrityError(problem, customer=session.customer_id, table=qualified, file=one.path, fix=RESTORE)
    session.trusted.update(files)
    return sum(one.bytes for one in found)


def stands(session: Session, spec: TableSpec, version: Version) -> bool:
    """Whether every file of a version is there, those of the rows that it kept back too.

    A look at the files that are recorded for the table (one query, and a `stat` of each) answers it as a rule; which files a version has is asked of
    the lake only where one is gone.
    """
    tables = (spec.name, QUARANTINE) if version.quarantined_count else (spec.name,)
    return not any(missing(session, spec.schema, table, version.snapshot_id) for table in tables)


def missing(session: Session, schema: str, table: str, snapshot: int | None) -> list[str]:
    """The files of a snapshot of a table that were recorded once and are gone, relative to the customer's part of the lake."""
    kept = _kept(session, f"{schema}.{table}")
    gone = set(kept) - _present(session, f"{schema}/{table}/", kept)
    if not gone or snapshot is None:
        return []
    return sorted(name for path in files_of(session, schema, table, snapshot) if (name := _relative(session, path)) in gone)


def absent(session: Session, schema: str, table: str, snapshot: int | None) -> list[str]:
    """The files that a snapshot of a table names and that are not there, recorded or not, relative to the customer's part of the lake."""
    named = [_relative(session, path) for path in files_of(session, schema, table, snapshot)]
    return sorted(set(named) - _present(session, f"{schema}/{table}/", named))


def resized(session: Session, qualified: str, paths: Iterable[str]) -> list[str]:
    """Of these files of a table, those whose size is not what was recorded."""
    rows = session.lock.execute("SELECT path, bytes FROM platform.lake_object WHERE customer_id = %s AND table_name = %s", [session.customer_id, qualified])
    sizes: dict[str, int] = dict(rows.fetchall())
    names = {name: path for path in paths if (name := _relative(session, path)) in sizes}
    root = session.settings.lake_path(session.customer_id)
    if is_remote(root):
        listed = ObjectStore(session.settings, session.customer_id).listed(f"{root}{qualified.replace('.', '/')}/") if names else {}
        return sorted(name for name, path in names.items() if path in listed and listed[path][0] != sizes[name])
    return sorted(name for name, path in names.items() if Path(path).stat().st_size != sizes[name])


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _present(session: Session, folder: str, names: Iterable[str]) -> set[str]:
    """Which of the named files lie there; a store that cannot be listed says nothing against any."""
    root = session.settings.lake_path(session.customer_id)
    if "://" not in root:
        return {name for name in names if Path(root, name).is_file()}
    try:
        listed = session.con.execute("SELECT file FROM glob(?)", [f"{root}{folder}**"]).fetchall()
    except (duckdb.HTTPException, duckdb.IOException):
        return set(names)
    return {_relative(session, path) for (path,) in listed}


def forget(session: Session, paths: Iterable[str]) -> None:
    """Drop the hashes of files that garbage collection has released."""
    session.lock.execute("DELETE FROM platform.lake_object WHERE customer_id = %s AND path = ANY(%s)",
                         [session.customer_id, [_relative(session, path) for path in paths]])


def files_of(session: Session, schema: str, table: str, snapshot: int | None) -> dict[str, int]:
    """The data and delete files of one snapshot of a table, where they lie, with their sizes. A snapshot does not change: it is asked for once."""
    place = (f"{schema}.{table}", snapshot)
    if snapshot is None or place not in session.lake_files:
        rows = session.con.execute("""SELECT data_file, data_file_size_bytes, delete_file, delete_file_size_bytes
            FROM ducklake_list_files('lake', ?, schema => ?, snapshot_version => ?)""", [table, schema, snapshot]).fetchall()
        sizes = {path: size for data, bytes, deletes, more in rows for path, size in ((data, bytes), (deletes, more)) if path}
        session.lake_files[place] = dict(sorted(sizes.items()))
    return session.lake_files[place]


def _kept(session: Session, qualified: str) -> dict[str, str]:
    """Path -> sha256 of a table's files."""
    rows = session.lock.execute("SELECT path, sha256 FROM platform.lake_object WHERE customer_id = %s AND table_name = %s",
                                [session.customer_id, qualified]).fetchall()
    return dict(rows)


def _keep(session: Session, qualified: str, found: Sequence[LakeObject]) -> int:
    rows = [{"path": one.path, "sha256": one.sha256, "bytes": one.bytes} for one in found]
    session.lock.execute("""INSERT INTO platform.lake_object (customer_id, table_name, path, sha256, bytes)
        SELECT %s, %s, path, sha256, bytes FROM jsonb_to_recordset(%s) AS r(path text, sha256 text, bytes bigint) ON CONFLICT DO NOTHING""",
                         [session.customer_id, qualified, Jsonb(rows)])
    session.trusted.update(_absolute(session, one.path) for one in found)
    return len(found)


def _found(session: Session, paths: Sequence[str]) -> list[LakeObject]:
    """Each file read through once: from disk side by side, from an object store one after the other by the session's own DuckDB."""
    if any("://" in path for path in paths):
        return [_remote(session, path) for path in paths]
    with ThreadPoolExecutor(HASHERS) as pool:
        return list(pool.map(lambda path: _local(session, path), paths))


def _local(session: Session, path: str) -> LakeObject:
    name = _relative(session, path)
    try:
        with Path(path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return LakeObject(name, file.tell(), digest)
    except FileNotFoundError:
        return LakeObject(name, 0, None)


def sha256_of_object(session: Session, place: str) -> str | None:
    """None where it is gone."""
    return _remote(session, place).sha256


def _remote(session: Session, path: str) -> LakeObject:
    name = _relative(session, path)
    try:
        size, digest = session.con.execute("SELECT size, sha256(content) FROM read_blob(?)", [path]).fetchone() or (0, None)
    except (duckdb.HTTPException, duckdb.IOException) as error:
        if "404" in str(error) or "No files found" in str(error):
            return LakeObject(name, 0, None)
        raise  # a store that does not answer says nothing about the file
    return LakeObject(name, size, digest)


def _relative(session: Session, path: str) -> str:
    """The path below the customer's part of the lake, so that a lake that is moved keeps its hashes and an error shows no machine's folder."""
    return path.removeprefix(session.settings.lake_path(session.customer_id))


def _absolute(session: Session, path: str) -> str:
    return session.settings.lake_path(session.customer_id) + path
