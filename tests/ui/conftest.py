"""A served installation and a browser: `strata ui` as an operator starts it, with deliveries landed and nothing computed.

What belongs here: starting and, whatever happens, ending processes. What does not: expectations.
"""
from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from psycopg.rows import dict_row

from partitions.customers import load_customers
from platform_assets.landing import land_files
from resources.migrations import migrate
from resources.postgres import WRITER, Postgres
from resources.settings import PROJECT, settings
from samples.generate import generate

START_SECONDS = 120
UNDELIVERED, UNDELIVERED_TOO = "hooli", "vandelay"  # customers whose files never came
READY = """{ instance { daemonHealth { daemonStatus(daemonType: "QUEUED_RUN_COORDINATOR") { healthy } } }
            workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename } } } } }"""

RUNS = "{ runsOrError { ... on Runs { results { runId status startTime endTime stepKeysToExecute tags { key value } } } } }"


@dataclass
class Served:
    """A running `strata ui`: its address, home and stores."""

    url: str
    postgres: Postgres
    environment: dict[str, str]

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """GraphQL, as the page itself asks."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def runs(self, customer: str) -> list[dict[str, Any]]:
        """A customer's runs, newest first."""
        found = self.ask(RUNS)["runsOrError"]["results"]
        return [run for run in found if {"key": "dagster/partition", "value": customer} in run["tags"]]

    def versions(self, customer: str) -> dict[str, dict[str, Any]]:
        """table -> its newest registered version."""
        query = "SELECT DISTINCT ON (table_name) * FROM platform.table_version ORDER BY table_name, version DESC"
        with self.postgres.connect(WRITER, customer=customer) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return {row["table_name"]: row for row in cursor.execute(query).fetchall()}

    def strata(self, *arguments: str) -> subprocess.Popen[str]:
        """A `strata` command in a shell of its own; what it prints is in `stdout`."""
        return subprocess.Popen([sys.executable, "-m", "cli.main", *arguments], env=self.environment, cwd=PROJECT, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    """One home for all browser tests; its deliveries are the demo's."""
    folder = Path(tempfile.mkdtemp(prefix="strata-ui-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATA_HOME", str(folder / "home"))
        patch.setenv("STRATA_CUSTOMERS", str(_customers(folder / "customers")))
        for name in ("STRATA_DSN", "STRATA_LAKE_ROOT", "STRATA_RUNTIME", "FAILPOINT", "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        postgres = Postgres(settings())
        process = None
        try:
            postgres.up()
            migrate(postgres)
            _land(postgres, folder / "files")
            port = _free_port()
            environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
            with (folder / "ui.log").open("wb") as log:
                process = subprocess.Popen([sys.executable, "-m", "cli.main", "ui", "--port", str(port)], env=environment, cwd=PROJECT, stdout=log,
                                           stderr=subprocess.STDOUT, start_new_session=True)
            made = Served(f"http://127.0.0.1:{port}", postgres, environment)
            _wait_until_ready(made, process, folder / "ui.log")
            yield made
        finally:
            _end(process)
            with suppress(Exception):
                postgres.down()
            _end_all_of(folder / "home")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(postgres.settings.runtime, ignore_errors=True)  # a folder of sockets, gone with the server mostly


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser: $CHROMIUM or Debian's."""
    found = next((path for path in (os.environ.get("CHROMIUM"), "/usr/bin/chromium") if path and Path(path).exists()), None)
    if found is None:
        message = "no Chromium at $CHROMIUM or /usr/bin/chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


@pytest.fixture
def page(chromium: str) -> Iterator[Any]:
    """A page of a fresh headless browser that has said no to Dagster's newsletter."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-background-networking"])
        try:
            context = browser.new_context(viewport={"width": 1600, "height": 1000})
            context.add_init_script("localStorage.setItem('communityNux', '1')")
            context.set_default_timeout(60_000)
            yield context.new_page()
        finally:
            browser.close()


def _customers(folder: Path) -> Path:
    """The sample customers, and two more without files. Nobody has a schedule: tests that count runs may be under way at its tick."""
    shutil.copytree(PROJECT / "customers", folder)
    for path in folder.glob("*.yaml"):
        path.write_text("".join(line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if not line.startswith("schedule:")), encoding="utf-8")
    declared = yaml.safe_load((folder / "acme.yaml").read_text(encoding="utf-8"))
    for name in (UNDELIVERED, UNDELIVERED_TOO):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**declared, "name": f"{name} (fictional)"}), encoding="utf-8")
    return folder


def _land(postgres: Postgres, files: Path) -> None:
    declared = load_customers(postgres.settings.customers)
    for call in generate(files):
        found = declared[call.customer]
        with postgres.connect(WRITER, customer=found.id) as connection:
            land_files(connection, postgres.settings.landing_root, found, call.source, [files / name for name in call.files], call.period, call.sequence)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(made: Served, process: subprocess.Popen, log: Path) -> None:
    """Until the page answers, the code location is loaded and the queue's daemon has a heartbeat."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            found = made.ask(READY)
            entries = found["workspaceOrError"]["locationEntries"]
            loaded = entries and all((entry["locationOrLoadError"] or {}).get("__typename") == "RepositoryLocation" for entry in entries)
            if loaded and found["instance"]["daemonHealth"]["daemonStatus"]["healthy"]:
                return
        time.sleep(1)
    pytest.fail(f"`strata ui` was not ready after {START_SECONDS} s:\n{log.read_text()[-3000:]}")


def _end(process: subprocess.Popen | None) -> None:
    """Ask `strata ui` to end, as Ctrl-C does; then end its process group."""
    if process is None:
        return
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(30)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_all_of(home: Path) -> None:
    """End by its id whatever still works on this home: a run has a process group of its own."""
    mark = f"STRATA_HOME={home}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if int(entry.parent.name) != os.getpid() and mark in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
