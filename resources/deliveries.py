"""Deliveries: which files of a customer were accepted, and which of them count.

What belongs here: landing (register, all or nothing) and the rule of what is effective, by period and sequence and never by
arrival. What does not: judging files (staging), reading rows (landing). The registry is `platform.delivery` in the warehouse.

Every function takes a psycopg connection and works in `connection.transaction()`: outermost it commits, inside the caller's it does not.
"""
from __future__ import annotations

import calendar
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.types.json import Jsonb

from partitions.customers import Customer, check_id
from partitions.errors import DeliveryError
from resources.formats import Format
from resources.landing import DeliveredFile
from resources.object_store import ObjectStore
from resources.quotas import refuse_rows, refuse_size
from resources.reasons import refusal
from resources.source import FileFacts
from resources.staging import Examined, SourceContract, Staged, check_object_name, delivered, examine, safe_name, stage

__all__ = ["INCOMING", "Landing", "Mode", "SourceContract", "check_object_name", "effective", "land", "newest_period_end", "period_of", "safe_name"]

Mode = Literal["snapshot", "period", "append"]
FILE_COLUMNS = "customer_id, source, period, sequence, file_name, path, sha256, bytes, rows, faulty, blank, format, header, readable, rejects"
INCOMING = ".incoming"


@dataclass(frozen=True)
class Landing:
    """The result of `land`: `new`, or `unchanged` where the same files are there already. `files` are the delivery's.

    `sums`: by a new file's sha256 the exact sum of each column that its format declares as an amount.
    """

    result: Literal["new", "unchanged"]
    period: date | None
    sequence: int
    files: tuple[DeliveredFile, ...]
    sums: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def faulty(self) -> int:
        return sum(file.faulty for file in self.files)


def period_of(text: str | date | None) -> date | None:
    """The first of the month of `YYYY-MM` (or a date that is one). Raises DeliveryError."""
    if text is None:
        return None
    if isinstance(text, str) and re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text, re.ASCII) and not text.startswith("0000"):
        return date(int(text[:4]), int(text[5:]), 1)
    if isinstance(text, date) and text.day == 1:
        return text
    raise DeliveryError("this is not a period", fix="give a month as YYYY-MM")


def land(
    connection: psycopg.Connection[Any], landing_root: Path, customer: Customer, source: SourceContract,
    files: Sequence[Path], period: str | date | None = None, sequence: int | None = None, store: ObjectStore | None = None,
) -> Landing:
    """Accept files as one delivery, all or none. The same files again change nothing. `store`: where accepted files go instead of `landing_root`.

    Order: copy into a staging folder, judge every file there, check owners, move into place, register. Raises DeliveryError: a file
    that cannot be accepted, a foreign owner, a (period, sequence) that holds other files, a file that counts already elsewhere.
    """
    place = {"customer": check_id(customer.id), "table": source.name}
    if customer.status == "leaving":
        raise DeliveryError("this customer is leaving and takes no more deliveries", fix="set its status to active, if it stays", **place)
    format = _format(customer, source, place)
    month = _checked_period(period, source, place)
    if not files:
        raise DeliveryError("no file was given", fix="name at least one file", **place)
    if sequence is not None and not 1 <= sequence < 2**31:
        raise DeliveryError("the sequence must be a whole number from 1", fix="leave it out to take the next one", **place)
    refuse_size(connection, customer, [Path(file) for file in files], place)
    with _staging(Path(landing_root) / customer.id) as folder:
        staged = [stage(Path(file), folder, number, format, source, place) for number, file in enumerate(files)]
        _refuse_equal(staged, place)
        refuse_rows(customer, sum(file.facts.rows for file in staged), place)
        accepted = customer.sources[source.name].accepted_owners
        examined = [examine(file, format, source, customer.id, accepted, place) for file in staged]
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"delivery/{customer.id}/{source.name}"])
            known = _sequences(connection, customer.id, source.name, month)
            hashes = frozenset(file.facts.sha256 for file in staged)
            same = [number for number, found in known.items() if found == hashes and sequence in (None, number)]
            if same:
                found = _files(connection, customer.id, source.name, "period IS NOT DISTINCT FROM %s AND sequence = %s", month, max(same))
                return Landing("unchanged", month, max(same), tuple(found))
            number = sequence if sequence is not None else max(known, default=0) + 1
            if number in known:
                fix = "a correction takes the next sequence: leave --sequence out"
                raise DeliveryError(f"sequence {number} of this period holds other files", fix=fix, **place)
            _refuse_counted_elsewhere(connection, customer.id, source, month, hashes, place)
            landed = _register(connection, Path(landing_root), customer.id, source, month, number, format, staged, examined, store)
            return Landing("new", month, number, landed, {file.facts.sha256: found.sums for file, found in zip(staged, examined, strict=True)})


