"""Behaviour of greenit/gold/activity."""

from datetime import date, datetime
from decimal import Decimal

import ibis
import pytest

from platform_assets.greenit.gold.cloud_activity import cloud_activity_id

DEVICE = {
    "equipment_id": "e1",
    "item_type": "laptop",
    "model": "LATITUDE",
    "quantity": 2,
    "status": "in_use",
    "ownership": "owned",
    "country_code": "FRA",
    "purchase_date": date(2024, 1, 1),
    "is_datacentre": False,
}
HOUR = {
    "line_id": "l1",
    "provider": "aws",
    "billing_account_id": "1",
    "region_id": "us-east-1",
    "service_name": "EC2",
    "instance_type": "c5.2xlarge",
    "usage_kind": "instance_hours",
    "consumed_unit": "hours",
    "consumed_quantity": Decimal(1),
    "charge_category": "Usage",
    "billed_cost": Decimal("0.34"),
    "currency": "USD",
    "charge_period_start_at": datetime(2024, 9, 18, 22),
}


@pytest.fixture
def of_devices(gold, table_of, year_2024, with_coverage):
    return lambda *changes: with_coverage(
        gold.activity(equipment=table_of("silver", "equipment", *({**DEVICE, **change} for change in changes)), months=year_2024)
    )


@pytest.fixture
def of_cloud(gold, table_of, year_2024, with_coverage):
    return lambda *changes: with_coverage(
        gold.activity(cloud_usage=table_of("silver", "cloud_usage", *({**HOUR, **change} for change in changes)), months=year_2024)
    )


def test_a_laptop_has_a_row_for_each_month_with_its_drivers(of_devices):
    lived = of_devices({})
    assert [row["month_start"].month for row in lived] == list(range(1, 13))
    january = lived[0]
    assert (january["activity_id"], january["item_key"], january["lifetime_years"], january["pue"], january["is_covered"]) == (
        "equipment-e1",
        "laptop",
        5.0,
        1.0,
        True,
    )
    assert january["energy_kwh"] == pytest.approx(2 * 23.85 * 31 / 365.25)
    assert january["embodied_share"] == pytest.approx(31 / 1826.25)
    assert [row["purchase_share"] for row in lived] == [1.0] + [0.0] * 11


def test_declared_energy_goes_before_the_average_and_is_more_reliable(of_devices):
    metered, average = of_devices({"equipment_id": "a", "energy_kwh_per_year": 36.525}, {"equipment_id": "b"})[::12]
    assert metered["energy_kwh"] == metered["energy_kwh_min"] == metered["energy_kwh_max"] == pytest.approx(2 * 36.525 * 31 / 365.25)
    assert (metered["dq_reliability"], metered["energy_id"], average["dq_reliability"]) == (1, None, 4)


def test_pue_applies_in_a_datacentre_only(of_devices):
    (hosted,) = of_devices({"item_type": "server", "is_datacentre": True, "purchase_date": date(2024, 12, 1)})
    assert (hosted["pue"], hosted["pue_id"], hosted["domain"]) == (1.58, "datacentre-pue", "datacentre")


def test_status_decides_who_uses_electricity_and_who_carries_embodied_impacts(of_devices):
    rules = {"in_use": (True, True), "in_stock": (False, True), "in_maintenance": (False, True), "missing": (False, True), "consumed": (False, False)}
    december = {"purchase_date": date(2024, 12, 1)}
    made = {row["status"]: row for row in of_devices(*({**december, "equipment_id": status, "status": status} for status in rules))}
    assert {status: (row["energy_kwh"] is not None, row["embodied_share"] is not None) for status, row in made.items()} == rules
    assert [status for status, row in made.items() if not row["is_covered"]] == ["consumed"]


def test_a_retired_line_counts_until_its_day_and_without_one_not_at_all(of_devices):
    lived = of_devices({"equipment_id": "a", "status": "retired", "retired_date": date(2024, 3, 10)}, {"equipment_id": "b", "status": "retired"})
    assert [(row["activity_id"], row["days_in_month"], row["disposal_share"]) for row in lived] == [
        ("equipment-a", 31, 0.0),
        ("equipment-a", 29, 0.0),
        ("equipment-a", 9, 1.0),
    ]


def test_a_type_without_a_factor_stays_as_an_uncovered_row(of_devices):
    row = of_devices({"item_type": "cash registered device"})[0]
    assert (row["item_key"], row["is_covered"], row["quantity"], row["dq_technology"]) == (None, False, Decimal(2), 5)


def test_type_and_model_lead_to_an_item(of_devices):
    cases = [
        ("personal computer", "DELL LATITUDE 5420", "laptop", 2), ("personal computer", "HP T620", "desktop", 4), ("personal computer", None, "laptop", 4),
        ("communication device", "APPLE IPHONE 13", "smartphone", 2), ("communication device", "4G stick", None, 5),
        ("server", "DATACENTER", "server", 4), ("server", "Cisco Nexus 5548UP", None, 5),
    ]  # fmt: skip
    lines = [
        {"equipment_id": str(place), "item_type": kind, "model": model, "purchase_date": date(2024, 12, 1)} for place, (kind, model, *_rest) in enumerate(cases)
    ]
    assert [(row["item_key"], row["dq_technology"]) for row in of_devices(*lines)] == [(item, confidence) for _kind, _model, item, confidence in cases]


