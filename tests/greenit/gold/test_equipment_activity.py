"""Behaviour of greenit/gold/equipment_activity: where a line's electricity and manufacture are known from."""

from datetime import date
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest

from platform_assets.greenit.gold.server_configuration import configured_servers

FRANCE_2024 = 0.044179085  # kgCO2e/kWh, Ember
SERVER = {
    "equipment_id": "s", "item_type": "server", "model": "R740", "quantity": 2, "status": "in_use", "ownership": "owned", "country_code": "FRA",
    "purchase_date": date(2024, 1, 1), "is_datacentre": True, "site_id": "DC1",
}  # fmt: skip
PROCESSORS = {"cpu_units": 2, "cpu_cores": 40, "cpu_tdp_watts": 150.0, "ram_gb": 256.0, "ssd_gb": 3840.0, "hdd_units": 0}
JUNE = date(2024, 6, 1)
READ = {"equipment_id": "metered", "start_date": JUNE, "end_date": date(2024, 6, 30), "energy_kwh": 600.0, "hours_on": 720.0, "cpu_pct": 20.0}


def test_a_meter_goes_before_what_is_declared_before_mean_power_before_processors_before_the_type(made):
    knows = {"kwh": {"energy_kwh_per_year": 3652.5}, "watts": {"power_watts": 200.0}, "cpu": PROCESSORS}
    order = ["metered", "declared", "power", "modelled", "typical"]
    lines = []
    for place, name in enumerate(order):
        lines.append({**SERVER, "equipment_id": name, **{k: v for said in list(knows.values())[max(place - 1, 0):] for k, v in said.items()}})
    activities, _ = made(equipment=lines, metered_usage=[READ])
    june = {name: activities[f"equipment-{name}", 6] for name in order}
    assert june["metered"]["energy_kwh"] == 600.0  # of the whole line, not of a piece
    assert june["declared"]["energy_kwh"] == pytest.approx(2 * 3652.5 * 30 / 365.25)
    assert june["power"]["energy_kwh"] == pytest.approx(2 * 0.2 * 24 * 30)
    # (2 × 150 W × 0.75 + 256 GB × (0.1041 + 0.5 × 0.0446) W) × 1.33 + 2 drives × 8 W, for two pieces
    assert june["modelled"]["energy_kwh"] == pytest.approx(2 * ((225 + 256 * 0.1264) * 1.33 + 16) * 24 * 30 / 1000)
    assert june["typical"]["energy_kwh"] == pytest.approx(2 * 1486.71 * 30 / 365.25)
    assert [june[name]["dq_reliability"] for name in order] == [1, 1, 3, 3, 4]
    assert [june[name]["energy_id"] for name in order] == [None, None, "power_watts", "server power by load", "ccf-server-energy"]
    for name in order[:3]:
        assert june[name]["energy_kwh_min"] == june[name]["energy_kwh"] == june[name]["energy_kwh_max"]
    for name in order[3:]:
        assert june[name]["energy_kwh_min"] < june[name]["energy_kwh"] < june[name]["energy_kwh_max"]


def test_a_meter_of_part_of_the_month_is_taken_to_the_days_in_service(made):
    two = [{**READ, "end_date": date(2024, 6, 10), "energy_kwh": 100.0}, {**READ, "start_date": date(2024, 6, 16), "end_date": date(2024, 6, 20), "energy_kwh": 80.0}]
    retired = {**SERVER, "equipment_id": "gone", "status": "retired", "retired_date": date(2024, 6, 21)}
    late = [{**read, "equipment_id": "gone"} for read in two]
    activities, _ = made(equipment=[{**SERVER, "equipment_id": "metered"}, retired], metered_usage=two + late)
    # 180 kWh in 10 + 5 days: 360 in June's 30, 240 in the 20 days until the 21st
    assert activities["equipment-metered", 6]["energy_kwh"] == pytest.approx(360)
    assert activities["equipment-gone", 6]["energy_kwh"] == pytest.approx(240)


def test_a_meter_of_load_alone_moves_the_processors_power_and_closes_their_interval(made):
    activities, _ = made(equipment=[{**SERVER, "equipment_id": "metered", **PROCESSORS}], metered_usage=[{**READ, "energy_kwh": None, "cpu_pct": 10.0}])
    # load 10 %: (2 × 150 × 0.32 + 256 × (0.1041 + 0.1 × 0.0446)) × 1.33 + 16
    assert activities["equipment-metered", 6]["energy_kwh"] == pytest.approx(2 * ((96 + 256 * 0.10856) * 1.33 + 16) * 24 * 30 / 1000)


