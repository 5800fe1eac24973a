"""The event log that is written together tells what Dagster's own tells, in its order."""
from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from sqlalchemy.exc import DBAPIError, OperationalError

from resources.orchestrator import instance
from tests.installation import Installation

SPECS = [dg.AssetCheckSpec(name, asset="made") for name in ("one", "two")]


@dg.asset
def made() -> int:
    return 1


@dg.multi_asset_check(specs=SPECS)
def judged():
    for spec in SPECS:
        yield dg.AssetCheckResult(check_name=spec.name, asset_key="made", passed=spec.name == "one", severity=dg.AssetCheckSeverity.WARN)


@dg.asset(deps=[made])
def broken() -> None:
    raise dg.Failure("on purpose", allow_retries=False)


def told(dagster: dg.DagsterInstance) -> tuple[list[tuple[str, str | None]], str]:
    """Types and steps of a run's events as they were stored, and its id."""
    defs = dg.Definitions(assets=[made, broken], asset_checks=[judged], executor=dg.in_process_executor)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    done = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=dagster, raise_on_error=False, run_config=quiet)
    records = dagster.get_records_for_run(done.run_id, limit=1000).records
    assert [record.storage_id for record in records] == sorted(record.storage_id for record in records)
    assert all(first.event_log_entry.timestamp <= second.event_log_entry.timestamp for first, second in zip(records, records[1:], strict=False))
    return [(one.event_log_entry.dagster_event_type.value, one.event_log_entry.step_key) for one in records if one.event_log_entry.is_dagster_event], done.run_id


@pytest.fixture
def ours(installation: Installation):
    made_here = instance(installation.postgres)
    yield made_here
    made_here.dispose()


def test_a_run_tells_the_same_events_in_the_same_order(ours: dg.DagsterInstance) -> None:
    with dg.DagsterInstance.ephemeral() as stock:
        expected, _ = told(stock)
    found, run_id = told(ours)
    assert found == expected
    assert {"ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION", "STEP_FAILURE"} <= {kind for kind, _ in found}
    storage = ours.event_log_storage
    for spec in SPECS:
        [record] = storage.get_asset_check_execution_history(spec.key, limit=10)[:1]
        assert record.run_id == run_id
        assert record.status == (AssetCheckExecutionRecordStatus.SUCCEEDED if spec.name == "one" else AssetCheckExecutionRecordStatus.FAILED)
        assert record.event.dagster_event.asset_check_evaluation_data.target_materialization_data.run_id == run_id
    assert ours.get_latest_materialization_event(dg.AssetKey("made")).run_id == run_id


@dg.asset(deps=[made])
def later() -> int:
    return 2


def test_a_step_is_told_of_what_its_own_run_made_though_an_earlier_run_was_asked_about_too(ours: dg.DagsterInstance) -> None:
    defs = dg.Definitions(assets=[made, later], asset_checks=[judged], executor=dg.in_process_executor)
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    for _ in range(2):
        done = defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=ours, run_config=quiet)
        newest = {name: ours.get_latest_materialization_event(dg.AssetKey(name)) for name in ("made", "later")}
        assert {event.run_id for event in newest.values()} == {done.run_id}
        [record] = ours.fetch_materializations(dg.AssetKey("made"), limit=1).records
        assert newest["later"].asset_materialization.tags["dagster/input_event_pointer/made"] == str(record.storage_id)
        [check] = ours.event_log_storage.get_asset_check_execution_history(SPECS[0].key, limit=1)
        assert check.event.dagster_event.asset_check_evaluation_data.target_materialization_data.storage_id == record.storage_id
    assert ours.event_log_storage._answers == {}  # it is forgotten with the run


def test_events_that_wait_are_stored_before_the_next_one_that_does_not_and_at_the_end(ours: dg.DagsterInstance) -> None:
    run, other = (ours.create_run_for_job(dg.Definitions(assets=[made]).resolve_implicit_global_asset_job_def()) for _ in range(2))
    assert _messages(ours, run) == []  # what is planned waits
    ours.report_engine_event("the word of an engine does not", run)
    planned, word = _messages(ours, run)
    assert "intends to materialize" in planned
    assert word == "the word of an engine does not"
    late = ours.create_run_for_job(dg.Definitions(assets=[made]).resolve_implicit_global_asset_job_def())
    assert (len(_messages(ours, other)), len(_messages(ours, late))) == (1, 0)
    ours.event_log_storage.dispose()
    assert len(_messages(ours, late)) == 1


def _messages(dagster: dg.DagsterInstance, run: dg.DagsterRun) -> list[str]:
    return [one.event_log_entry.dagster_event.message for one in dagster.get_records_for_run(run.run_id, limit=1000).records]


def test_a_failed_write_loses_nothing_that_waits(ours: dg.DagsterInstance, installation: Installation) -> None:
    run = ours.create_run_for_job(dg.Definitions(assets=[made]).resolve_implicit_global_asset_job_def())
    assert _messages(ours, run) == []  # a connection is open
    with installation.superuser() as admin:  # and is cut
        admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'strata_dagster'")
    with pytest.raises(OperationalError):
        ours.report_engine_event("cut off", run)
    ours.report_engine_event("answered again", run)
    planned, *words = _messages(ours, run)
    assert "intends to materialize" in planned
    assert words == ["cut off", "answered again"]


def test_an_event_that_cannot_be_stored_holds_up_no_other(ours: dg.DagsterInstance) -> None:
    run = ours.create_run_for_job(dg.Definitions(assets=[made]).resolve_implicit_global_asset_job_def())
    with pytest.raises((DBAPIError, ValueError)):
        ours.report_engine_event("good but for a \x00 byte", run, step_key="no \x00 text of PostgreSQL")
    ours.report_engine_event("the next", run)
    planned, word = _messages(ours, run)
    assert ("intends to materialize" in planned, word) == (True, "the next")
