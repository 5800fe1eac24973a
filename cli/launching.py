"""Launching customers' runs as Dagster's UI does, and serving that UI.

What belongs here: the few calls into Dagster that its public API does not offer (pinned in tests/characterization). What does not: what a run does.
"""
from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import date

import click
import dagster as dg

from partitions.errors import ContractError
from resources.orchestrator import instance, prepare
from resources.postgres import Postgres
from resources.sessions import AS_OF_TAG
from resources.settings import PROJECT

JOB = "greenit_customer"
LOCATION = "greenit"
QUEUE_DAEMON = "QUEUED_RUN_COORDINATOR"
HEARTBEAT_SECONDS = 90
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the lines below say it for people
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


def launch_all(postgres: Postgres, customers: list[str], selection: str | None, as_of: date | None) -> dict[str, bool]:
    """Run every customer, one after the other in process or side by side in the queue; returns customer -> succeeded."""
    dagster_instance = instance(postgres)
    tags = {AS_OF_TAG: as_of.isoformat()} if as_of else {}
    run = _queued if _daemon_lives(dagster_instance) else _in_process
    started = time.monotonic()
    outcomes = run(dagster_instance, customers, selection, tags)
    done = sum(outcomes.values())
    click.secho(f"{done} of {len(outcomes)} customers succeeded in {time.monotonic() - started:.1f} s", fg="green" if done == len(outcomes) else "red")
    return outcomes


def _daemon_lives(dagster_instance: dg.DagsterInstance) -> bool:
    heartbeat = dagster_instance.get_daemon_heartbeats().get(QUEUE_DAEMON)
    return heartbeat is not None and time.time() - heartbeat.timestamp < HEARTBEAT_SECONDS


def selected_keys(selection: str | None) -> list[dg.AssetKey] | None:
    """The assets that Dagster's selection text names; None means the whole job."""
    if selection is None:
        return None
    from platform_assets.greenit.definitions import defs

    graph = defs.resolve_asset_graph()
    try:
        keys = dg.AssetSelection.from_string(selection).resolve(graph)
    except Exception as error:  # noqa: BLE001  Dagster's parser raises several kinds; all mean the same to the user
        raise ContractError(f"this is no asset selection: {error}", fix="see Dagster's asset selection syntax") from error
    keys = {key for key in keys if key in graph.executable_asset_keys}
    if not keys:
        raise ContractError("the selection names no table", fix="try 'group:silver' or 'key:\"greenit/gold/activity\"'")
    return sorted(keys)


def _in_process(dagster_instance: dg.DagsterInstance, customers: list[str], selection: str | None, tags: dict[str, str]) -> dict[str, bool]:
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run_iterator

    from platform_assets.greenit.definitions import defs

    keys = selected_keys(selection)
    job = defs.resolve_job_def(JOB)
    if keys is not None:
        job = job.get_subset(asset_selection=set(keys))
    outcomes = {}
    for customer in customers:
        run = dagster_instance.create_run_for_job(job, tags={**job.tags, **tags, "dagster/partition": customer}, run_config=QUIET,
                                                  asset_selection=frozenset(keys) if keys else None)
        _tell(customer, f"run {run.run_id[:8]} starts here: no daemon is running")
        for line in _lines(execute_run_iterator(InMemoryJob(job), run, dagster_instance)):
            _tell(customer, line)
        outcomes[customer] = dagster_instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.SUCCESS
    return outcomes


def _queued(dagster_instance: dg.DagsterInstance, customers: list[str], selection: str | None, tags: dict[str, str]) -> dict[str, bool]:
    from dagster._core.remote_origin import GrpcServerCodeLocationOrigin  # noqa: F401
    from dagster._core.remote_representation.code_location import CodeLocation
    from dagster._core.remote_representation.external import RemoteJob
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    keys = selected_keys(selection)
    runs: dict[str, str] = {}
    with WorkspaceProcessContext(dagster_instance, WorkspaceFileTarget(paths=[str(PROJECT / "workspace.yaml")])) as process:
        workspace = process.create_request_context()
        location: CodeLocation = workspace.get_code_location(LOCATION)
        for customer in customers:
            job: RemoteJob = _remote_job(location, keys)
            run = _create(dagster_instance, location, job, {**tags, "dagster/partition": customer}, keys)
            dagster_instance.submit_run(run.run_id, workspace)
            runs[customer] = run.run_id
            _tell(customer, f"run {run.run_id[:8]} is queued")
        return _follow(dagster_instance, runs)