def effective(connection: psycopg.Connection[Any], customer: str, source: str, mode: Mode) -> list[DeliveredFile]:
    """The files that count, in a stable order: snapshot: of the newest (period, sequence); period: of each period's highest sequence; append: all."""
    files = _files(connection, check_id(customer), source, "state = 'accepted'")
    if mode != "append":
        highest: dict[date | None, int] = {}
        for file in files:
            highest[file.period] = max(file.sequence, highest.get(file.period, 0))
        if mode == "snapshot" and highest:
            newest = max(highest, key=lambda month: month or date.min)
            highest = {newest: highest[newest]}
        files = [file for file in files if highest.get(file.period) == file.sequence]
    return files


def newest_period_end(connection: psycopg.Connection[Any], customer: str) -> date | None:
    """The last day of the newest period that a delivery of this customer declares; None without one. The default of `as_of`."""
    with connection.transaction():
        row = connection.execute("SELECT max(period) FROM platform.delivery WHERE customer_id = %s AND state = 'accepted'", [check_id(customer)]).fetchone()
    newest = row[0] if row else None
    return newest and newest.replace(day=calendar.monthrange(newest.year, newest.month)[1])


def _format(customer: Customer, source: SourceContract, place: Mapping[str, str]) -> Format:
    settings = customer.sources.get(source.name)
    if settings is None:
        raise DeliveryError("this customer does not deliver this source", fix=f"add it under `sources` in customers/{customer.id}.yaml", **place)
    if settings.format not in source.formats:
        fix = f"choose one of {', '.join(sorted(source.formats))} in customers/{customer.id}.yaml"
        raise DeliveryError(f"format {settings.format} is not declared", fix=fix, **place)
    return source.formats[settings.format]


def _checked_period(period: str | date | None, source: SourceContract, place: Mapping[str, str]) -> date | None:
    try:
        month = period_of(period)
    except DeliveryError as error:
        raise DeliveryError(error.problem, fix=error.fix, **place) from error
    if month is None and source.mode == "period":
        raise DeliveryError("a delivery of this source replaces a period, and none was given", fix="add --period YYYY-MM", **place)
    return month


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """A folder of its own on the landing's file system, gone afterwards whatever happens."""
    staging = folder / INCOMING / uuid.uuid4().hex
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # the first error is the one to show; gc sweeps what is left


