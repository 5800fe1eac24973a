"""Staging computes production's figures from production's bronze at one snapshot, with confidential text masked, and reaches nothing else there."""
from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

from cli.environment import _of_production
from cli.main import strata
from partitions.customers import customer
from partitions.errors import EnvironmentPolicyError, SettingsError
from platform_assets.notices import tell
from platform_assets.verification import verify
from resources.masking import PREFIX, mask_key, mask_sql, masked, set_key
from resources.postgres import MIGRATOR, READER, SUPERUSER, WRITER, lake_reader_role, lake_role
from resources.production_lake import source_login
from resources.reconciliation import plan
from resources.safeguards import refuse_unsafe
from resources.sandbox import load_extensions
from resources.sessions import SOURCE_TAG
from tests.environments.estates import CANARY, NAME, OTHER, Estate, both, deliver, hand_over
from tests.installation import inventory
from tests.lake import lake_rows, session_for

TABLES = ("kpi_monthly", "kpi_dimension", "metric_monthly")
BILLS = "SELECT * FROM lake.greenit_bronze.cloud_billing ORDER BY _row"


def figures(estate: Estate) -> dict[str, list[str]]:
    """Every live row of what is reported, but for the number of its version."""
    with estate.here() as made:
        return {table: sorted(str({**row, "version": 0}) for row in made.query(f"SELECT * FROM greenit_platinum.{table}_live", customer=NAME)) for table in TABLES}


@pytest.fixture(scope="module")
def estates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Estate, Estate]]:
    """A customer that production has published, in an encrypted lake, and staging has computed; its neighbour has a lake in production alone."""
    folder = tmp_path_factory.mktemp("staging")
    with both() as (prod, staging):
        for name in (NAME, OTHER):
            prod.declare(name, encrypted=name == NAME)
            deliver(prod, name, folder)
        staging.declare(NAME)
        with prod.here() as made:
            assert made.run(NAME).success
            assert made.run(OTHER, ["greenit/bronze/equipment_inventory"]).success
        hand_over(prod, staging, NAME)
        with staging.here() as made:
            ran = made.run(NAME)
            assert ran.success, ran.failures
        yield prod, staging


def test_staging_publishes_productions_figures_to_the_last_digit(estates: tuple[Estate, Estate]) -> None:
    prod, staging = map(figures, estates)
    assert all(prod.values())
    assert staging == prod


def test_confidential_text_is_masked_alike_and_nothing_of_it_is_in_staging(estates: tuple[Estate, Estate]) -> None:
    prod, staging = estates
    with prod.here() as made:
        theirs = lake_rows(made, NAME, BILLS)
    with staging.here() as made:
        ours, key = lake_rows(made, NAME, BILLS), mask_key(made.settings)
        kept_back = lake_rows(made, NAME, "SELECT * FROM lake.greenit_silver.quarantine")
        files = [path for path in Path(made.settings.lake_path(NAME)).rglob("*.parquet")]
    assert [row["ResourceId"] for row in theirs] == [f"{CANARY}-i-1", f"{CANARY}-i-1", f"{CANARY}-i-2", None]
    assert [row["ResourceId"] for row in ours] == [masked(row["ResourceId"], key) for row in theirs]
    assert [row["ResourceName"] for row in ours] == [masked(f"{CANARY} host", key)] * 4  # silver would trim it
    assert ours[0]["BillingAccountId"] == PREFIX + hmac.new(key, f"account-{NAME}".encode(), sha256).hexdigest()[:32]
    assert [(row["BilledCost"], row["_row"], row["_sha256"]) for row in ours] == [(row["BilledCost"], row["_row"], row["_sha256"]) for row in theirs]
    assert len(kept_back) == 1
    assert files
    assert CANARY not in str((ours, kept_back))
    with staging.here() as made, made.superuser(made.postgres.names.warehouse) as connection:
        for table in ("greenit_gold.activity", "greenit_gold.impact", "greenit_gold.quarantine", "greenit_platinum.kpi_dimension"):
            assert CANARY not in str(connection.execute(f"SELECT * FROM {table}").fetchall()), table


