"""`make bench`: the figures of the path, each against its goal, two things measured in one run.

P1 and C-P3 need some minutes; `python -m benchmarks.run P1 --lines 1000000` measures one, smaller. P1 to P8 are the path's, C-P3 and C-P4 the
method's, D-P2 to D-P9 and D-1000 of many customers; C-P3 installs boaviztapi into a temporary environment.
"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.data import write_billing
from resources.postgres import WRITER
from resources.settings import PROJECT
from tests.installation import Installation, make_installation, stop

BLANK = "import dagster as dg\n\n@dg.asset\ndef one(): ...\n\ndefs = dg.Definitions(assets=[one])\n"
BAD_EVERY = 100
BOAVIZTAPI = "2.5.0"
LOAD = "import resource, {0}\nu = resource.getrusage(resource.RUSAGE_SELF)\nprint(u.ru_utime + u.ru_stime)"


def line(name: str, measured: str, goal: str, ok: bool, more: str) -> None:
    print(f"{name} {measured} goal {goal} {'reached' if ok else 'MISSED'}  ({more})", flush=True)


def child(*arguments: str, timeout: int = 1800) -> dict[str, Any]:
    """A benchmark's half in a fresh process; its last line is JSON."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def p1(installation: Installation, lines: int) -> dict[str, Any]:
    """Many billing lines, bronze to platinum, through Dagster and bare; then the same run again on unchanged inputs."""
    declare_billing(installation, "bench", lines)
    bare = child("benchmarks.chain", "bare", "bench")
    ours = child("benchmarks.chain", "ours", "bench")
    if not ours["success"]:
        raise RuntimeError(f"the run failed: {ours['failures']}")
    ratio = ours["wall"] / bare["wall"]
    rows = f"{lines:,} lines, {bare['gold_rows']:,} gold rows"
    line("P1", f"{ratio:.2f} x", "1.30", ratio <= 1.3, f"{rows}: {ours['wall']:.1f} s through Dagster, {bare['wall']:.1f} s bare; "
         f"bare COPY {bare['copy_rows_per_s']:,.0f} rows/s")
    line("P1 memory", f"{ours['peak_mb'] / 1000:.2f} GB", "1.50", ours["peak_mb"] <= 1500, f"VmHWM of the run process; bare {bare['peak_mb'] / 1000:.2f} GB")
    print("   steps: " + ", ".join(f"{name.removeprefix('greenit_').strip('_')} {seconds} s" for name, seconds in ours["steps"].items()))
    before = installation.versions("bench")
    again = child("benchmarks.chain", "ours", "bench")
    same = installation.versions("bench") == before
    line("P4", "identical" if same else "DIFFERENT", "identical", same, f"rerun on unchanged inputs: every content hash, no new version; {again['wall']:.1f} s")
    return ours


def p8(installation: Installation, lines: int, clean: dict[str, Any] | None) -> None:
    """What quality costs: the share of rules in a clean run, and a run where one line in a hundred goes to quarantine."""
    if clean is None:
        declare_billing(installation, "bench", lines)
        clean = child("benchmarks.chain", "ours", "bench")
    declare_billing(installation, "dirty", lines, BAD_EVERY)
    dirty = child("benchmarks.chain", "ours", "dirty")
    if not (clean["success"] and dirty["success"]):
        raise RuntimeError(f"a run failed: {clean['failures']} {dirty['failures']}")
    rules = sum(seconds for name, seconds in clean["steps"].items() if name.endswith("_rules"))
    share, ratio = rules / clean["wall"], dirty["wall"] / clean["wall"]
    line("P8 rules", f"{share:.1%}", "20 %", share <= 0.2, f"{rules:.1f} s of rules with Great Expectations in {clean['wall']:.1f} s")
    count = "SELECT quarantined_count AS n FROM platform.table_version WHERE table_name = 'greenit_silver.cloud_usage'"
    kept_back = installation.query(count, customer="dirty", role=WRITER)[-1]["n"]
    line("P8 bad rows", f"{ratio:.2f} x", "1.15", ratio <= 1.15, f"{kept_back:,} of {lines:,} lines in quarantine: {dirty['wall']:.1f} s")


def declare_billing(installation: Installation, name: str, lines: int, bad_every: int = 0) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "billing.parquet"
        write_billing(path, lines, bad_every)
        owners = sorted({row[0] for row in read_owners(path)})
        source = {"format": "focus_1_0_parquet", "accepted_owners": owners}
        installation.declare(name, size_class="medium", sources={"cloud_billing": source})
        installation.land(name, "cloud_billing", [path], "2024-09")


