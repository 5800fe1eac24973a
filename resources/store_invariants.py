"""What must hold of one customer's files: its lake, its landing folder, its scratch folders.

What belongs here: looking, under the customer's lock but without its fence, so that no writer is in the way and none is fenced for it. What does
not: what the registry alone tells (invariants.py), reading and hashing files (lake_objects.py), repairing: a run makes anew what is gone.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, cast

import duckdb

from partitions.customers import Customer
from partitions.errors import BusyError, IntegrityError, SettingsError
from resources import lake_objects, versions
from resources.deliveries import INCOMING, Mode, effective
from resources.invariants import LAUNCH, Finding, Looked
from resources.object_store import ObjectStore, is_remote
from resources.postgres import Postgres
from resources.production_lake import counted, owners
from resources.quarantine import QUARANTINE
from resources.session import RunIdentity, Session
from resources.storage import TableSpec
from resources.versions import Version
from resources.warehouse import content_of_version

LEFT_SECONDS = 86_400  # as gc: what is younger may be under way
REMADE = "DELETE the rows of this version as the customer's role, then launch: the table is made anew"
LOST = "land the file once more as a new sequence, or restore it from a backup"


def ask_stores(postgres: Postgres, customer: Customer, specs: Sequence[TableSpec], contents: bool = False) -> Looked:
    """Everything of one customer that lies in files. `contents`: every byte is read and compared with its hash, which else only a size stands for.

    A customer whose run is under way, or that was never applied, is not looked at and told in `unseen`.
    """
    looked = Looked()
    session = Session(postgres.settings, postgres, customer, RunIdentity("verify", None, "verify", "verify"), only_looks=True)
    try:
        known = [found for spec in specs if spec.in_lake for found in _registered(session, spec)]
        if known:  # else there is no catalog yet, and opening the lake would make one
            for spec, version in known:
                _look_at_version(session, spec, version, contents, looked)
            for spec in {spec.qualified: spec for spec, _ in known if spec.layer == "bronze"}.values():
                _look_at_bronze(session, spec, max((v for s, v in known if s == spec), key=lambda v: v.version), looked)
            looked.add("I5", 1, _orphans(session))
            if contents:
                _look_at_live(session, specs, looked)
        _look_at_landing(session, looked, contents)
        looked.add("I5", 1, _scratch(session))
    except BusyError:
        looked.unseen[customer.id] = "a run is under way"
    except SettingsError as error:
        looked.unseen[customer.id] = "never applied" if "has no secret" in error.problem else error.problem
    finally:
        session.close()
    return looked


def _registered(session: Session, spec: TableSpec) -> list[tuple[TableSpec, Version]]:
    return [(spec, version) for version in versions.all_of(session.lock, session.customer_id, spec.qualified)]


def _look_at_version(session: Session, spec: TableSpec, version: Version, contents: bool, looked: Looked) -> None:
    """A version's snapshot is known, its files are there, are the customer's and are what was written, and hold its rows. Of an older version than the
    newest it is a note: no run reads it any more, only a trace of what was published then."""
    found: list[Finding] = []
    tables = (spec.name, QUARANTINE) if version.quarantined_count else (spec.name,)
    try:
        for table in tables:
            found += _files(session, spec, table, version, contents)
        if not found:
            at = f"AT (VERSION => {version.snapshot_id})"
            counted = {spec.name: version.row_count, **({QUARANTINE: version.quarantined_count} if version.quarantined_count else {})}
            for table, expected in counted.items():
                own = f"WHERE table_name = '{spec.name}'" if table == QUARANTINE else ""
                rows = session.con.execute(f"SELECT count(*) FROM lake.{spec.schema}.{table} {at} {own}").fetchone()[0]
                if rows != expected:
                    found.append(_finding(session, "I1", f"{spec.schema}.{table}", f"version {version.version} of {spec.qualified} has {rows:,} rows where "
                                          f"{expected:,} were written", LAUNCH))
    except duckdb.Error as error:
        found.append(_finding(session, "I1", spec.qualified, f"version {version.version} cannot be read: {type(error).__name__}", "strata gc, then launch"))
    newest = versions.newest(session.lock, session.customer_id, spec.qualified)
    is_note = newest is not None and newest.version != version.version
    for invariant in ("I1", "I5", "I9"):
        looked.add(invariant, len(tables), [replace(one, is_note=is_note) for one in found if one.invariant == invariant])


def _files(session: Session, spec: TableSpec, table: str, version: Version, contents: bool) -> Iterator[Finding]:
    qualified, root = f"{spec.schema}.{table}", session.settings.lake_path(session.customer_id)
    paths = lake_objects.files_of(session, spec.schema, table, version.snapshot_id)
    if strange := [path for path in paths if not path.startswith(root)]:
        yield _finding(session, "I9", qualified, f"version {version.version} names {len(strange)} files outside of the customer's lake",
                       "restore the catalog from a backup; then find out who changed it")
    gone = lake_objects.missing(session, spec.schema, table, version.snapshot_id)
    for path in gone:
        yield _finding(session, "I5", qualified, f"the file {path} of version {version.version} is gone", lake_objects.RESTORE)
    for path in lake_objects.resized(session, qualified, paths) if not gone else ():
        yield _finding(session, "I1", qualified, f"the file {path} of version {version.version} has another size than was written", lake_objects.RESTORE)
    if contents and not gone:
        try:
            lake_objects.verify(session, spec, version, table)
        except IntegrityError as error:
            yield _finding(session, "I1", qualified, f"{error.problem}: {error.place['file']}", error.fix)


def _look_at_bronze(session: Session, spec: TableSpec, version: Version, looked: Looked) -> None:
    """Every row of every file that counts is in bronze's newest version or its quarantine, and every row there is of an owner of this customer."""
    at = f"AT (VERSION => {version.snapshot_id})"
    kept_back = f"UNION ALL SELECT _sha256 FROM lake.{spec.schema}.{QUARANTINE} {at} WHERE table_name = '{spec.name}'" if version.quarantined_count else ""
    source = session.customer.sources.get(spec.name)
    try:
        found = dict(session.con.execute(f"SELECT _sha256, count(*) FROM (SELECT _sha256 FROM lake.{spec.qualified} {at} {kept_back}) GROUP BY 1").fetchall())
        foreign = session.con.execute(f'SELECT count(*) FROM lake.{spec.qualified} {at} WHERE NOT list_contains(?, "{spec.owner_column}")',
                                      [owners(session, spec, source.accepted_owners if source else [])]).fetchone()[0] if spec.owner_column else 0
    except duckdb.Error:
        return  # a file is gone, or broken: told already
    if foreign:
        looked.add("I9", 1, [_finding(session, "I9", spec.qualified, f"{foreign:,} rows belong to an owner that this customer does not list",
                                      "add the id to accepted_owners, or withdraw the delivery, then launch")])
    registered: dict[str, int] = counted(session, spec, version.source_snapshot_id) if session.copies else dict(session.lock.execute(
        "SELECT sha256, max(rows) FROM platform.delivery WHERE customer_id = %s AND source = %s GROUP BY 1", [session.customer_id, spec.name]).fetchall())
    wrong = [_finding(session, "I3", spec.qualified, f"{rows:,} rows are loaded or quarantined of the file with sha256 {sha[:12]}, which has "
                      f"{registered.get(sha, 0):,}", "land the file again as a new sequence, then launch")
             for sha, rows in sorted(found.items()) if rows != registered.get(sha)]
    counts = effective(session.lock, session.customer_id, spec.name, cast(Mode, spec.mode))
    late = session.lock.execute("SELECT sha256 FROM platform.delivery d JOIN platform.table_version v ON v.customer_id = d.customer_id "
                                "WHERE d.customer_id = %s AND d.source = %s AND v.table_name = %s AND v.version = %s "
                                "AND d.landed_at < v.created_at - make_interval(secs => %s)",
                                [session.customer_id, spec.name, spec.qualified, version.version, LEFT_SECONDS]).fetchall()
    lost = {file.sha256 for file in counts if file.rows} & {sha for (sha,) in late} - set(found)
    wrong += [_finding(session, "I3", spec.qualified, f"the file with sha256 {sha[:12]} counts, and none of its rows is loaded or quarantined", LAUNCH)
              for sha in sorted(lost)]
    looked.add("I3", len(counts), wrong)


