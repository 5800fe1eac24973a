"""XLSX workbooks: one declared sheet as rows of text, cell by cell as the file writes them.

What belongs here: the parts of a workbook, what a cell says under the declared type, dates of both date systems. What does not: formulas
(never evaluated: a formula counts by its cached value), formats for the eye, merged ranges. openpyxl gives either formula or value and
turns numbers into floats, so the cells are read here; which number formats are dates is its knowledge.
"""
from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from partitions.errors import AccountingError
from resources.containers import DAMAGE, ENCRYPTED, EXPANSION_LIMIT, SIZE_LIMIT_BYTES
from resources.formats import Format
from resources.headers import COLUMN_LIMIT, Header, parse_header
from resources.objects import Fault, json_text, refuse_large
from resources.readable import Readable, Rejects
from resources.records import Dialect
from resources.source import Source
from resources.workbook_parts import Book, Cell, Facts, Part, Sheet, Styles, Texts, unescaped
from resources.xml_records import StartTags, parsed

CHUNK_BYTES = 1 << 16
SMALL_PART_BYTES = 1 << 16
TEXT_LIMIT = 1 << 28
EXACT_BELOW = 10**15  # Excel keeps 15 digits
LAST_SERIAL = 2_958_465  # 9999-12-31
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)


class Workbook:
    """The parts of an XLSX file, each read as a stream under limits. Raises DeliveryError."""

    def __init__(self, source: Source) -> None:
        self.source, self.again = source, "export it again as .xlsx"
        if not source.head:
            raise source.refuse("EMPTY", "the file has no content", "deliver a workbook")
        try:
            self.archive = zipfile.ZipFile(source.raw)
            self.members = {member.filename: member for member in self.archive.infolist()}
        except DAMAGE as error:
            raise source.refuse("NOT_XLSX", "the file is not an .xlsx workbook", "save it as .xlsx, without a password") from error
        if "[Content_Types].xml" not in self.members or "xl/workbook.xml" not in self.members:
            raise source.refuse("NOT_XLSX", "the archive is not a workbook", "save it as .xlsx")
        if len(self.members) != len(self.archive.infolist()) or any(member.flag_bits & ENCRYPTED for member in self.members.values()):
            raise source.refuse("ARCHIVE", "a part of the workbook stands twice, or is encrypted", self.again)
        self.book = Book()
        for name, part in (("xl/workbook.xml", Facts(self.book)), ("xl/_rels/workbook.xml.rels", Facts(self.book)),
                           ("xl/styles.xml", Styles(self.book)), ("xl/sharedStrings.xml", Texts(self.book))):
            if name in self.members:
                for _ in self.parse(name, part, TEXT_LIMIT):
                    pass

    def parse(self, name: str, part: Part, limit: int = 16 << 20, tags: StartTags | None = None) -> Iterator[None]:
        """Feed one part to `part`; yields after each chunk."""
        try:
            yield from parsed(self.source, self._chunks(name, tags), part, limit)
        except KeyError as error:
            raise self.source.refuse("XML", "a part of the workbook is not as the standard says", self.again) from error
        except DAMAGE as error:
            rule = "CHECKSUM" if "CRC" in str(error) else "ARCHIVE"
            raise self.source.refuse(rule, "a part of the workbook is damaged", self.again) from error

    def _chunks(self, name: str, tags: StartTags | None) -> Iterator[bytes]:
        member, size = self.members[name], 0
        limit = min(max(EXPANSION_LIMIT * member.compress_size, SMALL_PART_BYTES), SIZE_LIMIT_BYTES)
        bomb = self.source.refuse("BOMB", f"a part of the workbook expands to more than {limit:,} bytes", "deliver it as CSV")
        if member.file_size > limit:
            raise bomb
        with self.archive.open(member) as packed:
            while chunk := packed.read(CHUNK_BYTES):
                size += len(chunk)
                if size > limit:
                    raise bomb
                if tags:
                    tags.feed(chunk)
                yield chunk

    def rows(self, sheet: str) -> Iterator[tuple[int, dict[int, Cell]]]:
        """Numbered rows of a sheet, compared with a count of the raw `<row>` tags at the end."""
        name = self.book.targets.get(self.book.sheets.get(sheet, ""), "")
        if name not in self.members:
            raise self.source.refuse("SCHEMA", f"the workbook has no sheet called {sheet}", "name the sheet as the format declares it")
        part, tags = Sheet(), StartTags("row")
        for _ in self.parse(name, part, tags=tags):
            yield from part.done
            part.done.clear()
        tags.feed(b"", is_final=True)
        if tags.count != part.count:
            raise AccountingError(f"{part.count:,} rows were read where {tags.count:,} were counted", fix="keep the file and report it", **self.source.place)


