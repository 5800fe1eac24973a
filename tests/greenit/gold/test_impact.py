"""Behaviour of greenit/gold/impact."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

LAPTOP = {
    "activity_id": "equipment-e1",
    "month_start": date(2024, 1, 1),
    "source": "equipment",
    "domain": "equipment",
    "item_key": "laptop",
    "country_code": "FRA",
    "ownership": "owned",
    "purchase_date": date(2024, 1, 1),
    "quantity": Decimal(2),
    "quantity_unit": "items",
    "lines": 1,
    "days_in_month": 31,
    "energy_kwh": 10.0,
    "energy_kwh_min": 5.0,
    "energy_kwh_max": 20.0,
    "pue": 1.0,
    "embodied_share": 0.01,
    "purchase_share": 1.0,
    "disposal_share": 0.0,
    "usage_rate": 1.0,
    "energy_id": "ademe-laptop-energy",
    "condition_rate": 1.0,
    "condition_rate_min": 1.0,
    "condition_rate_max": 1.0,
    "wue": 0.0,
    "method_id": "A2",
    "dq_reliability": 4,
    "dq_technology": 3,
}
CLOUD = {
    "activity_id": "cloud-0",
    "month_start": date(2024, 9, 1),
    "source": "cloud",
    "domain": "cloud",
    "ownership": "service",
    "country_code": "USA",
    "lines": 1,
    "days_in_month": 30,
    "instance_id": "aws:m5.large",
    "method_id": "A5",
    "meter_amount": 100.0,
    "energy_kwh": 1.0,
    "energy_kwh_min": 0.5,
    "energy_kwh_max": 2.0,
    "pue": 1.15,
    "dq_reliability": 2,
    "dq_technology": 2,
}


@pytest.fixture
def impacts(gold, table_of, rows):
    def compute(row, **given):
        made = rows(gold.impact(table_of("gold", "activity", row), **given))
        return {(line["phase"], line["criterion"], line["accounting_view"]): line for line in made if line["method_id"] not in ("A7", "A7-losses")}

    return compute


def test_two_laptops_in_january_use_ten_kwh_of_french_electricity(impacts, reference):
    made = impacts(LAPTOP)
    france = reference("grid_factor").filter(lambda t: t.grid_id == "owid-fra-2024-gwp").value.execute()[0]
    use = made["use", "GWP", "amortised"]
    assert float(use["value"]) == pytest.approx(10 * france)
    assert (use["grid_id"], use["factor_value"], use["unit"], use["ghg_method"], use["method_id"]) == ("owid-fra-2024-gwp", france, "kgCO2e", "location", "A2")
    assert (use["scope"], use["category"], use["factor_id"]) == ("2", "2", "ademe-laptop-energy")


def test_manufacturing_carries_its_share_of_two_devices(impacts):
    made = impacts(LAPTOP)
    # 2 × 170 kg × 1 %; 2 × 12.3 kg × 1 %; 2 × 2.79 kg × 1 % (ADEME)
    carried = [float(made[phase, "GWP", "amortised"]["value"]) for phase in ("manufacturing", "distribution", "end_of_life")]
    assert carried == pytest.approx([3.4, 0.246, 0.0558])
    assert {made[phase, "GWP", "amortised"]["category"] for phase in ("manufacturing", "distribution")} == {"3.2"}


def test_in_the_purchase_view_the_month_of_purchase_carries_all_but_the_end_of_life(impacts):
    made = impacts(LAPTOP)
    assert made["manufacturing", "GWP", "purchase_year"]["value"] == Decimal(340)
    assert ("end_of_life", "GWP", "purchase_year") not in made
    assert made["use", "GWP", "purchase_year"]["value"] == made["use", "GWP", "amortised"]["value"]


def test_the_end_of_life_is_booked_in_the_last_month(impacts):
    made = impacts({**LAPTOP, "purchase_share": 0.0, "disposal_share": 1.0})
    assert made["end_of_life", "GWP", "purchase_year"]["value"] == Decimal("5.58")
    assert ("manufacturing", "GWP", "purchase_year") not in made


def test_where_no_factor_exists_there_is_no_row(impacts):
    made = impacts({**LAPTOP, "item_key": "unheard_of", "energy_kwh": None})
    assert made == {}
    assert ("manufacturing", "PE", "amortised") not in impacts(LAPTOP)


def test_electricity_counts_in_every_criterion_of_the_grid(impacts):
    made = impacts(LAPTOP)
    assert made["use", "PE", "amortised"]["unit"] == "MJ"
    assert float(made["use", "PE", "amortised"]["value"]) == pytest.approx(10 * 9.3135)  # France, EcoLogits
    assert float(made["use", "ADPe", "amortised"]["value"]) == pytest.approx(10 * 4.858e-8)


def test_a_country_without_a_multicriteria_factor_takes_the_worlds_with_a_worse_score(impacts):
    known, unknown = impacts(LAPTOP)["use", "PE", "amortised"], impacts({**LAPTOP, "country_code": "PRK"})["use", "PE", "amortised"]
    assert unknown["grid_id"] == "ecologits-wld-pe"
    assert unknown["dq_score"] > known["dq_score"]


def test_the_interval_holds_the_value(impacts):
    use = impacts(LAPTOP)["use", "GWP", "amortised"]
    assert (use["value_min"] * 2, use["value_max"]) == (pytest.approx(use["value"]), pytest.approx(use["value"] * 2))


def test_an_hour_of_cloud_is_scope_three_purchased_services_in_use_and_embodied(impacts):
    made = impacts(CLOUD)
    assert {line["category"] for line in made.values()} == {"3.1"}
    # 100 h × 1610.79 kg × 2 / 96 vCPU / 35,040 h
    assert float(made["manufacturing", "GWP", "amortised"]["value"]) == pytest.approx(100 * 1610.79 * 2 / 96 / 35040)
    assert (made["use", "GWP", "amortised"]["method_id"], made["use", "GWP", "amortised"]["factor_id"]) == ("A5", "aws:m5.large")
    assert made["manufacturing", "GWP", "purchase_year"]["value"] == made["manufacturing", "GWP", "amortised"]["value"]


def test_a_correction_is_negative_in_every_phase_and_its_interval_is_in_order(impacts):
    back = {**CLOUD, "meter_amount": -100.0, "energy_kwh": -1.0, "energy_kwh_min": -2.0, "energy_kwh_max": -0.5}
    for line in impacts(back).values():
        assert line["value_min"] <= line["value"] <= line["value_max"] < 0
        assert line["dq_weighted"] > 0


@pytest.mark.parametrize(("ownership", "expected"), [("owned", {"2", "3.2", "3.5"}), ("leased", {"2", "3.8"}), ("byod", {"3.7"})])
def test_ownership_decides_the_category(impacts, ownership, expected):
    assert {line["category"] for line in impacts({**LAPTOP, "ownership": ownership}).values()} == expected


def test_a_later_factor_does_not_reopen_the_life_of_a_device_bought_before(impacts, table_of, reference):
    (old,) = reference("device_factor").filter(lambda t: t.factor_id == "ademe-laptop-manufacturing-gwp").to_pyarrow().to_pylist()
    figures = [{**old, "valid_to": date(2024, 6, 30)}, {**old, "factor_id": "new", "value": 100.0, "valid_from": date(2024, 7, 1)}]
    both = ibis.memtable(pa.Table.from_pylist(figures, schema=reference("device_factor").to_pyarrow().schema))
    later = {**LAPTOP, "month_start": date(2024, 9, 1)}
    assert impacts(later, device_factor=both)["manufacturing", "GWP", "amortised"]["factor_id"] == "ademe-laptop-manufacturing-gwp"
    assert impacts({**later, "purchase_date": date(2024, 7, 1)}, device_factor=both)["manufacturing", "GWP", "amortised"]["factor_id"] == "new"


def test_over_a_life_impacts_sum_to_quantity_times_factor(gold, table_of, months):
    device = {
        "equipment_id": "e1",
        "item_type": "laptop",
        "quantity": 3,
        "status": "retired",
        "ownership": "owned",
        "country_code": "FRA",
        "purchase_date": date(2019, 2, 28),
        "retired_date": date(2022, 7, 14),
        "is_datacentre": False,
    }
    activity = gold.activity(equipment=table_of("silver", "equipment", device), months=months(date(2019, 1, 1), date(2025, 1, 1))).to_pyarrow()
    made = gold.impact(ibis.memtable(activity))
    totals = made.filter(made.phase != "use").group_by("accounting_view").agg(total=made.value.sum()).to_pyarrow().to_pylist()
    # 3 × (170 + 12.3 + 2.79) kg in either view
    assert [float(total["total"]) for total in totals] == pytest.approx([555.27, 555.27], abs=1e-12)