def test_the_register_of_sites_goes_before_the_usual_pue_and_says_the_water(made, gwp):
    own = {"site_id": "DC1", "name": "DC1", "kind": "datacentre", "is_datacentre": True, "country_code": "DEU", "pue": 1.2, "wue_l_per_kwh": 0.5}
    lines = [{**SERVER, "energy_kwh_per_year": 365.25}, {**SERVER, "equipment_id": "t", "energy_kwh_per_year": 365.25, "site_id": "elsewhere"},
             {**SERVER, "equipment_id": "o", "energy_kwh_per_year": 365.25, "is_datacentre": False}]  # fmt: skip
    activities, impacts = made(equipment=lines, site=[own])
    assert [(activities[f"equipment-{name}", 6]["pue"], activities[f"equipment-{name}", 6]["pue_id"]) for name in "sto"] == [
        (1.2, "site:DC1"), (1.58, "datacentre-pue"), (1.0, None)
    ]
    # 60 kWh × (0.5 + 1.2 × 3.6737 L of France); an office has no cooling of machines: 60 × 3.6737; a datacentre of unknown WUE has no row
    water = {row["activity_id"]: float(row["value"]) for row in impacts if row["criterion"] == "WU" and row["accounting_view"] == "amortised"}
    assert water == {"equipment-s": pytest.approx(60 * (0.5 + 1.2 * 3.6737)), "equipment-o": pytest.approx(60 * 3.6737)}
    # losses on the way to the meter: 8 % of 60 kWh × PUE × France, category 3.3 and never in scope 2
    kg = gwp(impacts)["equipment-s"]
    assert kg["use", "2", "location"] == kg["use", "2", "market"] == pytest.approx(60 * 1.2 * FRANCE_2024)
    assert kg["use", "3.3", "none"] == pytest.approx(60 * 1.2 * 0.08 * FRANCE_2024)


def test_a_site_says_the_country_of_a_line_that_does_not(made):
    site = {"site_id": "DC1", "name": "DC1", "kind": "office", "is_datacentre": False, "country_code": "DEU"}
    activities, _ = made(equipment=[{**SERVER, "country_code": None}], site=[site])
    assert (activities["equipment-s", 6]["country_code"], activities["equipment-s", 6]["grid_id"]) == ("DEU", "owid-deu-2024-gwp")


def test_a_declared_lifetime_goes_before_the_types(made):
    activities, _ = made(equipment=[{**SERVER, "expected_lifetime_years": 8.0}, {**SERVER, "equipment_id": "t"}])
    assert [(activities[f"equipment-{name}", 6]["lifetime_years"], activities[f"equipment-{name}", 6]["lifetime_id"]) for name in "st"] == [
        (8.0, "declared"), (5.0, "g4it-server-lifetime")
    ]
    assert activities["equipment-s", 6]["embodied_share"] == pytest.approx(30 / (8 * 365.25))


def test_a_refurbished_device_carries_a_part_of_its_manufacture_and_all_else(made, gwp):
    laptop = {**SERVER, "item_type": "laptop", "is_datacentre": False, "purchase_date": JUNE, "quantity": 1}
    _, impacts = made(equipment=[{**laptop, "condition": "refurbished"}, {**laptop, "equipment_id": "n"}])
    again, new = (gwp(impacts, "purchase_year")[f"equipment-{name}"] for name in "sn")
    assert (again["manufacturing", "3.2", "none"], new["manufacturing", "3.2", "none"]) == (pytest.approx(0.35 * 170), pytest.approx(170))
    assert again["distribution", "3.2", "none"] == new["distribution", "3.2", "none"] == pytest.approx(12.3)
    (row,) = [r for r in impacts if r["activity_id"] == "equipment-s" and r["phase"] == "manufacturing" and r["accounting_view"] == "purchase_year"]
    assert (float(row["value_min"]), float(row["value_max"])) == (pytest.approx(0.2 * 170), pytest.approx(0.5 * 170))


