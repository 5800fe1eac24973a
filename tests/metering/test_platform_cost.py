"""What a customer costs: amounts × price, electricity and grid, worked out by hand; months of the clock; nobody else's."""
from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from decimal import Decimal

import ibis
import pytest
from click.testing import CliRunner

from cli.main import strata
from platform_assets.platform_cost import CONTRACT, STORAGE, TABLE, USAGE, computed, platform_cost
from platform_assets.upkeep import cost
from resources.expressions import IBIS_TYPES
from resources.postgres import READER, WRITER
from resources.storage import pg_type
from tests.installation import Installation

PAYS, SAVES = "pays", "saves"
JUNE, JULY = date(2024, 6, 1), date(2024, 7, 1)
INSERT = """INSERT INTO platform.usage (customer_id, run_id, table_name, part, wall_seconds, cpu_seconds, postgres_seconds, peak_bytes, bytes_read, bytes_written,
    rows, recorded_at) VALUES (%s, %s, 'a.b', 'table', %s, %s, %s, %s, 0, 0, 1, %s)"""
SINCE = {"valid_from": date(2000, 1, 1), "valid_to": None}
PRICES = [{"price_id": f"p-{name}", "resource": name, "price_usd": price, "per": "x", **SINCE}
          for name, price in (("cpu_hour", 2.0), ("postgres_hour", 4.0), ("memory_gb_hour", 0.5), ("storage_gb_month", 3.0))]
ENERGY = [{"energy_id": f"e-{row['resource']}", "resource": row["resource"], "value": 0.1, **SINCE} for row in PRICES]
SITE = [{"site_id": "here", "country_code": "FRA", "value": 1.5, **SINCE}]
GRID = [{"grid_id": "old", "country_code": "FRA", "factor_year": 2019, "criterion": "GWP", "value": 9.0},
        {"grid_id": "new", "country_code": "FRA", "factor_year": 2024, "criterion": "GWP", "value": 0.04},
        {"grid_id": "pe", "country_code": "FRA", "factor_year": 2025, "criterion": "PE", "value": 8.0},
        {"grid_id": "de", "country_code": "DEU", "factor_year": 2024, "criterion": "GWP", "value": 0.3}]  # fmt: skip
TYPES = {
    "usage": USAGE, "storage": STORAGE, "platform_price": {"price_id": "string", "resource": "string", "price_usd": "float64", "per": "string"},
    "platform_energy": {"energy_id": "string", "resource": "string", "value": "float64"},
    "platform_site": {"site_id": "string", "country_code": "string", "value": "float64"},
    "grid_factor": {"grid_id": "string", "country_code": "string", "factor_year": "int64", "criterion": "string", "value": "float64"},
}  # fmt: skip
USED = {"month": JUNE, "wall_seconds": Decimal(3600), "cpu_seconds": Decimal(1800), "postgres_seconds": Decimal(360), "peak_bytes": 2_000_000_000}
STORED = {"month": JUNE, "landing_bytes": 1_000_000_000, "lake_bytes": 4_000_000_000, "warehouse_bytes": 1_000_000_000}


def costs(**said):
    """(month, resource) -> row, of hand-made inputs."""
    given = {"usage": [USED], "storage": [], "platform_price": PRICES, "platform_energy": ENERGY, "platform_site": SITE, "grid_factor": GRID, **said}
    dated = {"valid_from": "date", "valid_to": "date"}
    kinds = {name: {**types, **(dated if name.startswith("platform_") else {})} for name, types in TYPES.items()}
    backend = ibis.duckdb.connect()
    tables = {name: backend.create_table(name, schema=ibis.schema({k: IBIS_TYPES.get(v, v) for k, v in kinds[name].items()})) for name in given}
    for name, lines in given.items():
        if lines:
            backend.insert(name, [{column: line[column] for column in kinds[name]} for line in lines])
    return {(row["month"], row["resource"]): row for row in backend.to_pyarrow(platform_cost(**tables)).to_pylist()}


