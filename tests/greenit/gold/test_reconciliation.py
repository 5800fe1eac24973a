"""Behaviour of greenit/gold/reconciliation: each control finds the fault planted for it, and none else does."""

from datetime import date, datetime
from decimal import Decimal

import pytest

JUNE = date(2024, 6, 1)
LINE = {"line_id": "l", "billed_cost": Decimal("0.34"), "currency": "USD", "charge_period_start_at": datetime(2024, 6, 3, 5)}
BILLED = {"activity_id": "cloud-1", "month_start": JUNE, "source": "cloud", "domain": "cloud", "lines": 1, "cost": Decimal("0.34"), "currency": "USD"}
METER = {"equipment_id": "e", "start_date": JUNE, "end_date": date(2024, 6, 30), "energy_kwh": 100.0}
METERED = {"activity_id": "equipment-e", "month_start": JUNE, "source": "equipment", "domain": "equipment", "lines": 1, "energy_kwh": 99.0, "embodied_share": 1.0}
USED = {"contract_id": "c", "month_start": JUNE, "activity_key": "email", "quantity": 5.0}
SERVED = [{"activity_id": name, "month_start": JUNE, "source": "saas", "domain": "saas", "lines": 1} for name in ("saas-c-email", "saas-v")]
LIFE = {"equipment_id": "e", "status": "retired", "purchase_date": JUNE, "retired_date": date(2024, 6, 20)}
SHARE = {"parent_id": "equipment-h", "allocation_key": "capacity", "vm_id": "a", "application_id": "x"}
IMPACT = {"activity_id": "cloud-1", "month_start": JUNE, "domain": "cloud", "criterion": "GWP", "accounting_view": "amortised", "amount": 3.0, "factor_value": 0.5, "value": Decimal("1.5")}
GOOD = {
    "cloud_usage": [LINE], "metered_usage": [METER], "saas_usage": [USED, {**USED, "contract_id": "v"}], "equipment": [LIFE], "activity": [BILLED, METERED, *SERVED],
    "allocation": [{**SHARE, "share": Decimal("0.6")}, {**SHARE, "vm_id": "b", "share": Decimal("0.4")}], "impact": [IMPACT, {**IMPACT, "accounting_view": "purchase_year", "value": Decimal(9)}],
}  # fmt: skip
FAULTS = {  # control -> table, what it holds instead, the difference
    "billed_cost": ("activity", [{**BILLED, "cost": Decimal("0.33")}, METERED, *SERVED], Decimal("-0.01")),
    "billing_lines": ("activity", [{**BILLED, "lines": 2}, METERED, *SERVED], Decimal(1)),
    "metered_energy": ("metered_usage", [METER, {**METER, "equipment_id": "unknown", "energy_kwh": 7.0}], Decimal(-7)),
    "service_usage": ("saas_usage", [USED, {**USED, "contract_id": "v"}, {**USED, "contract_id": "ended"}], Decimal(-1)),
    "host_shares": ("allocation", [{**SHARE, "share": Decimal("0.6")}], Decimal("-0.4")),
    "whole_lives": ("activity", [BILLED, {**METERED, "embodied_share": 0.9}, *SERVED], Decimal("-0.1")),
    "factor_times_amount": ("impact", [{**IMPACT, "value": Decimal("1.4")}], Decimal("-0.1")),
}


@pytest.fixture
def controls(gold, table_of, rows, june):
    def compute(**said):
        given = {name: table_of("silver" if name in ("cloud_usage", "metered_usage", "saas_usage", "equipment") else "gold", name, *lines) for name, lines in said.items()}
        return rows(gold.reconciliation(months=june, **given), "control", "subject")

    return compute


def test_every_control_agrees_where_nothing_is_lost(controls):
    made = controls(**GOOD)
    assert {row["control"] for row in made} == set(FAULTS)
    assert all(row["difference"] == 0 and row["expected"] > 0 for row in made)


@pytest.mark.parametrize("control", FAULTS)
def test_a_planted_fault_is_found_by_its_control_and_no_other(controls, control):
    table, rows, difference = FAULTS[control]
    found = {row["control"]: row["difference"] for row in controls(**{**GOOD, table: rows}) if abs(row["difference"]) > Decimal(str(row["tolerance"]))}
    assert found == {control: difference}


def test_a_bill_that_names_no_currency_agrees_with_itself(controls):
    made = controls(cloud_usage=[{**LINE, "currency": None}], activity=[{**BILLED, "currency": None}])
    assert [(row["subject"], row["difference"]) for row in made if row["control"] == "billed_cost"] == [("2024-06-01 no currency", 0)]


def test_a_bill_outside_of_the_window_is_not_expected(controls):
    made = controls(cloud_usage=[{**LINE, "charge_period_start_at": datetime(2024, 7, 1)}])
    assert {(row["control"], row["expected"]) for row in made if row["control"].startswith("bill")} == {("billing_lines", 0)}
