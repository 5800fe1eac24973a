"""Behaviour of greenit/gold/cloud_meters: from a billing line that names no instance to energy and embodied impacts."""

from datetime import date, datetime
from decimal import Decimal

import pytest

LINE = {
    "line_id": "l1", "provider": "aws", "billing_account_id": "1", "region_id": "us-east-1", "service_name": "Amazon Elastic Compute Cloud",
    "usage_kind": "storage", "consumed_unit": "gb_months", "consumed_quantity": Decimal(100), "charge_category": "Usage", "billed_cost": Decimal("8"),
    "currency": "USD", "charge_period_start_at": datetime(2024, 9, 18, 22), "meter": "EBS:VolumeUsage.gp3",
}  # fmt: skip


@pytest.fixture
def activity_of(gold, table_of, year_2024):
    return lambda *changes: gold.activity(cloud_usage=table_of("silver", "cloud_usage", *({**LINE, **change} for change in changes)), months=year_2024)


@pytest.fixture
def one(activity_of, rows):
    return lambda **change: rows(activity_of(change))[0]


@pytest.fixture
def impacts(gold, activity_of, rows):
    def compute(**change):
        made = rows(gold.impact(activity_of(change)))
        return {(line["phase"], line["criterion"], line["accounting_view"]): line for line in made}

    return compute


def test_a_hundred_gigabyte_months_of_ssd_run_all_hours_of_the_month_in_two_copies(one):
    row = one()
    # September: 100 GB × 720 h = 72,000 GB-h; × 2 copies × 1.2 Wh/TBh = 172.8 Wh
    assert (row["meter_key"], row["meter_amount"], row["copies"], row["energy_id"]) == ("storage_ssd", 72_000.0, 2.0, "storage-ssd-energy")
    assert row["energy_kwh"] == pytest.approx(0.1728)
    assert row["energy_kwh_min"] == row["energy_kwh_max"] == row["energy_kwh"]
    assert (row["pue_id"], row["dq_technology"], row["is_covered"]) == ("aws-us-east-1-pue", 2, True)
    january = one(charge_period_start_at=datetime(2024, 1, 3))
    assert january["meter_amount"] == 100 * 744


def test_a_window_that_ends_within_the_month_takes_no_hour_from_a_gigabyte_month(gold, table_of, months, rows):
    (row,) = rows(gold.activity(cloud_usage=table_of("silver", "cloud_usage", LINE), months=months(date(2024, 9, 1), date(2024, 9, 20))))
    assert (row["days_in_month"], row["meter_amount"]) == (19, 72_000.0)


def test_storage_carries_its_drives_in_three_criteria_and_either_view(impacts):
    made = impacts()
    # 72,000 GB-h × 2 × (2.2 / 50 + 6.34 / 1,920) kg / 35,040 h
    carried = made["manufacturing", "GWP", "amortised"]
    assert float(carried["value"]) == pytest.approx(144_000 * (2.2 / 50 + 6.34 / 1920) / 35_040)
    assert float(carried["value_min"]) == pytest.approx(144_000 * (2.2 / 100 + 6.34 / 3840) / 35_040)
    assert (carried["method_id"], carried["factor_id"], carried["category"]) == ("A5-storage", "storage-ssd-gwp", "3.1")
    assert float(made["manufacturing", "PE", "amortised"]["value"]) == pytest.approx(144_000 * (27.3 / 50 + 73.98 / 1920) / 35_040)
    assert float(made["manufacturing", "ADPe", "purchase_year"]["value"]) == pytest.approx(144_000 * (6.3e-5 / 50 + 5.63e-4 / 1920) / 35_040)
    used = made["use", "GWP", "amortised"]
    assert (used["method_id"], used["factor_id"]) == ("A5-storage", "storage-ssd-energy")
    assert float(used["value"]) == pytest.approx(0.1728 * 1.15 * used["grid_factor"])


METERS = [  # provider, service, meter, kind, unit, amount of 1, copies, meter
    ("aws", "Amazon Simple Storage Service", "USW2-TimedStorage-ByteHrs", "storage", "gb_months", 720.0, 6, "storage_hdd"),
    ("aws", "Amazon Simple Storage Service", "CAN1-TimedStorage-ZIA-ByteHrs", "storage", "gb_months", 720.0, 2, "storage_hdd"),
    ("aws", "Amazon Elastic Compute Cloud", "$0.05 per GB-month of Magnetic provisioned storage - US West (Oregon)", "storage", "gb_months", 720.0, 2, "storage_hdd"),
    ("aws", "Amazon Relational Database Service", "$0.10 per GB-month of consumed storage (Aurora PostgreSQL)", "storage", "gb_months", 720.0, 6, "storage_ssd"),
    ("azure", "Virtual Machines", "Premium SSD Managed Disks - P4 LRS - US East", "units", "units_months", 32 * 720.0, 3, "storage_ssd"),
    ("azure", "Storage", "Hot GRS Data Stored", "storage", "gb_months", 720.0, 6, "storage_hdd"),
    ("oci", "DATABASE", "Oracle Autonomous Transaction Processing - Exadata Storage", "storage", "tb_months", 720_000.0, 3, "storage_any"),
    ("ovh", "Archive", "anything", "storage", "gb_months", 720.0, 1, "storage_any"),
    ("aws", "Amazon Simple Storage Service", "USW2-USE1-AWS-Out-Bytes", "data_volume", "gb", 1.0, 1, "transfer_inter"),
    ("aws", "Amazon Elastic Compute Cloud", "DataTransfer-Regional-Bytes", "data_volume", "gb", 1.0, 1, "transfer_intra"),
    ("aws", "Amazon Elastic Compute Cloud", "$0.085 per GB - next 40 TB / month data transfer out", "data_volume", "tb", 1000.0, 1, "transfer_internet"),
    ("azure", "Virtual Network", "Intra-Region Egress", "data_volume", "gb", 1.0, 1, "transfer_intra"),
    ("oci", "NETWORK", "Outbound Data Transfer Zone 1", "data_volume", "gb", 1.0, 1, "transfer_internet"),
    ("aws", "Amazon Elastic Container Service", "AWS Fargate - ARM - vCPU - US West (Oregon)", "resource_hours", "hours", 1.0, 1, "serverless_arm"),
    ("aws", "AWS Lambda", "AWS Lambda - Total Compute - US West (Oregon)-Tier-1", "resource_seconds", "seconds", 1 / 3600, 1, "serverless_lambda_x86"),
    ("oci", "COMPUTE", "Standard - E4", "ocpu_hours", "ocpu_hours", 2.0, 1, "cpu_epyc_3"),
    ("oci", "COMPUTE", "Standard - A1", "ocpu_hours", "ocpu_hours", 1.0, 1, "cpu_arm"),
    ("gcp", "Compute Engine", "Nvidia Tesla T4 GPU running in Frankfurt", "resource_hours", "hours", 1.0, 1, "gpu_t4"),
]  # fmt: skip