def test_a_configured_server_is_the_sum_of_its_parts(made):
    bought = {**SERVER, "purchase_date": JUNE, "quantity": 1}
    _, impacts = made(equipment=[{**bought, **PROCESSORS}, {**bought, "equipment_id": "t"}])
    made_of = {row["activity_id"]: row for row in impacts if (row["criterion"], row["phase"], row["accounting_view"]) == ("GWP", "manufacturing", "purchase_year")}
    # processors 2 (20 cores × 24.5 mm² × 0.0197 + 9.14) = 37.586; memory 8 × (32 / 1.2444 × 2.2 + 5.22) = 494.3488; flash 2 × (1,920 / 54.88 × 2.2 + 6.34)
    # = 166.6174; supplies 145.314; case 150; board 66.1; assembly 6.68
    parts = 2 * (490 * 0.0197 + 9.14) + 8 * (32 / 1.2444 * 2.2 + 5.22) + 2 * (1920 / 54.88 * 2.2 + 6.34) + 2 * 2.99 * 24.3 + 150 + 66.1 + 6.68
    assert float(made_of["equipment-s"]["value"]) == pytest.approx(parts, rel=1e-9)
    assert made_of["equipment-s"]["factor_id"] == "server 2 CPU, 40 cores, 256 GB, 3840 GB SSD, 0 HDD"
    assert float(made_of["equipment-t"]["value"]) == pytest.approx(745.70872)  # a server of unknown parts has its type's


def test_the_type_of_server_is_what_the_same_parts_make(reference):
    """The assumed server's parts (device_factor) as a line of an inventory: 2 × 1 TB of flash need drives of 1 TB."""
    coefficients = reference("server_coefficient").to_pyarrow().to_pylist()
    drives = [{**row, "value": 1000.0} if row["key"] == "ssd_gb_per_drive" else row for row in coefficients]
    smaller = ibis.memtable(pa.Table.from_pylist(drives, schema=reference("server_coefficient").to_pyarrow().schema))
    same = {"cpu_units": 2, "cpu_cores": 40, "ram_gb": 128.0, "ssd_gb": 2000.0}
    line = ibis.memtable([{**same, "hdd_units": 0}])
    found = {row["criterion"]: row["factor_value"] for row in configured_servers(line, reference("server_component"), smaller).to_pyarrow().to_pylist()}
    stated = reference("device_factor").filter(lambda t: t.item_key == "server").to_pyarrow().to_pylist()
    assert found == {row["criterion"]: pytest.approx(row["value"], rel=1e-6) for row in stated}


@pytest.mark.parametrize("nothing", [{"cpu_units": 0}, {"cpu_cores": 0}, {"ram_gb": 0.0}])
def test_a_server_without_processors_or_memory_has_the_figures_of_its_type(made, nothing):
    _, impacts = made(equipment=[{**SERVER, "quantity": 1, "purchase_date": JUNE, **PROCESSORS, **nothing}])
    made_of = {row["factor_id"] for row in impacts if (row["phase"], row["criterion"]) == ("manufacturing", "GWP")}
    assert made_of == {"uba-server-manufacturing-gwp"}


def test_a_laptop_with_known_processors_is_no_server(made):
    laptop = {**SERVER, "item_type": "laptop", "is_datacentre": False, "purchase_date": JUNE, "quantity": 1, **PROCESSORS}
    activities, impacts = made(equipment=[laptop])
    assert activities["equipment-s", 6]["energy_kwh"] == pytest.approx(23.85 * 30 / 365.25)
    assert {float(row["value"]) for row in impacts if (row["phase"], row["criterion"], row["accounting_view"]) == ("manufacturing", "GWP", "purchase_year")} == {170.0}


def test_a_device_of_no_known_factor_is_known_by_its_price(made, gwp):
    till = {**SERVER, "item_type": "cash register", "is_datacentre": False, "purchase_date": JUNE, "unit_price": Decimal(500), "currency": "EUR", "expected_lifetime_years": 5.0}
    activities, impacts = made(equipment=[till, {**till, "equipment_id": "l", "item_type": "laptop"}, {**till, "equipment_id": "n", "currency": "XXX"}])
    # 2 × 500 EUR × 1.0824 × 292.655 / 313.689 = 1009.8216 dollars of 2022 × 0.058 kg; in June 30 of 1,826.25 days of it
    whole = 1000 * 1.0824 * 292.655 / 313.689 * 0.058
    assert gwp(impacts, "purchase_year")["equipment-s"]["manufacturing", "3.2", "none"] == pytest.approx(whole)
    assert gwp(impacts)["equipment-s"]["manufacturing", "3.2", "none"] == pytest.approx(whole * 30 / 1826.25)
    assert (activities["equipment-l", 6]["usd_2022"], activities["equipment-n", 6]["usd_2022"]) == (None, None)  # a laptop is weighed, XXX has no rate
    assert "equipment-n" not in gwp(impacts)


def test_what_is_not_in_use_takes_no_electricity_though_a_meter_says_so(made):
    activities, _ = made(equipment=[{**SERVER, "equipment_id": "metered", "status": "in_stock"}], metered_usage=[READ])
    assert activities["equipment-metered", 6]["energy_kwh"] is None  # reconciliation shows the kWh
