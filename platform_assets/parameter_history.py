"""What changed among parameters and vocabularies between two states, row by row: for change control.

What belongs here: comparing files as text by their contract's key. What does not: reading a commit (resources/revision.py), judging rows.
"""
from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from platform_assets.tables import reference_contracts
from resources.parameter_state import ParameterState

Row = dict[str, str]


@dataclass(frozen=True)
class Change:
    """One row: `kind` is added, removed or changed; `cells` maps a column to its text before and after, of a changed row only the differing ones."""

    file: str
    key: tuple[str, ...]
    kind: str
    cells: dict[str, tuple[str, str]]


def changes(before: ParameterState, after: ParameterState) -> Iterator[Change]:
    """Every row that differs, by file and key; a file or column that one side lacks counts as empty there. Fetched files are in no commit: left out."""
    for made in reference_contracts():
        one, other = (dict(state.layers(made.layer, made.table)) for state in (before, after))
        for layer in ("shipped", "customer"):
            file = f"{made.layer}/{made.table}.csv" if layer == "shipped" else f"customer's {made.table}.csv"
            yield from _of_file(file, _rows(one.get(layer), made.key), _rows(other.get(layer), made.key))


def _rows(path: Path | None, key: tuple[str, ...]) -> dict[tuple[str, ...], Row]:
    if path is None or not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {tuple(row.get(name) or "" for name in key): row for row in csv.DictReader(file)}


def _of_file(file: str, before: dict[tuple[str, ...], Row], after: dict[tuple[str, ...], Row]) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        one, other = before.get(key, {}), after.get(key, {})
        names = list(dict.fromkeys([*one, *other]))
        cells = {name: pair for name in names if (pair := (one.get(name) or "", other.get(name) or ""))[0] != pair[1]}
        if cells:
            kind = "added" if key not in before else "removed" if key not in after else "changed"
            yield Change(file, key, kind, cells)
