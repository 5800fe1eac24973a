"""Behaviours of DuckDB, its PostgreSQL extension and DuckLake on which storage rests."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from resources.sandbox import load_extensions
from resources.session import Session
from tests.installation import Installation
from tests.lake import session_for


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A lake with its catalog in a file, attached as sessions attach theirs: nothing inlined."""
    con = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
    load_extensions(con, ("ducklake",))
    con.execute(f"ATTACH 'ducklake:{tmp_path}/catalog' AS lake (DATA_PATH '{tmp_path}/data/', DATA_INLINING_ROW_LIMIT 0)")
    con.execute("CREATE TABLE lake.t (a int)")
    yield con
    con.close()


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def snapshot(con: duckdb.DuckDBPyConnection) -> int:
    return con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0]


def test_a_rollback_leaves_no_file(lake, tmp_path: Path) -> None:
    lake.execute("BEGIN; INSERT INTO lake.t FROM range(100000)")
    assert len(files(tmp_path)) == 1
    lake.execute("ROLLBACK")
    assert files(tmp_path) == []
    assert lake.execute("SELECT count(*) FROM lake.t").fetchone() == (0,)


def test_a_version_shows_the_table_as_it_was(lake) -> None:
    seen = []
    for number in (1, 2):
        lake.execute(f"BEGIN; DELETE FROM lake.t; INSERT INTO lake.t VALUES ({number}); COMMIT")
        seen.append(snapshot(lake))
    assert [lake.execute(f"SELECT a FROM lake.t AT (VERSION => {version})").fetchall() for version in seen] == [[(1,)], [(2,)]]


def test_without_inlining_one_row_is_a_file_and_with_it_none(lake, tmp_path: Path) -> None:
    lake.execute("INSERT INTO lake.t VALUES (1)")
    assert len(files(tmp_path)) == 1
    other = tmp_path / "inlined"
    lake.execute(f"ATTACH 'ducklake:{other}.catalog' AS inlined (DATA_PATH '{other}/')")
    lake.execute("CREATE TABLE inlined.t (a int); INSERT INTO inlined.t VALUES (1)")
    assert files(other) == []


def test_a_commit_message_belongs_to_its_snapshot(lake) -> None:
    lake.execute("BEGIN; INSERT INTO lake.t VALUES (1)")
    lake.execute("CALL lake.set_commit_message('strata', 'run 1', extra_info => '{}')")
    lake.execute("COMMIT")
    lake.execute("INSERT INTO lake.t VALUES (2)")
    assert lake.execute("SELECT author, commit_message FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 2").fetchall() == [(None, None), ("strata", "run 1")]


def test_an_expired_snapshot_releases_the_files_that_only_it_named(lake, tmp_path: Path) -> None:
    lake.execute("INSERT INTO lake.t VALUES (1)")
    old, first = snapshot(lake), files(tmp_path)
    lake.execute("BEGIN; DELETE FROM lake.t; INSERT INTO lake.t VALUES (2); COMMIT")
    lake.execute(f"CALL ducklake_expire_snapshots('lake', versions => [{old}])")
    assert set(first) < set(files(tmp_path))  # expiring marks, cleaning removes
    lake.execute("CALL ducklake_cleanup_old_files('lake', cleanup_all => true)")
    assert set(first) & set(files(tmp_path)) == set()
    assert lake.execute("SELECT a FROM lake.t").fetchall() == [(2,)]


def test_a_sum_of_row_hashes_knows_neither_threads_nor_order(tmp_path: Path) -> None:
    found = set()
    for threads in (1, 4):
        for order in ("i", "i DESC", "hash(i)"):
            con = duckdb.connect(config={"threads": threads})
            con.execute(f"CREATE TABLE t AS SELECT i, i::varchar AS s, (i / 7)::decimal(38,18) AS d FROM range(200000) r(i) ORDER BY {order}")
            found.add(con.execute("SELECT sum(hash(i, s, d)) FROM t").fetchone()[0])
            con.close()
    assert len(found) == 1
    assert found.pop() > 2**64  # a HUGEINT: the sum does not wrap


def test_a_sum_of_decimals_is_exact() -> None:
    con = duckdb.connect(config={"threads": 4})
    con.execute("CREATE TABLE t AS SELECT (i % 3 + 0.1)::decimal(38,18) AS d, i % 3 + 0.1::double AS f FROM range(300000) r(i)")
    # 100,000 times 0.1 + 1.1 + 2.1
    assert con.execute("SELECT sum(d) FROM t").fetchone() == (Decimal("330000"),)


# the warehouse through ATTACH


@pytest.fixture(scope="module")
def session(installation: Installation) -> Iterator[Session]:
    installation.declare("pins")
    made = session_for(installation, "pins")
    yield made
    made.close()


def test_copying_straight_into_a_table_under_row_level_security_is_refused(session: Session) -> None:
    with pytest.raises(duckdb.Error, match="COPY FROM not supported with row-level security"):
        session.con.execute("INSERT INTO warehouse.platform.fence VALUES ('pins', 1, 'x', now())")


def test_one_transaction_cannot_write_lake_and_warehouse(session: Session) -> None:
    con = session.con
    con.execute("CREATE SCHEMA IF NOT EXISTS lake.pins; CREATE TABLE IF NOT EXISTS lake.pins.t (a int)")
    con.execute("BEGIN; INSERT INTO lake.pins.t VALUES (1)")
    try:
        with pytest.raises(duckdb.Error, match="only.*single attached database|multiple|already"):
            con.execute("DELETE FROM warehouse.platform.fence")
    finally:
        con.execute("ROLLBACK")


def test_transactions_in_postgresql_are_repeatable_read(session: Session) -> None:
    assert session.con.execute("SELECT * FROM postgres_query('warehouse', 'SELECT current_setting(''transaction_isolation'')')").fetchall() == [("repeatable read",)]


@pytest.mark.parametrize("is_set_afterwards", [True, False])
def test_a_limit_of_scratch_space_holds_only_if_it_is_set_after_opening(tmp_path: Path, is_set_afterwards: bool) -> None:
    """As an option at opening it is shown by duckdb_settings() and not held (1.5.5). 600 k rows of text take 40 MB, 16 MB is the memory."""
    limit = {} if is_set_afterwards else {"max_temp_directory_size": "5MB"}
    with duckdb.connect(config={"memory_limit": "16MB", "threads": 1, "temp_directory": str(tmp_path), "preserve_insertion_order": False, **limit}) as con:
        if is_set_afterwards:
            con.execute("SET max_temp_directory_size = '5MB'")
        assert con.execute("SELECT value FROM duckdb_settings() WHERE name = 'max_temp_directory_size'").fetchone() == ("4.7 MiB",)
        with pytest.raises(duckdb.OutOfMemoryException, match="max_temp_directory_size") if is_set_afterwards else nullcontext():
            con.execute("CREATE TEMP TABLE big AS SELECT md5(range::VARCHAR) AS t, random() AS r FROM range(600000)")