def _look_at_live(session: Session, specs: Sequence[TableSpec], looked: Looked) -> None:
    """The rows that readers see have the hash that was taken when they were written."""
    shown = versions.live(session.lock, session.customer_id)
    for spec in specs:
        version = versions.numbered(session.lock, session.customer_id, spec.qualified, shown[spec.qualified]) if spec.qualified in shown else None
        if version is not None:
            same = content_of_version(session, spec, version) == version.content_hash.partition("+")[0]
            problem = f"rows of version {version.version}, which is live, are not those that were written"
            looked.add("I1", 1, () if same else [_finding(session, "I1", spec.qualified, problem, REMADE)])


def _look_at_landing(session: Session, looked: Looked, contents: bool) -> None:
    """Every accepted file lies where it was registered, and nothing else does for longer than a day."""
    rows = session.lock.execute("SELECT source, path, readable, rejects, bytes, sha256 FROM platform.delivery WHERE customer_id = %s",
                                [session.customer_id]).fetchall()
    if not rows and is_remote(session.settings.landing_store or ""):
        return  # who never delivered need not have a login yet
    there, hash_of = _landed(session)
    named, found = set(), []
    for source, path, readable, rejects, size, sha in rows:
        named |= {name for name in (path, readable, rejects) if name}
        gone = [name for name in (path, readable, rejects) if name and name not in there]
        found += [_finding(session, "I3", source, f"the delivered file {Path(name).name} is gone", LOST) for name in gone]
        if not gone and (there[path].bytes != size or contents and hash_of(path) != sha):
            found.append(_finding(session, "I3", source, f"the delivered file {Path(path).name} is no longer what was accepted", LOST))
    looked.add("I3", len(rows), found)
    lying = [one for name, one in there.items() if name not in named]
    drafts = list((session.settings.landing_root / session.customer_id / INCOMING).glob("*"))
    left = [one for one in lying if time.time() - one.written > LEFT_SECONDS] + [path for path in drafts if _is_old(path)]
    looked.add("I5", len(lying) + len(drafts), [_finding(session, "I5", None, f"{len(left)} files of a landing that was cut off lie there for more than a day",
                                                         "strata gc removes drafts; remove the others by hand: nothing reads them")] if left else ())