def read_owners(path: Path) -> list[tuple[str]]:
    import duckdb

    return duckdb.execute('SELECT DISTINCT "BillingAccountId" FROM read_parquet(?)', [str(path)]).fetchall()


def p2(installation: Installation) -> None:
    """One small customer in a warm process: all tables and checks."""
    small = child("benchmarks.small")
    per_table = small["cpu_per_table"]
    line("P2", f"{per_table:.2f} CPU s a table", "0.20", per_table <= 0.2,
         f"{small['tables']} tables with their checks and publication, {small['rows']:,} rows in; median of {small['runs']} runs: "
         f"{small['cpu']:.2f} CPU s ours, {small['postgres_cpu']:.2f} PostgreSQL, {small['wall']:.2f} s wall")


def p3() -> None:
    """Loading the definitions against loading an empty code location, CPU seconds in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "blank_location.py").write_text(BLANK)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(PROJECT)])}

        def seconds(module: str) -> float:
            runs = [subprocess.run([sys.executable, "-c", LOAD.format(module)], env=environment, capture_output=True, text=True, check=True) for _ in range(5)]
            return statistics.median(float(run.stdout) for run in runs)

        blank, ours = seconds("blank_location"), seconds("platform_assets.greenit.definitions")
    line("P3", f"{ours / blank:.2f} x", "2.00", ours / blank <= 2, f"definitions {ours:.2f} CPU s, an empty code location {blank:.2f}; medians of 5")


def c_p3(installation: Installation, assets: int) -> None:
    """Impacts of a fleet against servers one by one through `boaviztapi`; then with the write, and the write alone, against a COPY of the same rows."""
    one_by_one = through_boaviztapi(1000)
    installation.declare("fleet", size_class="giant")
    ours = child("benchmarks.method", "fleet", str(assets), timeout=7200)
    per_s, their_per_s = assets / ours["computed"]["wall"], one_by_one["servers"] / one_by_one["wall"]
    line("C-P3a", f"{per_s / their_per_s:,.0f} x", "1,000", per_s >= 1000 * their_per_s, f"{assets:,} assets, 4 criteria, all phases: {per_s:,.0f}/s; "
         f"boaviztapi {BOAVIZTAPI}, {one_by_one['servers']:,} servers in 3 criteria: {their_per_s:,.1f}/s on one")
    whole, copied = ours["whole"], ours["copied"]
    line("C-P3b", f"{whole['wall'] / copied['wall']:.2f} x", "1.30", whole["wall"] <= 1.3 * copied["wall"],
         f"{ours['rows']:,} rows computed, checked and written: {whole['wall']:.1f} s ({whole['cpu']:.1f} CPU s with PostgreSQL's); "
         f"a bare COPY by DuckDB {copied['wall']:.1f} s ({copied['cpu']:.1f} CPU s)")
    indexed, published = ours["copied_with_index"], ours["published"]
    rate = indexed["wall"] / published["wall"]
    line("C-P4", f"{rate:.2f} x its rate", "0.90", rate >= 0.9,
         f"a version into protected tables, with its row: {ours['rows'] / published['wall']:,.0f} rows/s; "
         f"COPY into the same columns and index {ours['rows'] / indexed['wall']:,.0f} rows/s; floor 0.50")


def through_boaviztapi(servers: int) -> dict[str, Any]:
    """The package in an environment of its own, which ordinary pip fills."""
    with tempfile.TemporaryDirectory(prefix="strata-boaviztapi-") as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
        python = f"{folder}/bin/python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"boaviztapi=={BOAVIZTAPI}"], check=True, timeout=900, capture_output=True)
        script = PROJECT / "benchmarks" / "one_by_one.py"
        done = subprocess.run([python, str(script), str(servers)], capture_output=True, text=True, check=True, timeout=1800)
        return json.loads(done.stdout.strip().splitlines()[-1])


def d_p2(installation: Installation, count: int, stock_count: int) -> None:
    """A fleet through daemon and queue: the first refresh, one failing customer and its retry, a refresh of nothing new, and Dagster as it comes."""
    from benchmarks.customers import FEW, fleet

    done = fleet(installation, FEW + count, stock_count)
    few, first, stock, again, tables = (done[name] for name in ("few", "first", "stock", "unchanged", "tables"))
    line("D-P2", f"{first['cpu'] / tables:.2f} CPU s a table", "0.15", first["cpu"] <= 0.15 * tables,
         f"{count} customers as {first['backfills']} backfill, {tables} tables with their checks, all in: {first['cpu']:.1f} CPU s a customer "
         f"({first['postgres_cpu']:.1f} PostgreSQL's), {first['wall']:.0f} s; a refresh of nothing new {again['cpu']:.1f}, {again['wall']:.0f} s")
    line("D-P2 stock", f"{first['cpu'] / stock['cpu']:.2f} x", "0.10", first["cpu"] <= 0.1 * stock["cpu"],
         f"Dagster as it comes: {stock['cpu']:.1f} CPU s a customer, {stock_count} customers in {stock['wall']:.0f} s; "
         f"nothing new {again['cpu'] / stock['cpu']:.2f} x")
    line("D-P2 growth", f"{first['cpu'] / few['cpu']:.2f} x", "1.10", first["cpu"] <= 1.1 * few["cpu"], f"a customer of {count} against one of {FEW}")
    ok = first["succeeded"] == count - 1 and len(first["failed"]) == 1 and done["retries"] == 1 and done["retried"]
    line("D-P2 failure", f"{first['succeeded']} of {count}", f"{count - 1}", ok, f"one fails at gold; the retry made {done['retries']} run")


def d_p9(installation: Installation) -> None:
    """From a customer's file to a figure that readers see."""
    from benchmarks.customers import joining

    done = joining(installation)
    line("D-P9", f"{done['wall']:.0f} s", "60", done["wall"] <= 60, f"file, apply, two deliveries, launch without a daemon: {done['figures']} figures")


