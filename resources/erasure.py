"""Removing a customer: the order of it, what is said about it afterwards, and doing it again after a restore.

What belongs here: deleting by the lists of a survey (erasure_places.py), one place after the other, so that a removal that was killed is simply
started again. What does not: how places are found, the export (export_bundle.py), the search in bytes (byte_scan.py).

Order: nobody runs -> export -> ledger -> partition -> catalog (the keys of an encrypted lake) -> warehouse -> objects and landing -> Dagster's
history -> files -> roles -> vacuum -> search -> certificate. From the ledger's entry on there is no way back: whoever starts Strata finishes it.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from partitions.customers import CUSTOMERS, UNFINISHED, Customer, check_id
from partitions.errors import BusyError, ErasureError
from resources import run_history
from resources.audit import record
from resources.byte_scan import Scanned, needle, scan_dump, scan_files, token
from resources.erasure_certificate import Certificate
from resources.erasure_ledger import append, entry_of, synchronized
from resources.erasure_places import Places, files_below, is_about, notices_file, own_files, rows_of, scratch_of, survey, tables_in_order
from resources.export_bundle import next_bundle, sha256_of, write_bundle
from resources.failpoints import failpoint
from resources.object_store import login_file, prefixes
from resources.postgres import MIGRATOR, ORCHESTRATOR, SUPERUSER, Postgres, lake_role
from resources.session import RunIdentity, Session
from resources.stored_objects import StoredObjects, has_login, roots


def removable(postgres: Postgres, instance: dg.DagsterInstance, customer: str, declared: Customer | None) -> Places:
    """What a removal would delete. Raises ErasureError for who is not leaving, has unfinished work, or has nothing here."""
    found = survey(postgres, instance, check_id(customer))
    if found.is_empty and not _started_file(postgres, customer).exists():
        raise ErasureError("nothing of this customer is here", customer=customer, fix="check the id")
    if declared and declared.status != "leaving":
        raise ErasureError("this customer is not leaving", customer=customer, fix="set `status: leaving` in its file (or delete the file), and apply")
    if instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED, tags={"dagster/partition": customer}), limit=1):
        raise ErasureError("this customer has a run that is not finished", customer=customer, fix="wait for it or cancel it, then try again")
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:
        run_history.refuse_unfinished_backfills(connection, customer)
    return found


def remove(postgres: Postgres, instance: dg.DagsterInstance, customer: str, declared: Customer | None, folder: Path | None = None,
           canaries: Iterable[str] = (), operator: str = "unknown") -> Certificate:
    """Export and erase a customer; `operator` stands in the certificate. After a crash the same call goes on where it stopped.

    Raises ErasureError or BusyError before anything is touched.
    """
    with held(postgres, customer) as lock:
        found = removable(postgres, instance, customer, declared)
        started = _started(postgres, found, operator)
        failpoint("erasure.before_export")
        configured = postgres.settings  # without a login of the store there is nothing of the customer's there that could be handed over
        is_blank = bool(prefixes(configured, customer)) and not found.stored and not login_file(configured, customer).exists()
        if not started["bundle"] and not is_blank:
            bundle = next_bundle(folder or configured.home / "exports", customer)
            handed_over = _export(postgres, lock, found, declared, bundle)
            record(postgres, customer, operator, "customers remove", bundle.name, "the customer leaves", handed_over)
            started = _started(postgres, found, operator, bundle=str(bundle.resolve()))
        failpoint("erasure.after_export")
        append(postgres, customer)
        failpoint("erasure.after_ledger")
        return _erased(postgres, instance, survey(postgres, instance, customer), started, canaries)


def replay(postgres: Postgres, instance: dg.DagsterInstance) -> list[Certificate]:
    """Remove again whoever is in the ledger and came back, from a backup or from a removal that was killed. Nothing is exported."""
    ledger = synchronized(postgres)
    certificates = []
    for customer in sorted(present(postgres, instance)) if ledger else []:
        if entry_of(ledger, customer):
            with held(postgres, customer):
                found = survey(postgres, instance, customer)
                certificates.append(_erased(postgres, instance, found, _started(postgres, found, "a replay of the ledger"), ()))
    return certificates


def present(postgres: Postgres, instance: dg.DagsterInstance) -> set[str]:
    """Every id of which anything stands: keys, roles, registries, folders."""
    from resources.reconciliation import standing

    found = set(standing(postgres, instance).parts)
    with postgres.connect(MIGRATOR) as connection:
        for table in ("delivery", "table_version", "fence", "notice", "audit"):
            found |= {name for (name,) in connection.execute(f"SELECT DISTINCT customer_id FROM platform.{table}")}
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:
        found |= {name for (name,) in connection.execute("SELECT DISTINCT partition FROM runs WHERE partition IS NOT NULL")}
    configured, begun = postgres.settings, _removals(postgres)
    if roots(configured) and has_login(configured):
        found |= StoredObjects(configured).customers()
    return found | {path.name for path in Path(configured.lake_root).glob("*") if path.is_dir()} | {path.stem for path in begun.glob("*.json")}


@contextmanager
def held(postgres: Postgres, customer: str) -> Iterator[psycopg.Connection]:
    """The customer's lock, which every run takes too, over a connection that outlives the customer's role. Raises BusyError at once."""
    with postgres.connect(SUPERUSER, autocommit=True) as connection:
        if not connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [f"strata:{check_id(customer)}"]).fetchone()[0]:
            raise BusyError("a run of this customer is under way", customer=customer, fix="wait for it or terminate it")
        yield connection


# before anything is deleted


def _removals(postgres: Postgres) -> Path:
    return postgres.settings.home / "removals" / postgres.settings.environment


def _started_file(postgres: Postgres, customer: str) -> Path:
    return _removals(postgres) / f"{customer}.json"


def _started(postgres: Postgres, found: Places, operator: str, **more: Any) -> dict[str, Any]:
    """What the first start of this removal wrote down: the counts before, the words to look for, the bundle."""
    path = _started_file(postgres, found.customer)
    now = {"began_at": _now(), "before": found.counts, "words": found.words, "operator": operator, "bundle": None}
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else now
    if more or not path.exists():
        kept |= more
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(kept), encoding="utf-8")
        draft.rename(path)
    return kept


def _export(postgres: Postgres, lock: psycopg.Connection, found: Places, declared: Customer | None, bundle: Path) -> int:
    """The bundle, through a session under the lock that is held already; returns the rows in it."""
    if not found.roles or not found.catalog:
        postgres.ensure_lake_role(found.customer)
    with postgres.connect(SUPERUSER, postgres.names.lake) as connection:
        kind = sql.SQL("SELECT value = 'true' FROM {} WHERE key = 'encrypted'").format(sql.Identifier(lake_role(found.customer), "ducklake_metadata"))
        row = connection.execute(kind).fetchone() if "ducklake_metadata" in found.catalog else None
    blank = Customer.model_construct(id=found.customer, size_class="small", sources={}, encrypted=False)
    known = (declared or blank).model_copy(update={"encrypted": bool(row and row[0])})
    session = Session(postgres.settings, postgres, known, RunIdentity("removal", None, "removal", "removal"))
    session.lock = lock
    try:
        return sum(entry.rows for entry in write_bundle(session, bundle))
    finally:
        session.close()


# deleting


def _erased(postgres: Postgres, instance: dg.DagsterInstance, found: Places, started: Mapping[str, Any], canaries: Iterable[str]) -> Certificate:
    """Every place emptied by its list; what a killed removal has emptied already is empty."""
    customer, configured = found.customer, postgres.settings
    for key in found.partitions:  # first, so that nothing can be launched from here on
        instance.delete_dynamic_partition(CUSTOMERS.name or "customer", key)
    failpoint("erasure.after_partition")
    with postgres.connect(SUPERUSER, postgres.names.lake) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(lake_role(customer))))
    failpoint("erasure.after_catalog")
    tables = _delete_rows(postgres, found)
    failpoint("erasure.after_warehouse")
    _unlink(found.objects, Path(configured.lake_path(customer)))
    _unlink(found.landed, configured.landing_root / customer)
    if found.stored or found.uploads:
        store = StoredObjects(configured)
        store.abort(customer, found.uploads)
        store.delete(customer, found.stored)
    failpoint("erasure.after_files")
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:
        run_history.forget(connection, customer, found.runs)
    failpoint("erasure.after_history")
    for run in found.runs:
        folder = configured.dagster_home / "storage" / run
        _unlink([path for path in found.logs if Path(path).is_relative_to(folder)], folder)
    for root in [*scratch_of(configured, customer), *sorted((configured.home / "parameters-of").glob(f"*/customers/{customer}"))]:
        _unlink([path for path in [*found.scratch, *found.overlays] if Path(path).is_relative_to(root)], root)
    _forget_told(notices_file(configured), customer)
    kept = tuple(role for role in found.roles if not postgres.drop_role(role))
    for path in own_files(configured, customer):
        path.unlink(missing_ok=True)
    _blot_out(configured.home / "postgres" / "log", customer)
    failpoint("erasure.after_roles")
    _vacuum(postgres, tables)
    failpoint("erasure.before_certificate")
    return _certificate(postgres, instance, found, started, canaries, kept)


def _delete_rows(postgres: Postgres, found: Places) -> list[str]:
    """The customer's rows of every table, all or none; returns the tables concerned. As many must go as were counted, or none goes."""
    with postgres.connect(MIGRATOR) as connection:
        todo = {table: number for table in tables_in_order(connection) if (number := rows_of(connection, table, found.customer))}
        for table, number in todo.items():
            target = sql.Identifier(*table.split("."))
            gone = connection.execute(sql.SQL("DELETE FROM {} WHERE customer_id = %s").format(target), [found.customer]).rowcount
            if gone != number:
                raise ErasureError(f"{gone} rows were deleted where {number} were counted", customer=found.customer, table=table, fix="try again")
    return sorted({*todo, *found.rows})


