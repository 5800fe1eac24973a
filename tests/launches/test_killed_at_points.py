"""kill -9 of the real code server, the real daemon and commands at named points: what was due or ordered is computed once, never twice, never not.

Each process is started as production starts it, with the fail point in its own environment alone, and started anew without it.
"""
from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from partitions.customers import customer, load_customers
from platform_assets.verification import verify
from resources.orchestrator import instance
from resources.postgres import SUPERUSER
from resources.reconciliation import plan
from tests.customers.conftest import Place
from tests.fail_points import fail_points
from tests.installation import billing, inventory, own_installation
from tests.launches.conftest import Daemons, workspace_of
from tests.launches.processes import CODE_SERVER, DAEMON, Processes
from tests.launches.test_refreshes import LONG_AGO, NEW_YEAR
from tests.ui.conftest import _end_all_of

EQUIPMENT = 'key:"greenit/bronze/equipment_inventory" or key:"greenit/silver/equipment"'
IN_THE_RUN = 8  # of the times that a run of two tables writes events, one in the middle


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
    holds(processes, name)
    return run


def holds(processes: Processes, name: str) -> None:
    """Every invariant, of the customer as it stands."""
    made = processes.daemons.made
    found = verify(made.postgres, {name: customer(name, made.settings.customers)})
    assert (found.broken, found.unseen) == ([], {})


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
    processes.serve_anew(DAEMON)
    assert once(processes, name).tags["strata/cause"] == "schedule"


@pytest.mark.soak
@pytest.mark.parametrize("point", fail_points("backfills"))
def test_an_order_whose_command_dies_is_carried_out_once_however_often_it_is_given(processes: Processes, point: str, tmp_path: Path) -> None:
    name = point.replace(".", "_")
    delivered(processes, name, tmp_path)
    processes.ready()
    processes.kill(DAEMON)  # what it left of a heartbeat stays: the command asks it, and it takes nothing up meanwhile
    words = ("backfill", "start", name, "--select", EQUIPMENT, "--as-of", "2024-09-30")
    assert processes.strata(*words, point=f"{point}:kill9").returncode == -signal.SIGKILL
    assert len(processes.daemons.backfills(name)) == ("after" in point)
    again = processes.strata(*words)
    assert again.returncode == 0, again.stdout + again.stderr
    processes.serve(DAEMON)
    assert once(processes, name).tags["strata/as_of"] == "2024-09-30"


@pytest.mark.soak
@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize("point", fail_points("event_log"))
def test_a_daemon_that_dies_while_it_tells_of_a_run_leaves_one_run(processes: Processes, point: str, nth: int, tmp_path: Path) -> None:
    name = f"{point.replace('.', '_')}_{nth}"
    ordered(processes, name, tmp_path)
    processes.serve(DAEMON, f"{point}:kill9:{nth}")
    processes.died(DAEMON)
    processes.serve(DAEMON)
    once(processes, name)


@pytest.mark.soak
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_daemon_that_dies_beside_the_storing_of_a_backfill_makes_it_once(processes: Processes, is_stored: bool, tmp_path: Path) -> None:
    """Dagster's own code, which has no fail points: the tables that it writes are held, so that it dies exactly there."""
    name, made = f"beside_{is_stored}".lower(), processes.daemons.made
    delivered(processes, name, tmp_path, schedule=NEW_YEAR)
    processes.ready()
    processes.kill(DAEMON)
    processes.daemons.joined_at(name, LONG_AGO)
    processes.look_now("refreshes", cursor=None)  # whoever was sent before is not sent again
    with made.postgres.connect(SUPERUSER, made.postgres.names.dagster) as holder, made.postgres.connect(SUPERUSER, made.postgres.names.dagster) as second:
        holder.execute("LOCK TABLE bulk_actions IN SHARE MODE")
        processes.serve(DAEMON)
        waits = processes.until(lambda: waiting_for(holder, "bulk_actions"))
        if is_stored:
            second.execute("LOCK TABLE job_ticks IN SHARE MODE")
            holder.rollback()
            waits = processes.until(lambda: waiting_for(second, "job_ticks"))
        processes.kill(DAEMON)
        for server in waits:  # else it would store what nobody waits for any more
            second.execute("SELECT pg_terminate_backend(%s)", [server])
    assert len(processes.daemons.backfills(name)) == is_stored
    processes.serve(DAEMON)
    processes.look_now("refreshes")
    processes.until(lambda: processes.daemons.backfills(name))
    processes.serve_anew(DAEMON)
    once(processes, name)
    looked = looks(processes)
    processes.look_now("refreshes", cursor=None)
    processes.until(lambda: looks(processes) > looked)
    once(processes, name)


