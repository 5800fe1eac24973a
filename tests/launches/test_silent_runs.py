"""A run whose process went without a word (with its code server, or launched without one) is ended by the run monitor; one that works is not."""
from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.events import DagsterEvent
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from platform_assets.greenit.definitions import defs
from resources import run_launcher
from resources.backfills import PARTITION_TAG
from resources.orchestrator import INSTANCE_VARIABLE, instance
from resources.run_launcher import ProcessLauncher
from resources.session import locked
from tests.installation import JOB, Installation

NAME = "silent"


@pytest.fixture
def dagster(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An instance that waits for no run to grow old."""
    launcher = {"module": run_launcher.__name__, "class": ProcessLauncher.__name__, "config": {"silent_seconds": 0}}
    (tmp_path / "instance.yaml").write_text(yaml.safe_dump({"run_launcher": launcher}))
    monkeypatch.setenv(INSTANCE_VARIABLE, str(tmp_path / "instance.yaml"))
    monkeypatch.setattr(run_launcher, "ENDING_SECONDS", 0.1)
    installation.declare(NAME)
    made = instance(installation.postgres)
    yield made
    made.dispose()
    (installation.settings.customers / f"{NAME}.yaml").unlink()


def started(dagster: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    """A run that began, of which nothing is heard any more."""
    run = dagster.create_run_for_job(defs.resolve_job_def(JOB), tags=tags)
    dagster.report_dagster_event(DagsterEvent(event_type_value="PIPELINE_START", job_name=run.job_name), run.run_id)
    return run


def watched(dagster: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """What becomes of a run when the monitor looks at it."""
    monitor_started_run(dagster, None, dagster.get_run_record_by_id(run.run_id), logging.getLogger(__name__))  # type: ignore[arg-type]  # nothing is resumed
    return dagster.get_run_by_id(run.run_id).status


def test_a_run_whose_customer_nobody_works_on_is_ended_and_says_why(dagster: dg.DagsterInstance) -> None:
    run = started(dagster, **{PARTITION_TAG: NAME})
    assert watched(dagster, run) == dg.DagsterRunStatus.FAILURE
    words = [record.event_log_entry.dagster_event.message or "" for record in dagster.get_records_for_run(run.run_id).records]
    assert any("the run's process is gone" in word for word in words)


def test_a_run_whose_customers_lock_is_held_goes_on(dagster: dg.DagsterInstance, installation: Installation) -> None:
    run = started(dagster, **{PARTITION_TAG: NAME})
    with locked(installation.postgres, NAME):
        assert watched(dagster, run) == dg.DagsterRunStatus.STARTED
    assert watched(dagster, run) == dg.DagsterRunStatus.FAILURE


def test_a_run_that_ends_while_the_monitor_looks_is_not_called_dead(dagster: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(dagster, **{PARTITION_TAG: NAME})
    ended = DagsterEvent(event_type_value="PIPELINE_SUCCESS", job_name=run.job_name)
    monkeypatch.setattr(run_launcher.time, "sleep", lambda _seconds: dagster.report_dagster_event(ended, run.run_id))
    assert watched(dagster, run) == dg.DagsterRunStatus.SUCCESS


def test_a_run_of_no_customer_and_a_young_one_are_left_alone(dagster: dg.DagsterInstance) -> None:
    assert watched(dagster, started(dagster)) == dg.DagsterRunStatus.STARTED
    young = ProcessLauncher()
    young.register_instance(dagster)
    run = started(dagster, **{PARTITION_TAG: NAME})
    assert young.check_run_worker_health(run).status == run_launcher.WorkerStatus.RUNNING
    for left in dagster.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        dagster.report_run_failed(left)


def test_an_installation_has_this_launcher(installation: Installation) -> None:
    made = instance(installation.postgres)
    assert type(made.run_launcher) is ProcessLauncher
    assert made.run_launcher._silent_seconds == run_launcher.STALE_SECONDS
    made.dispose()
