"""Behaviour of greenit/platinum/kpi_monthly."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import ibis
import pytest

from platform_assets.contracts import contract
from platform_assets.greenit.gold.coverage import coverage
from platform_assets.greenit.platinum import kpi_monthly as kpi_monthly_module
from platform_assets.greenit.platinum.kpi_monthly import SOURCES, kpi_monthly
from resources.accounting import SHARE_COLUMNS
from resources.expressions import unbound

JANUARY = date(2024, 1, 1)
USE = {
    "activity_id": "a",
    "month_start": JANUARY,
    "phase": "use",
    "criterion": "GWP",
    "accounting_view": "amortised",
    "source": "equipment",
    "domain": "equipment",
    "scope": "2",
    "category": "2",
    "ghg_method": "location",
    "value": Decimal(10),
    "value_min": Decimal(8),
    "value_max": Decimal(12),
    "unit": "kgCO2e",
    "dq_score": 2.0,
    "dq_weighted": Decimal(20),
}
SHARES = [("equipment_inventory", 200, 3, 1.5), ("cloud_billing", 0, 0, None)]
DEVICE = {"activity_id": "a", "month_start": JANUARY, "source": "equipment", "domain": "equipment", "quantity": Decimal(3), "lines": 1}


@pytest.fixture
def cells(table_of, rows, shares_of):
    def compute(impacts, activities, shares=SHARES):
        impact, activity = table_of("gold", "impact", *impacts), table_of("gold", "activity", *activities)
        return rows(kpi_monthly(impact, activity, coverage(activity, impact), shares_of(*shares)), "category", "criterion", "method", "view")

    return compute


def test_a_cell_is_the_sum_of_its_impacts_with_its_interval(cells):
    (cell,) = cells([USE, {**USE, "activity_id": "b", "value": Decimal("0.000000000000000001")}], [DEVICE, {**DEVICE, "activity_id": "b"}])
    assert (cell["value"], cell["value_min"], cell["value_max"]) == (Decimal("10.000000000000000001"), Decimal(16), Decimal(24))
    assert (cell["period"], cell["method"], cell["view"], cell["unit"]) == (JANUARY, "location", "amortised", "kgCO2e")


def test_data_quality_is_weighted_by_impact(cells):
    # (10 × 2 + 30 × 4) / 40
    (cell,) = cells([USE, {**USE, "activity_id": "b", "value": Decimal(30), "dq_weighted": Decimal(120)}], [DEVICE, {**DEVICE, "activity_id": "b"}])
    assert cell["dq_score"] == pytest.approx(3.5)


def test_a_reversal_weighs_in_quality_by_its_size(cells):
    # (10 × 2 + 10 × 4) / 20
    (cell,) = cells([USE, {**USE, "activity_id": "b", "value": Decimal(-10), "dq_weighted": Decimal(40)}], [DEVICE, {**DEVICE, "activity_id": "b"}])
    assert (cell["value"], cell["dq_score"], cell["value_abs"]) == (Decimal(0), pytest.approx(3.0), Decimal(20))


def test_a_cell_without_impact_has_no_quality(cells):
    (cell,) = cells([{**USE, "value": Decimal(0), "dq_weighted": Decimal(0)}], [DEVICE])
    assert cell["dq_score"] is None


def test_each_phase_is_a_cell_with_the_silver_rows_behind_it(cells):
    made = cells([{**USE, "phase": "manufacturing"}, {**USE, "phase": "distribution"}], [{**DEVICE, "lines": 7}])
    assert sorted((cell["phase"], cell["source_rows"]) for cell in made) == [("distribution", 7), ("manufacturing", 7)]


def test_coverage_of_equipment_is_by_units(cells):
    (cell,) = cells([USE], [DEVICE, {**DEVICE, "activity_id": "unmapped", "quantity": Decimal(9)}])
    assert cell["coverage_pct"] == pytest.approx(25)  # 3 of 12 units


def test_coverage_of_cloud_is_by_the_cost_of_usage(cells):
    line = {**DEVICE, "source": "cloud", "domain": "cloud", "quantity": Decimal(1), "charge_category": "Usage"}
    bill = [{**line, "cost": Decimal(6)}, {**line, "activity_id": "b", "cost": Decimal(2)}, {**line, "activity_id": "c", "charge_category": "Credit", "cost": Decimal(-2)}]
    (cell,) = cells([{**USE, "source": "cloud", "domain": "cloud", "category": "3.1"}], bill)
    assert cell["coverage_pct"] == pytest.approx(75)  # 6 of 6 + 2


def test_coverage_is_of_the_criterion(cells):
    made = cells([USE, {**USE, "activity_id": "b"}, {**USE, "criterion": "PE", "unit": "MJ"}], [DEVICE, {**DEVICE, "activity_id": "b"}])
    assert {cell["criterion"]: cell["coverage_pct"] for cell in made} == {"GWP": 100.0, "PE": 50.0}


def test_a_month_covers_only_its_own_activity(cells):
    february = {"month_start": date(2024, 2, 1)}
    made = cells(
        [USE, {**USE, **february}], [DEVICE, {**DEVICE, **february, "quantity": Decimal(3)}, {**DEVICE, **february, "activity_id": "c", "quantity": Decimal(1)}]
    )
    assert {cell["period"].month: cell["coverage_pct"] for cell in made} == {1: 100.0, 2: 75.0}


def test_a_cell_tells_the_quarantined_share_of_what_is_delivered_for_its_domain(cells):
    cloud = {**USE, "activity_id": "c", "source": "cloud", "domain": "cloud", "category": "3.1"}
    hosted = {**USE, "activity_id": "d", "domain": "datacentre", "category": "3.8"}
    activities = [DEVICE, {**DEVICE, "activity_id": "c", "source": "cloud", "domain": "cloud"}, {**DEVICE, "activity_id": "d", "domain": "datacentre"}]
    made = cells([USE, cloud, hosted], activities)
    assert {cell["domain"]: cell["quarantined_pct"] for cell in made} == {"equipment": 1.5, "datacentre": 1.5, "cloud": None}
    assert {cell["quarantined_pct"] for cell in cells([USE, cloud, hosted], activities, [])} == {None}


def test_every_domain_has_a_source():
    rules = contract(kpi_monthly_module.__file__).rules
    assert set(next(rule for rule in rules if rule.name == "domain__be_in_set").kwargs["value_set"]) == set(SOURCES)
    assert set(SOURCES.values()) <= {path.name.removesuffix(".odcs.yaml") for path in Path(kpi_monthly_module.__file__).parents[1].glob("bronze/*.odcs.yaml")}


def test_it_compiles_for_postgresql(table_of):
    sql = ibis.to_sql(
        kpi_monthly(ibis.table(table_of("gold", "impact").schema(), "impact"), ibis.table(table_of("gold", "activity").schema(), "activity"),
                    ibis.table(table_of("gold", "coverage").schema(), "coverage"), unbound("quarantined_share", SHARE_COLUMNS)),
        dialect="postgres",
    )
    assert "DOUBLE PRECISION" in sql
