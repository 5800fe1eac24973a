"""Behaviour of greenit/platinum/metric_monthly, and the list of metrics that it computes."""

from datetime import date
from decimal import Decimal

import pytest

from platform_assets.contracts import contract
from platform_assets.greenit import metrics
from platform_assets.greenit.metrics import CATEGORIES, DOMAINS, METRICS, metric
from tests.greenit.conftest import DOMAIN

JUNE = date(2024, 6, 1)
TABLES = {path.name.removesuffix(".odcs.yaml"): contract(path) for layer in ("gold", "platinum") for path in (DOMAIN / layer).glob("*.odcs.yaml")}
CELL = {"period": JUNE, "scope": "3", "category": "3.1", "domain": "cloud", "phase": "use", "criterion": "GWP", "method": "none", "view": "amortised", "unit": "kgCO2e",
        "value": Decimal(3000), "value_abs": Decimal(3000), "dq_weighted": Decimal(6000)}  # fmt: skip
BOUGHT = {**CELL, "scope": "2", "category": "2", "domain": "equipment", "method": "location", "value": Decimal(1000), "value_abs": Decimal(1000), "dq_weighted": Decimal(4000)}
MARKET = {**BOUGHT, "method": "market", "value": Decimal(200)}
MADE = {**CELL, "category": "3.2", "domain": "equipment", "phase": "manufacturing", "value": Decimal(500), "value_abs": Decimal(500), "dq_weighted": Decimal(2500)}
YEAR = {**MADE, "view": "purchase_year", "value": Decimal(9000)}


@pytest.fixture
def kpis(platinum):
    return lambda **said: {row["metric_id"]: pytest.approx(row["value"]) for row in platinum("metric_monthly", **said)}


def test_ids_are_unique_and_every_metric_sums_columns_that_exist():
    assert len({one.id for one in METRICS}) == len(METRICS)
    for one in METRICS:
        for part in (one.of, *([one.over] if one.over else [])):
            columns = {column.name for column in TABLES[part.table].columns}
            said = {"month_start" if name == "period" and "period" not in columns else name for name in (part.column, *part.where)}
            assert said <= columns, one.id
            for name, wanted in part.where.items():
                allowed = [rule.kwargs["value_set"] for rule in TABLES[part.table].rules if rule.name == f"{name}__be_in_set"]
                values = wanted if isinstance(wanted, list) else [wanted]
                assert not allowed or set(values) <= set(allowed[0]), (one.id, name)


def test_every_category_and_domain_that_an_impact_can_have_is_a_metric(reference):
    rules = reference("scope_rule").select("domain", "category").distinct().to_pyarrow().to_pylist()
    assert {row["category"] for row in rules} - {"2"} == set(CATEGORIES)
    assert {row["domain"] for row in rules} == set(DOMAINS)


@pytest.mark.parametrize("absent", ["SCI", "stressed areas", "renewable", "oversized", "euro per tonne", "intensity.py", "trend.py", "trajectory.py", "top_contributors.py"])
def test_what_is_no_metric_is_said_with_its_reason(absent):
    assert absent in metrics.__doc__


def test_totals_take_one_method_of_electricity_and_one_view(kpis):
    made = kpis(kpi_monthly=[CELL, BOUGHT, MARKET, MADE, YEAR])
    # tonnes: 3,000 + 1,000 + 500 kg; with the market's 200; in the other view devices only are 9,000
    wanted = {"total_location": 4.5, "total_market": 3.7, "total_purchase_year": 9.0, "scope2_location": 1.0, "scope2_market": 0.2, "scope3": 3.5, "scope3_1": 3.0, "scope3_2": 0.5,
              "cloud_total": 3.0, "equipment_total": 1.5, "embodied": 0.5, "use": 4.0}  # fmt: skip
    assert {name: made[name] for name in wanted} == wanted
    assert made["dq_score"] == (6000 + 4000 + 2500) / 4500  # weighted by size, location-based
    assert not {"saas_total", "primary_energy"} & set(made)  # nothing to add up


