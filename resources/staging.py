"""One file on its way to acceptance: copied, unpacked, judged, and its owners and control totals read, before anything is registered.

What belongs here: the order of these steps, the same for every format, each refusing by a reason. What does not: the registry and what is
in effect (deliveries), how a type is read (inspection).
"""
from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb

from partitions.errors import DeliveryError
from resources.containers import container_of, unpack
from resources.formats import Format
from resources.inspection import CONVERTED, convert, inspect, mend
from resources.landing import DeliveredFile, account, load
from resources.readable import Rejects
from resources.reasons import refusal
from resources.source import FileFacts, Source

OBJECT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}\.(csv|csv\.gz|json|jsonl|parquet|xlsx|zip)", re.ASCII)
RETYPED_FROM = 10  # values; fewer may all be wrong by chance
SCALE = 18  # decimals that a sum keeps


@dataclass(frozen=True)
class SourceContract:
    """What a bronze contract says of its source. `columns` without the origin ones; `owner_column` holds the owner id of each row.

    `types`: the contract's logicalType of each column (string, number, integer, date, timestamp, boolean). `drift`: what an undeclared
    column does: `evolve` keeps it in `_extra`, `freeze` refuses the file, `quarantine` keeps each row that fills it back. `typed_counts`:
    SQL over `candidate` that counts, for each typed column, `<column>__filled` and `<column>__read` values (conform.py knows how text is read).
    """

    name: str
    mode: Any
    columns: tuple[str, ...]
    formats: Mapping[str, Format]
    owner_column: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    drift: str = "evolve"
    typed_counts: str | None = None


@dataclass(frozen=True)
class Staged:
    """A file copied and judged, not yet accepted."""

    name: str
    path: Path
    facts: FileFacts
    readable: Path | None
    rejects: Path | None


@dataclass(frozen=True)
class Examined:
    """What the rows of a staged file say: the owners they name, and the exact sum of each declared amount."""

    owners: tuple[str, ...] = ()
    sums: Mapping[str, Decimal] = field(default_factory=dict)


def check_object_name(name: str) -> str:
    """The name of an object that another program has put into the landing zone. Raises DeliveryError (NAME) before anything is opened."""
    if not OBJECT_NAME.fullmatch(name) or unicodedata.normalize("NFC", name) != name:
        kinds = "csv, csv.gz, json, jsonl, parquet, xlsx, zip"
        raise refusal("NAME", "an object's name is not allowed", f"use lower-case ASCII letters, digits, _ and -, then one of {kinds}", file=name[:120])
    return name


