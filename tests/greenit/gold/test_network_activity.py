"""Behaviour of greenit/gold/network_activity."""

from datetime import date

import pytest

FRANCE_2024 = 0.044179085  # kgCO2e/kWh, Ember
LINK = {"link_id": "l", "month_start": date(2024, 6, 1), "country_code": "FRA", "site_id": "Lyon", "org_unit": "IT", "provider": "Telario"}


def test_a_fixed_line_counts_by_the_line_whatever_goes_over_it(made, gwp):
    activities, impacts = made(network_link=[{**LINK, "kind": "fixed_line", "lines": 3, "gb": 9000.0}])
    assert gwp(impacts) == {"network-l": {("use", "3.1", "none"): pytest.approx(3 * 4.1)}}  # 4.1 kg a line and month
    assert (activities["network-l", 6]["quantity"], activities["network-l", 6]["quantity_unit"], activities["network-l", 6]["org_unit"]) == (3, "lines", "IT")


def test_half_a_month_of_a_line_is_half(made, gwp, months):
    _, impacts = made(network_link=[{**LINK, "kind": "fixed_line", "lines": 3}], months=months(date(2024, 6, 1), date(2024, 6, 16)))
    assert gwp(impacts)["network-l"]["use", "3.1", "none"] == pytest.approx(3 * 4.1 * 15 / 30)


@pytest.mark.parametrize(("kind", "kwh_per_gb"), [("mobile", 0.12), ("wan", 0.059)])
def test_other_links_count_by_the_gb(made, gwp, kind, kwh_per_gb):
    _, impacts = made(network_link=[{**LINK, "kind": kind, "gb": 500.0}])
    # GB × kWh/GB × France; GB × 0.013 kWh × 0.494 kg of the machines
    assert gwp(impacts)["network-l"] == {
        ("use", "3.1", "none"): pytest.approx(500 * kwh_per_gb * FRANCE_2024), ("manufacturing", "3.1", "none"): pytest.approx(500 * 0.006422),
    }  # fmt: skip
    assert {row["method_id"] for row in impacts} == {"A6-network", "A4"}


@pytest.mark.parametrize("unsaid", [{"kind": "fixed_line", "gb": 10.0}, {"kind": "mobile", "lines": 1}])
def test_a_link_without_its_amount_stays_uncovered(made, unsaid):
    activities, impacts = made(network_link=[{**LINK, **unsaid}])
    assert (list(activities), impacts) == ([("network-l", 6)], [])
