"""Launching customers' runs as Dagster's UI does.

What belongs here: the few calls into Dagster that its public API does not offer (pinned in tests/characterization/test_dagster_launch.py).
What does not: what a run does, and who serves Dagster (serving.py).
"""
from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import click
import dagster as dg

from cli.serving import daemon_lives
from partitions.customers import customer as declared
from partitions.errors import BusyError, ContractError
from platform_assets.notices import tell_of_newest_run
from resources.backfills import PARTITION_TAG, SIZE_TAG
from resources.orchestrator import instance
from resources.postgres import Postgres
from resources.session import locked
from resources.sessions import AS_OF_TAG, PARAMETERS_TAG, PAUSED_TAG
from resources.settings import PROJECT, settings

JOB = "greenit_customer"
LOCATION = "greenit"
MODULE = "platform_assets.greenit.definitions"
POLL_SECONDS = 0.5
BEFORE_BACKFILLS = {"dagster/priority": "1"}  # who waits at a terminal does not wait for a fleet of hundreds
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}  # the lines below say it for people
FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


@dataclass(frozen=True)
class Launch:
    """What to run for each customer: the job, or the part of it that was selected."""

    job: dg.JobDefinition
    assets: frozenset[dg.AssetKey] | None
    checks: frozenset[dg.AssetCheckKey] | None
    tags: dict[str, str]


def launch_all(postgres: Postgres, customers: list[str], selection: str | None, as_of: date | None, checks_only: bool = False,
               pin: str | None = None, even_if_paused: bool = False) -> dict[str, bool]:
    """Run every customer, one after the other in process or side by side in the queue; returns customer -> succeeded."""
    return carried_out(postgres, launch_of(selection, as_of, checks_only, pin, even_if_paused), customers)


def carried_out(postgres: Postgres, launch: Launch, customers: list[str]) -> dict[str, bool]:
    """The same for a launch that stands already."""
    dagster_instance = instance(postgres)
    started = time.monotonic()
    queues = daemon_lives(dagster_instance)  # dagster.yaml: a second run of a customer waits in the queue
    outcomes = _queued(dagster_instance, launch, customers) if queues else _in_process(postgres, dagster_instance, launch, customers)
    tell_of_newest_run(postgres, dagster_instance, customers)
    done = sum(outcomes.values())
    click.secho(f"{done} of {len(outcomes)} customers succeeded in {time.monotonic() - started:.1f} s", fg="green" if done == len(outcomes) else "red")
    return outcomes


def launch_of(selection: str | None = None, as_of: date | None = None, checks_only: bool = False, pin: str | None = None,
              even_if_paused: bool = False) -> Launch:
    """The job, or what Dagster's selection text names of it; a selected table brings its checks along. Raises ContractError for no selection."""
    job, tags = job_of(), tags_of(as_of, pin, even_if_paused)
    graph = job.asset_layer.asset_graph
    chosen = selected(selection, graph)
    if not checks_only:
        return launch_of_keys(chosen, tags)
    tags = {**job.run_tags, **tags}
    checks = frozenset(key for key in graph.asset_check_keys if key.asset_key in chosen)
    if not checks:
        raise ContractError("the selected tables have no checks", fix="select a table of a layer")
    return Launch(job.get_subset(asset_check_selection=checks), frozenset(), checks, tags)


def job_of() -> dg.JobDefinition:
    """The job that computes everything of a customer."""
    from platform_assets.greenit.definitions import defs

    return defs.resolve_job_def(JOB)


def tags_of(as_of: date | None, pin: str | None, even_if_paused: bool) -> dict[str, str]:
    """What a launch says to its runs."""
    return {**({AS_OF_TAG: as_of.isoformat()} if as_of else {}), **({PARAMETERS_TAG: pin} if pin else {}), **({PAUSED_TAG: "true"} if even_if_paused else {})}


