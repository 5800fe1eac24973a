"""Parameters and vocabularies told to people: what a file is for, what its rows compete for, and who said each figure.

What belongs here: counting and wording, from files and contracts. What does not: checking them (parameters.py).
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from platform_assets.contracts import Contract
from platform_assets.parameters import limits_of, read_file, rules_of
from platform_assets.tables import reference_contracts
from resources.parameter_rules import FURTHER, OPEN, SHARE_ALIKE

REGENERATE = "strata parameters catalogue > docs/parameters.md"
HEAD = f"""# Parameters

Every figure and every rule that turns activities into impacts, file by file, with who said it and under which licence. This page is generated from the
files and their contracts (`{REGENERATE}`); a test holds it equal to them.

A file's rows compete: of the rows with the same identity, one is in force on each day. A customer's own file, `customers/<id>/parameters/<file>.csv`, has
the same columns and lies over the shipped one: its row replaces a shipped row of the same key, and one of the same identity on the days of its validity;
other rows are added. What `strata parameters fetch` brings lies between both. Each version that is computed names the state of the files that it was
computed by, `<hash>@<commit>`, and `strata launch <customer> --parameters <state>` computes by it again.

Licences of shipped files: {', '.join(OPEN)}. Share-alike licences ({', '.join(SHARE_ALIKE)}) stand in files of their own. Only an
overlay may hold: {', '.join(dict.fromkeys(name for names in FURTHER.values() for name in names))}.
"""


@dataclass(frozen=True)
class Entry:
    """One file: its rows counted by what a reader asks."""

    made: Contract
    rows: int
    units: tuple[str, ...]
    sources: tuple[tuple[str, str, str, int], ...]
    since: date | None
    until: date | None

    @property
    def licences(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sorted(licence for _, _, licence, _ in self.sources)))

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(sorted(version for _, version, _, _ in self.sources if version)))


def entries() -> list[Entry]:
    """Every shipped file, parameters first."""
    return [_entry(made) for made in reference_contracts()]


def _entry(made: Contract) -> Entry:
    rows = read_file(made).to_pylist()
    counted = Counter((row["source"], row.get("source_version") or "", row["licence"]) for row in rows)
    ends = [row["valid_to"] for row in rows if "valid_to" in row]
    return Entry(
        made=made, rows=len(rows), units=_units(made, rows), sources=tuple((*said, count) for said, count in sorted(counted.items())),
        since=min((row["valid_from"] for row in rows if "valid_from" in row), default=None), until=None if None in ends else max(ends, default=None),
    )


def _units(made: Contract, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Units of the rows; of an empty file those that its contract allows."""
    if rows and "unit" in rows[0]:
        return tuple(sorted({f"{row['unit']}/{row['per']}" if row.get("per") else row["unit"] for row in rows}))
    limits = limits_of(made)
    allowed, per = limits.get("unit", {}).get("values", []), limits.get("per", {}).get("values", [])
    return tuple(f"{unit}/{per[0]}" if len(per) == 1 else unit for unit in allowed)


def catalogue() -> str:
    """The page, in Markdown."""
    found = entries()
    parameters = [entry for entry in found if entry.made.layer == "parameters"]
    lines = [HEAD, "## Overview", "", "| file | rows | units | licences |", "| --- | ---: | --- | --- |"]
    lines += [f"| [{e.made.table}](#{e.made.table}) | {e.rows:,} | {', '.join(e.units) or '–'} | {', '.join(e.licences) or 'none yet'} |" for e in parameters]
    for entry in parameters:
        lines += ["", *_section(entry)]
    lines += ["", "## Vocabularies", "", "Words of raw files and what silver calls them; they hold no figures.", ""]
    lines += ["| file | rows | what it is for | licences |", "| --- | ---: | --- | --- |"]
    lines += [f"| {e.made.table} | {e.rows:,} | {_purpose(e.made)} | {', '.join(e.licences)} |" for e in found if e.made.layer == "vocabularies"]
    return "\n".join(lines) + "\n"


def _section(entry: Entry) -> Iterator[str]:
    made, rules = entry.made, rules_of(entry.made)
    yield f"### {made.table}"
    yield ""
    yield _purpose(made)
    yield ""
    yield f"- A row competes for: {', '.join(rules.identifies)}; its key is {', '.join(made.key)}."
    if entry.rows:
        yield f"- {entry.rows:,} rows, valid from {entry.since} {'on' if entry.until is None else f'to {entry.until}'}."
    else:
        yield "- Shipped with a header only."
    for reference in rules.references:
        also = f", or {' or '.join(map(str, reference['also']))}" if reference.get("also") else ""
        yield f"- {', '.join(reference['columns'])}: known by {' or '.join(reference['files'])}{also}."
    for bound in rules.bounds:
        where = ", ".join(map(str, bound.get("where", {}).values()))
        yield f"- {where}: at most {bound['maximum']:g} ({bound['why']})."
    if entry.sources:
        yield ""
        yield from ("| source | version | licence | rows |", "| --- | --- | --- | ---: |")
        yield from (f"| {_cell(source)} | {_cell(version)} | {licence} | {count:,} |" for source, version, licence, count in entry.sources)


def _purpose(made: Contract) -> str:
    return str(made.odcs.description.purpose) if made.odcs.description else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
