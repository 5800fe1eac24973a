"""Two files that nobody of the project wrote, through the same path, end to end. Runs where the shared data is."""
from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from partitions.customers import customer
from partitions.errors import TraceError
from platform_assets.greenit.metrics import METRICS
from platform_assets.greenit.tracing import trace
from resources.postgres import WRITER
from resources.session import RunIdentity, Session
from tests.conftest import SHARED
from tests.installation import Installation
from tests.lake import lake_rows, quarantine

FOCUS = SHARED / "data/inputs/focus/focus_1_0_sample_1000.csv"
COVERED = {  # customer -> lines known by activity, lines known by cost, per cent of the cost of usage known by activity, by either
    "real_focus": (784, 180, "85.70", "100.00"),
    "real_aws_cur_legacy": (569, 318, "10.01", "100.00"),
    "real_azure_ea": (12, 12, "18.95", "100.00"),  # in Canadian dollars, by the yearly average of 2023
    "real_oci_cost_report": (222, 284, "12.84", "100.00"),
}
BILLS = {  # format -> file, owners, period, lines, billed in all
    "aws_cur_legacy": ("aws_cur_legacy_anonymous.csv", ["123412340534"], "2023-11", 1281, "1.68230869740"),
    "azure_ea": ("azure_ea_export_anonymous.csv", ["12345678"], "2023-09", 27, "1.26136926505726"),
    "oci_cost_report": ("oci_cost_report.csv", ["ocid1.tenancy.oc1..aaaaaaaadsyhydp66mjpsohqocfcgzaabtrit47ex2igzu2j6lhuadrrglca"], "2023-11", 506,
                        "2.523589325400648027"),
}  # fmt: skip
INVENTORY = SHARED / "data/inputs/numecoeval_g4it/equipement_physique_light_2023-07-19.csv"
pytestmark = pytest.mark.skipif(not FOCUS.exists(), reason="the shared data is not there")
OWNERS = ["1234567890123", "/providers/Microsoft.Billing/billingAccounts/8611537", "20209880"]
HAS_IMPACT = "(activity_id, month_start) IN (SELECT activity_id, month_start FROM greenit_gold.impact_live)"  # something of it is an impact


@pytest.fixture(scope="module")
def focus(installation: Installation):
    installation.declare("real_focus", sources={"cloud_billing": {"format": "focus_1_0_space", "accepted_owners": OWNERS}})
    installation.land("real_focus", "cloud_billing", [FOCUS], "2024-09")
    return installation.run("real_focus")


@pytest.fixture(scope="module", params=BILLS)
def bill(request: pytest.FixtureRequest, installation: Installation):
    """(customer, run, file, lines, cost) of one provider's own export."""
    name, owners, period, lines, cost = BILLS[request.param]
    customer = f"real_{request.param}"
    installation.declare(customer, sources={"cloud_billing": {"format": request.param, "accepted_owners": owners}})
    installation.land(customer, "cloud_billing", [SHARED / "data/inputs/cur" / name], period)
    return customer, installation.run(customer), SHARED / "data/inputs/cur" / name, lines, Decimal(cost)


@pytest.fixture(scope="module")
def fleet(installation: Installation):
    installation.declare("real_fleet", sources={"equipment_inventory": {"format": "g4it_1"}})
    installation.land("real_fleet", "equipment_inventory", [INVENTORY], "2023-06")
    return installation.run("real_fleet")


