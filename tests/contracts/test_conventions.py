"""Conventions that no tool of others checks: names, layers, descriptions, and what every parameter file must say."""
from __future__ import annotations

import ast
import csv
import shutil
import tomllib
from pathlib import Path

import ibis.expr.types as ir
import pytest

from partitions.errors import ContractError, ParameterError
from platform_assets import greenit
from platform_assets.composition import tables_of
from platform_assets.contracts import Contract, contract
from platform_assets.parameters import check_all, limits_of, rules_of
from platform_assets.tables import LAYERS, REFERENCES, reference_contracts, table
from resources.parameter_files import read_reference
from resources.settings import PROJECT

TABLES = {f"{made.layer}/{made.table}": (asset, made) for asset, made in tables_of(greenit)}
DOMAIN = PROJECT / "platform_assets" / "greenit"
PARAMETERS = [made for made in reference_contracts() if made.layer == "parameters"]
FIGURES = ("value", "priority")  # a row with one of these columns is a figure or a choice among figures
CLASSIFICATIONS = {"public", "internal", "confidential"}


@pytest.mark.parametrize("name", TABLES)
def test_path_key_function_and_table_have_one_name(name: str) -> None:
    asset, made = TABLES[name]
    layer, table_name = name.split("/")
    module = DOMAIN / layer / f"{table_name}.py"
    assert module.exists()
    assert made.path == DOMAIN / layer / f"{table_name}.odcs.yaml"
    assert asset.key.path == ["greenit", layer, table_name]
    assert asset.op.compute_fn.decorated_fn.__name__ == table_name
    assert table_name in {node.name for node in ast.parse(module.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}
    assert (made.odcs.name, made.schema.name, made.odcs.id) == (table_name, table_name, f"greenit.{layer}.{table_name}")
    assert made.spec.qualified == f"greenit_{layer}.{table_name}"
    assert asset.group_names_by_key[asset.key] == layer


def test_every_contract_belongs_to_a_table() -> None:
    files = {f"{path.parent.name}/{path.name.removesuffix('.odcs.yaml')}" for path in DOMAIN.rglob("*.odcs.yaml")}
    assert files == set(TABLES)
    assert {name.split("/")[0] for name in TABLES} == set(LAYERS)


def test_names_of_tables_and_references_are_used_once() -> None:
    """An argument finds its asset by name alone, so a parameter called like a table would hide it."""
    names = [made.table for _, made in TABLES.values()] + [made.table for made in reference_contracts()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_has_description_owner_steward_accounting_and_key(name: str) -> None:
    _, made = TABLES[name]
    assert made.odcs.description.purpose.endswith(".")
    assert made.odcs.team.name
    assert made.member("owner")
    assert made.member("steward")
    assert made.custom["accounting"] in ("one_to_one", "explode", "group", "none")
    assert made.custom["layer"] == made.layer
    assert set(made.key) <= {c.name for c in made.columns}
    assert made.key


@pytest.mark.parametrize("made", [made for _, made in TABLES.values()] + reference_contracts(), ids=lambda made: f"{made.layer}/{made.table}")
def test_every_column_is_described_and_classified(made: Contract) -> None:
    assert [p.name for p in made.properties if not p.description] == []
    assert [p.name for p in made.properties if p.classification not in CLASSIFICATIONS] == []


def test_flags_and_moments_are_named_by_their_type() -> None:
    for name, (_, made) in TABLES.items():
        if made.layer != "bronze":
            assert [c.name for c in made.columns if (c.type == "boolean") != c.name.startswith(("is_", "has_"))] == [], name
            assert [c.name for c in made.columns if (c.type == "timestamp") != c.name.endswith("_at")] == [], name


def folder(tmp_path: Path, layer: str) -> Path:
    """A domain of its own, with the contract of a silver table that may be anywhere."""
    made = tmp_path / layer / "site.odcs.yaml"
    made.parent.mkdir(parents=True)
    shutil.copy(DOMAIN / "silver" / "site.odcs.yaml", made)
    shutil.copy(DOMAIN / "silver" / "equipment.odcs.yaml", made.with_name("equipment.odcs.yaml"))
    return made.with_name("site.py")


def test_silver_that_asks_for_a_parameter_is_refused(tmp_path: Path) -> None:
    def site(equipment: ir.Table, item_map: ir.Table) -> ir.Table: ...

    with pytest.raises(ContractError, match="table site, column item_map.*silver knows no business rule"):
        table(str(folder(tmp_path, "silver")))(site)


def test_silver_may_ask_for_a_vocabulary_and_its_own_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    def site(equipment: ir.Table, country: ir.Table) -> ir.Table: ...

    made = table(str(DOMAIN / "silver" / "site.py"))(site)
    assert {key.to_user_string() for key in made.keys_by_input_name.values()} == {"greenit/silver/equipment", "vocabularies/country"}


def test_a_function_with_another_name_or_an_unknown_input_is_refused(tmp_path: Path) -> None:
    def sites(equipment: ir.Table) -> ir.Table: ...

    def site(no_such_table: ir.Table) -> ir.Table: ...

    file = str(folder(tmp_path, "silver"))
    with pytest.raises(ContractError, match="function is called sites"):
        table(file)(sites)
    with pytest.raises(ContractError, match="no table, vocabulary or parameter is called no_such_table"):
        table(file)(site)


def test_platinum_cannot_read_the_lake(tmp_path: Path) -> None:
    def site(equipment: ir.Table) -> ir.Table: ...

    file = folder(tmp_path, "platinum")
    (tmp_path / "silver").mkdir()
    file.with_name("equipment.odcs.yaml").rename(tmp_path / "silver" / "equipment.odcs.yaml")
    with pytest.raises(ContractError, match="platinum computes in PostgreSQL and cannot read silver"):
        table(str(file))(site)


def test_no_table_of_silver_or_bronze_reads_a_parameter() -> None:
    for name, (asset, made) in TABLES.items():
        if made.layer in ("bronze", "silver"):
            assert [key for key in asset.keys_by_input_name.values() if key.path[0] == "parameters"] == [], name


def test_the_import_order_of_the_layers_is_import_linters() -> None:
    """`make lint` runs it; here only that its configuration names what the architecture says."""
    config = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    orders = [rule["layers"] for rule in config["contracts"] if rule["type"] == "layers"]
    assert ["cli", "platform_assets", "resources", "partitions"] in orders
    assert [f"platform_assets.greenit.{layer}" for layer in reversed(LAYERS)] in orders
    assert set(config["root_packages"]) == {"cli", "platform_assets", "resources", "partitions"}
    assert any("great_expectations" in rule.get("forbidden_modules", []) for rule in config["contracts"])


# parameters and vocabularies


def rows_of(made: Contract) -> list[dict[str, str]]:
    with made.path.with_name(f"{made.table}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_copy(made: Contract, rows: list[dict[str, str]], folder: Path) -> None:
    """Read changed rows as a run reads the file itself."""
    copy = folder / f"{made.table}.csv"
    with copy.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    read_reference(copy, made.spec, limits_of(made), rules_of(made))


def test_every_reference_file_keeps_its_contract() -> None:
    files = [path for kind in REFERENCES for path in (PROJECT / kind).glob("*.csv")]
    assert check_all() == len(files) == len(reference_contracts()) > 15


@pytest.mark.parametrize("made", PARAMETERS, ids=lambda made: made.table)
def test_every_figure_has_source_licence_validity_and_a_unit(made: Contract) -> None:
    names = {c.name: c for c in made.columns}
    assert {"source", "source_version", "licence", "valid_from", "valid_to"} <= set(names)
    assert all(names[name].required for name in ("source", "licence", "valid_from"))
    for line, row in enumerate(rows_of(made), start=2):
        assert all(row[name].strip() for name in ("source", "licence", "valid_from")), (made.table, line)
        assert "value" not in row or (row["value"].strip() and row["unit"].strip()), (made.table, line)


@pytest.mark.parametrize("made", [made for made in PARAMETERS if "unit" in {c.name for c in made.columns}], ids=lambda made: made.table)
def test_an_unknown_unit_is_refused_by_file_row_and_column(made: Contract, tmp_path: Path) -> None:
    rows = rows_of(made)
    if not rows:
        pytest.skip("shipped with a header only: nothing to spoil")
    read_copy(made, rows, tmp_path)
    rows[-1]["unit"] = "furlongs"
    with pytest.raises(ParameterError, match=rf"file {made.table}.csv, row {len(rows) + 1}, column unit\] 'furlongs' is none of"):
        read_copy(made, rows, tmp_path)


@pytest.mark.parametrize(("name", "column", "text", "words"), [
    ("grid_factor", "value", "-0.1", "is below 0"), ("grid_factor", "value", "201", "is above 200"), ("grid_factor", "value", "12,5", "is no double"),
    ("grid_factor", "country_code", "fra", "does not match"), ("grid_factor", "valid_from", "01/02/2024", "is no date"),
    ("grid_factor", "licence", "AGPL-3.0", "is none of"), ("grid_factor", "source", "", "a required value is missing"),
    ("scope_rule", "scope", "4", "is none of 1, 2, 3"), ("status_rule", "has_use", "yes", "is no boolean"), ("device_lifetime", "value", "0.4", "is below 0.5"),
])
def test_a_bad_cell_of_a_parameter_file_is_refused_by_file_row_and_column(name: str, column: str, text: str, words: str, tmp_path: Path) -> None:
    made = next(made for made in PARAMETERS if made.table == name)
    rows = rows_of(made)
    rows[2][column] = text
    with pytest.raises(ParameterError, match=rf"file {name}.csv, row 4, column {column}\].*{words}"):
        read_copy(made, rows, tmp_path)


def test_a_key_that_stands_twice_and_a_changed_header_are_refused(tmp_path: Path) -> None:
    made = next(made for made in PARAMETERS if made.table == "usage_rate")
    rows = rows_of(made)
    with pytest.raises(ParameterError, match="row 5, column ownership.*the key of line 2 stands again"):
        read_copy(made, [*rows[:3], rows[0]], tmp_path)
    with pytest.raises(ParameterError, match="row 1.*header and contract differ: einheit, unit"):
        read_copy(made, [{("einheit" if name == "unit" else name): text for name, text in row.items()} for row in rows], tmp_path)


def test_contracts_are_read_from_their_module_or_their_own_path() -> None:
    assert contract(DOMAIN / "silver" / "site.py").table == contract(DOMAIN / "silver" / "site.odcs.yaml").table == "site"
    with pytest.raises(ContractError, match="the contract is missing"):
        contract(DOMAIN / "silver" / "nothing.py")