def test_ratios_are_to_the_denominator_of_the_whole_customer(kpis):
    below = [{"month_start": JUNE, "kind": kind, "member": member, "value": Decimal(value)} for kind, member, value in
             (("fte", "(all)", 50), ("fte", "IT", 20), ("revenue_meur", "(all)", 4), ("it_spend_eur", "(all)", 9000))]  # fmt: skip
    made = kpis(kpi_monthly=[CELL, BOUGHT, MADE], denominator=below)
    assert (made["per_fte"], made["per_meur_revenue"], made["per_eur_it_spend"]) == (90.0, 1125.0, 500.0)  # 4,500 kg / 50; / 4; × 1000 g / 9,000
    assert "per_fte" not in kpis(kpi_monthly=[CELL], denominator=[{**below[0], "value": Decimal(0)}])


def covered(cost, part):
    return {"month_start": JUNE, "domain": "cloud", "criterion": "GWP", "activities": 8, "activities_covered": 6, "cost": Decimal(cost), "cost_covered": Decimal(part)}


def test_coverage_is_of_rows_and_of_the_cost_of_usage(kpis):
    made = kpis(coverage=[covered(200, 150), {**covered(999, 0), "criterion": "PE"}])
    assert (made["coverage_rows"], made["coverage_cost"]) == (75.0, 75.0)
    assert "coverage_cost" not in kpis(coverage=[covered(0, 0)])


def test_the_fleets_shares_are_of_its_units(kpis):
    line = {"period": JUNE, "domain": "equipment", "item": "laptop", "units": 8.0, "dated_units": 4.0, "unit_years": 10.0, "past_lifetime_units": 2.0, "bought_units": 1.0,
            "retired_units": 0.0, "refurbished_units": 4.0, "metered_units": 0.0}  # fmt: skip
    made = kpis(fleet=[line, {**line, "item": "monitor", "units": 2.0, "dated_units": 0.0, "unit_years": 0.0, "past_lifetime_units": 0.0, "bought_units": 0.0, "refurbished_units": 0.0}])
    assert [made[name] for name in ("fleet_units", "fleet_age", "past_lifetime", "renewal_rate", "refurbished_share")] == [10.0, 2.5, 20.0, 10.0, 40.0]


def test_idle_is_a_share_of_datacentres_and_hosts_elsewhere_are_in_neither_part(kpis):
    part = {"period": JUNE, "dimension": "application", "domain": "datacentre", "criterion": "GWP", "method": "none", "view": "amortised", "unit": "kgCO2e"}
    rows = [{**part, "member": "(unallocated)", "value": Decimal(30)}, {**part, "member": "crm prod", "value": Decimal(50)}, {**part, "member": "(none)", "value": Decimal(20)},
            {**part, "member": "(unallocated)", "domain": "equipment", "value": Decimal(500)}]  # fmt: skip
    assert kpis(kpi_dimension=rows)["idle_share"] == 30.0


def test_what_impacts_rest_on_are_shares_of_their_size(kpis):
    row = {"period": JUNE, "domain": "cloud", "criterion": "GWP", "method": "none", "view": "amortised", "size": 40.0, "metered_value": 10.0, "estimated_value": 20.0, "spend_value": 6.0, "supplier_value": 4.0}
    made = kpis(data_quality=[row, {**row, "method": "market", "size": 1000.0}])
    assert [made[f"{name}_share"] for name in ("metered", "estimated", "spend", "supplier")] == [25.0, 50.0, 15.0, 10.0]


def test_a_metric_is_found_by_its_id():
    assert (metric("per_fte").unit, metric("total_location").is_traceable, metric("fleet_units").is_traceable) == ("kgCO2e/FTE", True, False)
    with pytest.raises(KeyError):
        metric("unheard_of")
