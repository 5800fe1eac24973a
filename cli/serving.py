"""Serving Dagster, and whether somebody serves it already.

What belongs here: the process `dagster dev`, heartbeats of daemons, and whether the code location answers. What does not: launching.
"""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from typing import Any

import click
import dagster as dg

from cli.code_server import workspace
from partitions.errors import BusyError
from resources.orchestrator import instance
from resources.postgres import Postgres
from resources.settings import PROJECT

QUEUE_DAEMON = "QUEUED_RUN_COORDINATOR"
HEARTBEAT_SECONDS = 90
BEAT_SECONDS = 40  # a living daemon beats every 30 s
READY_SECONDS = 60
WATCH_SECONDS, RELOAD_SECONDS, ANSWER_SECONDS = 5, 60, 60
UNREACHABLE = "DagsterUserCodeUnreachableError"
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { ... on PythonError { message } } } } } }"
RELOAD = "mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) { __typename } }"
# Without it a backfill that a daemon meets while the code location restarts fails at once, as if its tables were gone (dagster #28204).
RETRY_VARIABLE = "DAGSTER_BACKFILL_RETRY_DEFINITION_CHANGED_ERROR"


def daemon_lives(dagster_instance: dg.DagsterInstance) -> bool:
    """Whether a daemon beat not long ago."""
    return _beat(dagster_instance) > time.time() - HEARTBEAT_SECONDS


def _beat(dagster_instance: dg.DagsterInstance) -> float:
    return max((heartbeat.timestamp for heartbeat in dagster_instance.get_daemon_heartbeats().values()), default=0.0)


def refuse_foreign_daemon(dagster_instance: dg.DagsterInstance, seconds: float = BEAT_SECONDS) -> None:
    """Raises BusyError if a daemon works on this database already: two of them fail each other's runs. What a killed daemon left beats no more,
    so a recent heartbeat is watched for as long as a living one needs to beat again."""
    before = _beat(dagster_instance)
    if before < time.time() - HEARTBEAT_SECONDS:
        return
    click.echo(f"a daemon beat {time.time() - before:.0f} s ago: looking for up to {seconds:.0f} s whether it still lives")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if _beat(dagster_instance) > before:
            raise BusyError("another daemon works on this installation's database, and two would fail each other's runs",
                            fix="use the one that runs, or end it first")
        time.sleep(min(1.0, seconds / 10))


def await_code_location(dagster_instance: dg.DagsterInstance, seconds: float = READY_SECONDS) -> None:
    """Wait until the daemon has had an answer from the code location lately: before that it fails a backfill that it takes up. Raises BusyError."""
    deadline = time.monotonic() + seconds
    while not _answers(dagster_instance):
        if time.monotonic() > deadline:
            raise BusyError("a daemon lives, but the code location has not answered it", fix="look at Deployment in Dagster's pages, then try again")
        time.sleep(min(1.0, seconds / 10))


def _answers(dagster_instance: dg.DagsterInstance) -> bool:
    """Whether a sensor, which the code location evaluates, had a tick that worked lately. (The daemon beats also where no code loads.)"""
    since = time.time() - HEARTBEAT_SECONDS
    states = dagster_instance.all_instigator_state()
    return any((state.instigator_data and getattr(state.instigator_data, "last_tick_success_timestamp", None) or 0) > since for state in states)


def serve(postgres: Postgres, port: int) -> None:
    """Run `dagster dev` on loopback until it ends or is told to; afterwards no heartbeat says that a daemon lives. Raises BusyError."""
    dagster_instance = instance(postgres)
    refuse_foreign_daemon(dagster_instance)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    os.environ[RETRY_VARIABLE] = "1"
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(workspace(postgres.settings.dagster_home)), "-h", "127.0.0.1", "-p", str(port)]
    click.echo(f"Dagster will be at http://127.0.0.1:{port}: open Assets, choose a table, Materialize, and pick a customer")
    child = subprocess.Popen(command)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the child by itself
    signal.signal(signal.SIGTERM, lambda number, _frame: child.send_signal(number))
    try:
        sys.exit(_watched(child, port))
    finally:
        dagster_instance.wipe_daemon_heartbeats()


def _watched(child: subprocess.Popen, port: int) -> int:
    """Wait for `dagster dev` to end, and bring a code server back whose process died: Dagster starts none by itself, so schedules would stop
    until somebody reloads the location in its pages. Code that does not load is left alone: only a change of it helps."""
    not_before = 0.0
    while True:
        try:
            return child.wait(WATCH_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() < not_before:
                continue
        with suppress(OSError, ValueError, KeyError, TypeError):  # a webserver that does not answer (yet) cannot say anything
            for name in _unreachable(_ask(port, LOCATIONS)):
                click.echo(f"the code server of {name} died: starting it again")
                not_before = time.monotonic() + RELOAD_SECONDS
                _ask(port, RELOAD, name=name)


def _unreachable(found: dict[str, Any]) -> list[str]:
    entries = found["workspaceOrError"].get("locationEntries", [])
    return [entry["name"] for entry in entries if UNREACHABLE in ((entry["locationOrLoadError"] or {}).get("message") or "")]


def _ask(port: int, query: str, **variables: Any) -> dict[str, Any]:
    """GraphQL to our own webserver."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310  loopback
        return json.load(answer)["data"]
