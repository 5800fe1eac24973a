"""What the sensor `refreshes` sends: whoever is due, once, as a real backfill per size class, whatever happened to its cursor or the daemon.

The schedule ticks at New Year alone, so that no test meets a second tick.
"""
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from partitions.schedules import newest_tick
from platform_assets.refreshes import TRIES, Wish, sorted_out
from resources.backfills import Launched, targets_of
from tests.launches.conftest import Daemons

NEW_YEAR, LONG_AGO = "0 0 1 1 *", "2020-01-01T00:00Z"
TICK = newest_tick(NEW_YEAR, "Europe/Paris", datetime.now(UTC))
EQUIPMENT = {"greenit/bronze/equipment_inventory", "greenit/silver/equipment", "greenit/gold/activity", "greenit/gold/impact", "greenit/publication", "greenit/quarantine"}


def due(daemons: Daemons, *names: str, **changes: object) -> None:
    """Customers whose tick passed and who were there before it."""
    for name in names:
        daemons.declare(name, **{"schedule": NEW_YEAR, **changes})
        daemons.joined_at(name, LONG_AGO)


def tables(backfill) -> set[str]:
    return {key.to_user_string() for keys in targets_of(backfill).values() for key in keys}


def test_due_customers_go_as_one_backfill_per_size_class_and_only_once(daemons: Daemons) -> None:
    due(daemons, "due_a", "due_b")
    due(daemons, "due_big", size_class="giant")
    daemons.look(None)
    [small], [giant] = daemons.backfills("due_a"), daemons.backfills("due_big")
    assert {"due_a", "due_b"} <= set(targets_of(small))
    assert set(targets_of(giant)) == {"due_big"}
    assert (small.tags["strata/size_class"], giant.tags["strata/size_class"]) == ("small", "giant")
    assert small.tags["strata/backfill"] == giant.tags["strata/backfill"]
    daemons.look()
    daemons.submit()
    daemons.look()
    for name in ("due_a", "due_b", "due_big"):
        [run] = daemons.runs(name)  # everything of a customer is one run, and it waits in the queue
        assert run.status == dg.DagsterRunStatus.QUEUED
        assert run.tags["strata/cause"] == "schedule"
        assert "dagster/max_runtime" in run.tags
        assert {"greenit/publication", "greenit/quarantine"} <= {key.to_user_string() for key in run.asset_selection}
        steps = daemons.instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id).step_keys_to_execute
        assert "greenit_gold_impact_rules" in steps  # the checks come along
        assert len(daemons.backfills(name)) == 1


def test_a_lost_cursor_sends_nothing_twice(daemons: Daemons) -> None:
    due(daemons, "lost")
    for _ in range(3):
        daemons.look(None)
    daemons.submit()
    daemons.look(None)
    [run] = daemons.runs("lost")
    daemons.end(run, success=False)
    daemons.look(None)
    assert len(daemons.backfills("lost")) == 1  # a run that failed was tried: the next tick is the next try


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_daemon_that_dies_beside_the_making_of_a_backfill_makes_it_once(daemons: Daemons, monkeypatch: pytest.MonkeyPatch, dies: str) -> None:
    due(daemons, f"once_{dies}")
    add = daemons.instance.add_backfill

    def dying(backfill) -> None:
        if dies == "after":
            add(backfill)
        raise ConnectionError("the daemon ends here")

    with monkeypatch.context() as patch:
        patch.setattr(daemons.instance, "add_backfill", dying)
        daemons.look(None, is_to_fail=True)
    daemons.look(is_to_fail=dies == "after")  # Dagster takes the reserved backfill up once more, and finds it there already
    daemons.look()
    daemons.look(None)
    assert len(daemons.backfills(f"once_{dies}")) == 1


class Killed(BaseException):
    """What no handler of errors catches, like a kill."""


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_daemon_that_dies_while_it_queues_runs_queues_each_once(daemons: Daemons, monkeypatch: pytest.MonkeyPatch, dies: str) -> None:
    """It ends beside the second of three runs; the next daemon takes the backfill up."""
    names = [f"queued_{dies}_{letter}" for letter in "abc"]
    due(daemons, *names)
    daemons.look(None)
    submit, submitted = daemons.instance.submit_run, []

    def dying(run_id: str, *more: object, **named: object) -> dg.DagsterRun:
        submitted.append(run_id)
        if len(submitted) == 2 and dies == "before":
            raise Killed
        run = submit(run_id, *more, **named)
        if len(submitted) == 2:
            raise Killed
        return run

    with monkeypatch.context() as patch:
        patch.setattr(daemons.instance, "submit_run", dying)
        with pytest.raises(Killed):
            daemons.submit()
    assert sum(len(daemons.runs(name)) for name in names) >= 1
    for _ in range(3):
        daemons.submit()
    assert [len(daemons.backfills(name)) for name in names] == [1, 1, 1]
    assert [[run.status for run in daemons.runs(name)] for name in names] == [[dg.DagsterRunStatus.QUEUED]] * 3


