"""The tables of a customer's lake: made together where they are missing, and held to their contracts.

What belongs here: what the lake's tables look like, as one session knows it. What does not: their rows (lake.py). DuckLake reads its whole catalog
again after each change of a table (20 CPU ms with 29 of them), so a new customer's tables are made in one transaction, and what stands in the
catalog is asked once.
"""
from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

import duckdb
import ibis.expr.types as ir

from partitions.errors import ContractError
from resources.quarantine import COLUMNS, QUARANTINE, ensure_quarantine
from resources.session import Session
from resources.storage import PLACE, REJECTS, TableSpec

DIGITS = "decimal(38,"
THERE = "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake'"


def ensure_table(session: Session, spec: TableSpec, expression: ir.Table) -> None:
    """Make the table and its layer's quarantine, and all others of the run's domain that are missing; add a new nullable column, give a decimal more
    places; any other difference from the contract is a ContractError.

    A table of groups need not declare the place that its refused rows carry (PLACE): its good rows have none.
    """
    if {spec.qualified, quarantine_of(spec)} - _known(session).keys():
        _make_missing(session, {one.qualified: one for one in (*session.lake_specs, spec)}.values())
    if COLUMNS.keys() - _known(session)[quarantine_of(spec)].keys():
        ensure_quarantine(session.con, spec.schema)
        session.lake_tables = None
    _adapt(session, spec)
    declared_names, beside = {c.name for c in spec.columns}, {REJECTS, *PLACE} if REJECTS in expression.columns else set()
    if missing := sorted(declared_names ^ (set(expression.columns) - (beside - declared_names))):
        raise ContractError(f"function and contract differ in columns: {', '.join(missing)}", customer=session.customer_id, table=spec.qualified,
                            fix="declare the column, or return it")


def quarantine_of(spec: TableSpec) -> str:
    """The qualified name of the table that holds what this one keeps back."""
    return f"{spec.schema}.{QUARANTINE}"


def drop_table(session: Session, qualified: str) -> None:
    """Drop a table as the lake stands now; older snapshots still know it."""
    session.con.execute(f"DROP TABLE lake.{qualified}")
    session.lake_tables = None
    session.empty.discard(qualified)


def rollback(con: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # the transaction is already gone; the first error is the one to show
        con.execute("ROLLBACK")


def _known(session: Session) -> dict[str, dict[str, str]]:
    """Qualified name -> column -> type in small letters, of all that stands in the lake."""
    if session.lake_tables is None:
        session.lake_tables = {}
        for schema, table, column, kind in session.con.execute(THERE).fetchall():
            session.lake_tables.setdefault(f"{schema}.{table}", {})[column] = kind.lower()
    return session.lake_tables


def _make_missing(session: Session, specs: Collection[TableSpec]) -> None:
    """The tables that are not there, and the quarantines of their layers, in one transaction."""
    con, there, schemas = session.con, _known(session).keys(), sorted({spec.schema for spec in specs})
    missing = [spec for spec in specs if spec.qualified not in there]
    con.execute("BEGIN")
    try:
        for schema in schemas:
            con.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{schema}")
            ensure_quarantine(con, schema)
        for spec in missing:
            con.execute(f"CREATE TABLE lake.{spec.qualified} ({', '.join(f'{_quoted(c.name)} {c.type}' for c in spec.columns)})")
        con.execute("COMMIT")
    except BaseException:  # an interrupt too leaves no transaction open
        rollback(con)
        raise
    session.empty |= {spec.qualified for spec in missing} | {f"{schema}.{QUARANTINE}" for schema in schemas} - there
    session.lake_tables = None


def _adapt(session: Session, spec: TableSpec) -> None:
    """Change a table to its contract where that loses nothing, since every row is about to be written anew; raises ContractError where it would."""
    there = _known(session)[spec.qualified]
    for column in spec.columns:
        if column.name not in there and not column.required:
            changes = [f"ADD COLUMN {_quoted(column.name)} {column.type}"]
        elif _has_more_places(there.get(column.name, ""), column.type):  # DuckLake retypes no decimal
            changes = [f"DROP COLUMN {_quoted(column.name)}", f"ADD COLUMN {_quoted(column.name)} {column.type}"]
        elif there.get(column.name) != column.type.lower().replace(", ", ","):
            raise ContractError("the lake's column is not the contract's", customer=session.customer_id, table=spec.qualified,
                                column=column.name, fix="raise the contract's version and migrate the column")
        else:
            continue
        for change in changes:
            session.con.execute(f"ALTER TABLE lake.{spec.qualified} {change}")
        session.lake_tables = None


def _has_more_places(there: str, declared: str) -> bool:
    """Whether both are decimals of 38 digits and the declared one keeps more of them after the point."""
    places = [int(kind.lower().removeprefix(DIGITS).removesuffix(")")) for kind in (there, declared) if kind.lower().startswith(DIGITS)]
    return len(places) == 2 and places[0] < places[1]


def _quoted(name: str) -> str:
    return f'"{name}"'
