"""Old history goes, and what is the newest of something stays; on Dagster's own storage."""
from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from platform_assets import upkeep
from platform_assets.greenit.definitions import defs
from resources.invariants import CONTENTS
from resources.orchestrator import instance
from resources.postgres import ORCHESTRATOR
from resources.run_retention import forget_runs
from resources.settings import settings
from tests.installation import Installation

KEYS = dg.StaticPartitionsDefinition(["a", "b"])
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dg.asset(partitions_def=KEYS)
def made() -> None: ...


@dg.asset_check(asset=made, partitions_def=KEYS)
def checked() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset(partitions_def=KEYS)
def broken() -> None:
    raise dg.Failure("as meant")


@pytest.fixture(scope="module")
def history(installation: Installation):
    """Runs by name, with the days since they ended: each partition twice, then one that failed; one that is not over."""
    before = dict(os.environ)
    opened = instance(installation.postgres)
    runs = {}

    def run(name, days, *parts, key="a", **tags):
        done = dg.materialize(list(parts), instance=opened, partition_key=key, raise_on_error=False, tags=tags)
        runs[name] = done.run_id
        ended(name, days)

    def ended(name, days, status=None):
        with installation.postgres.connect(ORCHESTRATOR, installation.postgres.names.dagster) as connection:
            connection.execute("UPDATE runs SET update_timestamp = %s, status = coalesce(%s, status) WHERE run_id = %s",
                               [(NOW - timedelta(days=days)).replace(tzinfo=None), status, runs[name]])
        (installation.settings.dagster_home / "storage" / runs[name]).mkdir(parents=True, exist_ok=True)

    run("old", 200, made, checked)
    run("old of b", 200, made, key="b")
    run("check only then", 190, made, checked)  # the last that was checked
    run("newest of a", 150, made)
    run("failed long ago", 140, broken)
    run("failed last", 130, broken)  # the newest run of a, of which no asset was made
    run("recent of b", 10, made, key="b")
    run("newest of b", 5, made, key="b")
    run("under way", 300, made, key="b")
    ended("under way", 300, "STARTED")
    run("newest of b again", 1, made, key="b")
    yield installation, opened, runs
    opened.dispose()
    os.environ.clear()
    os.environ.update(before)


def left(installation: Installation, runs) -> set[str]:
    with installation.postgres.connect(ORCHESTRATOR, installation.postgres.names.dagster) as connection:
        found = {run for (run,) in connection.execute("SELECT run_id FROM runs")}
        events = {run for (run,) in connection.execute("SELECT DISTINCT run_id FROM event_logs")}
    folders = {path.name for path in (installation.settings.dagster_home / "storage").iterdir()}
    assert found & {*runs.values()} == events & {*runs.values()} == folders & {*runs.values()}
    return {name for name, run in runs.items() if run in found}


def test_old_runs_go_with_their_events_and_logs_and_the_newest_of_everything_stays(history):
    installation, opened, runs = history
    gone = forget_runs(installation.postgres, NOW - timedelta(days=90))
    assert left(installation, runs) == set(runs) - {"old", "old of b", "failed long ago"}
    assert (gone.runs, gone.events > 10) == (3, True)
    assert forget_runs(installation.postgres, NOW - timedelta(days=90)).runs == 0  # again: nothing
    assert opened.get_materialized_partitions(made.key) == {"a", "b"}
    for key, name in (("a", "newest of a"), ("b", "newest of b again")):
        (shown,) = opened.fetch_materializations(dg.AssetRecordsFilter(made.key, asset_partitions=[key]), limit=1).records
        assert shown.run_id == runs[name]


def test_after_a_shorter_time_recent_ones_go_too_but_never_a_run_that_is_under_way(history):
    installation, _opened, runs = history
    forget_runs(installation.postgres, NOW - timedelta(days=3))
    assert left(installation, runs) == {"check only then", "newest of a", "failed last", "under way", "newest of b again"}


def test_the_days_are_a_setting_and_nonsense_is_refused(monkeypatch):
    monkeypatch.setenv("STRATA_HISTORY_DAYS", "30")
    assert settings().history_days == 30
    for bad in ("0", "-1", "soon", "1.5", "99999"):
        monkeypatch.setenv("STRATA_HISTORY_DAYS", bad)
        with pytest.raises(Exception, match="STRATA_HISTORY_DAYS is no number of days"):
            settings()


def test_the_schedule_runs_every_night_by_itself_and_all_four_in_one_job(history):
    schedule = defs.resolve_schedule_def(upkeep.GROUP)
    assert (schedule.cron_schedule, schedule.default_status) == ("30 2 * * *", dg.DefaultScheduleStatus.RUNNING)
    with dg.build_schedule_context(instance=history[1], scheduled_execution_time=NOW) as context:
        assert len(schedule.evaluate_tick(context).run_requests) == 1
    job = defs.resolve_job_def(upkeep.GROUP)
    assert job.asset_layer.executable_asset_keys == {upkeep.COST, upkeep.VERSIONS, upkeep.HISTORY, upkeep.VERIFIED}
    assert not {upkeep.COST, upkeep.VERSIONS} & defs.resolve_job_def("greenit_customer").asset_layer.executable_asset_keys


def test_the_job_runs_and_names_no_customer(history):
    installation, opened, _runs = history
    installation.declare("unspoken")
    done = defs.resolve_job_def(upkeep.GROUP).execute_in_process(instance=opened, raise_on_error=True)
    facts = {event.asset_key.path[-1]: {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
             for event in done.get_asset_materialization_events()}
    assert set(facts) == {"collected_versions", "forgotten_history", "platform_cost", "verified_customers"}
    assert facts["platform_cost"]["customers"] > 0
    found = {check.check_name: check.passed for check in done.get_asset_check_evaluations()}
    assert found[upkeep.PRICED]
    assert set(found) == {upkeep.PRICED, *CONTENTS}  # other tests' customers may be broken on purpose
    with installation.postgres.connect(ORCHESTRATOR, installation.postgres.names.dagster) as connection:
        assert connection.execute("SELECT count(*) FROM event_logs WHERE run_id = %s AND event ~ '\\munspoken\\M'", [done.run_id]).fetchone()[0] == 0