class _Lying(NamedTuple):
    bytes: int
    written: float  # seconds since 1970


def _landed(session: Session) -> tuple[dict[str, _Lying], Callable[[str], str | None]]:
    """What lies in the customer's part of the landing folder or store, by its path there, and what hashes one of it."""
    if is_remote(session.settings.landing_store or ""):
        store = ObjectStore(session.settings, session.customer_id)
        listed = store.listed(session.settings.landing_path(session.customer_id))
        root = session.settings.landing_path("").rstrip("/") + "/"
        return ({place.removeprefix(root): _Lying(size, at.timestamp()) for place, (size, at) in listed.items()},
                lambda name: lake_objects.sha256_of_object(session, store.landed(Path(name))))
    folder = session.settings.landing_root
    files = {}
    for path in (folder / session.customer_id).rglob("*"):
        with suppress(FileNotFoundError):  # gone meanwhile
            if path.is_file() and INCOMING not in path.parts:
                files[str(path.relative_to(folder))] = _Lying(path.stat().st_size, path.stat().st_mtime)
    return files, lambda name: lake_objects.sha256_of(folder / name)


def _orphans(session: Session) -> Iterator[Finding]:
    """Files of the lake that no snapshot names."""
    older = f"now() - INTERVAL '{LEFT_SECONDS} seconds'"
    try:
        files = session.con.execute(f"CALL ducklake_delete_orphaned_files('lake', dry_run => true, older_than => {older})").fetchall()
    except duckdb.HTTPException:
        unseen = _finding(session, "I5", None, "the object store does not list the lake's files: orphans were not looked for", "let the login list its prefix")
        yield replace(unseen, is_note=True)
    else:
        if files:
            yield _finding(session, "I5", None, f"{len(files)} files of the lake are named by no snapshot for more than a day", "strata gc")


def _scratch(session: Session) -> Iterator[Finding]:
    left = [path for path in session.settings.temp_root.glob(f"{session.customer_id}-*") if path != session.temp and _is_old(path)]
    if left:
        yield _finding(session, "I5", None, f"{len(left)} scratch folders of runs that died lie there for more than a day", "strata gc")


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > LEFT_SECONDS
    except FileNotFoundError:  # gone meanwhile: not left
        return False


def _finding(session: Session, invariant: str, table: str | None, problem: str, fix: str) -> Finding:
    return Finding(invariant, session.customer_id, table, problem, fix)
