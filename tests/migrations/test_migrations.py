"""What the migrations make: the tables that the contracts declare, for roles that can do their work in spite of forced row-level security."""
from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from platform_assets import greenit
from platform_assets.composition import tables_of
from platform_assets.contracts import Contract
from resources.migrations import FOLDER, migrate
from resources.postgres import BACKUP, MIGRATOR, READER, WRITER, EmbeddedServer
from resources.storage import pg_type
from tests.contracts.building import clean_rows
from tests.installation import Installation

WAREHOUSE = {made.spec.qualified: made for _, made in tables_of(greenit) if not made.spec.in_lake}
CUSTOMERS = ("mig_a", "mig_b")
TABLE = "greenit_platinum.kpi_monthly"


@pytest.fixture(scope="module")
def filled(installation: Installation) -> Installation:
    """Two rows of each of two customers in every table of gold and platinum, and in the registry."""
    for name in CUSTOMERS:
        with installation.postgres.connect(WRITER, customer=name) as connection:
            for made in WAREHOUSE.values():
                insert(connection, made, name)
            connection.execute("INSERT INTO platform.fence (customer_id, fence, run_id) VALUES (%s, 1, 'CANARY-run')", [name])
    return installation


def insert(connection: psycopg.Connection, made: Contract, customer: str) -> None:
    names = ["customer_id", "version", *(c.name for c in made.columns)]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(made.spec.schema, made.table), sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join([sql.Placeholder()] * len(names)))
    for row in clean_rows(made, 2):
        connection.execute(statement, [customer, 1, *(row[c.name] for c in made.columns)])


@pytest.mark.parametrize("table", WAREHOUSE)
def test_a_table_has_the_columns_of_its_contract(installation: Installation, table: str) -> None:
    """Names, types and NOT NULL; the order of columns does not matter."""
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute("""SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
            WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped""", [table]).fetchall()
    declared = {(c.name, pg_type(c.type), c.required) for c in WAREHOUSE[table].columns}
    assert set(rows) == declared | {("customer_id", "text", True), ("version", "bigint", True)}


def test_no_table_stands_in_the_warehouse_that_no_contract_declares(installation: Installation) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute("SELECT schemaname || '.' || tablename FROM pg_tables WHERE starts_with(schemaname, 'greenit_')").fetchall()
        views = connection.execute("SELECT schemaname || '.' || viewname FROM pg_views WHERE starts_with(schemaname, 'greenit_')").fetchall()
    assert {name for (name,) in rows} == {*WAREHOUSE, "greenit_gold.quarantine"}
    assert {name for (name,) in views} == {f"{name}_live" for name in WAREHOUSE}


