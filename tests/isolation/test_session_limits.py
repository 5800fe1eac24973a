"""Attack case 61: what one customer's session takes up ends at the figures of its size class, or of its own file, and costs no other customer its turn."""
from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import duckdb
import psycopg
import pytest
from click.testing import CliRunner
from psycopg import errors

from cli.main import strata
from partitions.customers import Customer, customer
from partitions.errors import CustomerError
from resources.postgres import READER, lake_role, reader_role
from resources.session_limits import BY_SIZE, session_limits
from tests.installation import Installation
from tests.lake import session_for

NAMES = ("limit_a", "limit_b")


@pytest.fixture(scope="module")
def prepared(installation: Installation) -> Installation:
    """limit_a is bounded by its own file, limit_b by its size class; both applied as an operator does it."""
    installation.declare("limit_a", direct_readers=True, size_class="giant",
                         quotas={"memory_mb": 128, "threads": 1, "temp_gb": 1, "connections": 8, "statement_minutes": 7})
    installation.declare("limit_b")
    applied(installation)
    return installation


def applied(installation: Installation) -> str:
    done = CliRunner().invoke(strata, ["customers", "apply"])
    assert done.exit_code == 0, done.output
    return done.output


def role_settings(installation: Installation, role: str) -> tuple[int, set[str]]:
    with installation.superuser() as connection:
        return connection.execute("""SELECT r.rolconnlimit, coalesce((SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            WHERE s.setrole = r.oid AND d.datname = %s), '{}') FROM pg_roles r WHERE rolname = %s""", [installation.postgres.names.warehouse, role]).fetchone()


@pytest.mark.parametrize("size", BY_SIZE)
def test_a_size_class_gives_its_figures_and_the_file_goes_before_it(installation: Installation, size: str) -> None:
    plain = installation.declare("limit_c", size_class=size)
    assert session_limits(plain) == BY_SIZE[size]
    own = installation.declare("limit_c", size_class=size, quotas={"memory_mb": 300})
    assert session_limits(own).memory_mb == 300
    assert session_limits(own).threads == BY_SIZE[size].threads
    (installation.settings.customers / "limit_c.yaml").unlink()


@pytest.mark.parametrize(("key", "low", "high"), [("memory_mb", 127, 16_385), ("threads", 0, 9), ("temp_gb", 0, 501), ("connections", 7, 33), ("statement_minutes", 0, 361)])
def test_a_quota_beyond_its_bounds_is_refused_by_file_and_line(installation: Installation, key: str, low: int, high: int) -> None:
    for value in (low, high, "many"):
        with pytest.raises(CustomerError, match=rf"quotas.{key}") as refused:
            installation.declare("limit_d", quotas={key: value})
        assert refused.value.place["file"] == "limit_d.yaml"
        assert refused.value.place["line"]
    (installation.settings.customers / "limit_d.yaml").unlink()


@pytest.mark.parametrize("name", NAMES)
def test_a_session_has_the_limits_of_its_customer_and_cannot_change_them(prepared: Installation, name: str) -> None:
    limits, session = session_limits(customer(name, prepared.settings.customers)), session_for(prepared, name)
    try:
        found = dict(session.con.execute("SELECT name, value FROM duckdb_settings() WHERE name IN ('threads', 'memory_limit', 'max_temp_directory_size', 'pg_connection_limit')").fetchall())
        assert (int(found["threads"]), int(found["pg_connection_limit"])) == (limits.threads, limits.scanners)
        assert as_bytes(found["memory_limit"]) == pytest.approx(limits.memory_mb * 1e6, rel=0.01)
        assert as_bytes(found["max_temp_directory_size"]) == pytest.approx(limits.temp_gb * 1e9, rel=0.01)
        for statement in ("SET memory_limit = '1TB'", "SET threads = 64", "SET max_temp_directory_size = '1TB'", "SET pg_connection_limit = 1000", "RESET memory_limit"):
            with pytest.raises(duckdb.Error, match="configuration has been locked"):
                session.con.execute(statement)
        assert session.warehouse.execute("SHOW statement_timeout").fetchone() == (limits.settings["statement_timeout"],)
    finally:
        session.close()