def test_one_snapshot_is_recorded_with_every_bronze_version(estates: tuple[Estate, Estate]) -> None:
    _, staging = estates
    with staging.here() as made:
        rows = made.query("SELECT table_name, source_snapshot_id, as_of FROM platform.table_version", customer=NAME, role=WRITER)
    pinned = {row["source_snapshot_id"] for row in rows if "_bronze." in row["table_name"]}
    assert len(pinned) == 1
    assert None not in pinned
    assert {row["source_snapshot_id"] for row in rows if "_bronze." not in row["table_name"]} == {None}
    assert {str(row["as_of"]) for row in rows} == {"2024-09-30"}  # production's, since nothing was delivered here


def test_a_pinned_snapshot_is_read_whatever_production_does_since(estates: tuple[Estate, Estate], tmp_path: Path) -> None:
    prod, staging = estates
    with staging.here() as made:
        before = made.versions(NAME)["greenit_bronze.equipment_inventory"]
        (pinned,) = {row["source_snapshot_id"] for row in made.query("SELECT source_snapshot_id FROM platform.table_version WHERE source_snapshot_id IS NOT NULL",
                                                                     customer=NAME, role=WRITER)}
    with prod.here() as made:
        made.land(NAME, "equipment_inventory", [inventory(tmp_path / "more.csv", {}, {}, {})], period="2024-10")
        assert made.run(NAME, ["greenit/bronze/equipment_inventory"]).success
    bronze = ["greenit/bronze/equipment_inventory"]
    with staging.here() as made:
        assert made.run(NAME, bronze, **{SOURCE_TAG: str(pinned)}).success
        assert made.versions(NAME)["greenit_bronze.equipment_inventory"] == before  # the same content makes no version
        assert made.run(NAME, bronze).success
        assert len(made.versions(NAME)["greenit_bronze.equipment_inventory"]) == len(before) + 1
        gone = made.run(NAME, bronze, **{SOURCE_TAG: "999999"})
        assert not gone.success
        assert "production's lake has no snapshot 999999" in str(gone.failures)
        wrong = made.run(NAME, bronze, **{SOURCE_TAG: "1; drop"})
        assert not wrong.success


def test_what_must_hold_holds_in_staging_and_rows_are_counted_against_production(estates: tuple[Estate, Estate]) -> None:
    _, staging = estates
    with staging.here() as made:
        declared = {NAME: customer(NAME, made.settings.customers)}
        found = verify(made.postgres, declared)
        assert [one for one in found.broken if one.invariant != "I6"] == []  # a run in this process has no daemon
        assert found.counts["I9"] > 0
        with made.superuser(made.postgres.names.warehouse) as connection:  # as if a copy had been of another state than it says
            connection.execute("UPDATE platform.table_version SET source_snapshot_id = 1 WHERE table_name = 'greenit_bronze.cloud_billing'")
        wrong = [one for one in verify(made.postgres, declared).broken if one.invariant == "I3"]
        assert [one.table for one in wrong] == ["greenit_bronze.cloud_billing"]


def test_the_check_of_the_environment_opens_each_lake_and_tries_the_warehouse(estates: tuple[Estate, Estate]) -> None:
    prod, staging = estates
    with staging.here() as made:
        said = dict(reversed(line) for line in _of_production(made.settings))
        assert said == {f"read_{NAME} opens one lake of production and no warehouse": True}
    with prod.made.superuser() as connection:
        connection.execute(f"GRANT CONNECT ON DATABASE strata_prod TO read_{NAME}")
    with staging.here() as made:
        assert [holds for holds, _ in _of_production(made.settings)] == [False]
    with prod.made.superuser() as connection:
        connection.execute(f"REVOKE CONNECT ON DATABASE strata_prod FROM read_{NAME}")


