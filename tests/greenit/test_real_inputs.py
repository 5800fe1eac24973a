"""The two inputs nobody of us wrote, from bronze text to indicators, by pure functions (storage and checks have their own end-to-end test)."""

from datetime import date
from decimal import Decimal

import pytest
from ibis import _

from platform_assets.greenit.gold.cloud_activity import cloud_activity_id
from platform_assets.greenit.platinum.kpi_monthly import kpi_monthly
from tests.conftest import SHARED

INPUTS = SHARED / "data/inputs"
pytestmark = pytest.mark.skipif(not INPUTS.exists(), reason="the real inputs are not on this machine")
G4IT = """SELECT nomEquipementPhysique equipment_id, modele model, NULL::VARCHAR manufacturer, type item_type, quantite quantity, statut status,
    NULL::VARCHAR ownership, dateAchat purchase_date, NULL::VARCHAR retired_date, dateRetrait exported_at, paysDUtilisation country,
    NULL::VARCHAR site, nomCourtDatacenter datacentre,
    nomEntite org_unit, consoElecAnnuelle energy_kwh_per_year, NULL::VARCHAR unit_price, NULL::VARCHAR currency, NULL::VARCHAR condition, NULL::VARCHAR cpu_model,
    NULL::VARCHAR cpu_units, nbCoeur cpu_cores, NULL::VARCHAR cpu_tdp_watts, NULL::VARCHAR ram_gb, NULL::VARCHAR ssd_gb, NULL::VARCHAR hdd_units,
    NULL::VARCHAR power_watts, NULL::VARCHAR expected_lifetime_years, 'g4it.csv' _file, row_number() OVER () _row,
    repeat('a', 64) _sha256, 'g4it_1' _format FROM read_csv('{}', all_varchar = true, delim = ';', header = true)"""
FOCUS = """SELECT * EXCLUDE (Id), NULL::VARCHAR SkuMeter, NULL::VARCHAR SkuPriceDetails, 'focus.csv' _file, row_number() OVER () _row, repeat('b', 64) _sha256, 'focus_1_0_space' _format
    FROM read_csv('{}', all_varchar = true, header = true, nullstr = 'NULL')"""


@pytest.fixture(scope="module")
def bronze(duck):
    duck.raw_sql("CREATE TABLE g4it AS " + G4IT.format(INPUTS / "numecoeval_g4it" / "equipement_physique_light_2023-07-19.csv"))
    duck.raw_sql("CREATE TABLE focus AS " + FOCUS.format(INPUTS / "focus" / "focus_1_0_sample_1000.csv"))
    return {"equipment_inventory": duck.table("g4it"), "cloud_billing": duck.table("focus")}


def kept(duck, name, table):
    duck.raw_sql(f"DROP TABLE IF EXISTS {name}")
    return duck.create_table(name, table)


@pytest.fixture
def equipment(duck, bronze, clean):
    return kept(duck, "real_equipment", clean.equipment(bronze["equipment_inventory"]))


@pytest.fixture
def cloud_usage(duck, bronze, clean):
    return kept(duck, "real_cloud_usage", clean.cloud_usage(bronze["cloud_billing"]))


def test_all_1971_lines_and_165134_units_pass(equipment):
    assert (equipment.count().execute(), equipment.quantity.sum().execute(), equipment._rejects.count().execute()) == (1971, 165134, 0)
    assert set(equipment.country_code.execute()) == {"FRA", "DEU", "CHN", "ESP"}
    assert equipment.retired_date.count().execute() == 0  # the export's date is no retirement
    bought_later = equipment.filter(_.purchase_date > date(2023, 6, 16))
    assert (bought_later.count().execute(), bought_later.filter(_.status == "in_use").count().execute()) == (137, 16)


def test_lines_stand_in_eight_datacentres_one_of_them_german(equipment):
    sites = equipment.filter(_.site_id.notnull()).group_by("site_id").agg(countries=_.country_code.collect().unique(), lines=_.count()).to_pyarrow().to_pylist()
    assert [row["countries"] for row in sites if row["site_id"] == "Y1"] == [["DEU"]]
    assert (len(sites), sum(row["lines"] for row in sites)) == (8, 684)


def test_all_1000_billing_lines_pass_and_cost_is_exact(cloud_usage):
    assert (cloud_usage.count().execute(), cloud_usage.line_id.nunique().execute(), cloud_usage._rejects.count().execute()) == (1000, 1000, 0)
    assert cloud_usage.billed_cost.sum().execute() == Decimal("20.52022672899")


def test_every_instance_hour_line_has_an_impact_and_carries_84_percent_of_the_cost(duck, cloud_usage, gold, months):
    window = months(date(2024, 9, 1), date(2024, 10, 1))
    activity = kept(duck, "real_cloud_activity", gold.activity(cloud_usage=cloud_usage.drop("_rejects"), months=window))
    impact = gold.impact(activity)
    hours = cloud_usage.filter(cloud_usage.charge_description.lower().re_search("instance.hour")).mutate(activity_id=cloud_activity_id(cloud_usage))
    assert hours.count().execute() == 29
    assert round(hours.billed_cost.sum().execute() / Decimal("20.52022672899"), 2) == Decimal("0.84")
    assert hours.anti_join(impact, "activity_id").count().execute() == 0
    named = cloud_usage.filter(_.instance_type.notnull())
    assert named.count().execute() == 30  # and an Azure hour, reversed: D11 v2
    assert activity.filter(_.instance_type.notnull() & _.instance_id.isnull()).count().execute() == 0
    assert (activity.lines.sum().execute(), activity.cost.sum().execute()) == (1000, Decimal("20.52022672899"))


def test_a_year_of_the_inventory_becomes_indicators(duck, equipment, gold, months, shares_of):
    activity = kept(duck, "real_equipment_activity", gold.activity(equipment=equipment.drop("_rejects"), months=months(date(2022, 7, 1), date(2023, 6, 17))))
    assert activity.filter(activity.purchase_date > date(2023, 6, 16)).count().execute() == 0
    impact = kept(duck, "real_impact", gold.impact(activity))
    keys = ["activity_id", "month_start", "phase", "criterion", "accounting_view", "ghg_method", "category"]
    assert impact.count().execute() == impact.select(keys).distinct().count().execute()
    cells = kpi_monthly(impact, activity, gold.coverage(activity, impact), shares_of()).filter(_.period == date(2023, 5, 1), _["view"] == "amortised", _.criterion == "GWP").to_pyarrow().to_pylist()
    use = {cell["domain"]: float(cell["value"]) for cell in cells if cell["method"] == "location"}
    # tonnes, as an order of magnitude: some 75,000 powered devices in France, 700 servers of which 155 in Germany
    assert 10_000 < use["equipment"] < 40_000
    assert 10_000 < use["datacentre"] < 40_000
    assert all(0 < cell["coverage_pct"] <= 100 for cell in cells)
