"""What the loader can do: insert rows of the customer whose role logged in. It by-passes row-level security, so each refusal here is all there is."""
from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from platform_assets import greenit
from platform_assets.composition import tables_of
from resources.postgres import BACKUP, LOADER, MIGRATOR, ORCHESTRATOR, READER, WRITER, lake_role
from tests.installation import Installation

COLUMNS = "(customer_id, version, table_name, rule, rejects, raw, key)"
VALUES = "('{}', 1, 'impact', 'DOMAIN', '[]', '{{}}', 'k')"
LINE = "{},1,impact,DOMAIN,[],{{}},k\n"
INSERT = f"INSERT INTO greenit_gold.quarantine {COLUMNS} VALUES {VALUES}"
COPY = f"COPY greenit_gold.quarantine {COLUMNS} FROM STDIN (FORMAT csv)"


@pytest.fixture(scope="module")
def prepared(installation: Installation) -> Installation:
    for name in ("load_a", "load_b"):
        installation.declare(name)
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        connection.execute(INSERT.format("load_b"))
    return installation


@pytest.fixture
def loading(prepared: Installation) -> Iterator[psycopg.Connection]:
    """The role of load_a, which has become the loader; what a test writes is undone."""
    with prepared.postgres.connect(lake_role("load_a")) as connection:
        connection.execute(f"SET LOCAL ROLE {LOADER}")
        yield connection
        connection.rollback()


def copy(connection: psycopg.Connection, lines: str) -> None:
    with connection.cursor().copy(COPY) as stream:
        stream.write(lines)


def test_copy_is_refused_to_a_role_under_row_level_security(prepared: Installation) -> None:
    """Why there is a loader at all."""
    with prepared.postgres.connect(lake_role("load_a")) as connection, pytest.raises(errors.FeatureNotSupported, match="row-level security"):
        copy(connection, LINE.format("load_a"))


def test_rows_of_the_own_customer_arrive_and_no_other_customer_sees_them(prepared: Installation, loading: psycopg.Connection) -> None:
    copy(loading, LINE.format("load_a") * 3)
    loading.execute("RESET ROLE")
    assert loading.execute("SELECT customer_id, count(*) FROM greenit_gold.quarantine GROUP BY 1").fetchall() == [("load_a", 3)]
    loading.commit()
    seen = prepared.query("SELECT customer_id, count(*) AS n FROM greenit_gold.quarantine GROUP BY 1", customer="load_b", role=WRITER)
    assert seen == [{"customer_id": "load_b", "n": 1}]


@pytest.mark.parametrize("foreign", ["load_b", "Load_a", "load_a ", "", "nobody"])
def test_rows_of_another_customer_are_refused_by_copy(loading: psycopg.Connection, foreign: str) -> None:
    with pytest.raises(errors.CheckViolation, match="loads_own_customer"):
        copy(loading, LINE.format("load_a") + LINE.format(f'"{foreign}"'))


@pytest.mark.parametrize("before", ["", "SET LOCAL app.customer_id = 'load_b'", "SET LOCAL row_security = off", "SET LOCAL session_replication_role = replica"])
@pytest.mark.parametrize("statement", [INSERT.format("load_b"), f"INSERT INTO greenit_gold.quarantine {COLUMNS} SELECT 'load_b', n, 't', 'r', '[]', '{{}}', 'k' FROM generate_series(1, 3) n"])
def test_rows_of_another_customer_are_refused_whatever_was_set_before(loading: psycopg.Connection, before: str, statement: str) -> None:
    with pytest.raises((errors.CheckViolation, errors.InsufficientPrivilege)):
        loading.execute(f"{before}; {statement}")


@pytest.mark.parametrize("statement", [
    "SELECT * FROM greenit_gold.quarantine", "SELECT count(*) FROM greenit_gold.quarantine", "COPY greenit_gold.quarantine TO STDOUT",
    INSERT.format("load_a") + " RETURNING customer_id", "DELETE FROM greenit_gold.quarantine", "UPDATE greenit_gold.quarantine SET key = 'x'",
    "TRUNCATE greenit_gold.quarantine", "SELECT * FROM greenit_gold.impact_live", "SELECT * FROM platform.delivery",
    "INSERT INTO platform.table_version (customer_id) VALUES ('load_a')", "SELECT platform.take_fence('load_a', 'x')",
    "ALTER TABLE greenit_gold.quarantine DROP CONSTRAINT loads_own_customer", "CALL platform.admit_loader('platform.delivery')",
    "SET SESSION AUTHORIZATION lake_load_b", "SET ROLE lake_load_b", "SET ROLE strata_writer", "CREATE TABLE greenit_gold.mine (a int)",
])  # fmt: skip
def test_the_loader_reads_changes_and_becomes_nothing(loading: psycopg.Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        loading.execute(statement)


@pytest.mark.parametrize("role", [READER, WRITER, BACKUP, MIGRATOR])
def test_only_roles_of_customers_become_the_loader(prepared: Installation, role: str) -> None:
    with prepared.postgres.connect(role) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(f"SET ROLE {LOADER}")


def test_a_superuser_who_becomes_the_loader_is_no_customer(prepared: Installation) -> None:
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        connection.execute(f"SET ROLE {LOADER}")
        with pytest.raises(errors.CheckViolation):
            connection.execute(INSERT.format("load_a"))


def test_the_loader_has_insert_on_every_gold_table_and_no_other_privilege(prepared: Installation) -> None:
    gold = {made.spec.qualified for _, made in tables_of(greenit) if made.layer == "gold"} | {"greenit_gold.quarantine"}
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        granted = connection.execute("""SELECT n.nspname || '.' || c.relname, p FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
                unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
            WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname !~ '^(pg_|information_schema)' AND has_table_privilege(%s, c.oid, p)""", [LOADER]).fetchall()
        guarded = connection.execute("SELECT conrelid::regclass::text FROM pg_constraint WHERE conname = 'loads_own_customer' AND convalidated").fetchall()
    assert set(granted) == {(table, "INSERT") for table in gold}
    assert {table for (table,) in guarded} == gold


def test_nobody_logs_in_as_the_loader_and_up_lets_older_customers_become_it(prepared: Installation) -> None:
    role = lake_role("load_b")
    with prepared.superuser() as connection:
        assert connection.execute("SELECT rolcanlogin, rolbypassrls, rolsuper FROM pg_roles WHERE rolname = %s", [LOADER]).fetchone() == (False, True, False)
        connection.execute(f"REVOKE {LOADER} FROM {role}")  # as an installation from before the loader has it
        may = "SELECT pg_has_role(%s, %s, 'SET'), pg_has_role(%s, %s, 'USAGE')"
        assert connection.execute(may, [role, LOADER, role, LOADER]).fetchone() == (False, False)
        prepared.postgres.up()
        assert connection.execute(may, [role, LOADER, role, LOADER]).fetchone() == (True, False)
        assert not connection.execute("SELECT pg_has_role(%s, %s, 'MEMBER')", [ORCHESTRATOR, LOADER]).fetchone()[0]
