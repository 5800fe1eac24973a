"""Behaviour of greenit/platinum/intensity."""

from datetime import date
from decimal import Decimal

import pytest

JUNE = date(2024, 6, 1)
CELL = {"period": JUNE, "dimension": "org_unit", "member": "IT", "domain": "equipment", "criterion": "GWP", "method": "none", "view": "amortised", "unit": "kgCO2e", "value": Decimal(90)}
BOUGHT = [{**CELL, "method": "location", "value": Decimal(10)}, {**CELL, "method": "market", "value": Decimal(4)}]
FTE = [{"month_start": JUNE, "kind": "fte", "member": member, "value": Decimal(value)} for member, value in (("IT", 20), ("Sales", 30), ("(all)", 50))]


@pytest.fixture
def ratios(platinum):
    return lambda cells, below: {
        (row["kind"], row["member"], row["method"]): row["kgco2e_per_unit"] for row in platinum("intensity", kpi_dimension=cells, denominator=below)
    }


def test_a_unit_is_divided_by_its_people_and_the_customer_by_all(ratios):
    sales = {**CELL, "member": "Sales", "value": Decimal(60)}
    found = ratios([CELL, *BOUGHT, sales], FTE)
    # IT (90 + 10) / 20 and (90 + 4) / 20; Sales 60 / 30; all 160 / 50 and 154 / 50
    assert found == {("fte", "IT", "location"): 5.0, ("fte", "IT", "market"): 4.7, ("fte", "Sales", "location"): 2.0, ("fte", "Sales", "market"): 2.0,
                     ("fte", "(all)", "location"): pytest.approx(3.2), ("fte", "(all)", "market"): pytest.approx(3.08)}  # fmt: skip


def test_the_customer_counts_once_and_not_in_every_dimension(ratios):
    site = {**CELL, "dimension": "site", "member": "Lyon"}
    assert ratios([CELL, site], FTE)["fte", "(all)", "location"] == pytest.approx(1.8)  # 90 / 50


def test_users_are_of_an_application_and_never_of_all(ratios):
    users = [{"month_start": JUNE, "kind": "app_user", "member": member, "value": Decimal(45)} for member in ("crm prod", "(all)")]
    assert set(ratios([{**CELL, "dimension": "application", "member": "crm prod"}, CELL], users).items()) == {
        (("app_user", "crm prod", "location"), 2.0), (("app_user", "crm prod", "market"), 2.0)
    }


def test_a_ratio_to_nothing_or_of_another_month_or_criterion_is_none(ratios):
    assert ratios([CELL], [{**FTE[0], "value": Decimal(0)}]) == {}
    assert ratios([CELL], [{**FTE[0], "month_start": date(2024, 7, 1)}]) == {}
    assert ratios([{**CELL, "criterion": "PE"}], FTE) == {}