def _unlink(paths: Iterable[str], root: Path) -> None:
    """Delete the named files, all below a root, then its folders where they are empty."""
    for path in map(Path, paths):
        if not path.is_relative_to(root):
            raise ErasureError("a file to delete does not lie below the customer's folder", file=path, fix="look at the manifest")
        path.unlink(missing_ok=True)
    if root.is_dir() and not root.is_symlink():
        for folder in [*sorted((path for path in root.rglob("*") if path.is_dir() and not path.is_symlink()), reverse=True), root]:
            with suppress(OSError):  # a file that came meanwhile keeps its folder; the certificate counts it
                folder.rmdir()


def _forget_told(path: Path, customer: str) -> None:
    """The notices' file without the customer's lines. A line that is appended meanwhile by its old name is taken along."""
    if not path.exists():
        return
    with path.open("rb") as old:
        draft = path.with_suffix(".new")
        with draft.open("wb") as new:
            draft.chmod(0o600)
            new.writelines(line for line in old if not is_about(line, customer))
            new.flush()
            draft.rename(path)
            new.writelines(line for line in old if not is_about(line, customer))


def _blot_out(path: Path, customer: str) -> None:
    """The customer's names in the server's log, letter by letter: the server goes on appending to the same file."""
    if path.exists():
        with path.open("r+b") as file:
            for hit in list(re.finditer(token(customer).encode(), file.read())):
                file.seek(hit.start())
                file.write(b"x" * (hit.end() - hit.start()))


