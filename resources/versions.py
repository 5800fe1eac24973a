"""The registry of what was computed: one row of `platform.table_version` per customer, table and content.

What belongs here: reading and writing versions, verdicts and live pointers over one connection. What does not: the rows themselves
(lake.py, warehouse.py). ARCHITECTURE 5 and 6 are the rules.
"""
from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row

COLUMNS = ("table_name", "version", "run_id", "code_version", "parameter_version", "contract_version", "as_of", "inputs", "snapshot_id",
           "rows_in", "row_count", "quarantined_count", "rejected_count", "correction_id", "content_hash", "recipe", "verdict", "fence",
           "last_code_version", "last_parameter_version", "source_snapshot_id")


@dataclass(frozen=True)
class Version:
    """One materialized state of one customer's table. `inputs` maps table name -> version; `snapshot_id` is the lake's, None in gold.

    Of the `quarantined_count` rows a steward declared `rejected_count` to be no data; the others are open. `correction_id` is the newest
    correction that was known when the table was last made, `last_code_version` and `last_parameter_version` by what, where
    that is not what first made this content. `source_snapshot_id`: of production's lake, where a bronze table was copied from it.
    """

    table_name: str
    version: int
    run_id: str
    code_version: str
    parameter_version: str
    contract_version: str
    as_of: date | None
    inputs: dict[str, int] = field(default_factory=dict)
    snapshot_id: int | None = None
    rows_in: int | None = None
    row_count: int = 0
    quarantined_count: int = 0
    rejected_count: int = 0
    correction_id: int = 0
    content_hash: str = ""
    recipe: str = ""
    verdict: str = "pending"
    fence: int = 0
    last_code_version: str | None = None
    last_parameter_version: str | None = None
    source_snapshot_id: int | None = None


def next_number(connection: psycopg.Connection) -> int:
    return connection.execute("SELECT nextval('platform.version_number')").fetchone()[0]


def insert_statement(customer: str, version: Version) -> str:
    """The registering statement with its values as literals: the same text serves psycopg and DuckDB's postgres_execute."""
    values = [customer] + [getattr(version, name) for name in COLUMNS]
    values = [json.dumps(v, sort_keys=True) if isinstance(v, dict) else v for v in values]
    statement = sql.SQL("SELECT platform.assert_fence({customer}, {fence}); INSERT INTO platform.table_version ({names}) VALUES ({values})").format(
        customer=sql.Literal(customer),
        fence=sql.Literal(version.fence),
        names=sql.SQL(", ").join(map(sql.Identifier, ("customer_id", *COLUMNS))),
        values=sql.SQL(", ").join(map(sql.Literal, values)),
    )
    return statement.as_string(None)


def newest(connection: psycopg.Connection, customer: str, table_name: str, *, passed: bool = False) -> Version | None:
    """The newest version, or the newest with a passed verdict."""
    verdict = "AND verdict = 'passed'" if passed else ""
    query = f"SELECT {', '.join(COLUMNS)} FROM platform.table_version WHERE customer_id = %s AND table_name = %s {verdict} ORDER BY version DESC LIMIT 1"
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(query, [customer, table_name]).fetchone()  # noqa: S608  constants


def history(connection: psycopg.Connection, customer: str, table_name: str, before: int, count: int) -> list[Version]:
    """The newest versions older than `before` with a passed verdict, the newest first."""
    query = (f"SELECT {', '.join(COLUMNS)} FROM platform.table_version WHERE customer_id = %s AND table_name = %s AND version < %s "
             "AND verdict = 'passed' ORDER BY version DESC LIMIT %s")
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(query, [customer, table_name, before, count]).fetchall()  # noqa: S608  constants


def all_of(connection: psycopg.Connection, customer: str, table_name: str) -> list[Version]:
    """Every registered version of a table, the oldest first."""
    query = f"SELECT {', '.join(COLUMNS)} FROM platform.table_version WHERE customer_id = %s AND table_name = %s ORDER BY version"
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(query, [customer, table_name]).fetchall()  # noqa: S608  constants


def numbered(connection: psycopg.Connection, customer: str, table_name: str, number: int | None) -> Version | None:
    """One version by its number; without a number the newest."""
    query = (f"SELECT {', '.join(COLUMNS)} FROM platform.table_version WHERE customer_id = %s AND table_name = %s AND version = coalesce(%s, version) "
             "ORDER BY version DESC LIMIT 1")
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        return cursor.execute(query, [customer, table_name, number]).fetchone()  # noqa: S608  constants


def confirm(connection: psycopg.Connection, customer: str, version: Version, fence: int, **last: Any) -> Version:
    """The version whose content came out again: its `inputs`, `correction_id`, `recipe`, `last_code_version` and `last_parameter_version` become those
    that it was last made from. Refuses a fence that is not the newest."""
    if all(getattr(version, name) == value for name, value in last.items()):
        return version
    values = {name: json.dumps(value, sort_keys=True) if isinstance(value, dict) else value for name, value in last.items()}
    changes = sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values)
    which = sql.SQL(" WHERE customer_id = %(customer)s AND table_name = %(table)s AND version = %(number)s")
    with connection.transaction():
        connection.execute("SELECT platform.assert_fence(%s, %s)", [customer, fence])
        connection.execute(sql.SQL("UPDATE platform.table_version SET ") + changes + which,
                           {**values, "customer": customer, "table": version.table_name, "number": version.version})
    return replace(version, **last)


def set_verdict(connection: psycopg.Connection, customer: str, version: Version, verdict: str) -> None:
    query = "UPDATE platform.table_version SET verdict = %s WHERE customer_id = %s AND table_name = %s AND version = %s"
    connection.execute(query, [verdict, customer, version.table_name, version.version])


def live(connection: psycopg.Connection, customer: str) -> dict[str, int]:
    """Table name -> version that readers of this customer see."""
    rows = connection.execute("SELECT table_name, version FROM platform.live_version WHERE customer_id = %s", [customer]).fetchall()
    return dict(rows)


def point(connection: psycopg.Connection, customer: str, domain: str, run_id: str, versions: dict[str, int]) -> int | None:
    """Move all live pointers of a domain in the caller's transaction; returns the publication's number, None where nothing moves."""
    if {name: version for name, version in live(connection, customer).items() if name in versions} == versions:
        return None
    values: list[Any] = [customer, domain, run_id, json.dumps(versions, sort_keys=True)]
    insert = "INSERT INTO platform.publication (customer_id, domain, run_id, versions) VALUES (%s, %s, %s, %s) RETURNING publication_id"
    number = connection.execute(insert, values).fetchone()[0]
    move = """INSERT INTO platform.live_version AS l (customer_id, table_name, version, publication_id) VALUES (%s, %s, %s, %s)
              ON CONFLICT (customer_id, table_name) DO UPDATE SET previous_version = CASE WHEN l.version = excluded.version
              THEN l.previous_version ELSE l.version END, version = excluded.version, publication_id = excluded.publication_id"""
    for name, version in sorted(versions.items()):
        connection.execute(move, [customer, name, version, number])
    return number
