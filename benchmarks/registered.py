"""D-1000: an installation where many customers are registered, each with its lake's catalog, though few are computed: what everybody's commands cost then.

What belongs here: registering, and timing what an operator does from outside, each figure as it comes. What does not: computing a fleet (customers.py).
"""
from __future__ import annotations

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import dagster as dg
import yaml

from benchmarks.customers import strata
from partitions.customers import load_customers
from resources.orchestrator import instance
from resources.postgres import SUPERUSER, EmbeddedServer
from resources.settings import PROJECT
from tests.installation import Installation
from tests.lake import session_for

ASSET = ("greenit", "silver", "equipment")
LOADED = "import resource\nfrom platform_assets.greenit.definitions import defs\ndefs.get_repository_def()\n" \
         "u = resource.getrusage(resource.RUSAGE_SELF)\nprint(u.ru_utime + u.ru_stime)"
PAGE = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { id opNames partitionKeysByDimension { name partitionKeys }
    assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } }
    assetChecksOrError { ... on AssetChecks { checks { name description } } } } } }"""
READY = '{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }'
LOOKS, START_SECONDS = 5, 300

Tell = Callable[[str, str, str], None]


def registered(made: Installation, count: int, tell: Tell) -> None:
    """Register `count` customers and tell each figure as it comes: `tell(name, measured, more)`."""
    names = [f"known{i:05d}" for i in range(count)]
    _declare(made, names)
    _timed(tell, "create", count, lambda: _ran("customers", "apply"), "roles, catalog schemas, folders, records and partitions, by `strata customers apply`")
    _timed(tell, "catalogs", count, lambda: _attach(made, names), "DuckLake's 28 tables each, as a customer's first run makes them")
    for words in (("customers", "plan"), ("customers", "apply"), ("customers", "status"), ("isolation",), ("verify",)):
        _timed(tell, f"strata {' '.join(words)}", None, lambda words=words: _ran(*words), "the whole command")
    for database in (made.postgres.names.warehouse, made.postgres.names.lake, made.postgres.names.dagster):
        started = time.monotonic()
        size, said = _dump(made, database)
        tell(f"dump {database}", f"{time.monotonic() - started:.1f} s", said or f"pg_dump -Fc, {size / 1e6:.1f} MB")
    _timed(tell, "code location", None, _load, "a fresh process that imports and resolves the definitions")
    _materialized(made, names)
    _look_at_page(made, count, tell)


def _timed(tell: Tell, name: str, each: int | None, work: Callable[[], str], more: str) -> None:
    started = time.monotonic()
    said = work()
    seconds = time.monotonic() - started
    tell(name, f"{seconds:.1f} s", ", ".join(filter(None, [f"{1000 * seconds / each:.0f} ms a customer" if each else "", said, more])))


def _declare(made: Installation, names: list[str]) -> None:
    """Files alone: `apply` does the rest."""
    for number, name in enumerate(names):
        content = {"name": f"{name} (bench)", "status": "active", "country": "FR", "currency": "EUR", "time_zone": "Europe/Paris",
                   "steward": {"name": "Data steward", "email": "steward@example.org"}, "schedule": f"{number % 60} {number % 24} 1 1 *",
                   "sources": {"equipment_inventory": {"format": "strata_1"}}}
        (made.settings.customers / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def _ran(*words: str) -> str:
    """A command; one that ends otherwise than with 0 is told, with its last line: other benches of the same run leave customers too."""
    done = strata(*words)
    last = [*done.stdout.strip().splitlines(), *done.stderr.strip().splitlines()][-1:]
    return f"EXIT CODE {done.returncode}: {' '.join(last)}" if done.returncode else ""


def _attach(made: Installation, names: list[str]) -> str:
    for name in names:
        session = session_for(made, name)
        session.con.execute("CREATE SCHEMA IF NOT EXISTS lake.greenit_bronze")
        session.close()
    return ""


def _dump(made: Installation, database: str) -> tuple[int, str]:
    """A whole dump of a database: its bytes, and PostgreSQL's word where it refuses."""
    login, file = made.postgres.parameters(SUPERUSER, database), made.settings.home / f"{database}.dump"
    done = subprocess.run([EmbeddedServer.binaries() / "pg_dump", "-Fc", "-f", file, "-h", login["host"], "-U", SUPERUSER, "-d", database], check=False,
                          capture_output=True, text=True, env={**os.environ, "PGPASSWORD": login["password"]}, timeout=3600)
    size = file.stat().st_size
    file.unlink()
    return size, f"FAILED: {done.stderr.strip()[-300:]}" if done.returncode else ""


def _load() -> str:
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=PROJECT, check=True, capture_output=True, text=True, timeout=600)
    return f"{float(done.stdout):.1f} CPU s"


def _materialized(made: Installation, names: list[str]) -> None:
    """One materialization of the asset for each customer, as Dagster remembers them."""
    dagster = instance(made.postgres)
    for name in names:
        dagster.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(ASSET), partition=name))
    assert len(load_customers(made.settings.customers)) >= len(names)


def _look_at_page(made: Installation, count: int, tell: Tell) -> None:
    """What the page of one asset asks for, over HTTP."""
    with _served() as (url, seconds):
        tell("strata ui", f"{seconds:.1f} s", "until the code location is loaded")
        taken = []
        for _ in range(LOOKS):
            started = time.monotonic()
            node = _ask(url, PAGE, {"key": {"path": list(ASSET)}})["data"]["assetNodeOrError"]
            taken.append(time.monotonic() - started)
            keys = {key for dimension in node["partitionKeysByDimension"] for key in dimension["partitionKeys"]}
            if not count <= len(keys) or len(node["assetPartitionStatuses"]["materializedPartitions"]) < count:
                raise RuntimeError(f"the page shows {len(keys)} partitions of {count}")
        more = f"GraphQL of {'/'.join(ASSET)} with its partitions, median of {LOOKS}; the first {taken[0]:.2f} s"
        tell("asset page", f"{statistics.median(taken):.2f} s", more)


@contextmanager
def _served() -> Iterator[tuple[str, float]]:
    """`strata ui`, its address and the seconds until it has loaded its code location."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "cli.main", "ui", "--port", str(port)], cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env={**os.environ, "PYTHONPATH": str(PROJECT)}, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_loaded(url):
            if time.monotonic() - started > START_SECONDS or child.poll() is not None:
                raise RuntimeError("strata ui does not answer")
            time.sleep(0.5)
        yield url, time.monotonic() - started
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(child.pid, signal.SIGINT)
        try:
            child.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)


def _is_loaded(url: str) -> bool:
    try:
        entries = _ask(url, READY, {})["data"]["workspaceOrError"].get("locationEntries", [])
    except (OSError, KeyError):
        return False
    return bool(entries) and all((one["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for one in entries)


def _ask(url: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(f"{url}/graphql", json.dumps({"query": query, "variables": variables}).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)
