"""Checking parameters and vocabularies under their contracts: the shipped ones, an installation's, every customer's.

What belongs here: what a contract asks of a file, and checking all files. What does not: judging rows (resources/parameter_rules.py), laying
files over each other (resources/parameter_state.py), telling people about them (parameter_catalogue.py).
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from partitions.customers import check_id
from partitions.errors import ParameterError
from platform_assets.contracts import Contract
from platform_assets.tables import REFERENCES, reference_contracts
from platform_assets.units import unit
from resources.parameter_rules import RowRules, licences
from resources.parameter_state import ParameterState, check_references, overlay_of, read_overlay, read_state, state_of
from resources.settings import Settings, settings

if TYPE_CHECKING:
    import pyarrow as pa

LIMITS = {  # Great Expectations' words -> ours
    "expect_column_values_to_be_in_set": {"value_set": "values"},
    "expect_column_values_to_match_regex": {"regex": "pattern"},
    "expect_column_values_to_be_between": {"min_value": "minimum", "max_value": "maximum"},
}


def limits_of(made: Contract) -> dict[str, dict[str, Any]]:
    """Column -> what each of its values must keep (values, pattern, minimum, maximum), from the contract's rules: a reference file is small
    enough to judge value by value whenever it is read, so it needs no check step of its own. Licences come from one closed list."""
    limits: dict[str, dict[str, Any]] = {str(p.name): dict(p.logicalTypeOptions) for p in made.properties if p.logicalTypeOptions}
    for rule in made.rules:
        if names := LIMITS.get(rule.expectation):
            found = {name: rule.kwargs[key] for key, name in names.items() if rule.kwargs.get(key) is not None}
            limits.setdefault(rule.kwargs["column"], {}).update(found)
    if any(column.name == "licence" for column in made.columns):
        limits["licence"] = {"values": licences(made.custom.get("share_alike", ()))}
    return limits


def rules_of(made: Contract) -> RowRules:
    """What rows of a file keep among each other and toward other files, from the contract's customProperties."""
    return RowRules(**{name: tuple(made.custom.get(name, ())) for name in ("identifies", "references", "bounds")})


def check_all(configured: Settings | None = None) -> int:
    """Read all shipped and fetched files; returns how many are shipped. Raises ParameterError for the first fault, and for a file without a contract."""
    configured = configured or settings()
    contracts, state = reference_contracts(), state_of(configured, None)
    declared = {(made.layer, made.table) for made in contracts}
    for kind in REFERENCES:
        for path in sorted((configured.references / kind).glob("*.csv")):
            if (kind, path.stem) not in declared:
                raise ParameterError("the file has no contract", file=path.name, fix=f"write {path.stem}.odcs.yaml beside it")
    for made in contracts:
        rows, lines = _shipped(made, state)
        check_units(made, rows, lines)
        check_references(state, f"{made.table}.csv", rows.to_pylist(), lines, rules_of(made))
        _check_overlays(made, state)
    return len(contracts)


def check_customer(configured: Settings, customer_id: str) -> list[str]:
    """Read a customer's own parameters and lay them over the shipped ones; returns their names. Raises ParameterError for the first fault."""
    state = state_of(configured, check_id(customer_id))
    own = [made for made in reference_contracts() if any(layer == "customer" for layer, _ in state.layers(made.layer, made.table))]
    for made in own:
        _check_overlays(made, state)
        read_state(state, made.layer, made.spec, limits_of(made), rules_of(made))
    return [made.table for made in own]


def with_overlays(configured: Settings) -> list[str]:
    """Customers that have parameters of their own."""
    found = sorted(path.parent.name for path in configured.customers.glob("*/parameters") if path.is_dir())
    return [name for name in found if overlay_of(configured, check_id(name)).is_dir()]


def _check_overlays(made: Contract, state: ParameterState) -> None:
    for layer, path in state.layers(made.layer, made.table)[1:]:
        rows = read_overlay(state, layer, path, made.spec, limits_of(made), rules_of(made))
        check_units(made, rows)


def check_units(made: Contract, rows: pa.Table, lines: list[int] | None = None) -> None:
    """Every figure's unit (and what it is `per`) is one that converts to base units. Raises ParameterError naming file and line."""
    if made.layer != "parameters" or "unit" not in rows.column_names:
        return
    said = rows.column("per").to_pylist() if "per" in rows.column_names else [None] * rows.num_rows
    for line, name, per in zip(lines or range(2, rows.num_rows + 2), rows.column("unit").to_pylist(), said, strict=True):
        try:
            unit(name, per=per)
        except ParameterError as unknown:
            raise ParameterError(unknown.problem, fix=unknown.fix, file=f"{made.table}.csv", row=line, column="unit") from None


def _shipped(made: Contract, state: ParameterState) -> tuple[pa.Table, list[int]]:
    from resources.parameter_files import read_lines

    return read_lines(state.root / made.layer / f"{made.table}.csv", made.spec, limits_of(made), rules_of(made))


def read_file(made: Contract) -> pa.Table:
    """The rows of a shipped parameter or vocabulary under its contract."""
    from resources.parameter_files import read_reference

    return read_reference(made.path.with_name(f"{made.table}.csv"), made.spec, limits_of(made), rules_of(made))