def as_bytes(text: str) -> float:
    number, unit = text.split()
    return float(number) * 1024 ** ["bytes", "KiB", "MiB", "GiB", "TiB"].index(unit)


def test_case_61_what_does_not_fit_into_memory_and_scratch_space_ends_without_harm(prepared: Installation) -> None:
    """The file says 128 MB; 20 MB of scratch space fill faster than its 1 GB. 100 M numbers in one list would be 800 MB."""
    session = session_for(prepared, "limit_a")
    session.limits = replace(session.limits, temp_gb=0.02)
    try:
        with pytest.raises(duckdb.OutOfMemoryException):
            session.con.execute("SELECT length(list(range)) FROM range(100000000)").fetchall()
        with pytest.raises(duckdb.OutOfMemoryException, match="max_temp_directory_size|offload"):
            session.con.execute("CREATE TEMP TABLE big AS SELECT range AS n, random() AS r, md5(range::VARCHAR) AS t FROM range(6000000)")
        assert session.con.execute("SELECT 42").fetchone() == (42,)
        temp = session.temp
    finally:
        session.close()
    assert not temp.exists()


@pytest.mark.parametrize(("role", "name"), [(lake_role("limit_a"), "limit_a"), (lake_role("limit_b"), "limit_b")])
def test_roles_carry_the_limits_after_apply(prepared: Installation, role: str, name: str) -> None:
    limits = session_limits(customer(name, prepared.settings.customers))
    connections, settings = role_settings(prepared, role)
    assert connections == limits.connections
    assert set(settings) == {f"{key}={value}" for key, value in limits.settings.items()}


def test_case_61_a_direct_reader_and_the_front_end_are_bounded(prepared: Installation) -> None:
    connections, settings = role_settings(prepared, reader_role("limit_a"))
    assert connections == 10
    assert {"statement_timeout=1min", "temp_file_limit=1GB"} <= set(settings)
    assert "statement_timeout=1min" in role_settings(prepared, READER)[1]
    for role in (reader_role("limit_a"), READER):
        with prepared.postgres.connect(role) as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("1min",)
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("SET temp_file_limit = -1")


def test_case_61_a_customer_that_takes_all_its_connections_leaves_others_theirs(prepared: Installation) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(prepared.postgres.connect(lake_role("limit_a")))
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            prepared.postgres.connect(lake_role("limit_a"))
        session = session_for(prepared, "limit_b")
        stack.callback(session.close)
        assert session.con.execute("SELECT count(*) FROM warehouse.platform.delivery").fetchone() == (0,)


def test_a_changed_quota_is_planned_applied_and_then_nothing_is_to_do(prepared: Installation) -> None:
    prepared.declare("limit_b", quotas={"connections": 12, "temp_gb": 2})
    plan = CliRunner().invoke(strata, ["customers", "plan"]).output
    assert "limit_b              limits               connections 16 -> 12, temp_file_limit 10GB -> 2GB" in plan
    applied(prepared)
    assert role_settings(prepared, lake_role("limit_b"))[0] == 12
    assert "limit_b" not in CliRunner().invoke(strata, ["customers", "plan"]).output


def test_a_run_needs_fewer_connections_than_the_least_that_a_file_may_say(prepared: Installation) -> None:
    """Else a quota could make runs fail. A session with everything open reads a warehouse table of many pages as parallel as it may."""
    least = next(iter(Customer.model_fields["quotas"].annotation.model_fields["connections"].metadata)).ge
    session = session_for(prepared, "limit_b")
    try:
        session.warehouse.execute("SELECT 1")
        with session.warehouse.transaction():
            session.con.execute("BEGIN")
            for view in ("greenit_gold.impact", "greenit_gold.activity", "platform.delivery"):
                session.con.execute(f"SELECT count(*) FROM warehouse.{view} CROSS JOIN lake.snapshots()").fetchall()
            with prepared.superuser() as connection:
                used = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", [lake_role("limit_b")]).fetchone()[0]
            session.con.execute("ROLLBACK")
    finally:
        session.close()
    assert 3 < used < least
