"""Behaviour of greenit/gold/denominator."""

from datetime import date
from decimal import Decimal

import pytest

UNIT = {"org_unit": "IT", "valid_from": date(2024, 1, 1), "fte": 40.0, "revenue_per_month": Decimal(2_000_000), "currency": "EUR"}
LAPTOP = {"equipment_id": "e", "quantity": 2, "unit_price": Decimal(800), "currency": "EUR", "org_unit": "IT", "ownership": "owned", "purchase_date": date(2024, 6, 3)}
COST = {"activity_id": "c", "month_start": date(2024, 6, 1), "source": "cloud", "domain": "cloud", "cost": Decimal(541200), "currency": "USD"}


@pytest.fixture
def amounts(gold, table_of, rows, june):
    """`amounts(<table>=[...], months=)`: (month, kind, member) -> amount."""

    def compute(months=june, **said):
        given = {name: table_of("gold" if name == "activity" else "silver", name, *lines) for name, lines in said.items()}
        return {(row["month_start"].month, row["kind"], row["member"]): float(row["value"]) for row in rows(gold.denominator(months=months, **given))}

    return compute


def test_people_and_revenue_are_of_the_unit_and_of_all(amounts):
    sales = {**UNIT, "org_unit": "Sales", "fte": 10.5, "revenue_per_month": None, "currency": None}
    # 2,000,000 EUR = 2 million
    assert amounts(org_unit=[UNIT, sales]) == {
        (6, "fte", "IT"): 40, (6, "fte", "Sales"): 10.5, (6, "fte", "(all)"): 50.5, (6, "revenue_meur", "IT"): pytest.approx(2), (6, "revenue_meur", "(all)"): pytest.approx(2)
    }  # fmt: skip


def test_a_month_has_what_was_said_last_before_its_end(amounts, months):
    later = {**UNIT, "valid_from": date(2024, 7, 15), "fte": 44.0}
    found = amounts(org_unit=[UNIT, later], months=months(date(2024, 6, 1), date(2024, 9, 1)))
    assert [found[month, "fte", "IT"] for month in (6, 7, 8)] == [40, 44, 44]
    assert amounts(org_unit=[{**UNIT, "valid_from": date(2024, 7, 1)}]) == {}


def test_revenue_in_another_currency_goes_through_dollars(amounts):
    # 1,082,400 USD / 1.0824 USD per EUR = 1 million EUR; a currency without a rate is left out
    found = amounts(org_unit=[{**UNIT, "revenue_per_month": Decimal(1_082_400), "currency": "USD"}, {**UNIT, "org_unit": "X", "currency": "XXX"}])
    assert found[6, "revenue_meur", "(all)"] == found[6, "revenue_meur", "IT"] == pytest.approx(1)
    assert (6, "revenue_meur", "X") not in found


def test_spend_on_it_is_bills_and_equipment_in_the_month_of_purchase(amounts):
    found = amounts(activity=[COST], equipment=[LAPTOP, {**LAPTOP, "equipment_id": "before", "purchase_date": date(2024, 5, 31)}])
    # 541,200 USD / 1.0824 = 500,000 EUR of no unit; 2 × 800 EUR
    assert found == {
        (6, "it_spend_eur", "(none)"): pytest.approx(500_000), (6, "it_spend_eur", "IT"): pytest.approx(1600), (6, "it_spend_eur", "(all)"): pytest.approx(501_600)
    }  # fmt: skip


def test_employees_own_devices_are_not_the_customers_spend(amounts):
    assert amounts(equipment=[{**LAPTOP, "ownership": "byod"}]) == {}
    assert amounts(equipment=[{**LAPTOP, "ownership": None}])[6, "it_spend_eur", "IT"] == pytest.approx(1600)


def test_users_of_an_application_count_once_however_many_machines_it_has(amounts):
    rows = [{"application_id": "crm", "environment": "prod", "vm_id": vm, "users": users} for vm, users in (("a", 120), ("b", 120), ("c", None))]
    assert amounts(application=rows) == {(6, "app_user", "crm prod"): 120, (6, "app_user", "crm"): 120, (6, "app_user", "(all)"): 120}


def test_services_that_name_no_environment_find_the_users_of_the_whole_application(amounts):
    rows = [{"application_id": "crm", "environment": where, "vm_id": "a", "users": users} for where, users in (("prod", 120), ("test", 7))]
    bare = {"application_id": "wiki", "environment": None, "vm_id": "b", "users": 30}
    # 120 + 7 + 30: the whole application is in no sum
    assert amounts(application=[*rows, bare]) == {
        (6, "app_user", "crm prod"): 120, (6, "app_user", "crm test"): 7, (6, "app_user", "crm"): 120, (6, "app_user", "wiki"): 30, (6, "app_user", "(all)"): 157
    }  # fmt: skip