def looks(processes: Processes) -> float:
    """When the sensor `refreshes` was last done looking."""
    [found] = [state for state in processes.daemons.instance.all_instigator_state() if state.name == "refreshes"]
    return found.instigator_data.last_tick_success_timestamp or 0.0


def waiting_for(connection: psycopg.Connection, table: str) -> list[int]:
    """Server processes that wait to write a table."""
    asked = "SELECT DISTINCT pid FROM pg_locks WHERE relation = %s::regclass AND NOT granted AND mode = 'RowExclusiveLock'"
    return [pid for (pid,) in connection.execute(asked, [table]).fetchall()]


@pytest.mark.soak
@pytest.mark.parametrize("point", fail_points("event_log"))
def test_a_run_that_dies_while_it_tells_what_it_did_is_tried_once_more_and_the_next_order_heals(processes: Processes, point: str, tmp_path: Path) -> None:
    name = f"run_{point.replace('.', '_')}"
    ordered(processes, name, tmp_path)
    processes.serve(CODE_SERVER, f"{point}:kill9:{IN_THE_RUN}")
    processes.serve(DAEMON)
    processes.until(lambda: len(ended := processes.daemons.runs(name)) == 2 and all(run.status == dg.DagsterRunStatus.FAILURE for run in ended))
    assert processes.lives(CODE_SERVER)
    assert processes.lives(DAEMON)
    processes.serve(CODE_SERVER)
    done = processes.strata("backfill", "start", name, "--select", EQUIPMENT, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [run.status for run in processes.daemons.runs(name)] == [dg.DagsterRunStatus.SUCCESS, *[dg.DagsterRunStatus.FAILURE] * 2]
    holds(processes, name)


@pytest.mark.soak
@pytest.mark.parametrize("point", fail_points("joining"))
def test_a_customer_whose_joining_dies_on_the_way_joins_whole(processes: Processes, point: str, tmp_path: Path) -> None:
    name = point.replace(".", "_")
    daemons = processes.daemons
    Place(daemons.made).declare(name, schedule=NEW_YEAR, direct_readers=True)
    processes.serve(CODE_SERVER, f"{point}:kill9")
    processes.serve(DAEMON)
    processes.look_now("customers_folder")
    processes.died(CODE_SERVER)
    before = planned(processes, name)
    assert ("partition" in before) == (point != "joining.after_partitions")
    processes.serve(CODE_SERVER)
    processes.look_now("customers_folder")
    processes.until(lambda: planned(processes, name) == [])
    assert daemons.backfills(name) == []
    holds(processes, name)


def planned(processes: Processes, name: str) -> list[str]:
    """What of a customer does not stand yet."""
    made = processes.daemons.made
    return [change.what for change in plan(made.postgres, processes.daemons.instance, load_customers(made.settings.customers)) if change.customer == name]


def ordered(processes: Processes, name: str, folder: Path) -> None:
    """A customer with an order that no daemon has taken up."""
    delivered(processes, name, folder)
    processes.ready()
    processes.kill(DAEMON)
    done = processes.strata("backfill", "start", name, "--select", EQUIPMENT)
    assert done.returncode == 0, done.stdout + done.stderr
