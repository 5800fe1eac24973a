"""What a parameter file may not say: each refusal names file, line and column."""
from __future__ import annotations

from pathlib import Path

import pytest

from partitions.errors import ParameterError
from platform_assets.parameters import check_all, limits_of, rules_of
from platform_assets.tables import reference_contracts
from resources.parameter_rules import COMPUTED_FROM_AGPL, SHARE_ALIKE
from tests.parameters.places import change, header_of, project, rows_of, settings_of, write

FIGURES = [made for made in reference_contracts() if made.layer == "parameters"]
COEFFICIENTS = {"language_model_coefficient", "server_coefficient", "web_coefficient"}  # exponents and offsets may be negative


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path / "project")


def refused(root: Path, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        check_all(settings_of(root))


@pytest.mark.parametrize(("table", "line", "cells", "words"), [
    ("device_factor", 3, {"value": -77}, r"\[file device_factor.csv, row 3, column value\] '-77' is below 0"),
    ("wue", 2, {"value": -0.98}, r"\[file wue.csv, row 2, column value\] '-0.98' is below 0"),
    ("grid_factor", 2, {"value": 545.4}, r"\[file grid_factor.csv, row 2, column value\]"),
    ("grid_factor_multicriteria", 2, {"value": "nan"}, r"\[file grid_factor_multicriteria.csv, row 2, column value\] 'nan' is no double"),
    ("grid_factor", 4, {"value_min": 0.9}, r"\[file grid_factor.csv, row 4, column value_min\] 0.9 leaves the value 0.55 outside"),
    ("device_lifetime", 2, {"value_max": 2}, r"\[file device_lifetime.csv, row 2, column value_max\] 2 leaves the value 2.5 outside"),
    ("exchange_rate", 3, {"valid_to": "2018-12-31"}, r"\[file exchange_rate.csv, row 3, column valid_to\] the row ends before it begins"),
    ("exchange_rate", 3, {"valid_to": ""}, r"\[file exchange_rate.csv, row 4, column valid_from\] two rows are in force on 2020-01-01 for the same currency; the other is row 3"),
    ("device_factor", 3, {"dq_rel": 6}, r"\[file device_factor.csv, row 3, column dq_rel\] '6' is above 5"),
    ("device_factor", 3, {"source_version": "  "}, r"\[file device_factor.csv, row 3, column source_version\] a required value is missing"),
    ("device_factor", 3, {"licence": "AGPL-3.0"}, r"\[file device_factor.csv, row 3, column licence\] 'AGPL-3.0' is none of Apache-2.0"),
    ("device_factor", 3, {"licence": COMPUTED_FROM_AGPL}, r"\[file device_factor.csv, row 3, column licence\]"),
    ("device_factor", 3, {"licence": "ODbL-1.0"}, r"\[file device_factor.csv, row 3, column licence\]"),
    ("grid_factor", 2, {"country_code": "QQQ"}, r"\[file grid_factor.csv, row 2, column country_code\] 'QQQ' is known by none of country"),
    ("device_energy", 2, {"item_key": "smartfone"}, r"\[file device_energy.csv, row 2, column item_key\] 'smartfone' is known by none of device_factor"),
    ("cloud_meter_embodied", 2, {"meter_key": "tape"}, r"\[file cloud_meter_embodied.csv, row 2, column meter_key\] 'tape' is known by none of cloud_meter_map"),
    ("cloud_region_power", 2, {"region_id": "mars-1"}, r"\[file cloud_region_power.csv, row 2, column provider, region_id\] 'aws', 'mars-1' is known by none"),
    ("exchange_rate", 2, {"currency": "USX"}, r"\[file exchange_rate.csv, row 2, column currency\] 'USX'"),
    ("cloud_instance", 2, {"provider": "awz"}, r"\[file cloud_instance.csv, row 2, column provider\] 'awz'"),
])
def test_a_figure_that_cannot_be_is_refused_by_file_row_and_column(table: str, line: int, cells: dict[str, object], words: str, root: Path) -> None:
    change(root, table, line, **cells)
    refused(root, words)


@pytest.mark.parametrize(("value", "is_faulty"), [("0.224", True), ("0.0021", False)])
def test_acidification_above_what_any_country_has_is_a_known_fault_of_a_source(value: str, is_faulty: bool, root: Path) -> None:
    path = root / "parameters" / "grid_factor_multicriteria.csv"
    rows = rows_of(path)
    rows.append({**rows[0], "grid_id": "hand-ap", "criterion": "AP", "value": value, "unit": "molH+eq"})
    write(path, header_of(path), rows)
    if is_faulty:
        refused(root, rf"file grid_factor_multicriteria.csv, row {len(rows) + 1}, column value\] 0.224 is above 0.05.*Base IMPACTS")
    else:
        assert check_all(settings_of(root)) == len(reference_contracts())


def test_two_rows_of_a_country_and_year_are_refused_whatever_they_are_called(root: Path) -> None:
    path = root / "parameters" / "grid_factor.csv"
    rows = rows_of(path)
    write(path, header_of(path), [*rows, {**rows[0], "grid_id": "another-name"}])
    refused(root, rf"file grid_factor.csv, row {len(rows) + 2}, column valid_from.*for the same country_code, factor_year, criterion; the other is row 2")


def test_a_file_that_is_no_csv_and_a_file_without_contract_are_refused(root: Path) -> None:
    (root / "parameters" / "pue.csv").write_bytes(b"pue_id\xff\n")
    refused(root, r"\[file pue.csv\] the file is no CSV in UTF-8")
    (root / "parameters" / "pue.csv").rename(root / "parameters" / "pues.csv")
    refused(root, r"\[file pues.csv\] the file has no contract")


@pytest.mark.parametrize("made", FIGURES, ids=lambda made: made.table)
def test_every_figure_file_says_what_a_row_competes_for_and_bounds_its_figures(made) -> None:
    names = {column.name for column in made.columns}
    assert set(rules_of(made).identifies) <= names - {"valid_from", "valid_to"}
    assert rules_of(made).identifies
    for name in names & {"value", "dq_rel", "dq_comp", "dq_geo", "dq_tech"} if made.table not in COEFFICIENTS else ():
        assert limits_of(made)[name]["minimum"] >= 0, name
    assert all({*reference["columns"]} <= names for reference in rules_of(made).references)
    assert all(reference["files"] for reference in rules_of(made).references)


def test_share_alike_licences_stand_only_in_files_that_declare_them() -> None:
    declared = {made.table: set(made.custom.get("share_alike", ())) for made in FIGURES}
    assert {name: licences for name, licences in declared.items() if licences} == {
        "grid_factor_multicriteria": {"MPL-2.0"}, "language_model": {"MPL-2.0"}, "language_model_coefficient": {"MPL-2.0"}, "grid_factor_zone": {"ODbL-1.0"}}
    for made in FIGURES:
        said = {row["licence"] for row in rows_of(made.path.with_name(f"{made.table}.csv"))}
        assert said & set(SHARE_ALIKE) <= declared[made.table], made.table
        assert not declared[made.table] or said <= declared[made.table], made.table  # and nothing of another licence in them