def safe_name(name: str) -> str:
    """A file name that is harmless in a path, a log and a shell: ASCII letters, digits, `.`, `_`, `-`; at most 80 characters."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip("._-")
    return safe[-80:].lstrip("._-") or "file"


def stage(file: Path, folder: Path, number: int, format: Format, source: SourceContract, place: Mapping[str, str]) -> Staged:
    """Copy (never following a link), then judge the copy: what is judged is what is kept. Writes into `folder` alone."""
    name, target = safe_name(file.name), folder / f"{number}"
    try:
        sha256, size, members = _copied(file, target, format, place)
        judging = _Judging(format, source, place, folder, number, name, sha256)
        if format.type in CONVERTED:
            return judging.converted(target, members or [target], size)
        return judging.unpacked(target, members, size) if members else judging.plain(target)
    except DeliveryError as error:
        raise DeliveryError(error.problem, fix=error.fix, **{**error.place, "file": file.name}) from error


def _copied(file: Path, target: Path, format: Format, place: Mapping[str, str]) -> tuple[str, int, list[Path]]:
    """Hash and size of the delivered bytes, copied to `target`, and the unpacked members if it is an archive."""
    digest, size = hashlib.sha256(), 0
    needs_hash = format.type in CONVERTED or bool(format.containers)
    with Source(file, None, **place) as origin, target.open("xb") as out:
        while chunk := origin.read(1 << 20):
            size += len(chunk)
            out.write(chunk)
            if needs_hash:
                digest.update(chunk)
        out.flush()
        os.fsync(out.fileno())
    with Source(target, None, **place) as copy:
        kind = container_of(copy, format)
        members = unpack(copy, kind, format, target.with_name(target.name + ".unpacked")) if kind else []
    return digest.hexdigest(), size, members


@dataclass(frozen=True)
class _Judging:
    """One file under one format, and where its copies go."""

    format: Format
    source: SourceContract
    place: Mapping[str, str]
    folder: Path
    number: int
    name: str
    sha256: str

    @property
    def readable(self) -> Path:
        return self.folder / f"{self.number}.readable"

    def rejects(self, sha256: str) -> Rejects:
        return Rejects(self.folder / f"{self.number}.rejects", self.name, sha256)

    def _inspect(self, path: Path) -> FileFacts:
        return inspect(path, self.format, self.source.columns, types=self.source.types, drift=self.source.drift, **self.place)

    def _staged(self, path: Path, facts: FileFacts) -> Staged:
        return Staged(self.name, path, facts, None if facts.is_plain else self.readable, self.folder / f"{self.number}.rejects" if facts.faulty else None)

    def plain(self, path: Path) -> Staged:
        """CSV or Parquet as it is: read where it lies, or mended."""
        facts = self._inspect(path)
        if not facts.is_plain:
            self._mend([path], [facts], facts.sha256)
        return self._staged(path, facts)

    def unpacked(self, path: Path, members: Sequence[Path], size: int) -> Staged:
        """CSV out of an archive: its members are loaded together, as one readable copy."""
        found = [self._inspect(member) for member in members]
        if len({facts.header for facts in found}) > 1:
            raise refusal("ARCHIVE", "the members do not have the same header", "deliver them one by one", **self.place)
        if len(found) == 1 and found[0].is_plain:
            os.replace(members[0], self.readable)
        else:
            self._mend(members, found, self.sha256)
        return self._staged(path, _together(found, self.sha256, size))

    def _mend(self, members: Sequence[Path], found: Sequence[FileFacts], sha256: str) -> None:
        rejects, first = self.rejects(sha256), 0
        with self.readable.open("xb") as out:
            for member, facts in zip(members, found, strict=True):
                mend(member, self.format, facts, self.source.columns, out, rejects, first, drift=self.source.drift, **self.place)
                first += facts.rows
        rejects.close()

    def converted(self, path: Path, members: Sequence[Path], size: int) -> Staged:
        """JSON, XML or a workbook, alone or out of an archive, as Parquet of text."""
        facts = convert(members, self.format, self.source.columns, self.readable, self.rejects(self.sha256),
                        types=self.source.types, drift=self.source.drift, **self.place)
        return self._staged(path, replace(facts, sha256=self.sha256, bytes=size))


def _together(found: Sequence[FileFacts], sha256: str, size: int) -> FileFacts:
    """The facts of an archive's members as those of one file."""
    faults: dict[str, int] = {}
    for facts in found:
        for rule, count in facts.faults.items():
            faults[rule] = faults.get(rule, 0) + count
    repairs = tuple(dict.fromkeys(rule for facts in found for rule in facts.repairs))
    trailer: dict[str, str] = {}
    for facts in found:
        if facts.trailer and len(found) > 1:
            raise refusal("CONTROL_TOTAL", "a trailer within an archive of several files", "deliver the files one by one")
        trailer.update(facts.trailer)
    first = found[0]
    return FileFacts(sha256, size, sum(facts.rows for facts in found), first.header, faults, sum(facts.blank for facts in found), repairs, first.unexpected,
                     is_plain=False, trailer=trailer)


def examine(file: Staged, format: Format, source: SourceContract, customer: str, accepted: Iterable[str], place: Mapping[str, str]) -> Examined:
    """Read a staged file as bronze will: its owners, its sums, and that DuckDB finds the rows that were counted. Raises DeliveryError.

    A row without owner is for silver (MISSING_KEY); a row with an owner that is not one of `accepted`, byte by byte, refuses the file.
    """
    if source.owner_column is None and not format.summed and not source.typed_counts and format.type != "parquet":
        return Examined()
    place = {**place, "file": file.name}
    config: dict[str, Any] = {"threads": 2, "memory_limit": "512MB", "autoinstall_known_extensions": False, "autoload_known_extensions": False}
    with duckdb.connect(config=config) as session:
        session.execute(f"SET allowed_directories = ['{str(file.path.parent).replace(chr(39), chr(39) * 2)}']")
        session.execute("SET enable_external_access = false")
        try:
            loaded = load(session, file.path.parent, [delivered(file, customer, source.name, format.name, file.path.parent)],
                          {format.name: format}, source.columns, "candidate")
            if format.type == "parquet":
                found = session.execute("SELECT _sha256, count(*), bit_xor(hash(COLUMNS(* EXCLUDE (_sha256)))) FROM candidate GROUP BY _sha256").fetchall()
                account(loaded, {row[0]: row[1] for row in found}, **place)
        except duckdb.Error as error:
            if format.type != "parquet":
                raise
            raise refusal("PARQUET", "the Parquet file uses a feature that DuckDB cannot read", "export it again", **place) from error
        _refuse_retyped(session, source, place)
        sums = _sums(session, file, format, place)
        owners = _owners(session, source.owner_column, set(accepted), customer, place) if source.owner_column else ()
    return Examined(owners, sums)


