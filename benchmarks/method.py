"""C-P3 and C-P4: the method's figures for a large fleet, and getting them into the protected tables; prints one JSON line.

`python -m benchmarks.method <customer> <lines>`: one session of the customer as a run has it, all parameters, no rows of other sources. What
is compared with is a COPY of the same rows, by the same DuckDB, into tables without row-level security that the customer's role may fill.
"""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

from benchmarks.chain import peak_mb, postgres_seconds, usage_seconds
from benchmarks.fleet import make_fleet
from partitions.customers import customer
from platform_assets import greenit
from platform_assets.compilation import express_all
from platform_assets.parameters import read_file
from platform_assets.tables import reference_contracts
from resources.expressions import sql_of
from resources.parameter_files import months_of
from resources.postgres import SUPERUSER, WRITER, Postgres
from resources.session import RunIdentity, Session
from resources.settings import settings
from resources.storage import TableSpec, pg_type
from resources.warehouse import load_version, write_gold

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
    computed = taken(lambda: compute(session, expressed))
    rows = {table: session.con.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}
    measured = {"computed": computed, "copied": copy_bare(postgres, session, expressed, False)}
    measured["copied_with_index"] = copy_bare(postgres, session, expressed, True)
    measured |= publish(session, expressed)
    session.close()
    print(json.dumps({"lines": lines, "rows": sum(rows.values()), "peak_mb": peak_mb(), **measured}))


def taken(work: Callable[[], object]) -> dict[str, float]:
    """Wall seconds, and CPU seconds of this process and of PostgreSQL, of a piece of work."""
    wall, cpu = time.monotonic(), usage_seconds() + postgres_seconds()
    work()
    return {"wall": time.monotonic() - wall, "cpu": usage_seconds() + postgres_seconds() - cpu}


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


def compute(session: Session, expressed: dict[str, tuple[TableSpec, Any]]) -> None:
    """From silver to drivers and impacts, each a temporary table of its own name."""
    for table in TABLES:
        spec, expression = expressed[table]
        listed = ", ".join(f'"{c.name}"' for c in spec.columns)
        session.con.execute(f'CREATE OR REPLACE TEMP TABLE "{table}" AS SELECT {listed} FROM ({sql_of(expression, "duckdb")})')


def copy_bare(postgres: Postgres, session: Session, expressed: dict[str, tuple[TableSpec, Any]], with_index: bool) -> dict[str, float]:
    """What a COPY of all rows into tables of the same columns, without row-level security takes; with their index or none."""
    with postgres.connect(SUPERUSER, postgres.names.warehouse, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare; GRANT USAGE ON SCHEMA bare TO {WRITER}")
        for table in TABLES:
            columns = ", ".join(f'"{c.name}" {pg_type(c.type)}{" NOT NULL" if c.required else ""}' for c in expressed[table][0].columns)
            admin.execute(f"CREATE TABLE bare.{table} (customer_id text NOT NULL, version bigint NOT NULL, {columns})")
            admin.execute(f"GRANT INSERT ON bare.{table} TO {WRITER}")
            if with_index:
                admin.execute(f"CREATE INDEX ON bare.{table} (customer_id, version)")
        admin.execute("CHECKPOINT")
    session.con.execute("CALL pg_clear_cache()")

    def copy() -> None:
        for table in TABLES:
            listed = ", ".join(f'"{c.name}"' for c in expressed[table][0].columns)
            session.con.execute(f"INSERT INTO warehouse.bare.{table} (customer_id, version, {listed}) SELECT '{session.customer_id}', 1, {listed} FROM {table}")

    found = taken(copy)
    with postgres.connect(SUPERUSER, postgres.names.warehouse, autocommit=True) as admin:
        admin.execute("DROP SCHEMA bare CASCADE; CHECKPOINT")
    return found


def publish(session: Session, expressed: dict[str, tuple[TableSpec, Any]]) -> dict[str, dict[str, float]]:
    """`published`: the transaction that writes computed rows as a version; `whole`: computing, checking, hashing and that transaction."""
    summed: dict[str, dict[str, float]] = {"published": {"wall": 0.0, "cpu": 0.0}, "whole": {"wall": 0.0, "cpu": 0.0}}
    for table in TABLES:
        spec, expression = expressed[table]
        rows = session.con.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        version = session.new_version(spec, [], content_hash="none", row_count=rows, quarantined_count=0)
        works = {"published": partial(load_version, session, spec, table, None, version), "whole": partial(write_gold, session, spec, expression)}
        for counted, work in works.items():
            used = taken(work)
            summed[counted] = {name: summed[counted][name] + used[name] for name in used}
            session.lock.execute(f"DELETE FROM {spec.qualified}")  # row-level security: of this customer
            session.lock.execute("DELETE FROM platform.table_version WHERE table_name = %s", [spec.qualified])
    return summed


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