def test_half_an_hour_of_cpu_costs_half_its_price_and_its_electricity_goes_by_site_and_grid():
    found = costs()
    row = found[JUNE, "cpu_hour"]
    # 0.5 h × 2 USD; 0.5 × 0.1 kWh × 1.5; × 0.04 kg of the newest factor for emissions
    assert (row["amount"], row["cost_usd"], row["energy_kwh"], row["impact_kgco2e"]) == (Decimal("0.5"), Decimal(1), Decimal("0.075"), Decimal("0.003"))
    assert (row["price_id"], row["energy_id"], row["site_id"], row["grid_id"]) == ("p-cpu_hour", "e-cpu_hour", "here", "new")
    # 360 s × 4 USD/h; 2 GB for an hour × 0.5 USD
    assert (found[JUNE, "postgres_hour"]["cost_usd"], found[JUNE, "memory_gb_hour"]["cost_usd"]) == (Decimal("0.4"), Decimal(1))


def test_what_lies_for_15_days_of_30_is_half_a_month():
    row = costs(usage=[], storage=[STORED] * 15)[JUNE, "storage_gb_month"]
    assert (row["amount"], row["cost_usd"]) == (Decimal(3), Decimal(9))  # 6 GB × 15 / 30; × 3 USD


def test_parts_and_runs_of_a_month_add_up_and_months_stay_apart():
    found = costs(usage=[USED, USED, {**USED, "month": JULY}])
    assert {month: row["amount"] for (month, resource), row in found.items() if resource == "cpu_hour"} == {JUNE: Decimal(1), JULY: Decimal("0.5")}


def test_a_price_is_that_of_the_month_and_what_has_none_has_no_row():
    ended = [{**row, "valid_to": date(2024, 6, 30)} for row in PRICES if row["resource"] == "cpu_hour"]
    found = costs(usage=[USED, {**USED, "month": JULY}], platform_price=ended)
    assert set(found) == {(JUNE, "cpu_hour")}
    assert costs(platform_site=[]) == {}


@pytest.fixture(scope="module")
def metered(installation: Installation) -> Installation:
    """Two customers with runs in two months; one of them has a delivery, lake objects and a version in a shared table."""
    for name in (PAYS, SAVES):
        installation.declare(name)
    with installation.postgres.connect(WRITER, customer=PAYS) as connection:
        connection.execute(INSERT, [PAYS, "r1", 100, 3600, 36, 10**9, datetime(2024, 6, 30, 23, 59, tzinfo=UTC)])
        connection.execute(INSERT, [PAYS, "r2", 100, 7200, 0, 10**9, datetime(2024, 7, 1, 0, 1, tzinfo=UTC)])
        connection.execute(INSERT, [PAYS, "r0", 100, 7200, 0, 10**9, datetime(2023, 5, 1, tzinfo=UTC)])  # more than 13 months before July
        connection.execute("INSERT INTO platform.lake_object (customer_id, path, table_name, sha256, bytes) VALUES (%s, 'x', 'a.b', %s, 3000000000)", [PAYS, "a" * 64])
        connection.execute(f"INSERT INTO {TABLE} VALUES (%s, '2023-05-01', 'cpu_hour', 2, 'vCPU-h', 9, 0, 0, 'p', 'e', 's', 'g')", [PAYS])
    with installation.postgres.connect(WRITER, customer=SAVES) as connection:
        connection.execute(INSERT, [SAVES, "r1", 100, 1800, 0, 10**9, datetime(2024, 7, 9, tzinfo=UTC)])
    for today in (date(2024, 7, 10), date(2024, 7, 12)):
        assert computed(installation.postgres, [PAYS, SAVES], today).unpriced == 0
    return installation


def of(installation: Installation, name: str) -> dict:
    rows = installation.query(f"SELECT * FROM {TABLE}", customer=name, role=WRITER)
    assert {row["customer_id"] for row in rows} == {name}
    return {(row["month"], row["resource"]): row for row in rows}


def test_hours_go_to_the_month_of_the_clock_in_which_they_were_worked(metered: Installation):
    found = of(metered, PAYS)
    assert (found[JUNE, "cpu_hour"]["amount"], found[JULY, "cpu_hour"]["amount"]) == (1, 2)
    assert found[JULY, "cpu_hour"]["cost_usd"] == Decimal("0.07")  # 2 h × 0.035 USD, the shipped price
    assert found[JULY, "cpu_hour"]["energy_kwh"] == Decimal("0.01106")  # 2 × 0.0035 kWh × 1.58
    assert found[JULY, "cpu_hour"]["grid_id"] == "owid-wld-2024-gwp"
    assert found[JUNE, "postgres_hour"]["amount"] == Decimal("0.01")


