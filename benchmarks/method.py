"""C-P3 and C-P4: the method's figures for a large fleet, and getting them into the protected tables; prints one JSON line.

`python -m benchmarks.method <customer> <lines>`: one session of the customer as a run has it, all parameters, no rows of other sources. What
is compared with is a COPY of the same rows, by the same DuckDB, into tables without row-level security that the customer's role may fill.
"""
from __future__ import annotations

import json
import sys
import time
from datetime import date
from typing import Any

from benchmarks.fleet import make_fleet
from partitions.customers import customer
from platform_assets import greenit
from platform_assets.compilation import express_all
from platform_assets.parameters import read_file
from platform_assets.tables import reference_contracts
from resources.expressions import sql_of, unbound_table
from resources.parameter_files import months_of
from resources.postgres import SUPERUSER, WRITER, Postgres
from resources.session import RunIdentity, Session
from resources.settings import settings
from resources.storage import TableSpec, pg_type
from resources.warehouse import write_gold

AS_OF = date(2024, 9, 30)
TABLES = ("activity", "impact")


def main(name: str, lines: int) -> None:
    configured = settings()
    postgres = Postgres(configured)
    session = Session(configured, postgres, customer(name, configured.customers), RunIdentity("bench", AS_OF, "none", "none"))
    expressed = express_all(greenit)
    for table in TABLES:
        sql_of(expressed[table][1], "duckdb")
    prepare(session, expressed, 1000)
    compute(session, expressed)  # warm
    prepare(session, expressed, lines)
    computed = compute(session, expressed)
    rows = {table: session.con.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
    copied = {index: copy_bare(postgres, session, expressed, index) for index in (False, True)}
    published = publish(session, expressed)
    session.close()
    print(json.dumps({"lines": lines, "rows": sum(rows.values()), "computed": computed, "copied": copied[False], "copied_with_index": copied[True], **published}))


def prepare(session: Session, expressed: dict[str, tuple[TableSpec, Any]], lines: int) -> None:
    """Parameters, the calendar of one month, a fleet of `lines`, and the other silver tables empty."""
    session.con.register("months", months_of(AS_OF, 1))
    for made in reference_contracts():
        session.con.register(made.table, read_file(made))
    for spec, _ in expressed.values():
        if spec.name == "equipment":
            make_fleet(session.con, spec, lines)
        elif spec.layer == "silver":
            declared = ", ".join(f'"{c.name}" {c.type}' for c in spec.columns)
            session.con.execute(f'CREATE OR REPLACE TEMP TABLE "{spec.name}" ({declared})')


def compute(session: Session, expressed: dict[str, tuple[TableSpec, Any]]) -> float:
    """Seconds from silver to drivers and impacts, each a temporary table of its own name."""
    started = time.monotonic()
    for table in TABLES:
        spec, expression = expressed[table]
        listed = ", ".join(f'"{c.name}"' for c in spec.columns)
        session.con.execute(f'CREATE OR REPLACE TEMP TABLE "{table}" AS SELECT {listed} FROM ({sql_of(expression, "duckdb")})')
    return time.monotonic() - started


def copy_bare(postgres: Postgres, session: Session, expressed: dict[str, tuple[TableSpec, Any]], with_index: bool) -> float:
    """Seconds of a COPY of all rows into tables of the same columns, without row-level security; with their index or none."""
    with postgres.connect(SUPERUSER, postgres.names.warehouse, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare; GRANT USAGE ON SCHEMA bare TO {WRITER}")
        for table in TABLES:
            columns = ", ".join(f'"{c.name}" {pg_type(c.type)}{" NOT NULL" if c.required else ""}' for c in expressed[table][0].columns)
            admin.execute(f"CREATE TABLE bare.{table} (customer_id text NOT NULL, version bigint NOT NULL, {columns}); GRANT INSERT ON bare.{table} TO {WRITER}")
            if with_index:
                admin.execute(f"CREATE INDEX ON bare.{table} (customer_id, version)")
        admin.execute("CHECKPOINT")
    session.con.execute("CALL pg_clear_cache()")
    started = time.monotonic()
    for table in TABLES:
        listed = ", ".join(f'"{c.name}"' for c in expressed[table][0].columns)
        session.con.execute(f"INSERT INTO warehouse.bare.{table} (customer_id, version, {listed}) SELECT '{session.customer_id}', 1, {listed} FROM {table}")
    seconds = time.monotonic() - started
    with postgres.connect(SUPERUSER, postgres.names.warehouse, autocommit=True) as admin:
        admin.execute("DROP SCHEMA bare CASCADE; CHECKPOINT")
    return seconds


def publish(session: Session, expressed: dict[str, tuple[TableSpec, Any]]) -> dict[str, float]:
    """`published`: seconds of writing the computed rows as versions; `whole`: of computing and writing them."""
    seconds = {"published": 0.0, "whole": 0.0}
    for table in TABLES:
        spec, expression = expressed[table]
        session.con.execute(f'ALTER TABLE "{table}" RENAME TO "computed_{table}"')
        session.con.execute(f'CREATE OR REPLACE TEMP VIEW "{table}" AS SELECT * FROM "computed_{table}"')
        for counted, source in (("published", unbound_table(spec)), ("whole", expression)):
            started = time.monotonic()
            version, _ = write_gold(session, spec, source)
            seconds[counted] += time.monotonic() - started
            assert version.row_count > 0
            session.lock.execute(f"DELETE FROM {spec.qualified} WHERE version = {version.version}")
            session.lock.execute(f"DELETE FROM platform.table_version WHERE version = {version.version}")
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
