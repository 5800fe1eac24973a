"""What a row of a parameter file keeps beyond the type of its columns: licence, validity, interval, bounds, and no rival on the same day.

What belongs here: judging the rows of one file, by what its contract declares. What does not: reading the file (parameter_files.py), laying
one file over another (parameter_state.py).
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from partitions.errors import ParameterError

if TYPE_CHECKING:
    import pyarrow as pa

OPEN = ("Apache-2.0", "CC-BY-4.0", "CC0-1.0", "Licence Ouverte 2.0", "MIT", "OGL-3.0", "Unicode-3.0", "facts", "public domain")
SHARE_ALIKE = ("CC-BY-SA-4.0", "MPL-2.0", "ODbL-1.0")  # only in a file of their own, whose contract declares them
COMPUTED_FROM_AGPL = "computed from an AGPL-3.0 collection"  # may be used, not passed on
FURTHER = {"installation": (COMPUTED_FROM_AGPL,), "customer": (COMPUTED_FROM_AGPL, "the customer's own", "licensed to the customer")}
EVER = date(9999, 12, 31)


@dataclass(frozen=True)
class RowRules:
    """What a contract declares: `identifies` is what a row competes for, `bounds` of values by `where`;
    `references`: columns whose words other files know (there in columns `named` the same unless said), and words that are known `also`."""

    identifies: tuple[str, ...] = ()
    references: tuple[Mapping[str, Any], ...] = ()
    bounds: tuple[Mapping[str, Any], ...] = ()


def licences(share_alike: Iterable[str] = (), layer: str = "shipped") -> list[str]:
    """The closed list for one file: open ones, the share-alike ones it declares, and what an overlay may hold because nobody ships it."""
    return [*OPEN, *(name for name in SHARE_ALIKE if name in share_alike), *FURTHER.get(layer, ())]


def check_rows(file: str, rows: list[dict[str, Any]], lines: list[int], rules: RowRules) -> None:
    """Raises ParameterError naming file, row and column for the first row that cannot be."""
    for line, row in zip(lines, rows, strict=True):
        if row.get("valid_to") is not None and row["valid_to"] < row["valid_from"]:
            raise ParameterError("the row ends before it begins", file=file, row=line, column="valid_to", fix="let valid_to be the last day of use")
        _interval(file, line, row)
        _bounds(file, line, row, rules.bounds)
    _rivals(file, rows, lines, rules.identifies)


def _interval(file: str, line: int, row: dict[str, Any]) -> None:
    """value_min ≤ value ≤ value_max, where they are said."""
    for end, is_beyond in (("value_min", lambda said, value: said > value), ("value_max", lambda said, value: said < value)):
        said, value = row.get(end), row.get("value")
        if said is not None and value is not None and is_beyond(said, value):
            raise ParameterError(f"{said:g} leaves the value {value:g} outside of its interval", file=file, row=line, column=end,
                                 fix="value_min is at most the value, value_max at least")


def _bounds(file: str, line: int, row: dict[str, Any], bounds: Iterable[Mapping[str, Any]]) -> None:
    for bound in bounds:
        column = bound.get("column", "value")
        if all(row[name] == word for name, word in bound.get("where", {}).items()) and row[column] is not None:
            if row[column] > bound.get("maximum", row[column]):
                raise ParameterError(f"{row[column]:g} is above {bound['maximum']:g}", file=file, row=line, column=column, fix=bound["why"])
            if row[column] < bound.get("minimum", row[column]):
                raise ParameterError(f"{row[column]:g} is below {bound['minimum']:g}", file=file, row=line, column=column, fix=bound["why"])


def _rivals(file: str, rows: list[dict[str, Any]], lines: list[int], identifies: tuple[str, ...]) -> None:
    """No two rows of one identity on one day."""
    spans: dict[tuple, list[tuple[date, date, int]]] = defaultdict(list)
    for line, row in zip(lines, rows, strict=True):
        spans[tuple(row[name] for name in identifies)].append((row.get("valid_from") or date.min, row.get("valid_to") or EVER, line))
    for found in spans.values() if identifies else ():
        for (_, until, earlier), (since, _, line) in zip(sorted(found), sorted(found)[1:], strict=False):
            if since <= until:
                raise ParameterError(f"two rows are in force on {since} for the same {', '.join(identifies)}; the other is row {earlier}",
                                     file=file, row=line, column="valid_from", fix="end one where the other begins")


def laid_over(base: pa.Table, top: pa.Table, key: tuple[str, ...], rules: RowRules) -> pa.Table:
    """`base` with the rows of `top` in force where they are.

    A row of the base goes if the top has its key; if the top has its identity, it stays on the days that the top leaves, and a piece that begins
    later than the row did has the day in its key (`<key>@2025-01-01`).
    """
    import pyarrow as pa

    given = top.to_pylist()
    keys = {tuple(row[name] for name in key) for row in given}
    spans: dict[tuple, list[tuple[date, date]]] = defaultdict(list)
    for row in given:
        spans[tuple(row[name] for name in rules.identifies)].append((row.get("valid_from") or date.min, row.get("valid_to") or EVER))
    named = next((name for name in key if name not in rules.identifies), None)
    kept: list[dict[str, Any]] = []
    for row in base.to_pylist():
        if tuple(row[name] for name in key) in keys:
            continue
        taken = spans.get(tuple(row[name] for name in rules.identifies), []) if rules.identifies else []
        kept += _pieces(row, taken, named) if taken else [row]
    return pa.Table.from_pylist(kept + given, schema=base.schema)


def _pieces(row: dict[str, Any], taken: list[tuple[date, date]], named: str | None) -> list[dict[str, Any]]:
    """The row on the days of its validity that nothing has taken."""
    since, until, pieces = row["valid_from"], row["valid_to"] or EVER, []
    for start, end in sorted(taken):
        if end < since or start > until:
            continue
        if start > since:
            pieces.append((since, start - date.resolution))
        since = end + date.resolution if end < EVER else None
        if since is None:
            break
    if since is not None and since <= until:
        pieces.append((since, until))
    made = []
    for begin, end in pieces:
        later = {named: f"{row[named]}@{begin}"} if named and begin != row["valid_from"] else {}
        made.append({**row, **later, "valid_from": begin, "valid_to": None if end == EVER and row["valid_to"] is None else end})
    return made
