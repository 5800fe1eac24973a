"""Checking every parameter and vocabulary file under its contract."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from partitions.errors import ParameterError
from platform_assets.contracts import Contract
from platform_assets.tables import REFERENCES, reference_contracts
from platform_assets.units import unit
from resources.settings import PROJECT

if TYPE_CHECKING:
    import pyarrow as pa

LIMITS = {  # Great Expectations' words -> ours
    "expect_column_values_to_be_in_set": {"value_set": "values"},
    "expect_column_values_to_match_regex": {"regex": "pattern"},
    "expect_column_values_to_be_between": {"min_value": "minimum", "max_value": "maximum"},
}


def limits_of(made: Contract) -> dict[str, dict[str, Any]]:
    """Column -> what each of its values must keep (values, pattern, minimum, maximum), from the contract's rules: a reference file is small
    enough to judge value by value whenever it is read, so it needs no check step of its own."""
    limits: dict[str, dict[str, Any]] = {str(p.name): dict(p.logicalTypeOptions) for p in made.properties if p.logicalTypeOptions}
    for rule in made.rules:
        if names := LIMITS.get(rule.expectation):
            found = {name: rule.kwargs[key] for key, name in names.items() if rule.kwargs.get(key) is not None}
            limits.setdefault(rule.kwargs["column"], {}).update(found)
    return limits


def check_all() -> int:
    """Read all reference files; returns how many. Raises ParameterError for the first fault, and for a file without a contract."""
    contracts = reference_contracts()
    declared = {(made.layer, made.table) for made in contracts}
    for kind in REFERENCES:
        for path in sorted((PROJECT / kind).glob("*.csv")):
            if (kind, path.stem) not in declared:
                raise ParameterError("the file has no contract", file=path.name, fix=f"write {path.stem}.odcs.yaml beside it")
    for made in contracts:
        check_units(made, read_file(made))
    return len(contracts)


def check_units(made: Contract, rows: pa.Table) -> None:
    """Every figure's unit (and what it is `per`) is one that converts to base units. Raises ParameterError naming file and line."""
    if made.layer != "parameters" or "unit" not in rows.column_names:
        return
    said = rows.column("per").to_pylist() if "per" in rows.column_names else [None] * rows.num_rows
    for line, (name, per) in enumerate(zip(rows.column("unit").to_pylist(), said, strict=True), 2):
        try:
            unit(name, per=per)
        except ParameterError as unknown:
            raise ParameterError(unknown.problem, fix=unknown.fix, file=f"{made.table}.csv", row=line, column="unit") from None


def read_file(made: Contract) -> pa.Table:
    """The rows of a parameter or vocabulary under its contract."""
    from resources.parameter_files import read_reference

    return read_reference(made.path.with_name(f"{made.table}.csv"), made.spec, limits_of(made))
