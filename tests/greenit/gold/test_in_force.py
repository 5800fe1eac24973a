"""Behaviour of greenit/gold/in_force: which figure applies on which day."""

from datetime import date

import ibis
import pytest

from platform_assets.greenit.gold.in_force import join_grid, with_figures

FIGURES = ibis.memtable(
    {
        "item": ["a", "a", "b"],
        "value": [1.0, 2.0, 9.0],
        "valid_from": [date(2020, 1, 1), date(2024, 1, 1), date(2020, 1, 1)],
        "valid_to": [date(2023, 12, 31), None, date(2020, 6, 30)],
    },
    schema={"item": "string", "value": "float64", "valid_from": "date", "valid_to": "date"},
)
GRID_COLUMNS = {
    "grid_id": "string",
    "country_code": "string",
    "factor_year": "int64",
    "criterion": "string",
    "value": "float64",
    "value_min": "float64",
    "value_max": "float64",
    "unit": "string",
    "boundary": "string",
    "dq_comp": "int64",
    "dq_geo": "int64",
}


def grid(*rows):
    made = [{"criterion": "GWP", "value": 1.0, "value_min": None, "value_max": None, "unit": "kgCO2e", "boundary": "lifecycle", "dq_comp": 1, "dq_geo": 2, **row} for row in rows]
    return ibis.memtable({name: [row[name] for row in made] for name in GRID_COLUMNS}, schema=GRID_COLUMNS)


FRANCE = grid(
    {"grid_id": "f20", "country_code": "FRA", "factor_year": 2020},
    {"grid_id": "f23", "country_code": "FRA", "factor_year": 2023},
    {"grid_id": "w22", "country_code": "WLD", "factor_year": 2022},
)


def chosen(country, day):
    asked = ibis.memtable({"country_code": [country], "month_start": [day]}, schema={"country_code": "string", "month_start": "date"})
    (row,) = join_grid(asked, FRANCE).to_pyarrow().to_pylist()
    return row["grid_id"], row["grid_years_off"]


@pytest.mark.parametrize(
    ("item", "day", "value"), [("a", date(2023, 12, 31), 1.0), ("a", date(2024, 1, 1), 2.0), ("a", date(2019, 12, 31), None), ("b", date(2020, 7, 1), None)]
)
def test_a_figure_applies_from_its_first_to_its_last_day(item, day, value):
    rows = ibis.memtable({"item": [item], "day": [day]})
    assert with_figures(rows, FIGURES, ("item",), "day", {"figure": "value"}).to_pyarrow().to_pylist() == [{"item": item, "day": day, "figure": value}]


@pytest.mark.parametrize(("year", "expected"), [(2020, ("f20", 0)), (2022, ("f20", 2)), (2023, ("f23", 0)), (2026, ("f23", 3)), (2015, ("f20", 5))])
def test_the_year_of_the_activity_or_the_nearest_earlier_else_the_first_later(year, expected):
    assert chosen("FRA", date(year, 5, 1)) == expected


@pytest.mark.parametrize("country", ["PRK", None])
def test_a_country_without_a_factor_takes_the_worlds(country):
    assert chosen(country, date(2022, 5, 1)) == ("w22", 0)


def test_several_countries_and_months_get_one_factor_each():
    asked = ibis.memtable({"country_code": ["FRA", "PRK", "FRA"], "month_start": [date(2020, 1, 1), date(2022, 1, 1), date(2023, 1, 1)]})
    assert sorted(join_grid(asked, FRANCE).to_pyarrow()["grid_id"].to_pylist()) == ["f20", "f23", "w22"]
