"""Behaviour of greenit/gold/web_activity: views to bytes to three segments."""

import hashlib
from datetime import date

import pytest

FRANCE_2024, GERMANY_2024 = 0.044179085, 0.34413992  # kgCO2e/kWh, Ember
DAY = {
    "page_id": "p", "day": date(2024, 6, 3), "country_code": "FRA", "views": 1000, "bytes_per_view": 2_000_000.0, "hosting_country_code": "DEU",
    "application_id": "shop", "org_unit": "Sales",
}  # fmt: skip


def name(segment, *labels):
    """The activity of a page, its visitors' and its hosting country, application and unit; \x1e stands for a label that is not there."""
    return f"web-{segment}-{hashlib.md5(chr(31).join(labels).encode()).hexdigest()}"


def of_day(segment, hosting="DEU"):
    return name(segment, "p", "FRA", hosting, "shop", "Sales")


def test_two_gigabytes_go_through_datacentre_network_and_device(made, gwp):
    activities, impacts = made(web_traffic=[DAY])
    # 1,000 views × 2 MB = 2 GB; kWh/GB 0.055 in Germany, 0.059 and 0.080 in France; embodied kWh/GB 0.012, 0.013, 0.081 × 0.494 kg
    assert gwp(impacts) == {
        of_day("datacentre"): {("use", "3.1", "none"): pytest.approx(2 * 0.055 * GERMANY_2024), ("manufacturing", "3.1", "none"): pytest.approx(2 * 0.005928)},
        of_day("network"): {("use", "3.11", "none"): pytest.approx(2 * 0.059 * FRANCE_2024), ("manufacturing", "3.11", "none"): pytest.approx(2 * 0.006422)},
        of_day("device"): {("use", "3.11", "none"): pytest.approx(2 * 0.080 * FRANCE_2024), ("manufacturing", "3.11", "none"): pytest.approx(2 * 0.040014)},
    }
    assert activities[of_day("device"), 6]["quantity"] == 1000


def test_returning_visitors_load_what_is_not_cached(made):
    activities, _ = made(web_traffic=[{**DAY, "first_view_share": 0.7, "reload_share": 0.1}])
    # 1,000 × 2 MB × (0.7 + 0.3 × 0.1) = 1.46 GB
    assert activities[of_day("network"), 6]["meter_amount"] == pytest.approx(1.46)


@pytest.mark.parametrize("unsaid", [{"first_view_share": None, "reload_share": 0.1}, {"first_view_share": 0.7, "reload_share": None}])
def test_without_both_shares_every_view_loads_the_page(made, unsaid):
    activities, _ = made(web_traffic=[{**DAY, **unsaid}])
    assert activities[of_day("network"), 6]["meter_amount"] == pytest.approx(2.0)


def test_a_view_without_bytes_has_those_of_the_recorded_page(made):
    activities, _ = made(web_traffic=[{**DAY, "bytes_per_view": None}], web_page=[{"page_id": "p", "transferred_bytes": 3_000_000}, {"page_id": "q", "transferred_bytes": 9}])
    assert activities[of_day("device"), 6]["meter_amount"] == pytest.approx(3.0)


def test_where_hosting_is_not_said_the_datacentre_is_in_the_inventory_or_the_bill(made):
    activities, _ = made(web_traffic=[{**DAY, "hosting_country_code": None}])
    assert sorted(row["item_key"] for row in activities.values()) == ["device", "network"]


def test_days_of_unknown_bytes_stand_apart_and_uncovered(made):
    activities, impacts = made(web_traffic=[DAY, {**DAY, "day": date(2024, 6, 4), "views": 500, "bytes_per_view": None}])
    known, unknown = activities[of_day("network"), 6], activities[of_day("network of unknown bytes"), 6]
    assert (known["quantity"], known["meter_amount"], unknown["quantity"], unknown["meter_amount"]) == (1000, pytest.approx(2.0), 500, None)
    assert unknown["activity_id"] not in {row["activity_id"] for row in impacts}


def test_days_of_a_month_are_one_row_and_days_outside_of_the_window_none(made, months):
    days = [{**DAY, "day": date(2024, 6, day), "views": day} for day in (1, 15, 16)]
    activities, _ = made(web_traffic=days, months=months(date(2024, 6, 1), date(2024, 6, 16)))
    row = activities[of_day("network"), 6]
    assert (row["quantity"], row["lines"], row["days_in_month"]) == (16, 2, 15)  # views of the 1st and the 15th


def test_visitors_of_an_unknown_country_take_the_worlds_grid(made):
    _, impacts = made(web_traffic=[{**DAY, "country_code": "WLD"}])
    assert {row["grid_id"] for row in impacts if row["phase"] == "use" and row["criterion"] == "GWP"} == {"owid-wld-2024-gwp", "owid-deu-2024-gwp"}
    assert all(row["flags"] is None for row in impacts if row["grid_id"] == "owid-wld-2024-gwp")  # the world was asked for


def test_labels_that_read_alike_when_joined_are_activities_of_their_own(made):
    """Application "a-b" of unit "c", application "a" of unit "b-c", and no unit beside the application "a-b-c"."""
    labels = [("a-b", "c"), ("a", "b-c"), ("a-b-c", None)]
    activities, _ = made(web_traffic=[{**DAY, "application_id": application, "org_unit": unit} for application, unit in labels])
    assert len({identity for identity, _month in activities if identity.startswith("web-device-")}) == 3
    assert (name("device", "p", "FRA", "DEU", "a-b-c", "\x1e"), 6) in activities