def test_a_byod_device_counts_in_part(of_devices):
    (own,) = of_devices({"ownership": "byod", "purchase_date": date(2024, 12, 1)})
    assert (own["usage_rate"], own["energy_kwh"]) == (0.57, pytest.approx(2 * 23.85 * 31 / 365.25 * 0.57))


def test_lines_of_one_meter_are_summed_by_month_and_dimensions(of_cloud):
    lines = [
        {},
        {"line_id": "l2", "consumed_quantity": Decimal("0.5"), "billed_cost": Decimal("0.17")},
        {"line_id": "l3", "charge_period_start_at": datetime(2024, 8, 31, 23)},
        {"line_id": "l4", "sku_id": "other"},
    ]
    made = sorted((row["month_start"].month, row["lines"], row["quantity"], row["cost"]) for row in of_cloud(*lines))
    assert made == [(8, 1, Decimal(1), Decimal("0.34")), (9, 1, Decimal(1), Decimal("0.34")), (9, 2, Decimal("1.5"), Decimal("0.51"))]


def test_an_instance_hour_has_energy_region_country_and_pue(of_cloud):
    (row,) = of_cloud({})
    # Skylake: 0.612989 to 4.104170 W per vCPU; 8 × (0.612989 + 0.5 × 3.491181) / 1000
    assert row["energy_kwh"] == pytest.approx(0.018868636)
    assert (row["instance_id"], row["country_code"], row["pue"], row["pue_id"], row["is_covered"]) == ("aws:c5.2xlarge", "USA", 1.15, "aws-us-east-1-pue", True)
    assert row["energy_kwh_min"] < row["energy_kwh"] < row["energy_kwh_max"]


def test_an_unknown_region_takes_the_providers_pue_and_the_worlds_grid(of_cloud):
    (row,) = of_cloud({"region_id": "moon-1"})
    assert (row["pue_id"], row["country_code"], row["grid_id"]) == ("aws-pue", None, "owid-wld-2024-gwp")


def test_a_surcharge_on_hours_billed_elsewhere_counts_no_hour_twice(of_cloud):
    (row,) = of_cloud({"usage_kind": "instance_surcharge_hours", "billed_cost": Decimal(0)})
    assert (row["meter_amount"], row["energy_kwh"], row["is_covered"]) == (0.0, 0.0, True)


def test_a_correction_keeps_its_sign(of_cloud):
    (row,) = of_cloud({"charge_class": "Correction", "consumed_quantity": Decimal(-1), "billed_cost": Decimal("-0.34")})
    assert (row["meter_amount"], row["cost"]) == (-1.0, Decimal("-0.34"))
    assert row["energy_kwh_min"] < row["energy_kwh"] < row["energy_kwh_max"] < 0


def test_what_has_no_figure_stays_with_its_cost_and_without_energy(of_cloud):
    changes = [{"charge_category": "Credit", "consumed_quantity": None, "consumed_unit": None}, {"charge_category": "Tax"}, {"instance_type": None},
               {"instance_type": "q9.huge"}, {"usage_kind": "requests", "instance_type": None, "consumed_unit": "requests"},
               {"usage_kind": "storage", "instance_type": None, "consumed_unit": "furlongs"}]  # fmt: skip
    made = of_cloud(*({**change, "currency": "XAF"} for change in changes))
    assert len(made) == len(changes)
    assert {(row["energy_kwh"], row["is_covered"], row["cost"], row["lines"]) for row in made} == {(None, False, Decimal("0.34"), 1)}


def test_an_unused_commitment_uses_nothing(of_cloud):
    (row,) = of_cloud({"commitment_discount_status": "Unused"})
    assert row["energy_kwh"] == 0.0


def test_a_line_outside_the_window_is_in_no_month(of_cloud):
    assert of_cloud({"charge_period_start_at": datetime(2025, 1, 1)}, {"charge_period_start_at": datetime(2023, 12, 31, 23)}) == []


def test_a_billing_line_leads_to_its_activity_and_lines_sum_to_it(gold, table_of, year_2024):
    changes = [
        {"line_id": f"l{n}", "region_id": ["eu-west-3", None][n % 2], "consumed_quantity": Decimal(n) / 7, "billed_cost": Decimal(n) / 3} for n in range(20)
    ]
    lines = table_of(
        "silver",
        "cloud_usage",
        *(
            {
                **HOUR,
                **change,
                "billed_cost": change["billed_cost"].quantize(Decimal("1e-12")),
                "consumed_quantity": change["consumed_quantity"].quantize(Decimal("1e-18")),
            }
            for change in changes
        ),
    )
    made = gold.activity(cloud_usage=lines, months=year_2024)
    traced = (
        lines.mutate(activity_id=cloud_activity_id(lines))
        .group_by("activity_id")
        .agg(lines=ibis._.count(), quantity=ibis._.consumed_quantity.sum(), cost=ibis._.billed_cost.sum())
    )
    columns = ["activity_id", "lines", "quantity", "cost"]
    assert traced.order_by("activity_id").to_pyarrow().to_pylist() == made.select(columns).order_by("activity_id").to_pyarrow().to_pylist()


def test_a_missing_dimension_is_not_an_empty_one(table_of):
    lines = table_of("silver", "cloud_usage", {**HOUR, "sku_id": None}, {**HOUR, "sku_id": ""})
    assert lines.select(id=cloud_activity_id(lines)).distinct().count().execute() == 2
