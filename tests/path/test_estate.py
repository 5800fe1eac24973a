"""The estate of a sample customer through the whole path: landed, loaded under the write's accounting, checked; what refers to nothing is shown."""
from __future__ import annotations

import pytest

from resources.postgres import WRITER
from samples.generate import acme
from tests.installation import Installation, Run
from tests.lake import lake_rows, quarantine

NAME = "estate"
SOURCES = ("equipment_inventory", "site_register", "organisation", "equipment_metering", "virtual_machines", "applications")


@pytest.fixture(scope="module")
def done(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The sample inventory of Acme with its estate; one line of the inventory stands in a room that the register does not have."""
    folder = tmp_path_factory.mktemp("estate")
    installation.declare(NAME, sources={source: {"format": "strata_1"} for source in SOURCES})
    for call in acme(folder):
        if call.source in SOURCES:
            files = [folder / name for name in call.files]
            if call.source == "equipment_inventory":
                files[0].write_text(files[0].read_text(encoding="utf-8").replace(",LYO1,", ",LYO2,", 1), encoding="utf-8")
            installation.land(NAME, call.source, files, call.period)
    return installation.run(NAME)


def test_the_estate_is_computed_and_published(done: Run) -> None:
    assert done.failures == {}
    assert done.success


def test_only_warnings_fail_and_they_say_what_refers_to_nothing(done: Run) -> None:
    failed = {name for name, passed in done.checks.items() if not passed}
    assert failed == {"site.sites_of_the_inventory_are_registered", "metered_usage.is_in_inventory__be_in_set", "reconciliation.meters_are_known"}


def test_rows_in_are_rows_loaded_and_quarantined_also_where_another_table_is_looked_up_in(done: Run, installation: Installation) -> None:
    rows = installation.query("SELECT table_name, rows_in, row_count + quarantined_count AS accounted FROM platform.table_version "
                              "WHERE table_name LIKE 'greenit_silver.%%' OR table_name LIKE 'greenit_bronze.%%'", customer=NAME, role=WRITER)
    counted = {row["table_name"].partition(".")[2]: row["rows_in"] for row in rows}
    assert {row["table_name"] for row in rows if row["rows_in"] != row["accounted"]} == {"greenit_silver.saas_usage", "greenit_silver.web_page"}  # nested, grouped
    for silver, bronze in {"site": "site_register", "org_unit": "organisation", "metered_usage": "equipment_metering", "virtual_machine": "virtual_machines",
                           "application": "applications"}.items():
        assert counted[silver] == counted[bronze] > 0


def test_bad_rows_of_the_estate_stand_in_quarantine_with_their_raw_text(done: Run, installation: Installation) -> None:
    found = {(q["table_name"], q["rule"], q["column_name"]): q for q in quarantine(installation, NAME, "silver") if q["table_name"] != "equipment"}
    assert set(found) == {("site", "NUMBER_RANGE", "pue"), ("org_unit", "NUMBER_FORMAT", "fte"), ("metered_usage", "NUMBER_RANGE", "cpu_pct"),
                          ("metered_usage", "DATE_RANGE", "end_date"), ("virtual_machine", "DOMAIN", "equipment_id"), ("application", "DOMAIN", "vm_id")}
    assert "about a dozen" in found["org_unit", "NUMBER_FORMAT", "fte"]["raw"]
    assert "vm-lost" in found["virtual_machine", "DOMAIN", "equipment_id"]["raw"]


def test_a_site_counts_the_lines_that_stand_there(done: Run, installation: Installation) -> None:
    rows = lake_rows(installation, NAME, "SELECT s.site_id, s.equipment_lines, count(e.equipment_id) AS lines FROM lake.greenit_silver.site s "
                                         "LEFT JOIN lake.greenit_silver.equipment e USING (site_id) GROUP BY ALL")
    assert len(rows) == 4
    assert all(row["equipment_lines"] == row["lines"] for row in rows)
