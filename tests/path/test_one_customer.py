"""The way of a row, for one customer, on the real stores."""
from __future__ import annotations

from decimal import Decimal

import pytest

from tests.installation import Installation, billing, inventory

NAME = "way_of_a_row"


@pytest.fixture(scope="module")
def done(installation: Installation, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("files")
    installation.declare(NAME)
    good = inventory(folder / "inventory.csv", {"equipment_id": "a", "quantity": 10}, {"equipment_id": "b", "country": "Atlantis"},
                     {"equipment_id": "c", "purchase_date": "31/12/2023"}, {"equipment_id": "d", "item_type": "monitor", "country": "Allemagne"})
    installation.land(NAME, "equipment_inventory", [good])
    bill = billing(folder / "bill.csv", f"account-{NAME}", {}, {"ConsumedQuantity": "10", "BilledCost": "1.12"}, {"BilledCost": "0.1x"})
    installation.land(NAME, "cloud_billing", [bill])
    return installation.run(NAME)


def test_everything_of_a_customer_is_computed_checked_and_published(done) -> None:
    assert done.failures == {}
    assert done.success
    assert set(done.materialized) >= {"greenit/bronze/cloud_billing", "greenit/silver/site", "greenit/gold/impact", "greenit/platinum/kpi_monthly",
                                      "greenit/publication"}
    assert all(done.checks.values()), {name: ok for name, ok in done.checks.items() if not ok}


def test_a_reader_sees_the_published_figures(done, installation: Installation) -> None:
    rows = installation.kpis(NAME)
    month = [r for r in rows if str(r["period"]) == "2024-09-01" and r["criterion"] == "GWP" and r["view"] == "amortised"]
    # ten laptops: the manufacture of 170 kg over 5 years, 30 days of September: 10 × 170 × 30 / (5 × 365.25) = 27.926…, the monitor comes on top
    bought = sum(r["value"] for r in month if r["category"] == "3.2")
    assert Decimal("27.9") < bought < Decimal("31")
    assert {r["scope"] for r in month} == {"2", "3"}
    assert len({r["version"] for r in rows}) == 1


def test_bad_rows_stand_in_quarantine_with_rule_and_origin(done, installation: Installation) -> None:
    from tests.lake import quarantine

    assert done.materialized["greenit/silver/equipment"]["quarantined"] == 2
    assert done.materialized["greenit/silver/cloud_usage"]["quarantined"] == 1
    found = {(q["rule"], q["column_name"], q["_row"]) for q in quarantine(installation, NAME, "silver")}
    assert found == {("DOMAIN", "country", 2), ("DATE_FORMAT", "purchase_date", 3), ("NUMBER_FORMAT", "BilledCost", 3)}
    raw = next(q["raw"] for q in quarantine(installation, NAME, "silver") if q["rule"] == "DOMAIN")
    assert "Atlantis" in raw


def test_a_rerun_on_unchanged_inputs_makes_no_version(done, installation: Installation) -> None:
    before = installation.versions(NAME)
    again = installation.run(NAME)
    assert again.success
    assert all(facts["unchanged"] for key, facts in again.materialized.items() if key not in ("greenit/publication", "greenit/quarantine"))
    assert installation.versions(NAME) == before


def test_a_launch_as_of_an_earlier_day_covers_months_up_to_it(done, installation: Installation) -> None:
    earlier = installation.run(NAME, **{"strata/as_of": "2024-07-15"})
    assert earlier.success
    assert max(str(r["period"]) for r in installation.kpis(NAME)) == "2024-07-01"
    assert installation.run(NAME).success
    assert max(str(r["period"]) for r in installation.kpis(NAME)) == "2024-09-01"


def test_one_table_alone_reads_the_newest_checked_versions(done, installation: Installation) -> None:
    alone = installation.run(NAME, ["greenit/platinum/kpi_monthly"])
    assert alone.success
    assert list(alone.materialized) == ["greenit/platinum/kpi_monthly"]


def test_metadata_tells_rows_version_sql_and_lineage(done) -> None:
    facts = done.materialized["greenit/gold/impact"]
    assert facts["dagster/row_count"] > 0
    assert "`strata sql greenit_gold.impact` prints it" in facts["sql"]
    deps = facts["dagster/column_lineage"].deps_by_column["value"]
    assert {("greenit/gold/activity", "energy_kwh"), ("parameters/grid_factor", "value")} <= {(d.asset_key.to_user_string(), d.column_name) for d in deps}


def test_a_billing_line_leads_to_its_activity_and_figure(done, installation: Installation) -> None:
    from tests.lake import lake_rows

    lines = lake_rows(installation, NAME, "SELECT sum(consumed_quantity) AS hours, sum(billed_cost) AS cost FROM lake.greenit_silver.cloud_usage")
    from resources.postgres import WRITER

    activity = installation.query("SELECT sum(meter_amount) AS hours, sum(cost) AS cost, sum(lines) AS lines FROM greenit_gold.activity_live WHERE source = 'cloud'",
                                  customer=NAME, role=WRITER)[0]
    assert (float(lines[0]["hours"]), lines[0]["cost"]) == (activity["hours"], activity["cost"])
    assert activity["lines"] == 2