@pytest.mark.parametrize("table", WAREHOUSE)
def test_a_live_view_shows_the_live_version_alone(filled: Installation, table: str) -> None:
    assert filled.query(f"SELECT 1 FROM {table}_live", customer="mig_a", role=WRITER) == []
    with filled.superuser(filled.postgres.names.warehouse) as connection:
        (columns,) = connection.execute("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                                        [table]).fetchone()
        shown = connection.execute("SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", [f"{table}_live"])
        assert shown.fetchone() == (columns,)


@pytest.mark.parametrize("table", [name for name, made in WAREHOUSE.items() if made.layer == "platinum"])
def test_the_primary_key_is_the_contracts_behind_customer_and_version(installation: Installation, table: str) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        (key,) = connection.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'p'", [table]).fetchone()
    assert key.replace('"', "") == f"PRIMARY KEY (customer_id, version, {', '.join(WAREHOUSE[table].key)})"


def test_applying_twice_does_nothing(installation: Installation) -> None:
    def catalog() -> list[tuple]:
        with installation.superuser(installation.postgres.names.warehouse) as connection:
            return connection.execute("SELECT oid, relname, relfilenode FROM pg_class WHERE relnamespace::regnamespace::text ~ 'platform|greenit' ORDER BY 1").fetchall()

    before = catalog()
    assert migrate(installation.postgres) == []
    assert catalog() == before


def test_files_follow_the_convention_and_each_number_stands_once() -> None:
    files = sorted(path.name for path in FOLDER.glob("*.sql"))
    assert files
    assert [name for name in files if name[0] != "V" or not name[1:4].isdigit() or name[4:6] != "__"] == []
    assert len({name[:4] for name in files}) == len(files)


def test_a_dump_by_the_backup_role_holds_every_customers_rows(filled: Installation, tmp_path: Path) -> None:
    server = EmbeddedServer(filled.settings, None)
    login = filled.postgres.parameters(BACKUP, filled.postgres.names.warehouse)
    pgpass, dump = tmp_path / "pgpass", tmp_path / "dump.sql"
    pgpass.write_text(f"*:*:*:{BACKUP}:{login['password']}")
    pgpass.chmod(0o600)
    subprocess.run([server.bin / "pg_dump", "-h", login["host"], "-U", BACKUP, "-f", dump, "--data-only", "--no-comments", login["dbname"]],
                   check=True, env={**os.environ, "PGPASSFILE": str(pgpass)}, capture_output=True, timeout=60)
    text = dump.read_text()
    blocks = {part.split(" ", 1)[0]: part.split("\n\\.\n", 1)[0] for part in text.split("\nCOPY ")[1:]}
    assert {*WAREHOUSE, "platform.fence"} <= set(blocks)
    for table in WAREHOUSE:
        for name in CUSTOMERS:
            assert sum(line.startswith(f"{name}\t") for line in blocks[table].splitlines()) == 2, (table, name)


@pytest.mark.parametrize("statement", [
    f"INSERT INTO {TABLE} SELECT * FROM {TABLE}", f"UPDATE {TABLE} SET value = 0", f"DELETE FROM {TABLE}", f"TRUNCATE {TABLE}", f"DROP TABLE {TABLE}",
    "DELETE FROM platform.live_version", "SELECT nextval('platform.version_number')", "SELECT platform.take_fence('mig_a', 'x')",
    "CREATE TABLE platform.more (a int)", "SET ROLE strata_migrator",
])
def test_the_backup_role_cannot_write(filled: Installation, statement: str) -> None:
    with filled.postgres.connect(BACKUP) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_a_data_migration_by_the_migrator_reaches_all_customers(filled: Installation) -> None:
    """Without a customer set, as a migration runs; the owner is under forced row-level security like everybody."""
    with filled.postgres.connect(MIGRATOR) as connection:
        touched = connection.execute(f"UPDATE {TABLE} SET coverage_pct = 42 WHERE customer_id = ANY(%s)", [list(CUSTOMERS)]).rowcount
    assert touched == 4
    for name in CUSTOMERS:
        assert {row["coverage_pct"] for row in filled.query(f"SELECT coverage_pct FROM {TABLE}", customer=name, role=WRITER)} == {42.0}


@pytest.mark.parametrize("role", [READER, WRITER])
@pytest.mark.parametrize("statement", [
    "ALTER TABLE {} ADD COLUMN more int", "ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY",
    "CREATE POLICY everything ON {} USING (true)", "DROP TABLE {}", "DROP VIEW {}_live", "TRUNCATE {}", "CREATE INDEX ON {} (customer_id)",
    "CREATE OR REPLACE VIEW {}_live AS SELECT 1 AS a",
])
def test_neither_reader_nor_writer_changes_what_migrations_made(filled: Installation, role: str, statement: str) -> None:
    with filled.postgres.connect(role, customer="mig_a") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.format(TABLE))


def test_a_customers_id_is_checked_by_the_registry_itself(filled: Installation) -> None:
    for id in ("", "A", "../x", "a" * 32):
        with filled.postgres.connect(MIGRATOR) as connection, pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO platform.table_version (customer_id, table_name, version, run_id, code_version, parameter_version, contract_version, inputs, "
                               "row_count, quarantined_count, content_hash, fence) VALUES (%s, 't', 1, '', '', '', '', %s, 0, 0, '', 1)", [id, json.dumps({})])
