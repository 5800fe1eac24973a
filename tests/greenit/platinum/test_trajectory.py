"""Behaviour of greenit/platinum/trajectory."""

from datetime import date
from decimal import Decimal

import pytest

MONTHS = [date(year, month, 1) for year in (2023, 2024) for month in range(1, 13)]


def cell(period, value, scope="2", method="location", **changes):
    return {"period": period, "scope": scope, "category": scope, "domain": "equipment", "phase": "use", "criterion": "GWP", "method": method, "view": "amortised",
            "unit": "kgCO2e", "value": Decimal(value), **changes}  # fmt: skip


@pytest.fixture
def years(platinum):
    """`years(cells)`: (scopes, year, method) -> row; targets are the repository's: 4.2 % of scopes 1 and 2, 2.5 % of scope 3, base the first year."""
    return lambda cells: {(row["scopes"], row["year"], row["method"]): row for row in platinum("trajectory", kpi_monthly=cells)}


def test_a_year_is_compared_with_the_first_one_less_its_share(years):
    row = years([cell(month, 100 if month.year == 2023 else 98) for month in MONTHS])["1+2", 2024, "location"]
    # base 12 × 100; 1,200 × (1 - 0.042) = 1,149.6; actual 12 × 98 = 1,176
    assert (row["base_year"], row["base_kgco2e"], row["target_kgco2e"]) == (2023, 1200.0, pytest.approx(1149.6))
    assert (row["actual_kgco2e"], row["gap_kgco2e"], row["months"], row["base_months"]) == (1176.0, pytest.approx(26.4), 12, 12)


def test_the_base_year_is_on_its_own_path(years):
    row = years([cell(month, 100) for month in MONTHS])["1+2", 2023, "location"]
    assert (row["target_kgco2e"], row["gap_kgco2e"]) == (1200.0, 0.0)


def test_a_year_under_way_is_compared_by_its_mean_month(years):
    row = years([cell(month, 100) for month in MONTHS[:15]])["1+2", 2024, "location"]
    assert (row["actual_kgco2e"], row["months"]) == (1200.0, 3)  # 300 × 12 / 3, and no reduction by three quarters


def test_a_scope_that_began_in_june_is_not_scaled_up(years):
    cells = [cell(month, 100) for month in MONTHS] + [cell(month, 60, scope="3", method="none") for month in MONTHS[5:12]]
    row = years(cells)["3", 2023, "location"]
    assert (row["actual_kgco2e"], row["months"]) == (420.0, 12)  # 7 × 60: the other months are known, and had none


def test_scopes_methods_and_views_have_paths_of_their_own(years, platinum):
    cells = [cell(month, value, scope, method) for month in MONTHS for value, scope, method in ((10, "2", "location"), (4, "2", "market"), (7, "3", "none"))]
    found = years(cells)
    assert {key: row["actual_kgco2e"] for key, row in found.items() if key[1] == 2024} == {
        ("1+2", 2024, "location"): 120.0, ("1+2", 2024, "market"): 48.0, ("3", 2024, "location"): 84.0, ("3", 2024, "market"): 84.0
    }
    assert found["3", 2024, "market"]["target_kgco2e"] == pytest.approx(84 * 0.975)
    two = [cell(month, value, view=view) for month in MONTHS for value, view in ((10, "amortised"), (30, "purchase_year"))]
    assert {(row["view"], row["base_kgco2e"]) for row in platinum("trajectory", kpi_monthly=two)} == {("amortised", 120.0), ("purchase_year", 360.0)}


def test_a_year_without_a_base_has_no_path(platinum, table_of, rows, reference):
    import ibis
    import pyarrow as pa

    from platform_assets.greenit.platinum.trajectory import trajectory

    (first, *_rest) = reference("target").to_pyarrow().to_pylist()
    fixed = ibis.memtable(pa.Table.from_pylist([{**first, "base_year": 2024}], schema=reference("target").to_pyarrow().schema))
    known = table_of("platinum", "kpi_monthly", *(cell(month, 100) for month in MONTHS))
    assert {(row["year"], row["base_year"]) for row in rows(trajectory(known, fixed))} == {(2024, 2024)}  # 2023 is before the base
    assert rows(trajectory(table_of("platinum", "kpi_monthly", cell(MONTHS[0], 100)), fixed)) == []


def test_other_criteria_have_no_target(years):
    assert years([cell(MONTHS[0], 5, criterion="PE")]) == {}