def launch_of_keys(keys: frozenset[dg.AssetKey], tags: Mapping[str, str]) -> Launch:
    """The job, or some of its assets with their checks."""
    job = job_of()
    is_whole = keys == job.asset_layer.asset_graph.executable_asset_keys
    tags = {**job.run_tags, **tags}
    return Launch(job, None, None, tags) if is_whole else Launch(job.get_subset(asset_selection=set(keys)), keys, None, tags)


def selected(selection: str | None, graph: Any) -> frozenset[dg.AssetKey]:
    """The assets that a selection text names, of those that a run computes; without one all. Raises ContractError for none."""
    if selection is None:
        return frozenset(graph.executable_asset_keys)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            found = dg.AssetSelection.from_string(selection).resolve(graph)
    except Exception as error:  # noqa: BLE001  Dagster's parser raises several kinds; all mean the same to the user
        raise ContractError(f"this is no asset selection: {error}", fix="see Dagster's asset selection syntax") from error
    chosen = frozenset(key for key in found if key in graph.executable_asset_keys)
    if not chosen:
        raise ContractError("the selection names no table", fix="try 'group:silver' or 'key:\"greenit/gold/activity\"'")
    return chosen


def create_run(dagster_instance: dg.DagsterInstance, launch: Launch, customer: str, run_config: dict[str, Any], **more: Any) -> dg.DagsterRun:
    """A run of one customer, not started. (`create_run_for_job` would do, but it knows no selection of checks.)"""
    from dagster._core.execution.api import create_execution_plan
    from dagster._core.snap import snapshot_from_execution_plan

    plan = create_execution_plan(launch.job, run_config=run_config, tags=launch.tags)
    tags = {**launch.tags, PARTITION_TAG: customer, SIZE_TAG: declared(customer, settings().customers).size_class}
    return dagster_instance.create_run(
        job_name=launch.job.name, run_id=None, run_config=run_config, tags=tags, status=None,
        asset_selection=launch.assets, asset_check_selection=launch.checks, op_selection=None, resolved_op_selection=None,
        step_keys_to_execute=plan.step_keys_to_execute, root_run_id=None, parent_run_id=None,
        job_snapshot=launch.job.get_job_snapshot(), parent_job_snapshot=launch.job.get_parent_job_snapshot(),
        execution_plan_snapshot=snapshot_from_execution_plan(plan, launch.job.get_job_snapshot_id()),
        asset_graph=launch.job.asset_layer.asset_graph,
        **{"remote_job_origin": None, "job_code_origin": None, **more},
    )


def _in_process(postgres: Postgres, dagster_instance: dg.DagsterInstance, launch: Launch, customers: list[str]) -> dict[str, bool]:
    """One after the other; a customer that another run holds is waited for, then refused before anything of it starts."""
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run_iterator

    outcomes = {}
    for customer in customers:
        try:
            locked(postgres, customer).close()
        except BusyError as error:
            _tell(customer, click.style(f"BusyError: {error}", fg="red"))
            outcomes[customer] = False
            continue
        run = create_run(dagster_instance, launch, customer, QUIET)
        _tell(customer, f"run {run.run_id[:8]} starts here: no daemon is running")
        for line in _lines(execute_run_iterator(InMemoryJob(launch.job), run, dagster_instance)):
            _tell(customer, line)
        outcomes[customer] = _status(dagster_instance, run.run_id) == dg.DagsterRunStatus.SUCCESS
    return outcomes


def origins() -> dict[str, Any]:
    """Where the daemon finds the job: the workspace's location by name, and the module. Starts no code server."""
    from dagster._core.definitions.reconstruct import ReconstructableRepository
    from dagster._core.remote_origin import RemoteRepositoryOrigin
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    location = next(o for o in WorkspaceFileTarget(paths=[str(PROJECT / "workspace.yaml")]).create_origins() if o.location_name == LOCATION)
    repository = ReconstructableRepository.for_module(MODULE, "defs", working_directory=str(PROJECT))
    name = repository.get_definition().name
    return {"remote_job_origin": RemoteRepositoryOrigin(location, name).get_job_origin(JOB),
            "job_code_origin": repository.get_reconstructable_job(JOB).get_python_origin()}


