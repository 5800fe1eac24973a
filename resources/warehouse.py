"""The warehouse's IO manager: gold and platinum in PostgreSQL, shared tables whose rows carry customer and version.

What belongs here: writing a new version with its registry row in one transaction, and reading one version. What does not: rules beyond
schema and keys (platform_assets/checks.py) and moving live pointers (publication.py). Gold computes in DuckDB and streams in by
COPY (loading.py); platinum computes in PostgreSQL.
"""
from __future__ import annotations

from typing import Any

import dagster as dg
import ibis.expr.types as ir
import psycopg
from psycopg import sql

from partitions.errors import ContractError
from resources import versions
from resources.expressions import sql_of, unbound_table
from resources.facts import bars, output_facts
from resources.failpoints import failpoint
from resources.lake import check_rows, content_hash, version_to_read
from resources.lineage import column_lineage
from resources.loading import TEXT, load
from resources.quarantine import QUARANTINE, ordered_rejects
from resources.recipes import recipe
from resources.session import Session, fenced
from resources.sessions import permanent, session_of, spec_of_input, spec_of_output
from resources.storage import REJECTS, TableSpec, plain
from resources.versions import Version

CHARTED_LABELS = 24
SIZED_ROWS = 1000
KEPT_BACK = dict.fromkeys(("table_name", "rule", "column_name", "value", "rejects", "raw", "key"), TEXT)


class WarehouseIOManager(dg.IOManager):
    """Writes an ibis expression as a new version of one customer's rows; reads a version in the consumer's engine."""

    @permanent
    def handle_output(self, context: dg.OutputContext, obj: ir.Table) -> None:
        session, spec = session_of(context), spec_of_output(context)
        _same_columns(session, spec, obj)
        write = write_gold if spec.layer == "gold" else write_platinum
        version, facts = write(session, spec, obj)
        session.written[spec.qualified] = version
        context.add_output_metadata({**facts, **_seen(session, spec, version), **column_lineage(obj, session.sources)})

    @permanent
    def load_input(self, context: dg.InputContext) -> ir.Table:
        session, spec = session_of(context), spec_of_input(context)
        version = version_to_read(session, spec)
        session.pin(spec.name, context.asset_key, version)
        read(session, spec, version, in_postgres=plain(context.definition_metadata["strata/consumer"]) == "platinum")
        return unbound_table(spec)


def read(session: Session, spec: TableSpec, version: Version, in_postgres: bool) -> None:
    """Make one version a temporary view named like the table, in PostgreSQL or, through ATTACH, in DuckDB."""
    columns = ", ".join(f'"{c.name}"' for c in spec.columns)
    where = f"WHERE customer_id = '{session.customer_id}' AND version = {int(version.version)}"
    if in_postgres:
        session.warehouse.execute(f'CREATE OR REPLACE TEMP VIEW "{spec.name}" AS SELECT {columns} FROM {spec.qualified} {where}')
        session.warehouse.commit()
    else:
        session.con.execute(f'CREATE OR REPLACE TEMP VIEW "{spec.name}" AS SELECT {columns} FROM warehouse.{spec.qualified} {where}')


@fenced
def write_gold(session: Session, spec: TableSpec, expression: ir.Table) -> tuple[Version, dict]:
    """Compute in DuckDB, check and hash there, then COPY into PostgreSQL; an equal content makes no new version. `_rejects` go to quarantine."""
    con, inputs = session.con, session.inputs(expression)
    made_by = recipe(session, spec, expression, "duckdb")
    known = _standing(session, spec)
    if known and session.knows(known, made_by):
        return session.confirmed(spec, known, inputs, made_by), output_facts(spec, known, unchanged=True)
    statement = sql_of(expression, "duckdb")
    stage = f"{spec.layer}__{spec.name}"
    kept_back = _stage(session, spec, statement, stage, REJECTS in expression.columns)
    check_rows(session, spec, f'"{stage}"')
    content = content_hash(con, f'"{stage}"', [c.name for c in spec.columns])
    quarantined = con.execute(f'SELECT count(*) FROM "{kept_back}"').fetchone()[0] if kept_back else 0
    if quarantined:
        content += "+" + content_hash(con, f'"{kept_back}"', ["rejects", "raw"])
    if known and _unchanged(known, content, inputs):
        known = session.confirmed(spec, known, inputs, made_by)
        return known, output_facts(spec, known, statement, unchanged=True)
    rows = con.execute(f'SELECT count(*) FROM "{stage}"').fetchone()[0]
    version = session.new_version(spec, inputs, content_hash=content, recipe=made_by, row_count=rows, quarantined_count=quarantined)
    failpoint("warehouse.before_write")
    load_version(session, spec, stage, kept_back if quarantined else None, version)
    con.execute(f'DROP TABLE "{stage}"')
    failpoint("warehouse.after_commit")
    return version, output_facts(spec, version, statement)


