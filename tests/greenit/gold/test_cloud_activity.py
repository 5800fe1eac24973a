"""Behaviour of greenit/gold/cloud_activity: instances from their parts go before those of Cloud Carbon Footprint."""

from datetime import datetime
from decimal import Decimal

import pytest

HOUR = {
    "line_id": "l", "provider": "aws", "billing_account_id": "1", "region_id": "eu-west-3", "service_name": "EC2", "instance_type": "m5.large", "usage_kind": "instance_hours",
    "consumed_unit": "hours", "consumed_quantity": Decimal(100), "charge_category": "Usage", "billed_cost": Decimal(10), "currency": "USD",
    "charge_period_start_at": datetime(2024, 6, 3),
}  # fmt: skip
FRANCE_2024 = 0.044179085
COMPONENT = {
    "instance_id": "parts:aws:m5.large", "provider": "aws", "instance_type": "m5.large", "unit": "kWh", "per": "h", "source": "s", "source_version": "1", "licence": "facts",
    "valid_from": datetime(2000, 1, 1).date(), "dq_rel": 3, "dq_comp": 2, "dq_tech": 2,
}  # fmt: skip


@pytest.fixture
def parts(with_row):
    hourly = {**COMPONENT, "component_id": "a", "criterion": "kWh", "value": 0.0113, "value_min": 0.0102, "value_max": 0.0136}
    made_of = {**COMPONENT, "component_id": "b", "criterion": "GWP", "value": 0.0015, "unit": "kgCO2e"}
    return with_row("cloud_instance_component", hourly, made_of)


def test_an_instance_from_its_parts_goes_before_the_share_of_watts(made, gwp, parts):
    activities, impacts = made(cloud_usage=[HOUR], cloud_instance_component=parts)
    ((name, _month),) = activities
    row = activities[name, 6]
    assert (row["energy_kwh"], row["energy_kwh_min"], row["energy_kwh_max"]) == (pytest.approx(1.13), pytest.approx(1.02), pytest.approx(1.36))
    assert row["instance_id"] == "parts:aws:m5.large"
    # 100 h × 0.0015 kg, once: not also that of Cloud Carbon Footprint
    assert gwp(impacts)[name] == {("manufacturing", "3.1", "none"): pytest.approx(0.15), ("use", "3.1", "none"): pytest.approx(1.13 * row["pue"] * FRANCE_2024)}


def test_an_instance_without_parts_keeps_the_figure_of_its_processor(made, gwp, parts):
    activities, impacts = made(cloud_usage=[{**HOUR, "instance_type": "c5.2xlarge"}], cloud_instance_component=parts)
    assert {row["instance_id"] for row in activities.values()} == {"aws:c5.2xlarge"}
    assert len(next(iter(gwp(impacts).values()))) == 2  # use and manufacturing


def test_cloud_has_no_market_based_row_and_no_losses_of_its_own_meter(made):
    _, impacts = made(cloud_usage=[HOUR])
    assert {(row["ghg_method"], row["category"]) for row in impacts} == {("none", "3.1")}