def _queued(dagster_instance: dg.DagsterInstance, launch: Launch, customers: list[str]) -> dict[str, bool]:
    """Put a run per customer into the daemon's queue, which starts one per customer at a time, and follow them."""
    from dagster._core.run_coordinator import SubmitRunContext

    found, runs = origins(), {}
    asked_for = replace(launch, tags={**launch.tags, **BEFORE_BACKFILLS})
    for customer in customers:
        run = create_run(dagster_instance, asked_for, customer, {}, **found)
        dagster_instance.run_coordinator.submit_run(SubmitRunContext(run, workspace=None))  # type: ignore[arg-type]  # the queue never looks at it
        runs[customer] = run.run_id
        _tell(customer, f"run {run.run_id[:8]} is queued")
    return _follow(dagster_instance, runs)


def _follow(dagster_instance: dg.DagsterInstance, runs: dict[str, str]) -> dict[str, bool]:
    """Report every queued run until all have ended; interrupting this leaves the runs alone."""
    cursors: dict[str, str | None] = dict.fromkeys(runs)
    outcomes: dict[str, bool] = {}
    while len(outcomes) < len(runs):
        for customer in [c for c in runs if c not in outcomes]:
            status = _status(dagster_instance, runs[customer])  # read before the events, so that none of a finished run is missed
            for line in _lines(_new_events(dagster_instance, runs[customer], customer, cursors)):
                _tell(customer, line)
            if status == dg.DagsterRunStatus.QUEUED and not daemon_lives(dagster_instance):
                raise BusyError("the run waits in the queue, but no daemon answers", customer=customer, fix="start `strata ui`: it takes up the queue")
            if status in FINISHED:
                outcomes[customer] = status == dg.DagsterRunStatus.SUCCESS
        time.sleep(POLL_SECONDS if len(outcomes) < len(runs) else 0)
    return {customer: outcomes[customer] for customer in runs}


def _status(dagster_instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    """A run's status; canceled if somebody deleted it."""
    run = dagster_instance.get_run_by_id(run_id)
    return run.status if run else dg.DagsterRunStatus.CANCELED


def _new_events(dagster_instance: dg.DagsterInstance, run_id: str, customer: str, cursors: dict[str, str | None]) -> Iterator[dg.DagsterEvent]:
    """The events of a run since the last look."""
    while True:
        page = dagster_instance.get_records_for_run(run_id, cursor=cursors[customer])
        cursors[customer] = page.cursor
        for record in page.records:
            if record.event_log_entry.dagster_event:
                yield record.event_log_entry.dagster_event
        if not page.has_more:
            return


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
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION and not event.asset_check_evaluation_data.passed:
            found = event.asset_check_evaluation_data
            yield click.style(f"{found.severity.value}: {found.asset_key.path[-1]} breaks {found.check_name}", fg="yellow")
        elif event.is_step_failure:
            yield click.style(f"FAILED {event.step_key}: {_reason(event.step_failure_data)}", fg="red")
        elif event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY:
            yield click.style(f"{event.step_key} is tried again: {_reason(event.step_retry_data)}", fg="yellow")
        elif event.event_type == dg.DagsterEventType.RUN_START:
            yield "started"
        elif event.event_type in (dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED):
            yield click.style(event.message or "the run ended without success", fg="red")
        elif event.event_type == dg.DagsterEventType.RUN_SUCCESS:
            yield click.style("done", fg="green")


def _reason(failure: Any) -> str:
    """What a step's failure means to a person: our own words where there are some, else the innermost error."""
    if own := getattr(failure, "user_failure_data", None):
        return own.description
    error = failure.error
    while error and error.cause:
        error = error.cause
    return error.message.strip().removeprefix("dagster._core.definitions.events.Failure: ") if error else "no reason given"


def _tell(customer: str, line: str) -> None:
    click.echo(f"{customer:<12} {line}")