def test_what_an_operator_cancels_stays_canceled(daemons: Daemons) -> None:
    due(daemons, "unwanted", "unwanted_too")
    daemons.look(None)
    daemons.submit()
    daemons.instance.report_run_canceled(daemons.runs("unwanted")[0])
    daemons.settle()
    daemons.look(None)
    assert [len(daemons.backfills(name)) for name in ("unwanted", "unwanted_too")] == [1, 1]


def test_days_without_a_daemon_are_made_up_once(daemons: Daemons) -> None:
    due(daemons, "missed", schedule="0 * * * *")
    daemons.look((datetime.now(UTC) - timedelta(days=9)).isoformat())
    assert len(daemons.backfills("missed")) == 1


def test_paused_and_leaving_customers_are_skipped_and_who_joins_or_resumes_waits_for_the_next_tick(daemons: Daemons) -> None:
    due(daemons, "pauses", status="paused")
    due(daemons, "leaves_soon")
    daemons.declare("leaves_soon", schedule=NEW_YEAR, status="leaving")
    daemons.joined_at("leaves_soon", LONG_AGO)
    due(daemons, "resumes", status="paused")
    daemons.declare("resumes", schedule=NEW_YEAR)  # applied now, after the tick
    daemons.declare("joins_now", schedule=NEW_YEAR)
    daemons.look(None)
    assert [daemons.backfills(name) for name in ("pauses", "leaves_soon", "resumes", "joins_now")] == [[], [], [], []]
    daemons.joined_at("joins_now", (TICK - timedelta(seconds=1)).isoformat())
    daemons.look(None)
    assert len(daemons.backfills("joins_now")) == 1


def test_a_file_that_does_not_validate_stops_nobody_else(daemons: Daemons) -> None:
    due(daemons, "stays_due")
    broken = daemons.made.settings.customers / "broken_file.yaml"
    broken.write_text("name: [")
    try:
        daemons.look(None)
    finally:
        broken.unlink()
    assert len(daemons.backfills("stays_due")) == 1


def test_a_backfill_that_fails_before_any_run_is_tried_again_and_then_given_up(daemons: Daemons) -> None:
    due(daemons, "unlucky")
    for look in range(TRIES + 2):
        daemons.look(*[] if look else [None])
        for backfill in daemons.backfills("unlucky"):
            daemons.instance.update_backfill(backfill.with_status(BulkActionStatus.FAILED))
    assert len(daemons.backfills("unlucky")) == TRIES


def test_a_delivery_starts_what_depends_on_it_once_the_customer_is_quiet(daemons: Daemons, tmp_path) -> None:
    daemons.declare("delivers", triggers=["delivery"])
    daemons.declare("asks", triggers=[])
    for name in ("delivers", "asks"):
        register_delivery(daemons, name, "equipment_inventory")
        publish(daemons, name)
    daemons.look()
    assert daemons.backfills("delivers") == []  # another file may follow
    for name in ("delivers", "asks"):
        delivered_at(daemons, name, "interval '2 minutes'")
    daemons.look()
    [found] = daemons.backfills("delivers")
    assert found.tags["strata/cause"] == "delivery"
    assert tables(found) >= EQUIPMENT
    assert not {"greenit/bronze/cloud_billing", "greenit/silver/cloud_usage", "greenit/silver/saas_contract"} & tables(found)
    daemons.submit()
    daemons.look()
    assert len(daemons.runs("delivers")) == len(daemons.backfills("delivers")) == 1
    assert daemons.backfills("asks") == []


def test_before_the_first_publication_a_delivery_starts_everything(daemons: Daemons) -> None:
    daemons.declare("starts", triggers=["delivery"])
    register_delivery(daemons, "starts", "equipment_inventory")
    delivered_at(daemons, "starts", "interval '2 minutes'")
    daemons.look()
    [found] = daemons.backfills("starts")
    assert "greenit/bronze/cloud_billing" in tables(found)


def test_a_delivery_and_a_tick_at_the_same_look_are_one_launch(daemons: Daemons) -> None:
    due(daemons, "both", triggers=["delivery"])
    register_delivery(daemons, "both", "equipment_inventory")
    publish(daemons, "both")
    delivered_at(daemons, "both", "interval '2 minutes'")
    daemons.look(None)
    daemons.submit()
    daemons.look()
    [found] = daemons.backfills("both")
    assert found.tags["strata/cause"] == "schedule"
    assert "greenit/bronze/cloud_billing" in tables(found)
    assert len(daemons.runs("both")) == 1


