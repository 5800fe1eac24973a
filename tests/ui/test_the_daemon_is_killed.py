"""kill -9 of the daemon while a run is under way and another one waits in the queue: a new `strata ui` takes both up, and nobody has to help."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from partitions.customers import customer
from platform_assets.verification import verify
from resources.postgres import ORCHESTRATOR
from resources.settings import PROJECT
from tests.ui.conftest import Served, _end

pytestmark = pytest.mark.soak
WITHIN_SECONDS = 420
STATES = "SELECT partition, status FROM runs ORDER BY id"


def daemons(served: Served) -> list[int]:
    """Processes of this home whose command is Dagster's daemon."""
    mark = f"STRATA_HOME={served.environment['STRATA_HOME']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, said = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"dagster._daemon" in words and mark in said.split(b"\0"):
            found.append(int(entry.name))
    return found


def states(served: Served, left_out: int = 0) -> list[tuple[str, str]]:
    """Of the runs after so many that there were before, the oldest first."""
    with served.postgres.connect(ORCHESTRATOR, served.postgres.names.dagster) as connection:
        return connection.execute(STATES).fetchall()[left_out:]


def wait(what, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.5)


def test_runs_in_the_queue_outlive_the_daemon(served: Served, tmp_path: Path) -> None:
    before = len(states(served))
    first = served.strata("launch", "acme")
    second = served.strata("launch", "acme", "--select", "group:bronze")  # waits for the first: one run of a customer at a time
    wait(lambda: [status for _, status in states(served, before)] == ["STARTED", "QUEUED"], 120)
    [daemon] = daemons(served)
    os.kill(daemon, signal.SIGKILL)
    for shell in (first, second):
        shell.kill()
        shell.communicate()
    again = None
    with (tmp_path / "again.log").open("wb") as log:
        try:
            wait(lambda: not _answering(served), 120)  # `strata ui` ends with its daemon
            again = subprocess.Popen([sys.executable, "-m", "cli.main", "ui", "--port", served.url.rpartition(":")[2]], env=served.environment, cwd=PROJECT,
                                     stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            wait(lambda: all(status in ("SUCCESS", "FAILURE") for _, status in states(served, before)), WITHIN_SECONDS)
        finally:
            _end(again)
    found = states(served, before)
    print(f"\n{found}")
    assert [status for _, status in found if status == "SUCCESS"], (tmp_path / "again.log").read_text()[-2000:]
    assert found[-1][1] == "SUCCESS"  # the newest attempt, of each run
    assert verify(served.postgres, {"acme": customer("acme", served.postgres.settings.customers)}).broken == []


def _answering(served: Served) -> bool:
    try:
        served.ask("{ version }")
    except OSError:
        return False
    return True
