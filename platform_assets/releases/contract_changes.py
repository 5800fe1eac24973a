"""What readers of a table have to know of its contract's next version.

What belongs here: asking datacontract-cli, and what it cannot know: that a unit is part of a column's meaning. What does not: tables that are
new or gone (plan.py).
"""
from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BREAKING = "breaking: "
UNIT = ".customProperties.unit.value"


def contract_changes(base: Path, candidate: Path, contracts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Contract (path from the root) -> lines, of those that differ between two checkouts; what breaks readers comes first and says so."""
    found = {}
    for name in contracts:
        before, after = base / name, candidate / name
        if before.is_file() and after.is_file() and before.read_bytes() != after.read_bytes() and (lines := _lines(before, after)):
            found[name] = tuple(lines)
    return found


def _lines(before: Path, after: Path) -> list[str]:
    from datacontract.data_contract import DataContract

    one, other = (DataContract(data_contract_file=str(path), inline_references=False) for path in (before, after))
    entries = [entry for entry in one.breaking(other).entries if entry.direction is not None]  # inside an added or removed element none is graded
    version = [entry for entry in entries if entry.path == "version"]
    said = [_line(entry) for entry in entries if entry.path != "version"]
    lines = sorted(said, key=lambda line: not line.startswith(BREAKING))
    if version:
        return [*lines, f"version {version[0].old_value} → {version[0].new_value}"]
    return [*lines, "the contract's version is the same"] if lines else []


def _line(entry: Any) -> str:
    place = re.sub(r"^schema\.[^.]+\.(properties\.)?", "", entry.path).replace(UNIT, ".unit")
    values = f" {entry.old_value} → {entry.new_value}" if entry.old_value is not None and entry.new_value is not None else ""
    is_breaking = entry.level.value == "error" or (entry.path.endswith(UNIT) and values)
    return f"{BREAKING if is_breaking else ''}{place} {entry.change_type.value.lower()}{values}"
