"""What differs between two checkouts."""
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from platform_assets.releases.census import census, shared_files
from platform_assets.releases.contract_changes import contract_changes
from platform_assets.releases.plan import behind, identity, plan_of

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
schema:
  - name: t
    properties:
      - {name: id, logicalType: string, physicalType: varchar, required: true}
      - name: energy_kwh
        logicalType: number
        physicalType: double
        customProperties: [{property: unit, value: kWh}]
"""


def table(layer: str, name: str, *reads: str, fingerprint: str = "f", expression: str = "e", **contract: Any) -> dict[str, Any]:
    said = {"file": f"{name}.odcs.yaml", "key": ["id"], "columns": {"id": {"type": "varchar", "unit": None}, "value": {"type": "double", "unit": "kWh"}}, "rules": {}, **contract}
    return {"key": ["greenit", layer, name], "layer": layer, "fingerprint": fingerprint, "expression": expression, "sources": {f"{name}.py": fingerprint},
            "reads": list(reads), "contract": said}


@pytest.fixture
def base() -> dict[str, Any]:
    return {"tables": {"greenit_bronze.raw": table("bronze", "raw", "landing/raw"), "greenit_silver.clean": table("silver", "clean", "greenit/bronze/raw"),
                       "greenit_gold.impact": table("gold", "impact", "greenit/silver/clean", "parameters/factor"),
                       "greenit_gold.other": table("gold", "other", "parameters/price"),
                       "greenit_platinum.kpi": table("platinum", "kpi", "greenit/gold/impact")},
            "parameters": {"parameters/factor": "1", "parameters/price": "1"}, "libraries": {"duckdb": "1.5.5"}, "shared": {"resources/lake.py": "1"}}


def changed(base: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    made = copy.deepcopy(base)
    place = made
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return made


def test_a_checkout_differs_from_itself_in_nothing(base: dict[str, Any]) -> None:
    found = plan_of(base, copy.deepcopy(base), {})
    assert found.is_empty
    assert found.computed == ()
    assert identity(base) == identity(copy.deepcopy(base))


def test_a_factor_changes_what_reads_it_and_moves_what_is_behind(base: dict[str, Any]) -> None:
    found = plan_of(base, changed(base, "parameters", "parameters/factor", to="2"), {})
    assert found.changed == {"greenit_gold.impact": ("parameters",)}
    assert found.computed == ("greenit_gold.impact", "greenit_platinum.kpi")
    assert found.causes() == ("parameters",)


def test_another_expression_is_code_and_other_words_for_the_same_one_move_nothing(base: dict[str, Any]) -> None:
    formula = table("silver", "clean", "greenit/bronze/raw", fingerprint="g", expression="other")
    comment = table("silver", "clean", "greenit/bronze/raw", fingerprint="g")
    assert plan_of(base, changed(base, "tables", "greenit_silver.clean", to=formula), {}).computed == ("greenit_gold.impact", "greenit_platinum.kpi", "greenit_silver.clean")
    found = plan_of(base, changed(base, "tables", "greenit_silver.clean", to=comment), {})
    assert found.changed == {"greenit_silver.clean": ("text",)}
    assert found.computed == ()


def test_a_rule_alone_moves_no_figure(base: dict[str, Any]) -> None:
    ruled = table("gold", "impact", "greenit/silver/clean", "parameters/factor", fingerprint="g", rules={"positive": {"severity": "error"}})
    found = plan_of(base, changed(base, "tables", "greenit_gold.impact", to=ruled), {"impact.odcs.yaml": ("a rule is new",)})
    assert found.changed == {"greenit_gold.impact": ("rules",)}
    assert found.computed == ()
    assert found.contracts == {"greenit_gold.impact": ("a rule is new",)}


def test_what_reads_files_is_code_though_the_expression_is_the_same(base: dict[str, Any]) -> None:
    reader = table("bronze", "raw", "landing/raw", fingerprint="g")
    found = plan_of(base, changed(base, "tables", "greenit_bronze.raw", to=reader), {})
    assert found.changed == {"greenit_bronze.raw": ("code",)}
    assert len(found.computed) == 4


def test_another_version_of_a_library_makes_everything_anew(base: dict[str, Any]) -> None:
    found = plan_of(base, changed(base, "libraries", "duckdb", to="1.5.6"), {})
    assert found.libraries == {"duckdb": ("1.5.5", "1.5.6")}
    assert len(found.computed) == 5
    assert found.causes() == ("libraries",)


def test_shared_code_that_no_table_names_makes_everything_anew(base: dict[str, Any]) -> None:
    found = plan_of(base, changed(base, "shared", "resources/lake.py", to="2"), {})
    assert found.changed == {}
    assert not found.is_empty
    assert len(found.computed) == 5
    assert found.causes() == ("code",)


def test_a_new_table_is_computed_and_a_removed_one_is_named(base: dict[str, Any]) -> None:
    candidate = changed(base, "tables", "greenit_platinum.extra", to=table("platinum", "extra", "greenit/gold/other"))
    del candidate["tables"]["greenit_platinum.kpi"]
    found = plan_of(base, candidate, {})
    assert found.changed == {"greenit_platinum.extra": ("new",)}
    assert found.computed == ("greenit_platinum.extra",)
    assert found.removed == ("greenit_platinum.kpi",)


def test_what_is_behind_a_table_is_found_through_others(base: dict[str, Any]) -> None:
    assert behind(base["tables"], ["greenit_bronze.raw"]) == {"greenit_bronze.raw", "greenit_silver.clean", "greenit_gold.impact", "greenit_platinum.kpi"}


@pytest.mark.parametrize(("old", "new", "lines"), [
    ("{property: unit, value: kWh}", "{property: unit, value: MWh}", ("breaking: energy_kwh.unit updated kWh → MWh", "the contract's version is the same")),
    ("physicalType: double", "physicalType: bigint", ("breaking: energy_kwh.physicalType updated double → bigint", "the contract's version is the same")),
    ("name: energy_kwh", "name: energy", ("breaking: energy_kwh removed", "energy added", "the contract's version is the same")),
    ("version: 1.0.0", "version: 2.0.0", ("version 1.0.0 → 2.0.0",)),
    ("name: energy_kwh", "name: energy_kwh", ()),
])
def test_a_contract_says_first_what_breaks_its_readers(tmp_path: Path, old: str, new: str, lines: tuple[str, ...]) -> None:
    text = CONTRACT.replace(old, new)
    for folder, content in (("base", CONTRACT), ("candidate", text)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.odcs.yaml").write_text(content)
    assert contract_changes(tmp_path / "base", tmp_path / "candidate", ["t.odcs.yaml", "absent.odcs.yaml"]) == ({"t.odcs.yaml": lines} if lines else {})


def test_this_checkout_can_be_described_and_says_what_its_tables_read() -> None:
    found = census("greenit")
    impact = found["tables"]["greenit_gold.impact"]
    assert "parameters/grid_factor" in impact["reads"]
    assert len(impact["expression"]) == 64
    assert found["libraries"]["duckdb"] == "1.5.5"
    assert {"resources/lake.py", "resources/warehouse.py", "resources/session.py"} <= set(shared_files())
    assert not {"resources/sinks.py", "resources/usage_price.py"} & set(shared_files())
    assert plan_of(found, found, {}).is_empty
