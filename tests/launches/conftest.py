"""Dagster's daemons, one iteration at a time and in this process, on the instance that an operator has: PostgreSQL, queue and all.

What belongs here: what the daemons do between two looks, without their clocks. What does not: expectations. Runs are made and queued and
nothing starts them; tests that need one computed run it themselves.
"""
from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner, Result
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution.api import execute_run_iterator
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus, PartitionBackfill
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._daemon.types import DaemonHeartbeat

from cli.launching import LOCATION, MODULE, _reason, job_of
from cli.main import strata
from cli.serving import QUEUE_DAEMON
from partitions.customers import UNFINISHED, load_customers
from resources.backfills import targets_of
from resources.orchestrator import instance
from resources.reconciliation import settled
from resources.settings import PROJECT
from tests.installation import Installation

LOGGER = logging.getLogger("daemons")
SENSOR, KEPT = "refreshes", "kept"


@dataclass
class Daemons:
    """The instance, and its daemons' next iteration."""

    made: Installation
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext

    def declare(self, name: str, /, **changes: Any) -> None:
        """A customer's file, applied as by `strata customers apply`."""
        self.made.declare(name, **changes)
        settled(self.made.postgres, self.instance, {name: load_customers(self.made.settings.customers)[name]}, whole=False)

    def look(self, cursor: str | None = KEPT, *, is_to_fail: bool = False) -> Any:
        """One tick of the sensor `refreshes` alone, with the cursor of before or another one (None: lost); returns the tick."""
        repository = next(iter(self.workspace.create_request_context().get_code_location(LOCATION).get_repositories().values()))
        for found in repository.get_sensors():
            state = self.instance.get_instigator_state(found.get_remote_origin_id(), found.selector_id)
            data = state.instigator_data if state else None
            kept = SensorInstigatorData(cursor=cursor if cursor != KEPT else data and data.cursor)
            status = InstigatorStatus.RUNNING if found.name == SENSOR else InstigatorStatus.STOPPED
            wanted = InstigatorState(found.get_remote_origin(), InstigatorType.SENSOR, status, kept)
            (self.instance.update_instigator_state if state else self.instance.add_instigator_state)(wanted)
        errors = [error for error in execute_sensor_iteration(self.workspace, LOGGER, None, None) if error]
        assert is_to_fail == bool(errors), errors
        mine = repository.get_sensor(SENSOR)
        return self.instance.get_ticks(mine.get_remote_origin_id(), mine.selector_id, limit=1)[0]

    def joined_at(self, name: str, at: str) -> None:
        """As if the customer's file had been applied at a moment."""
        with self.made.superuser(self.made.postgres.names.warehouse) as connection:
            connection.execute("UPDATE platform.customer SET applied_at = %s WHERE customer_id = %s", [at, name])

    def backfills(self, name: str) -> list[PartitionBackfill]:
        """Backfills that name a customer, newest first."""
        return [found for found in self.instance.get_backfills() if name in targets_of(found)]

    def submit(self) -> None:
        """One iteration of the backfill daemon: queues the runs of what was requested."""
        errors = [error for error in execute_backfill_iteration(self.workspace, LOGGER) if error]
        assert not errors, errors[0].to_string()

    def runs(self, name: str) -> list[dg.DagsterRun]:
        """A customer's runs, newest first."""
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": name})))

    def end(self, run: dg.DagsterRun, success: bool = True) -> None:
        """A run that began and ended, as its own process reports it; a failed step's run is not tried again by itself."""
        self.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, message="told by a test"), run.run_id)
        kind = dg.DagsterEventType.RUN_SUCCESS if success else dg.DagsterEventType.RUN_FAILURE
        why = None if success else JobFailureData(None, RunFailureReason.STEP_FAILURE)
        self.instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name, message="told by a test", event_specific_data=why), run.run_id)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """As long as a daemon beats, and the code location has answered it."""
        self.look()
        self.beat()
        try:
            yield
        finally:
            self.instance.wipe_daemon_heartbeats()

    def beat(self, ago: float = 0) -> None:
        """A daemon's heartbeat, so many seconds ago."""
        self.instance.add_daemon_heartbeat(DaemonHeartbeat(timestamp=time.time() - ago, daemon_type=QUEUE_DAEMON, daemon_id="a test's", errors=[]))

    def strata(self, *words: str) -> Result:
        return CliRunner().invoke(strata, list(words))

    def execute(self, run: dg.DagsterRun) -> dict[str, str]:
        """A queued run in this process; returns failed step -> why."""
        job = job_of().get_subset(asset_selection=set(run.asset_selection)) if run.asset_selection else job_of()
        self.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, run.job_name, message="taken from the queue"), run.run_id)
        failures = {}
        for event in execute_run_iterator(InMemoryJob(job), self.instance.get_run_by_id(run.run_id), self.instance):
            if event.is_step_failure:
                failures[event.step_key] = _reason(event.step_failure_data)
        return failures

    def settle(self) -> None:
        """End whatever is under way, so that the next test's iterations meet only its own."""
        for backfill in self.instance.get_backfills(BulkActionsFilter(statuses=[BulkActionStatus.REQUESTED])):
            self.instance.update_backfill(backfill.with_status(BulkActionStatus.CANCELED))
        for run in self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
            self.instance.report_run_canceled(run)


def workspace_of(dagster: dg.DagsterInstance, module: str = MODULE) -> WorkspaceProcessContext:
    """The code location in this process."""
    target = LoadableTargetOrigin(module_name=module, attribute="defs", working_directory=str(PROJECT))
    return WorkspaceProcessContext(dagster, InProcessWorkspaceLoadTarget(InProcessCodeLocationOrigin(target, location_name=LOCATION)))


@pytest.fixture(scope="package")
def everyone(installation: Installation) -> Iterator[Daemons]:
    dagster = instance(installation.postgres)
    with workspace_of(dagster) as workspace:
        yield Daemons(installation, dagster, workspace)


@pytest.fixture
def daemons(everyone: Daemons) -> Iterator[Daemons]:
    yield everyone
    everyone.settle()
