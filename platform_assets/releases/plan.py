"""What differs between two checkouts, table by table and by cause, and what has to be computed to see what comes of it.

What belongs here: comparing two censuses. What does not: computing (cli/recomputation.py) and figures (movements.py).
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from resources.releases import digest

MOVING = ("code", "libraries", "parameters")  # causes that can move figures; of the others none can


@dataclass(frozen=True)
class Plan:
    """`changed`: table -> causes: `new`, `code` (another expression, key or column), `rules`, `text` (the sources differ, what they compute does
    not), `libraries`, `parameters`. `computed`: what has to be computed anew: tables with a moving cause and all behind them, in no order.
    `contracts`: lines of what readers of a table have to know. `shared`: files that all tables pass through and no fingerprint holds."""

    changed: dict[str, tuple[str, ...]]
    removed: tuple[str, ...]
    computed: tuple[str, ...]
    contracts: dict[str, tuple[str, ...]]
    files: dict[str, tuple[str, ...]]
    parameters: tuple[str, ...]
    libraries: dict[str, tuple[str | None, str | None]]
    shared: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.changed or self.removed or self.shared)

    def causes(self) -> tuple[str, ...]:
        """The moving causes that there are, in the order in which a trial changes them."""
        found = {cause for causes in self.changed.values() for cause in causes}
        if "new" in found or self.shared:
            found.add("code")
        return tuple(cause for cause in MOVING if cause in found)


def plan_of(base: Mapping[str, Any], candidate: Mapping[str, Any], contracts: Mapping[str, tuple[str, ...]], everything: bool = False) -> Plan:
    """The plan of a candidate. `contracts`: contract's file -> what readers have to know (contract_changes.py). `everything`: compute all tables."""
    libraries = _differing(base["libraries"], candidate["libraries"])
    parameters = list(_differing(base["parameters"], candidate["parameters"]))
    shared = list(_differing(base["shared"], candidate["shared"]))
    changed: dict[str, tuple[str, ...]] = {}
    for name, table in candidate["tables"].items():
        if causes := _causes(base["tables"].get(name), table, set(parameters), bool(libraries)):
            changed[name] = causes
    moving = {name for name, causes in changed.items() if {*MOVING, "new"} & set(causes)}
    computed = set(candidate["tables"]) if everything or shared else behind(candidate["tables"], moving)
    told = {name: contracts[table["contract"]["file"]] for name, table in candidate["tables"].items() if table["contract"]["file"] in contracts}
    files = {name: tuple(_differing(base["tables"][name]["sources"], candidate["tables"][name]["sources"]))
             for name in changed if name in base["tables"]}
    return Plan(changed, tuple(sorted(set(base["tables"]) - set(candidate["tables"]))), tuple(sorted(computed)), told, files, tuple(parameters),
                libraries, tuple(shared))


def _causes(before: Mapping[str, Any] | None, after: Mapping[str, Any], parameters: set[str], has_other_libraries: bool) -> tuple[str, ...]:
    if before is None:
        return ("new",)
    found = []
    if before["fingerprint"] != after["fingerprint"]:
        one, other = before["contract"], after["contract"]
        if before["expression"] != after["expression"] or one["columns"] != other["columns"] or one["key"] != other["key"] or _reads_code(before, after):
            found.append("code")
        elif one["rules"] != other["rules"]:
            found.append("rules")
        else:
            found.append("text")
    if has_other_libraries:
        found.append("libraries")
    if parameters & set(after["reads"]):
        found.append("parameters")
    return tuple(found)


def _reads_code(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether what reads delivered files has changed: of that the expression says nothing."""
    return after["layer"] == "bronze" and any(not name.endswith(".odcs.yaml") for name in _differing(before["sources"], after["sources"]))


def behind(tables: Mapping[str, Any], some: Iterable[str]) -> set[str]:
    """Tables, and whatever is computed from them."""
    name_of = {"/".join(table["key"]): name for name, table in tables.items()}
    found = set(some)
    while more := {name for name, table in tables.items() if name not in found and any(name_of.get(read) in found for read in table["reads"])}:
        found |= more
    return found


def identity(census: Mapping[str, Any]) -> str:
    """What an approval is of: tables by their fingerprints, shipped parameters and vocabularies, pinned libraries."""
    return identity_of({name: table["fingerprint"] for name, table in census["tables"].items()}, census["parameters"], census["libraries"])


def identity_of(fingerprints: Mapping[str, str], files: Mapping[str, str], libraries: Mapping[str, str]) -> str:
    """The same of its parts, which cost no expression."""
    return digest({"tables": fingerprints, "parameters": files, "libraries": libraries})


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (before.get(name), after.get(name)) for name in sorted({*before, *after}) if before.get(name) != after.get(name)}