def _refuse_retyped(session: duckdb.DuckDBPyConnection, source: SourceContract, place: Mapping[str, Any]) -> None:
    """A column of which no value can be read is another column than the one declared: the file is refused, not each of its rows."""
    if not source.typed_counts:
        return
    row = session.execute(source.typed_counts).fetchone() or ()
    counts = dict(zip((name for name, *_ in session.description or ()), row, strict=True))
    for column, kind in source.types.items():
        filled, read = counts.get(f"{column}__filled") or 0, counts.get(f"{column}__read") or 0
        if filled >= RETYPED_FROM and not read:
            rule = "DATE_FORMAT" if kind in ("date", "timestamp") else "NUMBER_FORMAT"
            raise refusal(rule, f"none of the {filled:,} values of this column is a {kind} as the format writes it",
                          "choose the format that fits in the customer's file, or repair the export", **place, column=column)


def _owners(session: duckdb.DuckDBPyConnection, owner_column: str, accepted: set[str], customer: str, place: Mapping[str, Any]) -> tuple[str, ...]:
    column = '"' + owner_column.replace('"', '""') + '"'
    rows = session.execute(f"SELECT {column}, count(*), min(_row) FROM candidate WHERE {column} <> '' GROUP BY ALL ORDER BY 3").fetchall()
    strangers = [(count, row) for owner, count, row in rows if owner not in accepted]
    if strangers:
        raise refusal(
            "TENANT", f"{sum(count for count, _ in strangers):,} rows have an owner that this customer does not accept; the delivery is refused whole",
            f"check whose file this is; an account of this customer goes to `accepted_owners` in customers/{customer}.yaml",
            **place, row=strangers[0][1], column=owner_column)
    return tuple(sorted(owner for owner, _, _ in rows))


def _sums(session: duckdb.DuckDBPyConnection, file: Staged, format: Format, place: Mapping[str, Any]) -> dict[str, Decimal]:
    """The exact sum of each declared amount over the rows that can be read as numbers, compared with the trailer's."""
    sums: dict[str, Decimal] = {}
    for column in format.summed:
        quoted = '"' + column.replace('"', '""') + '"'
        text = f"replace({quoted}, '{mark}', '')" if (mark := format.convention.group_mark.replace("'", "''")) else quoted
        if format.convention.decimal_mark != ".":
            text = f"replace({text}, '{format.convention.decimal_mark}', '.')"
        row = session.execute(f"SELECT sum(TRY_CAST({text} AS DECIMAL(38, {SCALE}))) FROM candidate").fetchone()
        sums[column] = (row[0] if row else None) or Decimal(0)
    controls = format.trailer.sums if format.trailer and file.facts.trailer else {}
    for name, column in controls.items():
        try:
            total = Decimal(file.facts.trailer[name].replace(format.convention.decimal_mark, "."))
        except InvalidOperation:
            total = Decimal("NaN")
        if total != sums[column]:
            raise refusal("CONTROL_TOTAL", f"the sum of {column} is not what the trailer says", "deliver the whole file", **place, column=column)
    return sums


def delivered(file: Staged, customer: str, source: str, format: str, root: Path) -> DeliveredFile:
    """A staged file as `load` takes it, paths relative to `root`."""
    facts = file.facts
    path, readable, rejects = (str(path.relative_to(root)) if path else None for path in (file.path, file.readable, file.rejects))
    return DeliveredFile(
        customer=customer, source=source, period=None, sequence=1, file_name=file.name, path=path or "", sha256=facts.sha256, bytes=facts.bytes,
        rows=facts.rows, faulty=facts.faulty, blank=facts.blank, format=format, header=facts.header,
        readable=readable, rejects=rejects)
