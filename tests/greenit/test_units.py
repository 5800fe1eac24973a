"""Units of figures: every one converts to base units, and a wrong label is refused."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partitions.errors import ParameterError
from platform_assets.parameters import check_units
from platform_assets.units import SCALES, converted, unit

PARAMETERS = Path(__file__).parents[2] / "parameters"
SPOKEN = sorted(
    {(row["unit"], row.get("per")) for path in PARAMETERS.glob("*.csv") for row in csv.DictReader(path.open(encoding="utf-8")) if row.get("unit")},
    key=str,
)


def test_the_parameters_speak_of_units():
    assert len(SPOKEN) > 15


@pytest.mark.parametrize(("name", "per"), SPOKEN)
def test_every_unit_of_a_figure_converts_to_base_units(name, per):
    assert unit(name, per=per).scale > 0


def test_an_hour_of_a_kilowatt_is_a_kilowatt_hour_and_3_6_megajoules():
    assert unit("kW-h") == unit("kWh")
    assert converted(1, "kWh", "MJ") == pytest.approx(3.6)  # the factor that a label cost a peer


def test_a_power_per_area_keeps_its_exponents():
    assert unit("GB/cm2").scale == pytest.approx(1e9 / 1e-4)
    assert dict(unit("GB/cm2").powers) == {"B": 1, "m": -2}
    assert unit("L").powers == (("m3", 1),)


def test_kilograms_of_co2e_are_no_kilograms_of_antimony():
    with pytest.raises(ParameterError, match="do not measure the same thing"):
        converted(1, "kgCO2e", "kgSbeq")


@given(value=st.floats(min_value=1e-9, max_value=1e9), name=st.sampled_from(sorted(SCALES)), other=st.sampled_from(sorted(SCALES)))
def test_a_figure_converted_there_and_back_is_itself(value, name, other):
    if unit(name).powers == unit(other).powers:
        assert converted(converted(value, name, other), other, name) == pytest.approx(value, rel=1e-12)


def test_a_figure_with_an_unknown_unit_is_refused_with_file_and_line(tmp_path):
    from platform_assets.contracts import contract
    from platform_assets.parameters import read_file

    made = contract(PARAMETERS / "pue.odcs.yaml")
    rows = read_file(made)
    wrong = rows.set_column(rows.column_names.index("unit"), "unit", [["ratio"] * 3 + ["kWhh"] + ["ratio"] * (rows.num_rows - 4)])
    check_units(made, rows)
    with pytest.raises(ParameterError, match=r"pue\.csv.*row 5.*kWhh"):
        check_units(made, wrong)