def test_storage_is_looked_at_once_a_day_and_days_between_take_the_next_look(metered: Installation):
    days = metered.query("SELECT day, lake_bytes FROM platform.storage ORDER BY day", customer=PAYS, role=WRITER)
    assert [(row["day"].day, row["lake_bytes"]) for row in days] == [(10, 3 * 10**9), (11, 3 * 10**9), (12, 3 * 10**9)]
    assert of(metered, PAYS)[JULY, "storage_gb_month"]["amount"] == pytest.approx(Decimal(9) / 31)  # 3 GB × 3 / 31


def test_metered_runs_of_long_ago_go_and_their_cost_stays(metered: Installation):
    assert {row["run_id"] for row in metered.query("SELECT run_id FROM platform.usage", customer=PAYS, role=WRITER)} == {"r1", "r2"}
    assert of(metered, PAYS)[date(2023, 5, 1), "cpu_hour"]["cost_usd"] == 9


def test_computing_again_changes_nothing_and_one_customers_cost_is_its_own(metered: Installation):
    before = {name: of(metered, name) for name in (PAYS, SAVES)}
    computed(metered.postgres, [PAYS, SAVES], date(2024, 7, 12))
    assert {name: of(metered, name) for name in (PAYS, SAVES)} == before
    assert before[SAVES][JULY, "cpu_hour"]["amount"] == Decimal("0.5")


def test_hours_without_a_price_are_told(metered: Installation):
    overlay = metered.settings.home / "parameters"
    overlay.mkdir()
    try:
        (overlay / "platform_price.csv").write_text("price_id,resource,price_usd,per,source,source_version,licence,valid_from,valid_to\n"
                                                    "list-cpu,cpu_hour,0.1,vCPU-h,our own sheet,1,facts,2024-07-01,\n", encoding="utf-8")
        assert computed(metered.postgres, [PAYS], date(2024, 7, 12)).unpriced == 1  # June has no price any more
        assert of(metered, PAYS)[JULY, "cpu_hour"]["cost_usd"] == Decimal("0.2")  # the installation's own price lies over the shipped one
    finally:
        (overlay / "platform_price.csv").unlink()
        overlay.rmdir()
    assert computed(metered.postgres, [PAYS], date(2024, 7, 12)).unpriced == 0


def test_the_warehouse_has_the_contracts_columns_and_readers_of_a_customer_see_no_cost(metered: Installation):
    with metered.superuser(metered.postgres.names.warehouse) as connection:
        rows = connection.execute("SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [TABLE])
        assert set(rows.fetchall()) == {(c.name, pg_type(c.type), c.required) for c in CONTRACT.columns} | {("customer_id", "text", True)}
        assert not connection.execute("SELECT has_table_privilege(%s, %s, 'SELECT')", [READER, TABLE]).fetchone()[0]


def test_the_status_of_a_customer_shows_the_newest_month(metered: Installation):
    done = CliRunner().invoke(strata, ["customers", "status", PAYS, SAVES, "--format", "json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (pays, saves) = json.loads(done.output)
    total = sum(row["cost_usd"] for (month, _resource), row in of(metered, PAYS).items() if month == JULY)
    assert (pays["cost_month"], pays["cost_usd"]) == ("2024-07-01", pytest.approx(float(total)))
    assert pays["energy_kwh"] > saves["energy_kwh"] > 0
    assert "2024-07 $" in CliRunner().invoke(strata, ["customers", "status", PAYS]).output


def test_the_cost_of_today_is_of_declared_customers(metered: Installation):
    assert cost(metered.postgres).customers == len(list(metered.settings.customers.glob("*.yaml")))


def test_upkeep_is_one_command_that_may_be_repeated_and_tells_what_was_left(metered: Installation, tmp_path, monkeypatch):
    monkeypatch.setenv("STRATA_CUSTOMERS", str(tmp_path))
    for name in (PAYS, SAVES):
        shutil.copy(metered.settings.customers / f"{name}.yaml", tmp_path)
    for _again in range(2):
        done = CliRunner().invoke(strata, ["upkeep"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert "of 2 customers removed" in done.output
        assert "costs of 2 customers computed" in done.output
    shutil.copy(tmp_path / f"{PAYS}.yaml", tmp_path / "never_applied.yaml")
    left = CliRunner().invoke(strata, ["upkeep"])
    assert (left.exit_code, "never_applied" in left.stderr) == (1, True)
    assert "costs of 3 customers computed" in left.output
