"""P1: one customer with many billing lines, through Dagster and bare. Each half runs in a process of its own and prints one JSON line.

`python -m benchmarks.chain ours|bare <customer>`: expressions are compiled before the clock starts in both halves, as in a warm process.
"""
from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from partitions.customers import customer
from platform_assets import greenit
from platform_assets.compilation import compile_all
from resources.postgres import SUPERUSER, WRITER, Postgres
from resources.settings import settings


def peak_mb() -> float:
    """VmHWM of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def metered_peak_mb(name: str) -> float:
    """The highest memory of a customer's runs: metering asks the kernel to forget VmHWM after each table."""
    with Postgres(settings()).connect(WRITER, customer=name) as connection:
        return connection.execute("SELECT coalesce(max(peak_bytes), 0)::float8 / 1024 / 1024 FROM platform.usage").fetchone()[0]


def ours(name: str) -> dict[str, Any]:
    """A run of everything: ordinary assets, IO managers, checks and publication, events into PostgreSQL."""
    from partitions.customers import CUSTOMERS
    from platform_assets import expectations  # noqa: F401
    from platform_assets.greenit.definitions import defs
    from resources.orchestrator import instance

    compile_all(greenit)
    job = defs.resolve_job_def("greenit_customer")
    dagster = instance(Postgres(settings()))
    dagster.add_dynamic_partitions(CUSTOMERS.name, [name])
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    before = [usage_seconds(), postgres_seconds()]
    started = time.monotonic()
    result = job.execute_in_process(partition_key=name, instance=dagster, raise_on_error=False, run_config=quiet)
    wall = time.monotonic() - started
    steps = {s.step_key: round((s.end_time or 0) - (s.start_time or 0), 2) for s in dagster.get_run_step_stats(result.run_id)}
    return {"wall": wall, "cpu": usage_seconds() - before[0], "postgres_cpu": postgres_seconds() - before[1], "peak_mb": max(peak_mb(), metered_peak_mb(name)),
            "success": result.success, "steps": steps,
            "failures": [e.message for e in result.all_events if e.is_step_failure]}


def bare(name: str) -> dict[str, Any]:
    """The same SQL by hand: bronze and silver to Parquet, gold to PostgreSQL by COPY, no Dagster, versions, checks or row-level security."""
    import duckdb

    from platform_assets.parameters import read_file
    from platform_assets.tables import reference_contracts
    from resources.corrections import overlay
    from resources.deliveries import effective, newest_period_end
    from resources.landing import load
    from resources.parameter_files import months_of
    from resources.quarantine import only_good
    from resources.sandbox import load_extensions, options
    from resources.session_limits import session_limits
    from resources.storage import landing_name, pg_type

    configured, compiled = settings(), compile_all(greenit)
    found, postgres = customer(name, configured.customers), Postgres(configured)
    out = configured.home / "bare"
    out.mkdir(exist_ok=True)
    login = postgres.parameters(SUPERUSER, "bare")
    with postgres.connect(SUPERUSER, "postgres", autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS bare")
        admin.execute("CREATE DATABASE bare")
    with postgres.connect(SUPERUSER, "bare", autocommit=True) as admin:
        admin.execute("CREATE SCHEMA bare")
        for table, (spec, _) in compiled.items():
            if spec.layer != "gold":
                continue
            columns = ", ".join(f'"{c.name}" {pg_type(c.type)}' for c in spec.columns)
            admin.execute(f"CREATE TABLE bare.{table} ({columns})")
    con = duckdb.connect(config=options(session_limits(found), out / "tmp"))
    load_extensions(con)
    con.execute(f"ATTACH 'dbname={login['dbname']} host={login['host']} user={login['user']} password={login['password']}' AS pg (TYPE postgres)")
    con.execute("SET pg_use_binary_copy = false")
    started, copied, copy_seconds = time.monotonic(), 0, 0.0
    with postgres.connect(WRITER, customer=name) as connection:
        as_of = newest_period_end(connection, name)
        files = {table: effective(connection, name, table, spec.mode) for table, (spec, _) in compiled.items() if spec.layer == "bronze"}
    con.register("months", months_of(as_of, found.reporting.months))
    for made in reference_contracts():
        con.register(made.table, read_file(made))
    for table, (spec, sql) in compiled.items():
        if spec.layer == "bronze":
            columns = [c.name for c in spec.columns if not c.name.startswith("_")]
            landed = load(con, configured.landing_root, files[table], spec.formats, columns, f"delivered_{table}")
            overlay(con, landed, landing_name(table), spec, files[table], ())
        if spec.in_lake:
            listed = ", ".join(f'"{c.name}"' for c in spec.columns)
            rows = only_good(sql) if "_rejects" in sql else f"({sql})"
            con.execute(f"COPY (SELECT {listed} FROM {rows}) TO '{out}/{table}.parquet'")
            con.execute(f"CREATE VIEW {table} AS SELECT * FROM '{out}/{table}.parquet'")
        elif spec.layer == "gold":
            con.execute(f"CREATE TEMP TABLE {table} AS {sql}")
            copying = time.monotonic()
            listed = ", ".join(f'"{c.name}"' for c in spec.columns)
            copied += con.execute(f"INSERT INTO pg.bare.{table} SELECT {listed} FROM {table}").fetchone()[0]
            copy_seconds += time.monotonic() - copying
    wall = time.monotonic() - started
    return {"wall": wall, "cpu": usage_seconds(), "peak_mb": peak_mb(), "gold_rows": copied, "copy_rows_per_s": copied / copy_seconds if copy_seconds else None}


def usage_seconds() -> float:
    """CPU seconds of this process, its threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def postgres_seconds() -> float:
    """CPU seconds of all processes of the embedded server, ended ones included."""
    home = settings().home / "postgres"
    postmaster = int((home / "postmaster.pid").read_text().split()[0])
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(path.parent.name) == postmaster:
            ticks += sum(map(int, fields[11:15]))  # the postmaster's own and those of its ended children
        elif int(fields[1]) == postmaster:
            ticks += sum(map(int, fields[11:13]))
    return ticks / 100


if __name__ == "__main__":
    print(json.dumps({"ours": ours, "bare": bare}[sys.argv[1]](sys.argv[2])))
