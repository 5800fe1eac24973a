"""Behaviour of greenit/gold/saas_activity: the vendor's figure, else usage, else spend."""

from datetime import date
from decimal import Decimal

import pytest

IRELAND_2024 = 0.27970218  # kgCO2e/kWh, Ember
CONTRACT = {
    "contract_id": "c", "vendor": "Ledgerly", "product": "Cloud", "start_date": date(2023, 1, 1), "users": 120, "spend": Decimal(1000), "currency": "EUR",
    "spend_sector": "518210", "country_code": "IRL",
}  # fmt: skip
JUNE = date(2024, 6, 1)


def usage(key, quantity, month=JUNE, contract="c"):
    return {"contract_id": contract, "month_start": month, "activity_key": key, "quantity": quantity}


def test_the_vendors_own_figure_goes_before_usage_and_spend(made, gwp):
    activities, impacts = made(saas_contract=[{**CONTRACT, "kgco2e_per_user_year": 4.2}], saas_usage=[usage("email", 41000.0)])
    # 120 users × 30 d / 365.25 d × 4.2 kg
    assert gwp(impacts) == {"saas-c": {("use", "3.1", "none"): pytest.approx(120 * 30 / 365.25 * 4.2)}}
    assert {(row["method_id"], row["flags"], row["amount_unit"]) for row in impacts} == {("A6-vendor", "supplier_figure", "user-year")}
    assert activities["saas-c", 6]["cost"] == 1000


def test_a_vendors_figure_without_a_number_of_users_is_of_nobody(made):
    _, impacts = made(saas_contract=[{**CONTRACT, "kgco2e_per_user_year": 4.2, "users": None}])
    assert {row["method_id"] for row in impacts} == {"A6-spend"}


def test_usage_goes_before_spend_and_each_kind_is_a_row_of_its_own(made, gwp):
    activities, impacts = made(saas_contract=[CONTRACT], saas_usage=[usage("email", 1000.0), usage("storage_gb_month", 100.0)])
    # 1,000 messages × (0.00093525547 + 0.00015349078) kg
    mails = gwp(impacts)["saas-c-email"]
    assert mails == {("manufacturing", "3.1", "none"): pytest.approx(0.93525547), ("use", "3.1", "none"): pytest.approx(0.15349078)}
    # 100 GB-months × 0.0006757125 kWh × PUE 1.58 × 0.27970218, and × 0.000533603 kg of drives
    stored = gwp(impacts)["saas-c-storage_gb_month"]
    assert stored["use", "3.1", "none"] == pytest.approx(100 * 0.0006757125 * 1.58 * IRELAND_2024)
    assert stored["manufacturing", "3.1", "none"] == pytest.approx(0.0533603078624)
    assert {row["method_id"] for row in impacts} == {"A6-usage"}
    assert (activities["saas-c-email", 6]["quantity"], activities["saas-c-email", 6]["quantity_unit"]) == (1000, "email")


def test_the_spend_of_a_month_stands_on_one_row(made):
    activities, _ = made(saas_contract=[CONTRACT], saas_usage=[usage("email", 1.0), usage("transfer_gb", 2.0), usage("vcpu_hour", 3.0)])
    assert sorted(str(row["cost"]) for row in activities.values()) == ["1000.000000000000000000", "None", "None"]


def test_where_only_the_price_is_known_it_is_taken_to_dollars_of_2022(made, gwp):
    activities, impacts = made(saas_contract=[CONTRACT])
    # 1,000 EUR × 1.0824 USD × 292.655 / 313.689 × 0.093 kg (NAICS 518210)
    assert gwp(impacts) == {"saas-c": {("use", "3.1", "none"): pytest.approx(1000 * 1.0824 * 292.655 / 313.689 * 0.093)}}
    assert {row["criterion"] for row in impacts} == {"GWP"}  # money says nothing of other criteria
    assert float(activities["saas-c", 6]["cost_usd"]) == pytest.approx(1082.4)


def test_a_contract_that_names_no_sector_is_software(made, gwp):
    _, impacts = made(saas_contract=[{**CONTRACT, "spend_sector": None}])
    assert {row["factor_id"] for row in impacts} == {"epa-511210-gwp"}


def test_a_contract_is_in_force_from_its_first_to_its_last_day(made, months):
    cut = {**CONTRACT, "start_date": date(2024, 5, 22), "end_date": date(2024, 7, 10)}
    activities, _ = made(saas_contract=[cut], months=months(date(2024, 1, 1), date(2025, 1, 1)))
    # ten of 31 days of May, June, ten of 31 days of July
    assert {month: row["days_in_month"] for (_id, month), row in activities.items()} == {5: 10, 6: 30, 7: 10}
    assert float(activities["saas-c", 5]["cost"]) == pytest.approx(1000 * 10 / 31)


def test_a_window_that_ends_inside_a_month_carries_the_days_until_then(made, months):
    activities, _ = made(saas_contract=[CONTRACT], months=months(JUNE, date(2024, 6, 16)))
    assert float(activities["saas-c", 6]["cost"]) == pytest.approx(1000 * 15 / 30)


def test_each_month_has_the_best_method_of_its_own_data(made, months):
    _, impacts = made(saas_contract=[CONTRACT], saas_usage=[usage("email", 10.0)], months=months(JUNE, date(2024, 8, 1)))
    assert {(row["month_start"].month, row["method_id"]) for row in impacts} == {(6, "A6-usage"), (7, "A6-spend")}


@pytest.mark.parametrize("unknown", [{"spend": None}, {"currency": "XXX"}, {"spend_sector": "999999"}])
def test_what_nobody_has_a_figure_for_stays_without_an_impact(made, unknown):
    activities, impacts = made(saas_contract=[{**CONTRACT, **unknown}])
    assert (list(activities), impacts) == ([("saas-c", 6)], [])


def test_usage_in_a_datacentre_of_unknown_cooling_has_no_water(made):
    _, impacts = made(saas_contract=[CONTRACT], saas_usage=[usage("vcpu_hour", 10.0), usage("transfer_gb", 10.0)])
    assert {row["activity_id"] for row in impacts if row["criterion"] == "WU"} == {"saas-c-transfer_gb"}  # a network has no cooling of its own


def test_usage_outside_of_the_contract_makes_no_activity(made):
    activities, _ = made(saas_contract=[{**CONTRACT, "end_date": date(2024, 5, 31)}], saas_usage=[usage("email", 10.0), usage("email", 1.0, contract="nobody's")])
    assert activities == {}
