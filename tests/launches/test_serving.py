"""A daemon that works already, one that died, and a code location that restarts while a backfill goes on."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dagster._core.execution.backfill import BulkActionStatus
from dagster._daemon.backfill import execute_backfill_iteration

from cli.serving import RETRY_VARIABLE, await_code_location, daemon_lives, refuse_foreign_daemon
from partitions.errors import BusyError
from tests.launches.conftest import LOGGER, Daemons, workspace_of

BRONZE = 'key:"greenit/bronze/equipment_inventory"'


@pytest.fixture
def quiet(daemons: Daemons) -> Iterator[Daemons]:
    daemons.instance.wipe_daemon_heartbeats()
    yield daemons
    daemons.instance.wipe_daemon_heartbeats()


@contextmanager
def beating(daemons: Daemons) -> Iterator[None]:
    """Another process's daemon, that beats every tenth of a second."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.1):
            daemons.beat()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_daemon_that_works_already_is_refused(quiet: Daemons) -> None:
    quiet.beat()
    with beating(quiet), pytest.raises(BusyError, match="another daemon works on this installation's database"):
        refuse_foreign_daemon(quiet.instance, seconds=5)


def test_what_a_killed_daemon_left_is_told_from_a_living_one(quiet: Daemons, capsys: pytest.CaptureFixture[str]) -> None:
    refuse_foreign_daemon(quiet.instance)  # nobody was here
    quiet.beat(ago=600)
    refuse_foreign_daemon(quiet.instance)  # long ago
    assert capsys.readouterr().out == ""
    quiet.beat(ago=20)
    refuse_foreign_daemon(quiet.instance, seconds=0.5)  # killed just now: it does not beat again
    assert "looking" in capsys.readouterr().out
    assert daemon_lives(quiet.instance)  # for whoever does not look twice


def test_a_backfill_waits_for_a_code_location_that_answers(quiet: Daemons) -> None:
    quiet.declare("gated")
    quiet.beat()
    state = [found for found in quiet.instance.all_instigator_state() if found.name == "refreshes"]
    for found in state:  # as where the daemon beats and no code has loaded yet
        quiet.instance.update_instigator_state(found.with_data(found.instigator_data._replace(last_tick_success_timestamp=None)))
    with pytest.raises(BusyError, match="the code location has not answered"):
        await_code_location(quiet.instance, seconds=0.3)
    quiet.look()
    await_code_location(quiet.instance, seconds=0.3)


@pytest.mark.filterwarnings("ignore:Error loading repository location")  # that it does not load is the case
@pytest.mark.parametrize(("variable", "status"), [("1", BulkActionStatus.REQUESTED), ("", BulkActionStatus.FAILING)])
def test_a_backfill_goes_on_after_the_code_location_restarted(quiet: Daemons, monkeypatch: pytest.MonkeyPatch, variable: str, status: BulkActionStatus) -> None:
    """Without the variable that `strata ui` sets, it would fail at once: the second case is why."""
    monkeypatch.setenv(RETRY_VARIABLE, variable)
    name = f"restarts_{variable or 'not'}"
    quiet.declare(name)
    with quiet.alive():
        assert quiet.strata("backfill", "start", name, "--select", BRONZE).exit_code == 0
    [made] = quiet.backfills(name)
    with workspace_of(quiet.instance, "platform_assets.no_such_module") as down:
        list(execute_backfill_iteration(down, LOGGER))
    assert quiet.instance.get_backfill(made.backfill_id).status == status
    assert quiet.runs(name) == []
    if status == BulkActionStatus.REQUESTED:
        quiet.submit()
        assert len(quiet.runs(name)) == 1