class _Reading:
    """How the cells of one workbook become text, by the declared types."""

    def __init__(self, book: Book, format: Format, types: Mapping[str, str]) -> None:
        self.book, self.format, self.types, self.nulls = book, format, types, frozenset(format.null_tokens)

    def text(self, cell: Cell | None, declared: str) -> str | None:
        """A cell as text. Raises Fault CELL or DATE."""
        if cell is None:
            return None
        if cell.kind == "e" or (cell.value is None and cell.kind != "str"):
            raise Fault("CELL")
        value, is_strict = cell.value or "", self.format.strict_types
        if cell.kind in ("s", "str", "inlineStr", "d"):
            text = self._shared(value) if cell.kind == "s" else value if cell.kind == "d" else unescaped(value)
            if is_strict and declared in ("number", "integer") and text not in self.nulls and not self._is_number(text):
                raise Fault("CELL")
            return None if text in self.nulls else text
        if is_strict and (declared == "string" or (cell.kind == "b") != (declared == "boolean")):
            raise Fault("CELL")
        if cell.kind == "b":
            return "true" if value == "1" else "false"
        return self._number(value, cell.style, declared)

    def _shared(self, index: str) -> str:
        if not (index.isascii() and index.isdigit() and int(index) < len(self.book.texts)):
            raise Fault("CELL")
        return self.book.texts[int(index)]

    def _is_number(self, text: str) -> bool:
        return PLAIN_NUMBER.fullmatch(text.replace(self.format.convention.decimal_mark, ".")) is not None and \
            ("." not in text or self.format.convention.decimal_mark == ".")

    def _number(self, value: str, style: int, declared: str) -> str:
        try:
            number = Decimal(value)
        except InvalidOperation as error:
            raise Fault("CELL") from error
        is_date = style < len(self.book.is_date) and self.book.is_date[style]
        if declared in ("date", "timestamp") and not is_date or not number.is_finite():
            raise Fault("CELL")
        if is_date and declared not in ("number", "integer"):
            return self._moment(number, declared)
        if abs(number) >= EXACT_BELOW:
            raise Fault("CELL")
        return format(Decimal(f"{float(number):.15g}"), "f").replace(".", self.format.convention.decimal_mark)

    def _moment(self, serial: Decimal, declared: str) -> str:
        """A serial day of the workbook's date system. Day 60 of the 1900 system is 1900-02-29, which never was."""
        whole = int(serial)
        is_day = serial == whole
        if (declared == "date" and not is_day) or not (0 if self.book.is_1904 else 1) <= serial <= LAST_SERIAL or (whole == 60 and not self.book.is_1904):
            raise Fault("DATE")
        start = datetime(1904, 1, 1) if self.book.is_1904 else datetime(1899, 12, 31 if whole < 60 else 30)
        moment = start + timedelta(days=whole, milliseconds=round((serial - whole) * 86_400_000))
        convention = self.format.convention
        return moment.strftime(convention.date_pattern if is_day and declared != "timestamp" else convention.timestamp_pattern)


def read_workbook(source: Source, format: Format, columns: Sequence[str], types: Mapping[str, str], drift: str, path: Any,
                  rejects: Rejects) -> tuple[Readable, Header, tuple[str, ...]]:
    """Write the declared sheet as a readable copy; returns it with the header and the names of the other sheets."""
    workbook = Workbook(source)
    notes = tuple(f"sheet {name}" for name in workbook.book.sheets if name != format.sheet)
    reading, rows = _Reading(workbook.book, format, types), workbook.rows(format.sheet)
    first = next((cells for number, cells in rows if number >= format.header_row), {})
    names = _names(first, reading, source)
    header = parse_header(names, Dialect(b",", b'"', 1), format, columns, source.refuse, drift)
    known = [(index, name) for index, name in enumerate(header.names) if name not in header.unexpected and name not in format.ignore]
    strange = [(index, name) for index, name in enumerate(header.names) if name in header.unexpected]
    kinds = [types.get(format.column_of(name) or "", "") for _, name in known]
    out = Readable(path, [name for _, name in known], rejects, source.refuse)
    for _, cells in rows:
        if not cells:
            out.blank += 1
            continue
        try:
            if max(cells) >= len(names):
                raise Fault("FIELD_COUNT")
            found = [_named(reading, cells.get(index), kind, name) for (index, name), kind in zip(known, kinds, strict=True)]
            left = {name: text for index, name in strange if (text := reading.text(cells.get(index), "")) is not None}
            refuse_large((*found, *left.values()))
            out.add([*found, json_text(left) if left else None], sum(map(len, filter(None, found))))
        except Fault as fault:
            raw = {names[index] if index < len(names) else str(index): _shown(cell, workbook.book) for index, cell in sorted(cells.items())}
            out.fault(fault.rule, json_text(raw).encode("utf-8", "surrogatepass"), fault.column)
    return out, header, notes


def _named(reading: _Reading, cell: Cell | None, declared: str, name: str) -> str | None:
    try:
        return reading.text(cell, declared)
    except Fault as fault:
        raise Fault(fault.rule, name) from fault


def _names(cells: dict[int, Cell], reading: _Reading, source: Source) -> list[str]:
    """The header row as text; a gap is an empty name."""
    if max(cells, default=0) >= COLUMN_LIMIT:
        raise source.refuse("SCHEMA", f"the sheet has more than {COLUMN_LIMIT:,} columns", "export the declared columns only")
    try:
        return [reading.text(cells.get(index), "") or "" for index in range(max(cells, default=-1) + 1)]
    except Fault as fault:
        raise source.refuse("HEADER", "a cell of the header is not text", "write names into the header row") from fault


def _shown(cell: Cell, book: Book) -> str | None:
    """A cell of a broken row as the steward sees it."""
    if cell.value is None:
        return "=…" if cell.is_formula else None
    is_shared = cell.kind == "s" and cell.value.isascii() and cell.value.isdigit() and int(cell.value) < len(book.texts)
    return book.texts[int(cell.value)] if is_shared else cell.value


