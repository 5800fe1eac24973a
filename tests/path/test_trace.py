"""A published figure leads back to its impacts and the delivered rows, for every KPI that is a sum of impacts."""

import json
import shutil
from datetime import date

import pytest
from click.testing import CliRunner
from psycopg.rows import dict_row

from cli.main import strata
from partitions.customers import CUSTOMERS, customer
from partitions.errors import TraceError
from platform_assets.greenit.metrics import METRICS
from platform_assets.greenit.tracing import rows_behind, trace, version_of
from resources.session import RunIdentity, Session
from resources.settings import PROJECT
from resources.versions import live
from samples.generate import generate

TRACEABLE = [one.id for one in METRICS if one.is_traceable]
SEPTEMBER = date(2024, 9, 1)
ABSENT = ("scope3_7",)  # Acme has no devices of its employees' own


@pytest.fixture(scope="module")
def acme(installation, tmp_path_factory):
    """The sample customer Acme in the shared installation, from its files to its published figures."""
    samples = tmp_path_factory.mktemp("samples")
    shutil.copy(PROJECT / "customers" / "acme.yaml", installation.settings.customers / "acme.yaml")
    installation.postgres.ensure_lake_role("acme")
    installation.instance.add_dynamic_partitions(CUSTOMERS.name, ["acme"])
    for call in generate(samples):
        if call.customer == "acme":
            installation.land("acme", call.source, [samples / name for name in call.files], call.period, call.sequence)
    run = installation.run("acme")
    assert run.success, run.failures
    return installation


@pytest.fixture
def session(acme):
    opened = Session(acme.settings, acme.postgres, customer("acme", acme.settings.customers), RunIdentity("trace", None, "trace", "trace"))
    yield opened
    opened.close()


@pytest.fixture
def traced(session):
    return lambda kpi, month=SEPTEMBER, limit=3, raw=2, **dimensions: trace(session, kpi, month, dimensions, limit, raw)


@pytest.mark.parametrize("kpi", TRACEABLE)
def test_every_figure_is_the_sum_of_its_impacts_and_every_row_they_count_is_found(traced, kpi):
    if kpi in ABSENT:
        with pytest.raises(TraceError, match="no impact is behind this figure"):
            traced(kpi)
        return
    found = traced(kpi)
    assert found.figure == found.total
    assert found.is_reconciled
    assert all(one.raw for one in found.traced)


@pytest.mark.parametrize("domain", ["equipment", "datacentre", "cloud", "saas", "network", "web"])
def test_each_source_leads_to_its_own_file(traced, domain):
    found = traced("total_location", limit=20, domain=domain)
    assert found.is_reconciled
    tables = {raw.table for one in found.traced for raw in one.raw}
    assert tables <= {"equipment_inventory", "equipment_metering", "cloud_billing", "saas_contracts", "network_traffic", "web_analytics"}
    assert tables


def test_rows_found_are_the_rows_counted_for_activities_of_every_source_also_without_an_impact(session):
    """Days of unknown bytes and days after the window belong to other activities than the ones beside them."""
    made = version_of(session, "greenit_gold.activity", live(session.lock, "acme")["greenit_gold.activity"])
    with session.lock.cursor(row_factory=dict_row) as cursor:  # of each source one with an amount and one without
        activities = cursor.execute("""SELECT DISTINCT ON (source, meter_amount IS NULL) * FROM greenit_gold.activity
            WHERE customer_id = 'acme' AND version = %s AND month_start = %s ORDER BY source, meter_amount IS NULL, activity_id""",
                                    [made.version, SEPTEMBER]).fetchall()  # fmt: skip
    assert {one["activity_id"]: rows_behind(session, one, made)[0] for one in activities} == {one["activity_id"]: one["lines"] for one in activities}
    assert {one["source"] for one in activities} == {"equipment", "cloud", "saas", "network", "web", "ai"}
    assert any("of unknown bytes" in one["activity_id"] for one in activities)


def test_what_a_raw_row_says_is_what_the_file_says(traced, acme, tmp_path):
    found = traced("equipment_total", limit=1)
    (raw,) = [raw for raw in found.traced[0].raw if raw.table == "equipment_inventory"]
    (path,) = (acme.settings.home / "landing").rglob(f"*-{raw.file}")  # a landed file carries its place in the sequence and its hash before its name
    lines = path.read_text(encoding="utf-8").splitlines()
    assert raw.text["equipment_id"] in lines[raw.row]  # the header is line 0, and no cell of this file breaks a line


def test_the_calculation_in_words_multiplies_to_the_value(traced):
    for one in traced("total_location", limit=60, raw=0).traced:
        assert one.impact["amount"] * one.impact["factor_value"] == pytest.approx(float(one.impact["value"]), rel=1e-9)
        assert one.impact["unit"] in one.sentence


def test_members_of_a_dimension_reconcile_as_well(traced):
    assert traced("total_location", org_unit="Sales").is_reconciled
    assert traced("total_location", application="(unallocated)").is_reconciled


def test_a_figure_that_its_impacts_do_not_make_is_told(acme, traced):
    change = "UPDATE greenit_platinum.kpi_monthly SET value = value + {} WHERE customer_id = 'acme' AND domain = 'network' AND period = '2024-09-01'"
    with acme.superuser(acme.postgres.names.warehouse) as connection:
        connection.execute(change.format(1))
        try:
            assert not traced("network_total").is_reconciled
        finally:
            connection.execute(change.format(-1))
    assert traced("network_total").is_reconciled


@pytest.mark.parametrize(("asked", "problem"), [(("nonsense",), "no such KPI"), (("fleet_age",), "no sum of impacts")])
def test_what_cannot_be_traced_is_refused_with_what_can(traced, asked, problem):
    with pytest.raises(TraceError, match=problem):
        traced(*asked)


def test_an_unknown_dimension_and_a_month_without_figures_are_refused(traced):
    with pytest.raises(TraceError, match="no such dimension"):
        traced("total_location", colour="red")
    with pytest.raises(TraceError, match="no impact is behind"):
        traced("total_location", month=date(1999, 1, 1))


def test_the_command_shows_factor_file_and_row_and_ends_with_0(acme):
    done = CliRunner().invoke(strata, ["trace", "acme", "total_location", "--limit", "1"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "grid_factor.csv" in done.output
    assert "inventory_2024-09.csv row" in done.output
    assert "reconciles" in done.output
    audited = json.loads(CliRunner().invoke(strata, ["audit", "acme", "--format", "json"]).output)["entries"][-1]
    assert (audited["action"], audited["subject"]) == ("trace", "total_location 2024-09")
    assert audited["rows"] >= 1  # the raw rows that were shown