def test_a_table_computed_alone_starts_what_is_behind_it_where_the_customer_asks_for_that(daemons: Daemons) -> None:
    for name, triggers in (("eager", ["upstream"]), ("lazy", [])):
        daemons.declare(name, triggers=triggers)
        register_version(daemons, name, "greenit_silver.equipment", 1, {})
        register_version(daemons, name, "greenit_gold.activity", 2, {"greenit_silver.equipment": 1})
    daemons.look()
    assert daemons.backfills("eager") == []
    for name in ("eager", "lazy"):
        register_version(daemons, name, "greenit_silver.equipment", 3, {})
    daemons.look()
    [found] = daemons.backfills("eager")
    assert found.tags["strata/cause"] == "upstream"
    assert "greenit/gold/activity" in tables(found)
    assert "greenit/silver/equipment" not in tables(found)
    assert daemons.backfills("lazy") == []


# what waits and what is covered, on rows by hand

EVERYTHING, PART = frozenset({dg.AssetKey("a"), dg.AssetKey("b")}), frozenset({dg.AssetKey("b")})
SEVEN = datetime(2024, 1, 15, 7, tzinfo=UTC)


@pytest.mark.parametrize(("keys", "begun", "is_over", "goes"), [
    (None, 5, True, False), (None, 0, True, False), (EVERYTHING, 5, False, False), (EVERYTHING, None, False, False),  # began at the tick or later
    (None, -5, True, True), (PART, 5, True, True), (frozenset(), 5, True, True),  # read before the tick, or not everything
    (None, -5, False, None), (PART, None, False, None), (PART, 5, False, None),  # under way without covering: wait for its end
])
def test_a_tick_is_covered_by_what_reads_later_and_waits_for_what_is_under_way(keys, begun, is_over, goes) -> None:
    wish = Wish(EVERYTHING, SEVEN, "schedule")
    at = SEVEN + timedelta(minutes=begun) if begun is not None else None
    go, wait = sorted_out({"acme": [wish]}, {"acme": [Launched("acme", keys, at, is_over)]}, SEVEN + timedelta(minutes=6))
    assert (bool(go), bool(wait)) == (goes is True, goes is None)


def test_several_wishes_of_a_customer_are_one_launch_and_an_unripe_one_waits_alone() -> None:
    tick, delivery = Wish(EVERYTHING, SEVEN, "schedule"), Wish(PART, SEVEN + timedelta(seconds=9), "delivery")
    assert sorted_out({"acme": [delivery, tick]}, {}, SEVEN + timedelta(minutes=1)) == ({"acme": Wish(EVERYTHING, delivery.since, "schedule")}, {})
    unripe = Wish(PART, SEVEN, "delivery", ripe=SEVEN + timedelta(minutes=2))
    assert sorted_out({"acme": [unripe, tick]}, {}, SEVEN + timedelta(minutes=1)) == ({"acme": tick}, {"acme": [unripe]})


# rows of the registry


def execute(daemons: Daemons, statement: str, *values: object) -> None:
    with daemons.made.superuser(daemons.made.postgres.names.warehouse) as connection:
        connection.execute(statement, values)


def register_delivery(daemons: Daemons, name: str, source: str) -> None:
    execute(daemons, """INSERT INTO platform.delivery (customer_id, source, period, sequence, sha256, file_name, path, bytes, rows, faulty, blank, format, header)
        VALUES (%s, %s, '2024-09-01', 1, %s, 'f.csv', 'f.csv', 1, 1, 0, 0, 'strata_1', '{a}')""", name, source, "0" * 64)


def delivered_at(daemons: Daemons, name: str, ago: str) -> None:
    execute(daemons, f"UPDATE platform.delivery SET landed_at = now() - {ago} WHERE customer_id = %s", name)


def publish(daemons: Daemons, name: str) -> None:
    execute(daemons, "INSERT INTO platform.publication (customer_id, domain, run_id, versions) VALUES (%s, 'greenit', '', '{}')", name)


def register_version(daemons: Daemons, name: str, table: str, number: int, inputs: dict[str, int]) -> None:
    execute(daemons, """INSERT INTO platform.table_version (customer_id, table_name, version, run_id, code_version, parameter_version, contract_version,
        inputs, row_count, quarantined_count, content_hash, fence, verdict) VALUES (%s, %s, %s, 'none', '', '', '', %s::jsonb, 0, 0, '', 1, 'passed')""",
            name, table, number, str(inputs).replace("'", '"'))