def _refuse_equal(staged: Sequence[Staged], place: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for file in staged:
        if file.facts.sha256 in seen:
            raise refusal("DUPLICATE", f"the same content is given twice (as {seen[file.facts.sha256]})", "name each file once", **place, file=file.name)
        seen[file.facts.sha256] = file.name


def _sequences(connection: psycopg.Connection[Any], customer: str, source: str, month: date | None) -> dict[int, frozenset[str]]:
    """Sequence -> content hashes of what is registered for a period."""
    rows = connection.execute(
        "SELECT sequence, array_agg(sha256) FROM platform.delivery WHERE customer_id = %s AND source = %s AND period IS NOT DISTINCT FROM %s GROUP BY 1",
        [customer, source, month]).fetchall()
    return {number: frozenset(hashes) for number, hashes in rows}


def _refuse_counted_elsewhere(
    connection: psycopg.Connection[Any], customer: str, source: SourceContract, month: date | None, hashes: frozenset[str], place: Mapping[str, str],
) -> None:
    """A file that counts for another period (or, when appending, at all) would count twice."""
    if source.mode == "snapshot":
        return
    other = "" if source.mode == "append" else "AND period IS DISTINCT FROM %(month)s"
    row = connection.execute(
        "SELECT file_name, period FROM platform.delivery WHERE customer_id = %(customer)s AND source = %(source)s "
        f"AND sha256 = ANY(%(hashes)s) {other} LIMIT 1",
        {"customer": customer, "source": source.name, "hashes": list(hashes), "month": month}).fetchone()
    if row:
        where = f"period {row[1]:%Y-%m}" if row[1] else "this source"
        raise refusal("DUPLICATE", f"this file was delivered for {where} already", "check the period; a file counts once", **place, file=row[0])


def _register(
    connection: psycopg.Connection[Any], root: Path, customer: str, source: SourceContract, month: date | None, sequence: int,
    format: Format, staged: Sequence[Staged], examined: Sequence[Examined], store: ObjectStore | None,
) -> tuple[DeliveredFile, ...]:
    """Move the staged files into place and write their rows. A crash in between leaves files without a row, which nothing reads."""
    folder = root / customer / source.name / (f"{month:%Y-%m}" if month else "snapshot")
    moved: list[Path] = []
    if store is None:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        files = []
        for file, found in zip(staged, examined, strict=True):
            final = folder / f"{sequence}-{file.facts.sha256[:12]}-{file.name}"
            readable, rejects = (final.with_name(final.name + ending) for ending in (".readable", ".rejects"))
            placed = replace(file, path=final, readable=file.readable and readable, rejects=file.rejects and rejects)
            for origin, target in ((file.readable, placed.readable), (file.rejects, placed.rejects), (file.path, placed.path)):
                if origin and target:
                    _move(origin, target) if store is None else store.put(origin, store.landed(target.relative_to(root)))
                    moved.append(target)
            accepted = replace(delivered(placed, customer, source.name, format.name, root), period=month, sequence=sequence)
            _insert(connection, accepted, file.facts, found.owners)
            files.append(accepted)
        if store is None:  # a put is durable when it returns
            _sync(folder)
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True) if store is None else store.delete(store.landed(path.relative_to(root)))
        raise
    return tuple(files)


def _move(origin: Path, target: Path) -> None:
    os.chmod(origin, 0o444)
    os.replace(origin, target)


def _sync(folder: Path) -> None:
    """Make renames durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _insert(connection: psycopg.Connection[Any], file: DeliveredFile, facts: FileFacts, owners: Sequence[str]) -> None:
    connection.execute(
        f"INSERT INTO platform.delivery ({FILE_COLUMNS}, faults, unexpected, repairs, owners) VALUES ({', '.join(['%s'] * 19)})",
        [file.customer, file.source, file.period, file.sequence, file.file_name, file.path, file.sha256, file.bytes, file.rows, file.faulty,
         file.blank, file.format, list(file.header), file.readable, file.rejects, Jsonb(facts.faults),
         [*facts.unexpected, *facts.notes], list(facts.repairs), list(owners)])


def _files(connection: psycopg.Connection[Any], customer: str, source: str, condition: str, *values: Any) -> list[DeliveredFile]:
    """Registered files of a customer's source."""
    with connection.transaction():
        rows = connection.execute(
            f"SELECT {FILE_COLUMNS} FROM platform.delivery WHERE customer_id = %s AND source = %s AND {condition} "
            "ORDER BY period NULLS FIRST, sequence, file_name, sha256",
            [customer, source, *values]).fetchall()
    names = [name.strip() for name in FILE_COLUMNS.replace("customer_id", "customer").split(",")]
    return [DeliveredFile(**{**dict(zip(names, row, strict=True)), "header": tuple(row[names.index("header")])}) for row in rows]
