"""What a run takes up is written down by itself, table by table, and costs next to nothing."""
from __future__ import annotations

import subprocess
import sys
import time

import psycopg
import pytest

from resources import usage
from resources.postgres import WRITER
from resources.settings import PROJECT
from resources.usage import RULES, RUN, TABLE, WHOLE, Meter
from tests.installation import Installation, billing, inventory

NAME, OTHER = "metered", "unmetered"
SELECTION = ["greenit/bronze/cloud_billing", "greenit/silver/cloud_usage"]


@pytest.fixture(scope="module")
def ran(installation: Installation, tmp_path_factory: pytest.TempPathFactory):
    """Two tables of a customer with their checks, and the seconds that the run took by the clock and by the process's CPU."""
    folder = tmp_path_factory.mktemp("metered")
    for name in (NAME, OTHER):
        installation.declare(name)
    installation.land(NAME, "cloud_billing", [billing(folder / "bill.csv", f"account-{NAME}", *({"SkuId": f"S{n}"} for n in range(50)))])
    usage._counted.clear()
    usage._counted[usage.os.getpid()] = usage.reading()  # what the tests did before is not this run's
    wall, cpu = time.monotonic(), time.process_time()
    run = installation.run(NAME, SELECTION)
    assert run.success, run.failures
    return run, time.monotonic() - wall, time.process_time() - cpu


@pytest.fixture(scope="module")
def rows(ran, installation: Installation):
    found = installation.query("SELECT * FROM platform.usage ORDER BY table_name, part", customer=NAME, role=WRITER)
    return {(row["table_name"], row["part"]): row for row in found}


def test_every_table_and_its_rules_and_the_rest_of_the_run_have_a_row(rows):
    assert {place for place in rows} == {
        (WHOLE, RUN), ("greenit_bronze.cloud_billing", TABLE), ("greenit_bronze.cloud_billing", RULES), ("greenit_silver.cloud_usage", TABLE),
        ("greenit_silver.cloud_usage", RULES)}
    assert len({row["run_id"] for row in rows.values()}) == 1
    assert {place: row["rows"] for place, row in rows.items() if row["rows"] is not None} == {
        ("greenit_bronze.cloud_billing", TABLE): 50, ("greenit_silver.cloud_usage", TABLE): 50}


def test_the_parts_are_the_run(ran, rows):
    """All of the time and CPU between the run's beginning and its end, but for what Dagster does around the resource."""
    _run, wall, cpu = ran
    assert 0.5 * wall < sum(float(row["wall_seconds"]) for row in rows.values()) <= wall
    assert 0.5 * cpu < sum(float(row["cpu_seconds"]) for row in rows.values()) <= cpu


def test_each_counter_counts(rows):
    for place, row in rows.items():
        assert row["peak_bytes"] > 50e6, place  # a process with DuckDB and Dagster in it
        assert 0 <= row["postgres_seconds"] <= row["wall_seconds"], place
    made = rows["greenit_bronze.cloud_billing", TABLE]
    assert made["cpu_seconds"] > 0
    assert made["postgres_seconds"] > 0
    assert made["bytes_read"] > 5000  # the delivered file of 50 lines, at least
    assert made["bytes_written"] > 1000  # its Parquet file


def test_nobody_else_sees_it_and_nobody_else_can_write_it(rows, installation: Installation):
    assert rows
    assert installation.query("SELECT * FROM platform.usage", customer=OTHER, role=WRITER) == []
    with installation.postgres.connect(WRITER, customer=OTHER) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        Meter().write(connection, NAME, "forged", {})


def test_a_failed_run_is_metered_as_well(ran, installation: Installation, tmp_path):
    before = len(installation.query("SELECT DISTINCT run_id FROM platform.usage", customer=NAME, role=WRITER))
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "i.csv", {})])
    failed = installation.run(NAME, ["greenit/platinum/kpi_monthly"])  # nothing that it reads is there
    assert not failed.success
    runs = installation.query("SELECT DISTINCT run_id FROM platform.usage", customer=NAME, role=WRITER)
    assert len(runs) == before + 1


def test_time_belongs_to_the_table_that_was_named_last():
    meter = Meter()
    meter.at("a.b")
    time.sleep(0.05)
    meter.at("a.c")
    total = sum(range(2_000_000))
    meter.at("a.b", RULES)
    assert total
    assert meter.taken["a.b", TABLE].wall_seconds >= 0.05
    assert meter.taken["a.b", TABLE].cpu_seconds < 0.04
    assert meter.taken["a.c", TABLE].cpu_seconds > 0


def test_a_look_at_the_counters_takes_less_than_a_millisecond():
    """A customer has some 90 of them in a run of 12 CPU seconds."""
    meter, begun = Meter(), time.process_time()
    for number in range(200):
        meter.at("a.b", TABLE if number % 2 else RULES)
    assert (time.process_time() - begun) / 200 < 0.001


def test_the_peak_is_that_of_the_table_and_not_of_the_run():
    told = ("from resources import usage; usage.peak(); held = bytearray(150_000_000); high = usage.peak(); del held; usage.peak();"
            "print(high - usage.peak())")  # in a process without freed memory to fill first
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=120, check=True, cwd=PROJECT)
    assert int(done.stdout) > 100_000_000


def test_waiting_for_the_server_is_postgresqls_time_in_statements_commits_and_copies(installation: Installation):
    meter = Meter()
    with meter.watch(installation.postgres.connect(WRITER, customer=NAME)) as connection:
        connection.execute("SELECT pg_sleep(0.05)")
        slept = meter.taken[WHOLE, RUN].postgres_seconds
        with connection.transaction():
            connection.execute("CREATE TEMP TABLE t (a text)")
        with connection.cursor().copy("COPY t FROM STDIN") as copy:
            copy.write("x\n")
    assert 0.05 <= slept < meter.taken[WHOLE, RUN].postgres_seconds < 1