def _vacuum(postgres: Postgres, tables: Iterable[str]) -> None:
    """Dead rows of the tables concerned, of Dagster's and of the catalogs of roles and schemas."""
    with postgres.connect(SUPERUSER, autocommit=True) as connection:
        for table in tables:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(*table.split("."))))
    with postgres.connect(SUPERUSER, postgres.names.dagster, autocommit=True) as connection:
        for name in (*run_history.OF_CUSTOMER, "asset_keys", "run_tags", "dynamic_partitions"):
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(name)))
    with postgres.connect(SUPERUSER, postgres.names.lake, autocommit=True) as connection:
        for name in ("pg_class", "pg_attribute", "pg_namespace", "pg_authid", "pg_shdepend", "pg_statistic"):
            connection.execute(sql.SQL("VACUUM {}").format(sql.Identifier(name)))


# afterwards


def _certificate(postgres: Postgres, instance: dg.DagsterInstance, found: Places, started: Mapping[str, Any], canaries: Iterable[str],
                 kept: tuple[str, ...]) -> Certificate:
    """Count and search, write it down beside the bundle, and end the removal."""
    bundle = Path(started["bundle"]) if started["bundle"] else None
    after = survey(postgres, instance, found.customer)
    after = replace(after, roles=[role for role in after.roles if role not in kept])
    looked_for = needle(found.customer, [*started["words"], *canaries])
    made = Certificate(found.customer, postgres.settings.environment, started["began_at"], _now(), str(bundle) if bundle else None,
                       sha256_of(bundle) if bundle and bundle.exists() else None, started["before"], after.counts,
                       tuple(_search(postgres, looked_for, [bundle] if bundle else [])), kept,
                       tuple(prefixes(postgres.settings, found.customer)), started["operator"])
    exports = bundle.parent if bundle else postgres.settings.home / "exports"
    stem = bundle.stem if bundle else f"{found.customer}-again-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    exports.mkdir(parents=True, exist_ok=True)
    (exports / f"{stem}.certificate.json").write_text(json.dumps(made.facts, indent=1), encoding="utf-8")
    (exports / f"{stem}.certificate.txt").write_text(made.text, encoding="utf-8")
    if made.is_clean:
        _started_file(postgres, found.customer).unlink(missing_ok=True)
    return made


def _search(postgres: Postgres, looked_for: re.Pattern[bytes], handed_over: list[Path]) -> Iterator[Scanned]:
    """Everything of this environment that a customer could stand in. The bundles and certificates of the customer itself are its own."""
    configured, names = postgres.settings, postgres.names
    for place, root in (("lake", Path(configured.lake_root)), ("landing", configured.landing_root)):
        if place in roots(configured):
            yield StoredObjects(configured).scan(place, looked_for)
        else:
            yield scan_files(place, root, looked_for)
    if "landing" in roots(configured):
        yield scan_files("landing not yet stored", configured.landing_root, looked_for)
    for place, database in (("warehouse dump", names.warehouse), ("lake catalog dump", names.lake), ("dagster dump with its event log", names.dagster)):
        yield scan_dump(place, postgres, database, looked_for)
    yield scan_files("logs of runs", configured.dagster_home, looked_for)
    yield scan_files("log of the server", configured.home / "postgres" / "log", looked_for)
    yield scan_files("notices", notices_file(configured), looked_for)
    yield scan_files("scratch", configured.temp_root, looked_for)
    yield scan_files("kept parameters", configured.home / "parameters-of", looked_for)
    own = [path for folder in {configured.home / "exports", *(bundle.parent for bundle in handed_over)} for path in map(Path, files_below(folder))
           if looked_for.match(path.name.encode())]
    yield scan_files("exports of others", configured.home / "exports", looked_for, [*handed_over, *own])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