def _standing(session: Session, spec: TableSpec) -> Version | None:
    """The newest version, if its rows are as many as were written; one whose rows are gone is not known any more, and the table is made anew."""
    known = versions.newest(session.lock, session.customer_id, spec.qualified)
    return known if known and stands(session.lock, session.customer_id, known) else None


def stands(connection: psycopg.Connection, customer: str, version: Version) -> bool:
    """Whether the warehouse holds as many rows of a version, and of what it kept back, as were written (by the index: 0.3 ms, 0.1 s a million)."""
    schema, table = version.table_name.split(".")
    target = sql.SQL("SELECT count(*) FROM {} WHERE customer_id = %s AND version = %s")
    rows = connection.execute(target.format(sql.Identifier(schema, table)), [customer, version.version]).fetchone()[0]
    if rows != version.row_count or not version.quarantined_count:
        return rows == version.row_count
    apart = target.format(sql.Identifier(schema, QUARANTINE)) + sql.SQL(" AND table_name = %s")
    return connection.execute(apart, [customer, version.version, table]).fetchone()[0] == version.quarantined_count


def _listed(spec: TableSpec) -> str:
    return ", ".join(f'"{c.name}"' for c in spec.columns)


def _stage(session: Session, spec: TableSpec, statement: str, stage: str, has_rejects: bool) -> str | None:
    """The computed rows as a temporary table; rows with `_rejects` as the quarantine's rows in another one, whose name is returned."""
    con, columns = session.con, _listed(spec)
    if not has_rejects:
        con.execute(f'CREATE OR REPLACE TEMP TABLE "{stage}" AS SELECT {columns} FROM ({statement})')
        return None
    judged, kept_back, key = f"{stage}__judged", f"{stage}__kept_back", ", ".join(f'"{name}"' for name in spec.key)
    packed = ", ".join(f"""'{c.name}': "{c.name}\"""" for c in spec.columns)
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{judged}" AS SELECT * FROM ({statement})')
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{stage}" AS SELECT {columns} FROM "{judged}" WHERE coalesce(len({REJECTS}), 0) = 0')
    con.execute(f"""CREATE OR REPLACE TEMP TABLE "{kept_back}" AS
        SELECT '{spec.name}' AS table_name, r[1].rule AS rule, r[1]."column" AS column_name, r[1].value AS value, to_json(r)::VARCHAR AS rejects,
               to_json(row)::VARCHAR AS raw, concat_ws(' ', {key}) AS key
        FROM (SELECT {ordered_rejects()} AS r, {{{packed}}} AS row, {key}
              FROM "{judged}" WHERE len({REJECTS}) > 0)""")
    con.execute(f'DROP TABLE "{judged}"')
    return kept_back


def load_version(session: Session, spec: TableSpec, stage: str, kept_back: str | None, version: Version) -> None:
    """Rows of DuckDB's temporary tables and the row of their version, in one transaction of PostgreSQL."""
    with session.warehouse.transaction():
        _load(session, spec.schema, spec.name, stage, {c.name: c.type for c in spec.columns}, version)
        if kept_back:
            _load(session, spec.schema, QUARANTINE, kept_back, KEPT_BACK, version)
        failpoint("warehouse.after_stream")
        session.warehouse.execute(versions.insert_statement(session.customer_id, version))
        failpoint("warehouse.before_commit")


def _load(session: Session, schema: str, name: str, relation: str, columns: dict[str, str], version: Version) -> None:
    """The rows of a temporary table of DuckDB as rows of a version, in the open transaction."""
    load(session.warehouse, sql.Identifier(schema, name), session.con, f'"{relation}"', columns, session.customer_id, version.version)


