"""kill -9 of the real code server, the real daemon and commands at named points: what was due or ordered is computed once, never twice, never not.

Each process is started as production starts it, with the fail point in its own environment alone, and started anew without it.
"""
from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from partitions.customers import customer
from partitions.schedules import newest_tick
from platform_assets.verification import verify
from resources.orchestrator import instance
from tests.fail_points import fail_points
from tests.installation import billing, inventory, own_installation
from tests.launches.conftest import Daemons, workspace_of
from tests.launches.processes import CODE_SERVER, DAEMON, Processes
from tests.launches.test_refreshes import LONG_AGO, NEW_YEAR
from tests.ui.conftest import _end_all_of

EQUIPMENT = 'key:"greenit/bronze/equipment_inventory" or key:"greenit/silver/equipment"'


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """An installation of its own: its daemon sends whoever is due."""
    with ExitStack() as stack:
        homes: list[Path] = []
        stack.callback(lambda: [_end_all_of(home) for home in homes])  # runs that a test left behind, once their server is gone
        made = stack.enter_context(own_installation("strata-points-"))
        homes.append(made.settings.home)
        dagster = instance(made.postgres)
        found = Processes(Daemons(made, dagster, stack.enter_context(workspace_of(dagster))), tmp_path_factory.mktemp("logs"))
        stack.callback(lambda: [found.kill(component) for component in (DAEMON, CODE_SERVER)])
        yield found


def delivered(processes: Processes, name: str, folder: Path, **changes: object) -> None:
    """A customer with two deliveries."""
    processes.daemons.declare(name, **changes)
    processes.daemons.made.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {"quantity": 1})])
    processes.daemons.made.land(name, "cloud_billing", [billing(folder / f"{name}-bill.csv", f"account-{name}", {})])


def once(processes: Processes, name: str) -> dg.DagsterRun:
    """The one run of the customer's one backfill, ended well, and every invariant holds."""
    daemons = processes.daemons
    processes.until(lambda: daemons.runs(name) and all(run.is_finished for run in daemons.runs(name)), problem=f"{name} was not computed")
    [run] = daemons.runs(name)
    [made] = daemons.backfills(name)
    assert run.tags["dagster/backfill"] == made.backfill_id
    assert run.status == dg.DagsterRunStatus.SUCCESS, processes.said()
    found = verify(daemons.made.postgres, {name: customer(name, daemons.made.settings.customers)})
    assert (found.broken, found.unseen) == ([], {})
    return run


@pytest.mark.parametrize("point", fail_points("refreshes"))
def test_a_tick_whose_code_server_dies_before_it_asks_is_sent_once(processes: Processes, point: str, tmp_path: Path) -> None:
    name = "ticks"
    delivered(processes, name, tmp_path, schedule=NEW_YEAR)
    processes.daemons.joined_at(name, LONG_AGO)
    processes.serve(CODE_SERVER, f"{point}:kill9")
    processes.serve(DAEMON)
    processes.died(CODE_SERVER)
    assert processes.daemons.backfills(name) == []
    processes.serve(CODE_SERVER)
    processes.look_now("refreshes")
    processes.until(lambda: processes.daemons.backfills(name))
    assert once(processes, name).tags["strata/cause"] == "schedule"
    processes.look_now("refreshes")