def independent(path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_every_billing_line_is_in_silver_and_the_cost_is_kept_to_the_last_digit(focus, installation: Installation) -> None:
    assert focus.success, focus.failures
    lines = independent(FOCUS)
    billed = sum(Decimal(line["BilledCost"]) for line in lines)
    silver = lake_rows(installation, "real_focus", "SELECT count(*) AS n, sum(billed_cost) AS cost FROM lake.greenit_silver.cloud_usage")[0]
    assert (silver["n"], silver["cost"]) == (len(lines), billed) == (1000, Decimal("20.52022672899"))
    assert quarantine(installation, "real_focus", "bronze") == quarantine(installation, "real_focus", "silver") == []
    assert focus.materialized["greenit/bronze/cloud_billing"]["rows_in"] == 1000


def test_the_instance_hours_have_an_impact_and_coverage_is_reported_by_cost(focus, installation: Installation) -> None:
    covered = installation.query(f"""SELECT sum(lines) FILTER (WHERE instance_type IS NOT NULL AND provider = 'aws' AND {HAS_IMPACT}) AS lines,
        sum(cost) FILTER (WHERE instance_type IS NOT NULL AND provider = 'aws' AND {HAS_IMPACT}) AS cost, sum(cost) AS total, sum(lines) AS all_lines
        FROM greenit_gold.activity_live""", customer="real_focus", role=WRITER)[0]
    assert (covered["lines"], covered["all_lines"]) == (29, 1000)
    assert round(covered["cost"] / covered["total"], 2) == Decimal("0.84")
    month = [r for r in installation.kpis("real_focus") if str(r["period"]) == "2024-09-01" and r["criterion"] == "GWP"]
    assert month
    assert {round(r["coverage_pct"], 1) for r in month} == {100.0}  # all usage; a credit of 2.61 is none
    electricity = [r for r in installation.kpis("real_focus") if str(r["period"]) == "2024-09-01" and r["criterion"] == "PE" and r["phase"] == "use"]
    assert {round(r["coverage_pct"], 1) for r in electricity} == {85.9}  # what is known by cost alone has no row in other criteria than GWP
    assert all(r["value"] > 0 for r in month)


def test_every_line_of_a_providers_export_is_in_silver_and_its_cost_is_kept_to_the_last_digit(bill, installation: Installation) -> None:
    customer, run, file, lines, cost = bill
    assert run.success, run.failures
    amounts = [Decimal(line.get("lineItem/UnblendedCost") or line.get("CostInBillingCurrency") or line["cost/myCost"]) for line in independent(file)]
    silver = lake_rows(installation, customer, "SELECT count(*) AS n, sum(billed_cost) AS cost FROM lake.greenit_silver.cloud_usage")[0]
    assert (silver["n"], silver["cost"]) == (len(amounts), sum(amounts)) == (lines, cost)
    assert quarantine(installation, customer, "bronze") == quarantine(installation, customer, "silver") == []


def coverage(installation: Installation, customer: str) -> tuple:
    row = installation.query(f"""SELECT sum(lines) FILTER (WHERE energy_kwh IS NOT NULL) AS by_activity, sum(lines) FILTER (WHERE usd_2022 IS NOT NULL) AS by_cost,
        sum(cost) FILTER (WHERE energy_kwh IS NOT NULL) AS known, sum(cost) FILTER (WHERE {HAS_IMPACT}) AS covered, sum(cost) AS usage
        FROM greenit_gold.activity_live WHERE charge_category = 'Usage'""", customer=customer, role=WRITER)[0]
    shares = (f"{100 * row[name] / row['usage']:.2f}" for name in ("known", "covered"))
    return (int(row["by_activity"]), int(row["by_cost"] or 0), *shares)


def test_coverage_by_cost_of_each_providers_export_is_as_measured(bill, installation: Installation) -> None:
    customer, run, *_rest = bill
    assert run.success, run.failures
    assert coverage(installation, customer) == COVERED[customer]
    assert {r["method_id"] for r in installation.query("SELECT method_id FROM greenit_gold.impact_live", customer=customer, role=WRITER)} >= {"A5-transfer"}


def test_coverage_by_cost_of_the_focus_sample_is_as_measured(focus, installation: Installation) -> None:
    assert coverage(installation, "real_focus") == COVERED["real_focus"]


def test_every_inventory_line_is_in_silver_with_its_country(fleet, installation: Installation) -> None:
    assert fleet.success, fleet.failures
    silver = lake_rows(installation, "real_fleet", """SELECT country_code, count(*) AS n, sum(quantity) AS units FROM lake.greenit_silver.equipment
        GROUP BY ALL ORDER BY country_code""")
    assert sum(r["n"] for r in silver) == len(independent(INVENTORY, ";")) == 1971
    assert sum(r["units"] for r in silver) == 165_134
    assert {r["country_code"]: r["n"] for r in silver} == {"CHN": 10, "DEU": 130, "ESP": 1, "FRA": 1775 + 55}
    assert quarantine(installation, "real_fleet", "silver") == []


def test_the_date_of_the_export_retires_nothing(fleet, installation: Installation) -> None:
    rows = lake_rows(installation, "real_fleet", "SELECT status, count(retired_date) AS dated, count(*) AS n FROM lake.greenit_silver.equipment GROUP BY 1")
    by_status = {r["status"]: r["n"] for r in rows}
    assert (by_status["retired"], by_status["in_use"]) == (206, 1342)
    assert sum(r["dated"] for r in rows) == 0
    late = lake_rows(installation, "real_fleet", """SELECT count(*) AS n FROM lake.greenit_silver.equipment
        WHERE purchase_date > DATE '2023-06-16' AND status = 'in_use'""")[0]["n"]
    assert late == 16


def test_the_fleet_has_figures(fleet, installation: Installation) -> None:
    total = sum(r["value"] for r in installation.kpis("real_fleet") if str(r["period"]) == "2023-06-01" and r["criterion"] == "GWP" and r["view"] == "amortised")
    assert total > 0


def traced_and_refused(installation: Installation, name: str) -> tuple[list[str], list[str]]:
    """KPIs of the newest month whose trace was found right: the impacts add up to the published cells and to the KPI, and the rows that the largest
    impact counts were found. And those that nothing of this customer is part of.
    """
    query = "SELECT metric_id, period, value FROM greenit_platinum.metric_monthly_live WHERE period = (SELECT max(month_start) FROM greenit_gold.impact_live)"
    published = {row["metric_id"]: row for row in installation.query(query, customer=name, role=WRITER)}
    right, refused = [], []
    session = Session(installation.settings, installation.postgres, customer(name, installation.settings.customers), RunIdentity("trace", None, "trace", "trace"))
    try:
        for one in METRICS:
            if not one.is_traceable:
                continue
            try:
                found = trace(session, one.id, None, {}, 1, 1)
            except TraceError:  # nothing of this kind: then nothing is published either
                refused.append(one.id)
                continue
            assert found.total == found.figure, one.id
            assert found.is_reconciled, one.id
            assert all(impact.raw for impact in found.traced), one.id
            assert one.over or float(found.value) == pytest.approx(published[one.id]["value"], rel=1e-12), one.id
            assert found.impacts > 0
            right.append(one.id)
    finally:
        session.close()
    assert not {*refused} & {*published}
    return right, refused


OF_NO_BILL = {"scope2_location", "scope2_market", "scope3_2", "scope3_3", "scope3_5", "scope3_7", "scope3_8", "scope3_11", "equipment_total", "datacentre_total",
              "saas_total", "network_total", "web_total", "ai_total"}  # fmt: skip
OF_NO_INVENTORY = {"scope3_1", "scope3_7", "scope3_8", "scope3_11", "cloud_total", "saas_total", "network_total", "web_total", "ai_total"}


def test_every_kpi_of_the_focus_sample_leads_back_to_its_lines(focus, installation: Installation) -> None:
    assert focus.success, focus.failures
    right, refused = traced_and_refused(installation, "real_focus")
    assert set(refused) == OF_NO_BILL
    assert {"total_location", "total_market", "cloud_total", "embodied", "use", "primary_energy", "water", "per_eur_it_spend"} <= set(right)


def test_every_kpi_of_a_providers_export_leads_back_to_its_lines(bill, installation: Installation) -> None:
    name, run, *_rest = bill
    assert run.success, run.failures
    right, refused = traced_and_refused(installation, name)
    assert set(refused) == OF_NO_BILL
    assert {"total_location", "total_market", "cloud_total", "embodied", "use", "primary_energy", "water", "per_eur_it_spend"} <= set(right)


def test_every_kpi_of_the_inventory_leads_back_to_its_lines(fleet, installation: Installation) -> None:
    assert fleet.success, fleet.failures
    right, refused = traced_and_refused(installation, "real_fleet")
    assert set(refused) == OF_NO_INVENTORY
    assert {"total_location", "total_purchase_year", "scope2_location", "scope2_market", "equipment_total", "datacentre_total", "embodied"} <= set(right)
