"""Rows that DuckDB writes as CSV are in PostgreSQL what they were, to the last digit and character."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

import duckdb
import psycopg
import pytest
from psycopg import errors, sql

from resources.loading import ROWS_PER_BATCH, csv_lines, load
from resources.postgres import LOADER, SUPERUSER, lake_role
from resources.storage import pg_type
from tests.installation import Installation

COLUMNS = {"text": "varchar", "number": "double", "exact": "decimal(38,18)", "money": "decimal(38,12)", "whole": "bigint", "is_so": "boolean", "day": "date", "moment": "timestamp"}
PLAIN = ("x", 0.5, Decimal("1.5"), Decimal("2.25"), 7, True, date(2024, 9, 30), datetime(2024, 9, 30, 12, 0, 0, 5))


@pytest.fixture(scope="module")
def prepared(installation: Installation) -> Iterator[Installation]:
    installation.declare("loads")
    columns = ", ".join(f"{name} {pg_type(kind)}" for name, kind in COLUMNS.items())
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        connection.execute(f"CREATE SCHEMA loads; GRANT USAGE ON SCHEMA loads TO PUBLIC; CREATE TABLE loads.rows (customer_id text, version bigint, {columns});"
                           f"GRANT INSERT ON loads.rows TO {LOADER}; GRANT SELECT, DELETE ON loads.rows TO {lake_role('loads')}")
    yield installation
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        connection.execute("DROP SCHEMA loads CASCADE")  # an unprotected table: whoever opens a session after this would be refused


@pytest.fixture
def connection(prepared: Installation) -> Iterator[psycopg.Connection]:
    """What a test loads is undone."""
    with prepared.postgres.connect(lake_role("loads")) as made:
        yield made
        made.rollback()


def loaded(connection: psycopg.Connection, con: duckdb.DuckDBPyConnection) -> list[tuple]:
    load(connection, sql.Identifier("loads", "rows"), con, "given", COLUMNS, "loads", 3)
    return connection.execute(sql.SQL("SELECT {} FROM loads.rows WHERE customer_id = 'loads' AND version = 3 ORDER BY whole").format(
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)))).fetchall()


def given(rows: list[tuple]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 2, "preserve_insertion_order": False})
    con.execute("CREATE TABLE given (" + ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items()) + ")")
    if rows:
        con.executemany(f"INSERT INTO given VALUES ({', '.join('?' * len(COLUMNS))})", rows)
    return con


@pytest.mark.parametrize("text", [
    "", " ", '"', '""', "a,b", "a\nb", "a\r\nb", "\\.", "a\n\\.\nb", "\\N", "NULL", "\t", "'", "é ß 漢 🖥", "\\", '",', "x" * 100_000, None,
])  # fmt: skip
def test_a_text_arrives_as_it_is(connection: psycopg.Connection, text: str | None) -> None:
    assert loaded(connection, given([(text, *PLAIN[1:])])) == [(text, *PLAIN[1:])]


@pytest.mark.parametrize("number", [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0, 1e22, 123456789.12345679, 2.0**53 + 2])
def test_a_double_arrives_to_the_last_bit(connection: psycopg.Connection, number: float) -> None:
    (row,) = loaded(connection, given([(PLAIN[0], number, *PLAIN[2:])]))
    assert row[1].hex() == number.hex()


def test_decimals_arrive_to_the_last_digit(connection: psycopg.Connection) -> None:
    most, least = Decimal("99999999999999999999.999999999999999999"), Decimal("-0.000000000000000001")
    rows = [(*PLAIN[:2], value, Decimal("99999999999999999999999999.000000000001"), n, *PLAIN[5:]) for n, value in enumerate((most, least))]
    assert loaded(connection, given(rows)) == rows


def test_what_is_not_known_stays_so(connection: psycopg.Connection) -> None:
    assert loaded(connection, given([(None,) * len(COLUMNS)])) == [(None,) * len(COLUMNS)]


def test_every_row_of_many_batches_arrives_once(connection: psycopg.Connection) -> None:
    con, count = given([]), 3 * ROWS_PER_BATCH + 17
    con.execute(f"INSERT INTO given (whole, text) SELECT range, 'row ' || range FROM range({count})")
    load(connection, sql.Identifier("loads", "rows"), con, "given", COLUMNS, "loads", 4)
    found = connection.execute("SELECT count(*), count(DISTINCT whole), sum(whole), bool_and(text = 'row ' || whole) FROM loads.rows WHERE version = 4").fetchone()
    assert found == (count, count, count * (count - 1) // 2, True)
    assert sum(bytes(lines).count(b"\n") for lines in csv_lines(con, "given", COLUMNS, "loads,4")) == count


def test_no_row_sends_no_line(connection: psycopg.Connection) -> None:
    assert loaded(connection, given([])) == []


def test_after_loading_the_connection_is_the_customers_own_again(connection: psycopg.Connection) -> None:
    loaded(connection, given([PLAIN]))
    assert connection.execute("SELECT current_user, session_user").fetchone() == ("lake_loads", "lake_loads")


def test_a_load_that_breaks_leaves_nothing(prepared: Installation, connection: psycopg.Connection) -> None:
    """The second row's date is one that PostgreSQL does not know."""
    con = given([PLAIN])
    con.execute("CREATE VIEW broken AS SELECT * REPLACE (day::VARCHAR AS day) FROM given UNION ALL SELECT * REPLACE ('2024-02-31' AS day) FROM given")
    with pytest.raises(errors.DatetimeFieldOverflow), connection.transaction():
        load(connection, sql.Identifier("loads", "rows"), con, "broken", COLUMNS, "loads", 5)
    assert connection.execute("SELECT count(*) FROM loads.rows").fetchone() == (0,)
    with prepared.postgres.connect(SUPERUSER, prepared.postgres.names.warehouse) as admin:
        assert admin.execute("SELECT count(*) FROM loads.rows").fetchone() == (0,)