def test_a_meter_is_read_by_service_text_and_unit(activity_of, rows):
    names = ("provider", "service_name", "meter", "usage_kind", "consumed_unit")
    made = rows(activity_of(*({**dict(zip(names, case, strict=False)), "consumed_quantity": Decimal(1)} for case in METERS)))
    found = {(row["provider"], row["meter"]): (row["meter_key"], row["copies"], row["is_covered"], round(row["meter_amount"], 9)) for row in made}
    assert found == {(case[0], case[2]): (case[7], case[6], True, round(case[5], 9)) for case in METERS}


def test_a_gigabyte_over_the_internet_is_outside_the_datacentre(one):
    row = one(usage_kind="data_volume", consumed_unit="gb", meter="DataTransfer-Out-Bytes", consumed_quantity=Decimal(10))
    assert (row["energy_kwh"], row["energy_kwh_min"], row["energy_kwh_max"]) == (pytest.approx(0.59), pytest.approx(0.01), pytest.approx(0.59))
    assert (row["pue"], row["pue_id"]) == (1.0, None)


def test_bytes_that_have_a_line_where_they_leave_are_known_and_count_there(one, impacts):
    received = {"usage_kind": "data_volume", "consumed_unit": "gb", "meter": "CAN1-USE1-AWS-In-Bytes"}
    row = one(**received)
    assert (row["energy_kwh"], row["is_covered"]) == (0.0, True)
    assert set(impacts(**received)) == {("use", criterion, view) for criterion in ("GWP", "PE", "ADPe", "WU") for view in ("amortised", "purchase_year")}


def test_an_oracle_core_hour_of_epyc_is_two_threads_between_idle_and_full_load(one):
    row = one(provider="oci", service_name="COMPUTE", meter="Standard - E4", usage_kind="ocpu_hours", consumed_unit="ocpu_hours", consumed_quantity=Decimal(1))
    # 2 vCPU × (0.455625 + 1.957334) / 2 W, 2 × 0.455625 W, 2 × 1.957334 W
    assert [row[name] for name in ("energy_kwh", "energy_kwh_min", "energy_kwh_max")] == pytest.approx([0.002412958, 0.000911249, 0.003914667], rel=1e-6)


UNREAD = [
    {"meter": "$0.045 per NAT Gateway Hour", "usage_kind": "resource_hours", "consumed_unit": "hours"},
    {"meter": "USW2-Requests-Tier1", "usage_kind": "requests", "consumed_unit": "requests"},
    {"consumed_unit": "furlongs"}, {"consumed_quantity": None}, {"charge_category": "Credit"}, {"charge_category": "Purchase"}, {"usage_kind": None},
]  # fmt: skip


def test_what_no_row_reads_has_no_amount_no_energy_and_is_not_covered(gold, activity_of, rows):
    made = activity_of(*({**change, "sku_id": str(place), "currency": "XAF"} for place, change in enumerate(UNREAD)))
    assert [(row["meter_amount"], row["energy_kwh"], row["is_covered"], row["cost"]) for row in rows(made)] == [(None, None, False, Decimal(8))] * len(UNREAD)
    assert rows(gold.impact(made)) == []


def test_an_unused_commitment_stores_nothing_and_a_correction_takes_back(one, impacts):
    assert one(commitment_discount_status="Unused")["energy_kwh"] == 0.0
    back = one(charge_class="Correction", consumed_quantity=Decimal(-100), meter="DataTransfer-Out-Bytes", usage_kind="data_volume", consumed_unit="gb")
    assert (back["energy_kwh"], back["energy_kwh_min"], back["energy_kwh_max"]) == (pytest.approx(-5.9), pytest.approx(-5.9), pytest.approx(-0.1))
    made = impacts(charge_class="Correction", consumed_quantity=Decimal(-100))["manufacturing", "GWP", "amortised"]
    assert made["value_min"] <= made["value"] <= made["value_max"] < 0


def test_lines_of_two_meters_are_two_activities_and_lines_of_one_are_summed(activity_of, rows):
    made = rows(activity_of({}, {"line_id": "l2"}, {"line_id": "l3", "meter": "EBS:SnapshotUsage"}), "meter")
    assert [(row["meter"], row["lines"], row["quantity"]) for row in made] == [("EBS:SnapshotUsage", 1, Decimal(100)), ("EBS:VolumeUsage.gp3", 2, Decimal(200))]
