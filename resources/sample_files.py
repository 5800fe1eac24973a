"""Rows of bronze as files that land again: in the format that they were delivered in, with the columns that the contract declares.

What belongs here: writing each type of format. What does not: which rows, and masking (platform_assets/sampling.py). Headers are those of the
delivered file, so that a column map and a constant mean the same; a column that no contract declares is left out.
"""
from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring  # noqa: S405  it writes; files of others are read by defusedxml

from partitions.errors import ContractError
from resources.formats import Format
from resources.landing import DeliveredFile

Row = Mapping[str, str | None]
Columns = Sequence[tuple[str, str]]  # header, contract column
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
NUMBERS = ("number", "integer")
VERBATIM = "\x1fverbatim\x1f"


def write(path: Path, file: DeliveredFile, format: Format, types: Mapping[str, str], rows: Sequence[Row]) -> None:
    """Write rows (contract column -> text) as a file of a format; `types`: logical type of each contract column. Raises ContractError."""
    named = [(header, format.column_of(header) or "") for header in file.header]
    columns = [(header, column) for header, column in named if column in types and header != "$"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(WRITERS[format.type](format, columns, types, rows))


def _csv(format: Format, columns: Columns, _types: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    if format.trailer:
        raise ContractError(f"a sample of format {format.name} would need its trailer's totals", fix="sample another source")
    null = format.null_tokens[0] if format.null_tokens else ""
    lines = [[header for header, _ in columns], *([null if row[column] is None else str(row[column]) for _, column in columns] for row in rows)]
    if not format.quote:  # nothing is quoted, so nothing that was read holds a delimiter or a line end
        return "".join(format.delimiter.join(line) + "\n" for line in lines).encode(format.encoding)
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=format.delimiter, quotechar=format.quote, lineterminator="\n").writerows(lines)
    return text.getvalue().encode(format.encoding)


def _json(format: Format, columns: Columns, types: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    records = [_nested(columns, {column: _json_value(row[column], types[column], format) for _, column in columns}) for row in rows]
    document: Any = records
    for name in reversed(format.records.split(".") if format.records else []):
        document = {name: document}
    return _dumped(document).encode(format.encoding)


def _jsonl(format: Format, columns: Columns, types: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    lines = (_dumped(_nested(columns, {column: _json_value(row[column], types[column], format) for _, column in columns})) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode(format.encoding)


def _json_value(text: str | None, kind: str, format: Format) -> Any:
    """A value as its type says where the format checks types, so that the text read from it is the same to the last digit."""
    if text is None or not format.strict_types:
        return text
    if kind in NUMBERS and JSON_NUMBER.fullmatch(text):
        return f"{VERBATIM}{text}{VERBATIM}"
    return json.loads(text) if kind in ("array", "object", "boolean") else text


def _dumped(document: Any) -> str:
    return re.sub(f'"{re.escape(json.dumps(VERBATIM)[1:-1])}(.*?){re.escape(json.dumps(VERBATIM)[1:-1])}"', r"\1", json.dumps(document, ensure_ascii=False))


def _nested(columns: Columns, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under their dotted headers, without those that are not there."""
    made: dict[str, Any] = {}
    for header, column in columns:
        *path, last = header.split(".")
        if values[column] is None:
            continue
        place = made
        for name in path:
            place = place.setdefault(name, {})
        place[last] = values[column]
    return made


def _xml(format: Format, columns: Columns, _types: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    root = Element("records")
    for row in rows:
        _elements(SubElement(root, format.records), _nested(columns, {column: row[column] for _, column in columns}))
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _elements(parent: Element, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        child = SubElement(parent, name)
        if isinstance(value, Mapping):
            _elements(child, value)
        else:
            child.text = str(value)


def _xlsx(format: Format, columns: Columns, _types: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    from openpyxl import Workbook

    book, out = Workbook(write_only=True), io.BytesIO()
    sheet = book.create_sheet(format.sheet)
    for _ in range(format.header_row - 1):
        sheet.append([])
    sheet.append([header for header, _ in columns])
    for row in rows:
        sheet.append([row[column] for _, column in columns])
    book.save(out)
    return out.getvalue()


def _parquet(format: Format, columns: Columns, _types: Mapping[str, str], rows: Sequence[Row]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if format.strict_types:
        raise ContractError(f"a sample of format {format.name} would need typed columns", fix="sample another source")
    out = io.BytesIO()
    pq.write_table(pa.table({header: pa.array([row[column] for row in rows], pa.string()) for header, column in columns}), out)
    return out.getvalue()


WRITERS: dict[str, Callable[[Format, Columns, Mapping[str, str], Sequence[Row]], bytes]] = {
    "csv": _csv, "json": _json, "jsonl": _jsonl, "xml": _xml, "xlsx": _xlsx, "parquet": _parquet}
