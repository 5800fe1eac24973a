"""Attack cases 30, 31, 33 and 52: what SQL can do in a run's locked DuckDB session: reach one customer's folders, catalog and rows, and no other path, login or setting.

The statements are those of RELIABILITY 2.5, run again on the pinned DuckDB. What is allowed stands in ALLOWED with its reason.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from platform_assets.contracts import contract
from platform_assets.greenit.bronze import equipment_inventory
from resources import lake
from resources.expressions import unbound
from resources.probes import CATALOG, READS, REFUSAL, places
from resources.session import Session
from resources.storage import landing_name
from tests.installation import Installation, inventory
from tests.lake import session_for

REFUSED = {  # what would write, and what needs the layout of this module; the others are the probes of the report
    **READS,
    "another customer's file": "SELECT * FROM read_parquet('{foreign}')",
    "up and across to a file": "SELECT * FROM read_parquet('{own}../lock_b/{inside}')",
    "a symbolic link to another's folder": "SELECT * FROM read_parquet('{own}link/{inside}')",
    "a symbolic link by pattern": "SELECT * FROM read_parquet('{own}*/mine/rows/*.parquet')",
    "listing behind a symbolic link": "SELECT * FROM glob('{own}link/**')",
    "writing through a symbolic link": "COPY (SELECT 1) TO '{own}link/z.csv'",
    "a variable of the environment": "SELECT getenv('HOME')",
    "a file url of a file": "SELECT * FROM read_parquet('file://{foreign}')",
    "a double slash before a file": "SELECT * FROM read_parquet('{root}//lock_b/{inside}')",
    "a zero byte": "SELECT * FROM read_parquet('{own}x.parquet\0/../../lock_b/{inside}')",
    "per cent encoding": "SELECT * FROM read_parquet('{own}%2e%2e/lock_b/{inside}')",
    "metadata of an existing file": "SELECT * FROM parquet_metadata('{foreign}')",
    "attaching another's database": "ATTACH '{root}/lock_b/y.db'",
    "copying to another": "COPY (SELECT 1) TO '{root}/lock_b/z.csv'",
    "exporting": "EXPORT DATABASE '{root}/lock_b/dump'",
    "importing": "IMPORT DATABASE '{root}/lock_b'",
    "adding another's file to the own lake": "CALL ducklake_add_data_files('lake', 'rows', '{foreign}', schema => 'mine')",
    "installing an extension": "INSTALL httpfs",
    "loading the extension for s3": "LOAD httpfs",
    "a login for s3": "CREATE SECRET more (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "profile to a file": "SET profiling_output = '{root}/lock_b/p.json'",
    "log to a file": "SET log_query_path = '{root}/lock_b/l.txt'",
    "a Python object": "SELECT * FROM canaries",
    # PostgreSQL: other schemas, roles and connections
    "deleting another's snapshots": f"CALL postgres_execute('{CATALOG}', 'DELETE FROM lake_lock_b.ducklake_snapshot')",
    "dropping another's catalog": f"CALL postgres_execute('{CATALOG}', 'DROP SCHEMA lake_lock_b CASCADE')",
    "another role in the catalog": f"CALL postgres_execute('{CATALOG}', 'SET ROLE postgres')",
    "a sibling's role": f"CALL postgres_execute('{CATALOG}', 'SET ROLE lake_lock_b')",
    "a schema of one's own": f"CALL postgres_execute('{CATALOG}', 'CREATE SCHEMA evil')",
    "a table in public": f"CALL postgres_execute('{CATALOG}', 'CREATE TABLE public.evil (a int)')",
    "a program of the server": f"CALL postgres_execute('{CATALOG}', 'COPY (SELECT 1) TO PROGRAM ''true''')",
    "attaching another lake": "ATTACH 'ducklake:postgres:' AS more (META_SECRET 'lake_login', DATA_PATH '{root}/lock_b/', METADATA_SCHEMA 'lake_lock_b')",
    "another role in the warehouse": "CALL postgres_execute('warehouse', 'SET ROLE strata_migrator')",
    "a table in the warehouse": "CALL postgres_execute('warehouse', 'CREATE TABLE platform.evil (a int)')",
    "row security away": "CALL postgres_execute('warehouse', 'ALTER TABLE platform.delivery DISABLE ROW LEVEL SECURITY')",
    "a function that reads files": "CALL postgres_execute('warehouse', 'SELECT lo_import(''/etc/hostname'')')",
}
ALLOWED = {  # statement -> why it may work
    "SELECT * FROM read_text('{landing}/lock_a/**')": "the customer's own deliveries are what bronze reads",
    "SELECT * FROM lake.mine.rows": "its own lake",
    "COPY (SELECT 1) TO '{own}z.csv'": "its own folder; nothing refers to such a file, gc removes it",
    "ATTACH '{own}y.db' AS y": "a file in its own folder",
    "SELECT count(*) FROM duckdb_settings()": "settings hold no secret",
    "CREATE SECRET extra (TYPE postgres, HOST 'h', USER 'postgres')": "a login opens nothing: attaching is refused, and nobody gets in without a password",
    "PRAGMA enable_profiling; PRAGMA disable_profiling": "to the terminal only; a profile cannot be written to a file",
    f"SELECT * FROM postgres_query('{CATALOG}', 'SELECT table_name FROM lake_lock_a.ducklake_table')": "its own catalog, which its role owns",
    "SELECT * FROM postgres_query('warehouse', 'SELECT * FROM platform.delivery')": "row-level security shows its own rows",
    "SELECT * FROM postgres_query('warehouse', 'SELECT rolname FROM pg_roles')": "PostgreSQL's catalog of names is open to every role; it holds ids, no data",
}
canaries = [{"a": "CANARY-python"}]


@pytest.fixture(scope="module")
def locked(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Session, dict[str, str]]]:
    """The session of lock_a, beside lock_b and lock_a2 whose stores hold canaries; and the names that statements use."""
    folder, root = tmp_path_factory.mktemp("locked"), Path(installation.settings.lake_root)
    for name in ("lock_b", "lock_a2", "lock_a"):
        installation.declare(name)
        installation.land(name, "equipment_inventory", [inventory(folder / "i.csv", {"equipment_id": f"CANARY-{name}-1"})])
        session = session_for(installation, name)
        session.con.execute(f"CREATE SCHEMA lake.mine; CREATE TABLE lake.mine.rows AS SELECT 'CANARY-{name}-2' AS a")
        if name != "lock_a":
            session.close()
    foreign = next((root / "lock_b").rglob("*.parquet"))
    os.symlink(root / "lock_b", root / "lock_a" / "link")
    yield session, {**places(installation.postgres, "lock_a", "lock_b"), "foreign": str(foreign), "inside": str(foreign.relative_to(root / "lock_b"))}
    session.close()
    (root / "lock_a" / "link").unlink()


@pytest.mark.parametrize("what", REFUSED)
def test_case_33_refused(locked, what: str) -> None:
    session, names = locked
    with pytest.raises(duckdb.Error) as refused:
        session.con.execute(REFUSED[what].format(**names)).fetchall()
    assert "CANARY" not in str(refused.value)
    assert what not in READS or REFUSAL.search(str(refused.value))  # else the report could not tell it from a failure
    assert "syntax error" not in str(refused.value)
    with pytest.raises(duckdb.Error):
        session.con.execute("ROLLBACK")  # no transaction was left open by the refusal


@pytest.mark.parametrize("statement", [
    "SELECT * FROM read_parquet('{root}/lock_a2/**/*.parquet')", "SELECT * FROM read_text('{landing}/lock_a2/**')", "SELECT * FROM glob('{root}/lock_a2*')",
    "SELECT * FROM read_parquet('{root}/lock_a*/**/*.parquet')", "COPY (SELECT 1) TO '{root}/lock_a2/z.csv'", "SELECT * FROM read_parquet('{own}link/mine/rows/*.parquet')",
])  # fmt: skip
def test_cases_30_31_a_sibling_whose_name_begins_alike_and_a_link_are_refused(locked, statement: str) -> None:
    session, names = locked
    assert list(Path(names["root"], "lock_a2").rglob("*.parquet"))  # there is something to read
    with pytest.raises(duckdb.PermissionException) as refused:
        session.con.execute(statement.format(**names)).fetchall()
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("statement", ALLOWED)
def test_case_33_allowed_and_without_a_foreign_canary(locked, statement: str) -> None:
    session, names = locked
    text = str(session.con.execute(statement.format(**names)).fetchall())
    assert "CANARY-lock_b" not in text
    assert "CANARY-lock_a2" not in text


def test_what_was_refused_changed_nothing_at_the_others(locked, installation: Installation) -> None:
    session, names = locked
    assert session.con.execute("SELECT a FROM lake.mine.rows").fetchall() == [("CANARY-lock_a-2",)]
    assert not [path for path in Path(names["root"], "lock_b").rglob("*") if path.is_file() and path.suffix != ".parquet"]
    other = session_for(installation, "lock_b")
    try:
        assert other.con.execute("SELECT a FROM lake.mine.rows").fetchall() == [("CANARY-lock_b-2",)]
    finally:
        other.close()


def test_warehouse_rows_of_others_are_neither_seen_nor_written(locked) -> None:
    con = locked[0].con
    assert con.execute("SELECT DISTINCT customer_id FROM warehouse.platform.delivery").fetchall() == [("lock_a",)]
    with pytest.raises(duckdb.Error, match="row-level security"):
        con.execute("CALL postgres_execute('warehouse', 'INSERT INTO platform.fence VALUES (''lock_b'', 99, ''zombie'')')")


def test_sql_in_a_session_cannot_rebind_the_warehouse_to_another_customer(locked) -> None:
    con = locked[0].con
    con.execute("BEGIN")
    try:
        con.execute("CALL postgres_execute('warehouse', 'SET app.customer_id = ''lock_b''')")
        assert con.execute("SELECT DISTINCT customer_id FROM warehouse.platform.delivery").fetchall() in ([], [("lock_a",)])
    finally:
        con.execute("ROLLBACK")


def test_sql_in_a_session_cannot_become_the_writer(locked) -> None:
    con = locked[0].con
    with pytest.raises(duckdb.Error, match="permission denied to set role"):
        con.execute("CALL postgres_execute('warehouse', 'SET ROLE strata_writer')")


def test_no_password_shows_in_what_a_session_tells(locked, installation: Installation) -> None:
    """Secrets, attached databases, settings, the lake's own records, commit messages, the metadata of a materialization, error texts."""
    session, names = locked
    spec = contract(equipment_inventory.__file__).spec
    landing = unbound(landing_name(spec.name), [(column.name, column.type) for column in spec.columns])
    _, facts = lake.write(session, spec, equipment_inventory.equipment_inventory.op.compute_fn.decorated_fn(landing))
    told = [session.con.execute(f"SELECT * FROM {source}").fetchall() for source in (
        "duckdb_secrets()", "duckdb_databases()", "duckdb_settings()", "lake.snapshots()", "ducklake_table_info('lake')", "duckdb_tables()", "duckdb_views()")]
    told.append(json.dumps({key: str(value) for key, value in facts.items()}))
    told.append(session.con.execute(f"SELECT * FROM {CATALOG}.lake_lock_a.ducklake_snapshot_changes").fetchall())
    with pytest.raises(duckdb.Error) as refused:
        session.con.execute(f"SELECT * FROM postgres_query('{CATALOG}', 'SELECT 1 FROM nowhere')")
    told.append(str(refused.value))
    text = str(told)
    assert "run test" in text  # the commit message is among it
    assert "redacted" in text
    passwords = [path.read_text() for path in installation.settings.secrets.iterdir()]
    assert [word for word in passwords if word in text] == []
    messages = session.con.execute("SELECT commit_message, commit_extra_info FROM lake.snapshots() WHERE commit_message IS NOT NULL").fetchall()
    assert len(messages) == 1
    assert not any(word in str(messages) for word in (names["host"], "password", "lake_lock_a", "CANARY"))