def _remote_job(location, keys):
    from dagster._core.definitions.selector import JobSubsetSelector

    repository = next(iter(location.get_repositories().values()))
    return location.get_job(JobSubsetSelector(location_name=location.name, repository_name=repository.name, job_name=JOB, op_selection=None,
                                              asset_selection=set(keys) if keys else None))


def _create(dagster_instance, location, job, tags, keys) -> dg.DagsterRun:
    plan = location.get_execution_plan(job, {}, step_keys_to_execute=None, known_state=None, instance=dagster_instance).execution_plan_snapshot
    repository = next(iter(location.get_repositories().values()))
    return dagster_instance.create_run(
        job_name=JOB, run_id=None, run_config={}, resolved_op_selection=job.resolved_op_selection, step_keys_to_execute=plan.step_keys_to_execute,
        op_selection=None, status=None, root_run_id=None, parent_run_id=None, tags={**job.tags, **tags}, job_snapshot=job.job_snapshot,
        execution_plan_snapshot=plan, parent_job_snapshot=job.parent_job_snapshot, remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(), asset_selection=frozenset(keys) if keys else None, asset_check_selection=None,
        asset_graph=repository.asset_graph,
    )


def _follow(dagster_instance: dg.DagsterInstance, runs: dict[str, str]) -> dict[str, bool]:
    """Report every queued run until all have ended."""
    cursors: dict[str, str | None] = dict.fromkeys(runs)
    open_runs = dict(runs)
    outcomes: dict[str, bool] = {}
    while open_runs:
        for customer, run_id in list(open_runs.items()):
            status = dagster_instance.get_run_by_id(run_id).status
            connection = dagster_instance.get_records_for_run(run_id, cursor=cursors[customer])
            cursors[customer] = connection.cursor
            events = (r.event_log_entry.dagster_event for r in connection.records if r.event_log_entry.is_dagster_event)
            for line in _lines(events):
                _tell(customer, line)
            if status in FINISHED:
                outcomes[customer] = status == dg.DagsterRunStatus.SUCCESS
                del open_runs[customer]
        time.sleep(0.5 if open_runs else 0)
    return {customer: outcomes[customer] for customer in runs}


def _lines(events: Iterator[dg.DagsterEvent]) -> Iterator[str]:
    """One line per table, failed rule and failure."""
    for event in events:
        if event.is_step_materialization:
            done = event.step_materialization_data.materialization
            facts = done.metadata
            rows = facts["dagster/row_count"].value if "dagster/row_count" in facts else None
            quarantined = facts["quarantined"].value if "quarantined" in facts else 0
            words = [f"{'/'.join(done.asset_key.path[1:]):<32}"]
            words += [f"{rows:>9,} rows"] if rows is not None else []
            words += [f"{quarantined:,} to quarantine"] if quarantined else []
            words += ["unchanged"] if "unchanged" in facts and facts["unchanged"].value is True else []
            yield "  ".join(words)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION" and not event.asset_check_evaluation_data.passed:
            found = event.asset_check_evaluation_data
            yield click.style(f"{found.severity.value}: {found.asset_key.path[-1]} breaks {found.check_name}", fg="yellow")
        elif event.is_step_failure:
            yield click.style(f"FAILED {event.step_key}: {_reason(event.step_failure_data)}", fg="red")
        elif event.event_type_value == "RUN_SUCCESS":
            yield click.style("done", fg="green")


def _reason(failure) -> str:
    """What a step's failure means to a person: our own words where there are some, else the innermost error."""
    if failure.user_failure_data:
        return failure.user_failure_data.description
    error = failure.error
    while error.cause:
        error = error.cause
    return error.message.strip()


def _tell(customer: str, line: str) -> None:
    click.echo(f"{customer:<12} {line}")


def serve(postgres: Postgres, port: int) -> None:
    """Become `dagster dev` on loopback."""
    prepare(postgres)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "dagster", "dev", "-w", str(PROJECT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(port)]
    click.echo(f"Dagster will be at http://127.0.0.1:{port}: open Assets, choose a table, Materialize, and pick a customer")
    os.execv(sys.executable, command)  # noqa: S606
