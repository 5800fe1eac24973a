"""Reading parameter and vocabulary files, and the calendar, as Arrow tables.

What belongs here: a CSV with its contract's types, refused by file, line and column where it is bad. What does not: handing it to a run
(reference.py) and the figures themselves (parameters/, vocabularies/).
"""
from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa

from partitions.errors import ParameterError
from resources.parameter_rules import RowRules, check_rows
from resources.storage import Column, TableSpec

MONTHS_COLUMNS = [("month_start", "date"), ("month_end", "date")]
MONTHS_SCHEMA = pa.schema([("month_start", pa.date32()), ("month_end", pa.date32())])
TRUTH = {"true": True, "false": False}


def finite(value: float) -> float:
    """The value; ValueError for NaN and infinity, which no comparison would refuse."""
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


CASTS: dict[str, tuple[pa.DataType, Callable[[str], Any]]] = {
    "varchar": (pa.string(), str),
    "bigint": (pa.int64(), int),
    "double": (pa.float64(), lambda text: finite(float(text))),
    "boolean": (pa.bool_(), TRUTH.__getitem__),
    "date": (pa.date32(), date.fromisoformat),
    "decimal(38,12)": (pa.decimal128(38, 12), Decimal),
    "decimal(38,18)": (pa.decimal128(38, 18), Decimal),
}


def read_reference(path: Path, spec: TableSpec, limits: dict[str, dict[str, Any]], rules: RowRules | None = None) -> pa.Table:
    """One reference file as Arrow. `limits` maps column -> values, pattern, minimum, maximum; raises ParameterError naming file, row, column."""
    return read_lines(path, spec, limits, rules)[0]


def read_lines(path: Path, spec: TableSpec, limits: dict[str, dict[str, Any]], rules: RowRules | None = None) -> tuple[pa.Table, list[int]]:
    """The same with the line that each row ends on."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParameterError("the file is no CSV in UTF-8", file=path.name, fix="save it as comma-separated UTF-8") from error
    if header != [c.name for c in spec.columns]:
        differing = sorted(set(header) ^ {c.name for c in spec.columns}) or ["their order"]
        raise ParameterError(f"header and contract differ: {', '.join(differing)}", file=path.name, row=1, fix="keep the contract's columns")
    for line, row in rows:
        if len(row) != len(header):
            raise ParameterError(f"{len(row)} cells where {len(header)} are declared", file=path.name, row=line, fix="quote cells with commas")
    lines = [line for line, _ in rows]
    arrays = [_column(path, column, [(line, row[i]) for line, row in rows], limits.get(column.name) or {}) for i, column in enumerate(spec.columns)]
    made = pa.table(arrays, names=header)
    _unique(path, spec, made, lines)
    if rules is not None:
        check_rows(path.name, made.to_pylist(), lines, rules)
    return made, lines


def _column(path: Path, column: Column, cells: list[tuple[int, str]], limits: dict[str, Any]) -> pa.Array:
    kind, cast = CASTS[column.type.lower().replace(" ", "")]
    values: list[Any] = []
    for line, text in cells:
        if text.strip() == "":
            if column.required:
                raise ParameterError("a required value is missing", file=path.name, row=line, column=column.name, fix="fill it in")
            values.append(None)
            continue
        try:
            value = cast(text)
        except (ValueError, KeyError, InvalidOperation):
            raise ParameterError(f"{text!r} is no {column.type}", file=path.name, row=line, column=column.name, fix="write it as ISO text") from None
        if problem := _beyond(value, limits):
            raise ParameterError(f"{text!r} {problem}", file=path.name, row=line, column=column.name, fix="correct it, or the contract")
        values.append(value)
    return pa.array(values, kind)


def _beyond(value: Any, limits: dict[str, Any]) -> str | None:
    if (known := limits.get("values")) and value not in known:
        return f"is none of {', '.join(map(str, known))}"
    if (pattern := limits.get("pattern")) and not re.fullmatch(pattern, str(value)):
        return f"does not match {pattern}"
    if (least := limits.get("minimum")) is not None and value < least:
        return f"is below {least}"
    if (most := limits.get("maximum")) is not None and value > most:
        return f"is above {most}"
    return None


def _unique(path: Path, spec: TableSpec, made: pa.Table, lines: list[int]) -> None:
    seen: dict[tuple, int] = {}
    for line, key in zip(lines, zip(*(made.column(name).to_pylist() for name in spec.key), strict=True), strict=True):
        if key in seen:
            raise ParameterError(f"the key of line {seen[key]} stands again", file=path.name, row=line, column=", ".join(spec.key), fix="keep one")
        seen[key] = line


def months_of(as_of: date, count: int) -> pa.Table:
    """`count` calendar months up to as_of: month_start, and month_end exclusive, the last one clipped at the day after as_of."""
    first = as_of.year * 12 + as_of.month - count
    starts = [date((first + i) // 12, (first + i) % 12 + 1, 1) for i in range(count)]
    ends = [*starts[1:], as_of + timedelta(days=1)]
    return pa.table([starts, ends], schema=MONTHS_SCHEMA)


def physical_type(arrow: pa.DataType) -> str:
    """The contract's physicalType of an Arrow type."""
    return next(physical for physical, (kind, _) in CASTS.items() if kind == arrow)
