"""Laws of a whole estate: every row is its amount times its factor, every formula is reached, the two methods differ where electricity is bought."""

from collections import defaultdict
from decimal import Decimal

import pytest

from platform_assets.contracts import contract
from tests.greenit.conftest import DOMAIN
from tests.greenit.estate import gold_of

SEEDS = (1, 2)
RULES = {rule.name: rule for rule in contract(DOMAIN / "gold" / "impact.odcs.yaml").rules}


@pytest.fixture(params=SEEDS)
def made(request, gold, table_of, months, rows):
    """The tables of gold of an estate, as dicts."""
    return {name: rows(table) for name, table in gold_of(gold, table_of, months, request.param).items()}


def test_every_figure_of_an_estate_can_be_followed(made):
    impacts = made["impact"]
    sums = defaultdict(Decimal)
    for row in impacts:
        # value = amount × factor, to the last digit of the doubles that were multiplied
        assert float(row["value"]) == pytest.approx(row["amount"] * row["factor_value"], rel=1e-12, abs=1e-18)
        assert row["value_min"] <= row["value"] <= row["value_max"]
        assert row["scope"] == row["category"][0]
        assert 1 <= row["dq_score"] <= 5
        assert row["gsd"] >= 1
        sums[row["accounting_view"], row["ghg_method"], row["criterion"], row["phase"] == "use"] += row["value"]
    key = ("activity_id", "month_start", "phase", "criterion", "accounting_view", "ghg_method", "category")
    assert len({tuple(row[name] for name in key) for row in impacts}) == len(impacts)
    # what happens in a month is the same in both views; only what is embodied in devices is booked otherwise
    assert {k[1:]: v for k, v in sums.items() if k[0] == "amortised" and k[3]} == {k[1:]: v for k, v in sums.items() if k[0] == "purchase_year" and k[3]}
    # location and market differ in purchased electricity only, and every location-based kWh of GWP has its market-based row
    assert {(row["category"], row["phase"], row["criterion"]) for row in impacts if row["ghg_method"] == "market"} == {("2", "use", "GWP")}
    by_method = defaultdict(dict)
    for row in impacts:
        if row["category"] == "2" and row["criterion"] == "GWP" and row["accounting_view"] == "amortised":
            by_method[row["ghg_method"]][row["activity_id"], row["month_start"]] = row["amount"]
    assert set(by_method) == {"location", "market"}
    assert by_method["location"] == by_method["market"]
    # every formula of the contract's set is reached, and no other is written
    assert {row["method_id"] for row in impacts} == set(RULES["method_id__be_in_set"].kwargs["value_set"])
    assert {row["domain"] for row in impacts} == {"equipment", "datacentre", "cloud", "saas", "network", "web", "ai"}
    for row in made["reconciliation"]:
        assert abs(row["difference"]) <= abs(row["expected"]) * Decimal(str(row["tolerance"])), row