def test_staging_takes_no_delivery(estates: tuple[Estate, Estate], tmp_path: Path) -> None:
    _, staging = estates
    with staging.here() as made, pytest.raises(EnvironmentPolicyError, match="staging takes no deliveries: its bronze is copied from production"):
        made.land(NAME, "equipment_inventory", [inventory(tmp_path / "x.csv", {})])


def test_nobody_is_told_that_deliveries_are_late_where_none_come(estates: tuple[Estate, Estate], monkeypatch: pytest.MonkeyPatch) -> None:
    prod, staging = estates
    found = {}
    for estate in (prod, staging):
        with estate.here() as made:
            made.declare(OTHER, sources={"equipment_inventory": {"format": "strata_1", "expected": {"every": "day"}}})
            tell(made.postgres, {OTHER: customer(OTHER, made.settings.customers)})
            found[made.settings.environment] = len(made.query("SELECT 1 FROM platform.notice WHERE kind = 'source_stale'", customer=OTHER, role=WRITER))
    assert found == {"prod": 1, "staging": 0}
    with staging.here():
        done = CliRunner().invoke(strata, ["freshness"])
    assert (done.exit_code, "staging takes no deliveries, so none is late" in done.output) == (1, True)


@pytest.mark.parametrize("role", [WRITER, READER, MIGRATOR, SUPERUSER, lake_role(NAME)])
def test_no_login_of_staging_is_one_of_production(estates: tuple[Estate, Estate], role: str) -> None:
    """Attack case 21, both ways: the roles have the same names, and passwords of their own."""
    for mine, other in (estates, reversed(estates)):
        parameters = {**mine.made.postgres.parameters(role, "postgres"), "host": str(other.made.settings.runtime)}
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**parameters)


def login(estates: tuple[Estate, Estate], database: str, name: str = NAME) -> psycopg.Connection:
    """The login that staging has, on production's server."""
    prod, staging = estates
    role = lake_reader_role(name)
    password = (staging.made.settings.secrets / role).read_text()
    return psycopg.connect(host=str(prod.made.settings.runtime), user=role, password=password, dbname=database, autocommit=True)


@pytest.mark.parametrize("database", ["strata_prod", "strata_dagster_prod", "postgres", "template1"])
def test_the_login_reaches_no_warehouse_and_no_other_database(estates: tuple[Estate, Estate], database: str) -> None:
    if database in ("postgres", "template1"):  # anybody may look at them, as at any PostgreSQL; nothing of ours is there
        with login(estates, database) as connection:
            assert connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text ~ '^(lake_|platform|greenit)'").fetchone() == (0,)
        return
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        login(estates, database)


@pytest.mark.parametrize("statement", [
    f"SELECT 1 FROM lake_{OTHER}.ducklake_table", f"SELECT 1 FROM lake_{OTHER}.ducklake_metadata", f"DELETE FROM lake_{NAME}.ducklake_table",
    f"UPDATE lake_{NAME}.ducklake_snapshot SET snapshot_id = 0", f"INSERT INTO lake_{NAME}.ducklake_metadata VALUES ('a', 'b')", f"DROP TABLE lake_{NAME}.ducklake_table",
    f"TRUNCATE lake_{NAME}.ducklake_data_file", f"CREATE TABLE lake_{NAME}.mine (a int)", "CREATE TABLE public.mine (a int)", "CREATE TEMP TABLE mine (a int)",
    "CREATE SCHEMA mine", f"SET ROLE lake_{NAME}", "SET ROLE strata_writer", "SELECT pg_read_file('/etc/passwd')", "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT rolpassword FROM pg_authid",
])
def test_the_login_reads_its_customers_catalog_and_does_nothing_else(estates: tuple[Estate, Estate], statement: str) -> None:
    with login(estates, "strata_lake_prod") as connection:
        assert connection.execute(f"SELECT count(*) > 0 FROM lake_{NAME}.ducklake_table").fetchone() == (True,)
        connection.execute("SET default_transaction_read_only = off")  # a role's own setting; not what holds it
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_a_session_of_staging_changes_nothing_in_production_and_sees_no_neighbour(estates: tuple[Estate, Estate]) -> None:
    prod, staging = estates
    theirs = prod.made.settings.lake_path(OTHER)
    refused = (
        "DELETE FROM production.greenit_bronze.cloud_billing", "CREATE TABLE production.greenit_bronze.mine (a INTEGER)",
        "DROP TABLE production.greenit_bronze.cloud_billing", "CALL ducklake_expire_snapshots('production', older_than => now())",
        f"SELECT 1 FROM postgres_query('__ducklake_metadata_production', 'SELECT 1 FROM lake_{OTHER}.ducklake_table')",
        f"CALL postgres_execute('__ducklake_metadata_production', 'DELETE FROM lake_{NAME}.ducklake_table')",
        f"SELECT * FROM read_parquet('{theirs}*/*/*.parquet')", f"SELECT * FROM glob('{theirs}*')",
    )
    count = "SELECT count(*) FROM production.greenit_bronze.cloud_billing"
    with staging.here() as made, closing(session_for(made, NAME)) as session:
        for statement in refused:
            assert session.con.execute(count).fetchone() == (4,)
            with pytest.raises(duckdb.Error):
                session.con.execute(statement).fetchall()
        assert session.con.execute(count).fetchone() == (4,)