def d_p5(installation: Installation, count: int) -> None:
    """Readers beside publications."""
    from benchmarks.customers import READERS, readers

    done = readers(installation, count)
    rest, meanwhile = done["at_rest"], done["meanwhile"]
    ratio = meanwhile["p95_ms"] / rest["p95_ms"]
    line("D-P5", f"{ratio:.2f} x", "2.00", ratio <= 2,
         f"{READERS} readers under row-level security: p95 {rest['p95_ms']:.0f} ms at rest ({rest['per_s']:,.0f} looks/s), {meanwhile['p95_ms']:.0f} ms "
         f"({meanwhile['per_s']:,.0f}) during {done['publications']} publications; empty or mixed looks 0 of {rest['looks'] + meanwhile['looks']:,}")


def d_1000(installation: Installation, count: int) -> None:
    """Many registered customers: what each of an operator's looks takes, as it comes. No goal but that all are usable."""
    from benchmarks.registered import registered

    registered(installation, count, lambda name, measured, more: print(f"D-1000 {name}: {measured}  ({count:,} customers: {more})", flush=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", default=[], help="P1, P2, P3, P8, C-P3, D-P2, D-P5, D-P9, D-1000; default: all (P4 is P1's, C-P4 C-P3's)")
    parser.add_argument("--lines", type=int, default=5_000_000, help="billing lines of P1 and P8")
    parser.add_argument("--assets", type=int, default=1_000_000, help="equipment lines of C-P3 and C-P4")
    parser.add_argument("--customers", type=int, default=200, help="customers of D-P2, besides its first 20")
    parser.add_argument("--registered", type=int, default=1_000, help="customers of D-1000")
    parser.add_argument("--stock", type=int, default=10, help="customers of D-P2 in Dagster's stock configuration")
    chosen = parser.parse_args()
    wanted = set(chosen.figures or ("P1", "P2", "P3", "P8", "C-P3", "D-P2", "D-P5", "D-P9", "D-1000"))
    home = Path(tempfile.mkdtemp(prefix="strata-bench-"))
    installation = make_installation(home / "home", home / "customers")
    try:
        if "P3" in wanted:
            p3()
        if "P2" in wanted:
            p2(installation)
        if "D-P9" in wanted:
            d_p9(installation)
        if "D-P2" in wanted or "D-P5" in wanted:
            d_p2(installation, chosen.customers, chosen.stock)
            d_p5(installation, chosen.customers)
        if "D-1000" in wanted:
            d_1000(installation, chosen.registered)
        if "C-P3" in wanted:
            c_p3(installation, chosen.assets)
        clean = p1(installation, chosen.lines) if "P1" in wanted else None
        if "P8" in wanted:
            p8(installation, chosen.lines, clean)
    finally:
        stop(installation)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
