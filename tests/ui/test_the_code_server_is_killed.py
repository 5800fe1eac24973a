"""kill -9 of the code server beside a run that was forked from it and before a backfill; and a run that hangs until its time is over (F24)."""
from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partitions.customers import customer
from platform_assets.verification import verify
from resources.postgres import SUPERUSER
from tests.ui.conftest import Served

pytestmark = pytest.mark.soak
WITHIN_SECONDS = 420
LAUNCH = "mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename ... on LaunchRunSuccess { run { runId } } } }"
UNDER_WAY = ("STARTING", "STARTED", "CANCELING", "QUEUED", "NOT_STARTED")


def code_servers(served: Served) -> list[int]:
    """Processes of this home that serve the code location; those that were forked from it have other words in their command."""
    mark, found = f"STRATA_HOME={served.environment['STRATA_HOME']}".encode(), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words, said = (entry / "cmdline").read_bytes().split(b"\0"), (entry / "environ").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if b"api" in words and b"grpc" in words and mark in said.split(b"\0"):
            found.append(int(entry.name))
    return found


def wait(what: Callable[[], Any], seconds: float = WITHIN_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.5)


def statuses(served: Served, name: str) -> list[str]:
    """Newest first."""
    return [run["status"] for run in served.runs(name)]


def broken(served: Served, name: str) -> list[Any]:
    return verify(served.postgres, {name: customer(name, served.postgres.settings.customers)}).broken


def test_a_run_outlives_its_code_server_and_a_backfill_waits_for_the_next_one(served: Served) -> None:
    shell = served.strata("launch", "acme")
    wait(lambda: statuses(served, "acme")[:1] == ["STARTED"], 120)
    killed = code_servers(served)
    assert killed
    for process in killed:
        os.kill(process, signal.SIGKILL)
    backfill = served.strata("backfill", "start", "globex", "--select", "group:bronze", "--wait")
    said, _ = shell.communicate(timeout=WITHIN_SECONDS)
    told, _ = backfill.communicate(timeout=WITHIN_SECONDS)
    print(f"\nthe run: {statuses(served, 'acme')}, the backfill: {statuses(served, 'globex')}")
    assert statuses(served, "acme")[0] == "SUCCESS", said
    assert len(statuses(served, "acme")) <= 2  # itself, or the one retry of a run that died
    assert backfill.returncode == 0, told
    assert statuses(served, "globex")[0] == "SUCCESS"
    assert not set(killed) & set(code_servers(served))
    assert (broken(served, "acme"), broken(served, "globex")) == ([], [])


def test_f24_a_run_that_hangs_is_ended_by_its_time_and_holds_up_nobody(served: Served) -> None:
    """Somebody holds the customer's fence in a transaction that never ends: the run waits for it, as for any table that is locked."""
    with served.postgres.connect(SUPERUSER) as holder:
        holder.execute("SELECT set_config('app.customer_id', 'initech', true), platform.take_fence('initech', 'somebody')")
        tags = {"dagster/partition": "initech", "dagster/max_runtime": "10"}
        asked = {"selector": {"repositoryLocationName": "greenit", "repositoryName": "__repository__", "pipelineName": "greenit_customer"}, "mode": "default",
                 "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]}}
        assert served.ask(LAUNCH, p=asked)["launchRun"]["__typename"] == "LaunchRunSuccess"
        wait(lambda: statuses(served, "initech") == ["STARTED"], 120)
        other = served.strata("launch", "globex", "--select", "group:bronze")
        said, _ = other.communicate(timeout=WITHIN_SECONDS)
        assert other.returncode == 0, said
        wait(lambda: not set(statuses(served, "initech")) & set(UNDER_WAY) and statuses(served, "initech"))
        ended = statuses(served, "initech")
        print(f"\nthe run that hung: {ended}")
        assert set(ended) <= {"FAILURE", "CANCELED"}
        holder.rollback()
    later = served.strata("launch", "initech", "--select", "group:bronze")  # its place is free, and so is the customer
    said, _ = later.communicate(timeout=WITHIN_SECONDS)
    assert later.returncode == 0, said
    assert broken(served, "initech") == []