def test_a_customer_whose_password_was_not_handed_over_is_refused_alone(estates: tuple[Estate, Estate]) -> None:
    _, staging = estates
    staging.declare(OTHER)
    with staging.here() as made:
        ran = made.run(OTHER, ["greenit/bronze/equipment_inventory"])
        assert not ran.success
        assert f"the password of production's read_{OTHER} is not here" in str(ran.failures)


def test_production_still_keeps_its_customers_apart_and_the_reader_goes_with_the_customer(estates: tuple[Estate, Estate]) -> None:
    prod, _ = estates
    with prod.made.postgres.connect(SUPERUSER, prod.made.postgres.names.lake) as connection:
        refuse_unsafe(connection, "lake", "server")
        connection.execute(f"GRANT SELECT ON lake_{OTHER}.ducklake_table TO {lake_reader_role(NAME)}")
        with pytest.raises(Exception, match=f"lake_{OTHER} has tables open to read_{NAME}"):
            refuse_unsafe(connection, "lake", "server")
        connection.rollback()
    with prod.here() as made:
        made.declare("lent_once")
        made.postgres.ensure_lake_readers(["lent_once"])
        for role in (lake_role("lent_once"), lake_reader_role("lent_once")):
            assert made.postgres.drop_role(role)


def test_only_an_environment_that_lends_makes_such_logins(installation: Any) -> None:
    found = installation.declare("unlent")
    assert "lake reader" not in [change.what for change in plan(installation.postgres, installation.instance, {found.id: found}, whole=False)]


def test_the_mask_is_hmac_sha256_in_both_languages_and_leaves_nothing_as_nothing() -> None:
    key = bytes(range(32))
    texts = ["a", " a\t", "A", "é", "", "   ", None, "x" * 500, "a b", "\u00a0"]
    with closing(duckdb.connect()) as con:
        load_extensions(con, ())
        set_key(con, key)
        con.execute("CREATE TABLE t AS SELECT unnest(?::VARCHAR[]) AS text", [texts])
        found = [value for (value,) in con.execute(f"SELECT {mask_sql('text')} FROM t").fetchall()]
    assert found == [masked(text, key) for text in texts]
    assert found[0] == found[1] != found[2]
    assert found[4:7] == ["", "   ", None]
    assert found[0] == PREFIX + hmac.new(key, b"a", sha256).hexdigest()[:32]
    assert len({value for value in found if value and value.strip()}) == len(found) - 4  # ours are distinct but for the pair that silver takes for one


def test_errors_say_what_is_not_set(installation: Any) -> None:
    with pytest.raises(SettingsError, match="STRATA_SOURCE_DSN"):
        source_login(installation.settings, NAME)
