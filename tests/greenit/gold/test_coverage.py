"""Behaviour of greenit/gold/coverage."""

from datetime import date
from decimal import Decimal

import pytest

from platform_assets.greenit.gold.coverage import coverage

JUNE = date(2024, 6, 1)


@pytest.fixture
def covered(table_of, rows):
    """`covered([activities], [ids that have an impact])`: (domain, criterion) -> row; impacts are of GWP."""

    def compute(activities, reached):
        said = [{"month_start": JUNE, "lines": 1, "quantity": Decimal(1), **row} for row in activities]
        impacts = [{"activity_id": name, "month_start": JUNE, "criterion": "GWP", "accounting_view": view} for name in reached for view in ("amortised", "purchase_year")]
        made = rows(coverage(table_of("gold", "activity", *said), table_of("gold", "impact", *impacts)))
        return {(row["domain"], row["criterion"]): row for row in made}

    return compute


def test_an_activity_counts_once_however_many_impacts_it_has(covered):
    found = covered([{"activity_id": "a", "domain": "web", "lines": 7}, {"activity_id": "b", "domain": "web"}], ["a"])
    row = found["web", "GWP"]
    assert (row["activities"], row["activities_covered"], row["lines"], row["lines_covered"], row["coverage_pct"]) == (2, 1, 8, 7, 50.0)


def test_a_criterion_that_nothing_has_is_covered_by_zero(covered):
    found = covered([{"activity_id": "a", "domain": "ai"}], ["a"])
    assert {criterion: found["ai", criterion]["coverage_pct"] for criterion in ("GWP", "PE", "ADPe", "WU")} == {"GWP": 100.0, "PE": 0.0, "ADPe": 0.0, "WU": 0.0}


def test_equipment_is_covered_by_units(covered):
    lines = [{"activity_id": "a", "domain": "equipment", "quantity": Decimal(3)}, {"activity_id": "b", "domain": "equipment", "quantity": Decimal(9)}]
    assert covered(lines, ["a"])["equipment", "GWP"]["coverage_pct"] == 25.0


def test_cloud_and_software_are_covered_by_cost_in_dollars(covered):
    bills = [{"activity_id": "a", "domain": "saas", "cost": Decimal(100), "cost_usd": Decimal(300)}, {"activity_id": "b", "domain": "saas", "cost": Decimal(100), "cost_usd": Decimal(100)}]
    row = covered(bills, ["a"])["saas", "GWP"]
    assert (row["coverage_pct"], row["cost"], row["cost_covered"]) == (75.0, 400, 300)


def test_what_is_no_usage_is_in_no_share_and_a_reversal_weighs_what_it_takes_back(covered):
    usage = {"domain": "cloud", "charge_category": "Usage"}
    bills = [{**usage, "activity_id": "a", "cost_usd": Decimal(10)}, {**usage, "activity_id": "b", "cost_usd": Decimal(6)},
             {**usage, "activity_id": "reversed", "cost_usd": Decimal(-4)}]  # fmt: skip
    bills += [{"activity_id": kind, "domain": "cloud", "charge_category": kind, "cost_usd": Decimal(cost)} for kind, cost in (("Credit", -9), ("Tax", 3), ("Purchase", 50))]
    row = covered(bills, ["a", "reversed"])["cloud", "GWP"]
    assert (row["coverage_pct"], row["cost"], row["cost_covered"]) == (70.0, 20, 14)  # 10 + 4 of 10 + 6 + 4; net of credits it was 10 - 4 of 6


def test_a_domain_that_costs_nothing_has_no_share(covered):
    assert covered([{"activity_id": "a", "domain": "cloud", "cost_usd": Decimal(0)}], ["a"])["cloud", "GWP"]["coverage_pct"] is None
