"""Behaviour of greenit/gold/spend: cloud usage of which only the cost is known."""

from datetime import datetime
from decimal import Decimal

import pytest

REQUESTS = {
    "line_id": "l1", "provider": "aws", "billing_account_id": "1", "region_id": "us-east-1", "service_name": "Amazon Simple Storage Service",
    "usage_kind": "requests", "consumed_unit": "requests", "consumed_quantity": Decimal(1000), "charge_category": "Usage", "billed_cost": Decimal(100),
    "currency": "USD", "charge_period_start_at": datetime(2024, 9, 18, 22), "meter": "USW2-Requests-Tier3",
}  # fmt: skip


@pytest.fixture
def of_cost(gold, table_of, year_2024, rows, with_coverage):
    """`of_cost({...}, …)`: the activities of such lines in order of SKU, and their impacts in the amortised view."""

    def compute(*changes):
        lines = table_of("silver", "cloud_usage", *({**REQUESTS, "sku_id": str(place), **change} for place, change in enumerate(changes)))
        made = gold.activity(cloud_usage=lines, months=year_2024)
        return sorted(with_coverage(made), key=lambda row: row["sku_id"]), [line for line in rows(gold.impact(made)) if line["accounting_view"] == "amortised"]

    return compute


def test_a_hundred_dollars_of_2024_are_those_of_2022_times_the_factor_of_hosting(of_cost):
    (activity,), (impact,) = of_cost({})
    # 100 × 292.655 / 313.689 = 93.294633 USD of 2022; × 0.093 kg
    assert (activity["usd_2022"], activity["energy_kwh"], activity["is_covered"]) == (pytest.approx(93.294633), None, True)
    assert float(impact["value"]) == pytest.approx(8.676401)
    assert (impact["phase"], impact["criterion"], impact["method_id"], impact["factor_id"]) == ("use", "GWP", "A5-spend", "epa-518210-gwp")
    assert (impact["ghg_method"], impact["category"], impact["dq_score"]) == ("none", "3.1", 4.0)  # (5 + 4 + 4 + 5 + 2) / 5


def test_euros_go_through_the_rate_of_their_year(of_cost):
    (activity,), _impacts = of_cost({"currency": "EUR"})
    assert activity["usd_2022"] == pytest.approx(100 * 1.0824 * 292.655 / 313.689)


def test_free_usage_and_a_currency_without_a_rate_stay_unknown_and_are_not_covered(of_cost):
    activities, impacts = of_cost({"billed_cost": Decimal(0)}, {"currency": "XAF"}, {"charge_category": "Tax"}, {"charge_category": "Credit"},
                                  {"charge_category": "Purchase"}, {"commitment_discount_status": "Unused"})  # fmt: skip
    assert [(row["usd_2022"], row["is_covered"]) for row in activities] == [(None, False)] * 6
    assert impacts == []


def test_what_is_known_by_activity_is_not_known_by_its_cost_as_well(of_cost):
    storage = {"usage_kind": "storage", "consumed_unit": "gb_months", "meter": "TimedStorage-ByteHrs"}
    activities, impacts = of_cost(storage, {})
    assert [row["usd_2022"] is None for row in activities] == [True, False]
    assert [line["activity_id"] for line in impacts if line["method_id"] == "A5-spend"] == [activities[1]["activity_id"]]


def test_a_correction_takes_its_money_back(of_cost):
    _activities, (impact,) = of_cost({"charge_class": "Correction", "billed_cost": Decimal(-100)})
    assert float(impact["value"]) == pytest.approx(-8.676401)