@fenced
def write_platinum(session: Session, spec: TableSpec, expression: ir.Table) -> tuple[Version, dict]:
    """Compute, check, hash and register in one PostgreSQL transaction."""
    connection, inputs = session.warehouse, session.inputs(expression)
    made_by = recipe(session, spec, expression, "postgres")
    known = _standing(session, spec)
    if known and session.knows(known, made_by):
        return session.confirmed(spec, known, inputs, made_by), output_facts(spec, known, unchanged=True)
    statement = sql_of(expression, "postgres")
    columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in spec.columns)
    arriving = sql.Identifier(f"arriving_{spec.name}")
    with connection.transaction():
        connection.execute(sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM ({}) computed").format(
            arriving, columns, sql.SQL(statement)))
        rows, content = _counted(connection, arriving)
        if known and _unchanged(known, content, inputs):
            known = session.confirmed(spec, known, inputs, made_by)
            return known, output_facts(spec, known, statement, unchanged=True)
        version = session.new_version(spec, inputs, content_hash=content, recipe=made_by, row_count=rows)
        failpoint("platinum.before_write")
        target = sql.Identifier(spec.schema, spec.name)
        connection.execute(sql.SQL("INSERT INTO {} (customer_id, version, {}) SELECT {}, {}, {} FROM {}").format(
            target, columns, sql.Literal(session.customer_id), sql.Literal(version.version), columns, arriving))
        connection.execute(versions.insert_statement(session.customer_id, version))
        failpoint("platinum.before_commit")
    failpoint("platinum.after_commit")
    return version, output_facts(spec, version, statement)


def _counted(connection: psycopg.Connection, relation: sql.Composable) -> tuple[int, str]:
    """Rows and a hash of them that knows no order."""
    check = sql.SQL("SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\")), '') FROM {} t").format(relation)
    return connection.execute(check).fetchone() or (0, "")


def content_of_version(session: Session, spec: TableSpec, version: Version) -> str:
    """The hash of a version's rows as they lie in the warehouse now: equal to the first part of its `content_hash` while nobody changed them."""
    names, customer, number = [c.name for c in spec.columns], session.customer_id, version.version
    if spec.layer == "gold":
        return content_hash(session.con, f"(FROM warehouse.{spec.qualified} WHERE customer_id = '{customer}' AND version = {int(number)})", names)
    rows = sql.SQL("(SELECT {} FROM {} WHERE customer_id = {} AND version = {})").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(spec.schema, spec.name), sql.Literal(customer), sql.Literal(number))
    return _counted(session.lock, rows)[1]


def _unchanged(known: Version, content: str, inputs: list[Version]) -> bool:
    """Equal rows from the same versions of the warehouse's tables: readers would see no difference, so no new version is made."""
    if known.content_hash != content:
        return False
    now = {v.table_name: v.version for v in inputs if v.snapshot_id is None}
    return now == {name: version for name, version in known.inputs.items() if name in now}


def _same_columns(session: Session, spec: TableSpec, expression: ir.Table) -> None:
    if differing := sorted({c.name for c in spec.columns} ^ (set(expression.columns) - ({REJECTS} if spec.layer == "gold" else set()))):
        raise ContractError(f"function and contract differ in columns: {', '.join(differing)}", customer=session.customer_id, table=spec.qualified,
                            fix="declare the column, or return it")


def _seen(session: Session, spec: TableSpec, version: Version) -> dict[str, Any]:
    """What a look at the version tells: its size, guessed from the first rows, and a chart that shows no customer's value."""
    sample = sql.SQL("SELECT coalesce(avg(pg_column_size(seen)), 0)::float8 FROM "
                     "(SELECT * FROM {} WHERE customer_id = %s AND version = %s LIMIT {}) seen").format(
        sql.Identifier(spec.schema, spec.name), sql.Literal(SIZED_ROWS))
    width = session.lock.execute(sample, [session.customer_id, version.version]).fetchone()[0]
    return {"bytes_about": round(width * version.row_count), **_chart(session, spec, version)}


def _chart(session: Session, spec: TableSpec, version: Version) -> dict[str, Any]:
    """Rows by the first public column of the key."""
    public = [name for name in spec.key if name in spec.public_columns]
    if not public:
        return {}
    query = sql.SQL("SELECT {0}::text, count(*) FROM {1} WHERE customer_id = %s AND version = %s GROUP BY 1 ORDER BY 1 DESC LIMIT {2}").format(
        sql.Identifier(public[0]), sql.Identifier(spec.schema, spec.name), sql.Literal(CHARTED_LABELS))
    counts = session.lock.execute(query, [session.customer_id, version.version]).fetchall()
    return {"rows_by_" + public[0]: bars(public[0], counts)}


@dg.io_manager(required_resource_keys={"sessions"})
def warehouse_io_manager(_context: dg.InitResourceContext) -> WarehouseIOManager:
    return WarehouseIOManager()
