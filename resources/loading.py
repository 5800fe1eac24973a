"""Rows of DuckDB into a shared table of PostgreSQL, as the loader: COPY, which is refused to roles under row-level security.

What belongs here: writing lines and sending them. What does not: when rows are written (warehouse.py), who may write (migrations/V007).
DuckDB writes the lines itself, in parallel, while PostgreSQL reads the ones before: its own INSERT into an attached table needs twice the CPU.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb
import psycopg
from psycopg import sql

from resources.postgres import LOADER

ROWS_PER_BATCH = 50_000
TEXT = "varchar"


def load(connection: psycopg.Connection, target: sql.Identifier, con: duckdb.DuckDBPyConnection, relation: str, columns: Mapping[str, str],
         customer_id: str, version: int) -> None:
    """COPY `relation` with its customer and version, in the open transaction. `columns`: name -> contract's type."""
    names = sql.SQL(", ").join(map(sql.Identifier, ("customer_id", "version", *columns)))
    connection.execute(sql.SQL("SET LOCAL ROLE {}; SET LOCAL statement_timeout = 0").format(sql.Identifier(LOADER)))
    with connection.cursor().copy(sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(target, names)) as copy:
        for lines in csv_lines(con, relation, columns, f"{customer_id},{version}"):
            copy.write(lines)
    connection.execute("RESET ROLE; RESET statement_timeout")


def csv_lines(con: duckdb.DuckDBPyConnection, relation: str, columns: Mapping[str, str], prefix: str) -> Iterator[memoryview]:
    """Batches of CSV lines, each beginning with `prefix`; text in quotes, NULL as nothing. PostgreSQL reads a double back to its last digit."""
    cells = ", ".join(f"',', {_cell(name, kind)}" for name, kind in columns.items())
    reader = con.execute(f"SELECT concat('{prefix}', {cells}, chr(10))::VARCHAR FROM {relation}").to_arrow_reader(ROWS_PER_BATCH)
    for batch in reader:
        _, offsets, text = batch.column(0).buffers()  # the lines lie one after the other, as COPY reads them
        ends = memoryview(offsets).cast("i")
        first = batch.column(0).offset
        yield memoryview(text)[ends[first]:ends[first + batch.num_rows]]


def _cell(name: str, kind: str) -> str:
    """`concat` leaves out NULL; a text that is empty keeps its quotes."""
    return f"""'"' || replace("{name}", '"', '""') || '"'""" if kind.lower() == TEXT else f'"{name}"'
