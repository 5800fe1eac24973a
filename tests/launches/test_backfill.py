"""`strata backfill`: with a daemon a real backfill, without one the same here; and only what failed once more."""
from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from resources.backfills import targets_of
from tests.installation import inventory
from tests.launches.conftest import Daemons

BRONZE, SILVER = 'key:"greenit/bronze/equipment_inventory"', 'key:"greenit/silver/equipment"'
EQUIPMENT = f"{BRONZE} or {SILVER}"


def plan(daemons: Daemons, *words: str) -> dict:
    made = daemons.strata("backfill", "plan", *words, "--format", "json")
    assert made.exit_code == 0, made.output
    return json.loads(made.output)


def states(daemons: Daemons, name: str) -> dict[str, str]:
    [found] = json.loads(daemons.strata("backfill", "status", name, "--format", "json").output)
    return found["customers"]


def name_of(output: str) -> str:
    return next(line.partition(":")[0] for line in output.splitlines() if line.startswith(("request-", "release-")))


def test_a_plan_says_who_would_be_computed_and_makes_nothing(daemons: Daemons) -> None:
    daemons.declare("plan_a")
    daemons.declare("plan_b", status="paused")
    found = plan(daemons, "plan_a", "plan_b", "--select", BRONZE)
    assert found == {"customers": {"plan_a": ["greenit/bronze/equipment_inventory"]}, "reasons": {}, "skipped": {"plan_b": "paused"}}
    assert set(plan(daemons, "plan_b", "--even-if-paused")["customers"]) == {"plan_b"}
    assert {"plan_a"} <= set(plan(daemons)["customers"])  # nobody named: everybody
    assert daemons.backfills("plan_a") == []


def test_with_a_daemon_it_is_a_real_backfill_and_a_retry_computes_the_failed_customer_alone(daemons: Daemons) -> None:
    names = ["fleet_a", "fleet_b", "fleet_c"]
    for name in names:
        daemons.declare(name, size_class="giant" if name == "fleet_c" else "small")
    with daemons.alive():
        started = daemons.strata("backfill", "start", *names, "--select", EQUIPMENT, "--as-of", "2024-08-31")
        assert started.exit_code == 0, started.output
        order = name_of(started.output)
        [small], [giant] = daemons.backfills("fleet_a"), daemons.backfills("fleet_c")
        assert set(targets_of(small)) == {"fleet_a", "fleet_b"}
        assert small.title == f"{order}: 2 small customers, 2 assets"
        assert giant.backfill_id != small.backfill_id
        assert set(states(daemons, order).values()) == {"waiting"}
        daemons.submit()
        for name in names:
            [run] = daemons.runs(name)
            assert (run.tags["strata/as_of"], run.tags["strata/cause"]) == ("2024-08-31", "request")
            daemons.end(run, success=name != "fleet_b")
        assert states(daemons, order) == {"fleet_a": "succeeded", "fleet_b": "failed", "fleet_c": "succeeded"}
        listed = daemons.strata("backfill", "status").output
        assert f"{order:<34}     3 customers  1 failed, 2 succeeded" in listed

        retried = daemons.strata("backfill", "retry", order)
        assert retried.exit_code == 0, retried.output
        assert states(daemons, order)["fleet_b"] == "waiting"
        assert "nobody failed" in daemons.strata("backfill", "retry", order).output  # it is under way: not twice
        daemons.submit()
    assert [len(daemons.runs(name)) for name in names] == [1, 2, 1]
    again = daemons.runs("fleet_b")[0]
    assert again.tags["strata/as_of"] == "2024-08-31"
    assert again.asset_selection == {dg.AssetKey(["greenit", "bronze", "equipment_inventory"]), dg.AssetKey(["greenit", "silver", "equipment"])}
    daemons.end(again)
    assert set(states(daemons, order).values()) == {"succeeded"}


def test_an_order_that_is_given_again_before_it_began_is_carried_on(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command ends after it stored the giant's part and before the other one; the operator gives it again, and later once more."""
    names = ["again_a", "again_b"]
    for name in names:
        daemons.declare(name, size_class="giant" if name == "again_b" else "small")
    words = ["backfill", "start", *names, "--select", BRONZE]
    with daemons.alive():
        with monkeypatch.context() as patch:
            patch.setenv("FAILPOINT", "backfills.after_store:raise")
            assert daemons.strata(*words).exit_code == 1
        [stored] = daemons.backfills("again_b")
        assert daemons.backfills("again_a") == []
        again = daemons.strata(*words)
        assert f"{stored.tags['strata/backfill']} asks for the same and has not begun" in again.output
        assert [len(daemons.backfills(name)) for name in names] == [1, 1]
        assert set(states(daemons, stored.tags["strata/backfill"])) == set(names)
        assert "asks for the same" not in daemons.strata(*words, "--as-of", "2024-08-31").output
        daemons.submit()
        for run in daemons.runs("again_a") + daemons.runs("again_b"):
            daemons.end(run)
        assert "asks for the same" not in daemons.strata(*words).output  # who asks after it began means what came since
    assert [len(daemons.backfills(name)) for name in names] == [3, 3]


def test_an_unknown_backfill_is_named(daemons: Daemons) -> None:
    found = daemons.strata("backfill", "retry", "request-20240101T000000Z")
    assert found.exit_code == 1
    assert "there is no backfill 'request-20240101T000000Z'" in found.output


@pytest.fixture(scope="module")
def computed(everyone: Daemons, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A customer whose inventory came through bronze and silver."""
    everyone.declare("computed")
    file = inventory(tmp_path_factory.mktemp("files") / "inventory.csv", {"equipment_id": "e1"})
    everyone.made.land("computed", "equipment_inventory", [file])
    found = everyone.strata("launch", "computed", "--select", EQUIPMENT)
    assert found.exit_code == 0, found.output
    return "computed"


def test_without_a_daemon_it_runs_here_and_so_does_its_retry(daemons: Daemons, computed: str, tmp_path: Path) -> None:
    daemons.declare("undelivered")
    started = daemons.strata("backfill", "start", computed, "undelivered", "--select", BRONZE)
    assert started.exit_code == 1, started.output
    assert "no daemon is running" in started.output
    assert "1 of 2 customers succeeded" in started.output
    order = name_of(started.output)
    assert states(daemons, order) == {computed: "succeeded", "undelivered": "failed"}
    assert daemons.backfills(computed) == []
    daemons.made.land("undelivered", "equipment_inventory", [inventory(tmp_path / "late.csv", {"equipment_id": "e2"})])
    before = len(daemons.runs(computed))
    retried = daemons.strata("backfill", "retry", order)
    assert retried.exit_code == 0, retried.output
    assert (len(daemons.runs(computed)), len(daemons.runs("undelivered"))) == (before, 2)
    assert set(states(daemons, order).values()) == {"succeeded"}
    assert "nobody failed" in daemons.strata("backfill", "retry", order).output


def test_a_release_computes_what_it_has_not_reached_and_then_nothing(daemons: Daemons, computed: str) -> None:
    words = [computed, "--outdated", "--select", EQUIPMENT]
    assert plan(daemons, *words)["customers"] == {}
    forget(daemons, computed, "parameter_version = '000000000000@0123456789ab'")  # as if made by the parameters of an earlier commit
    assert plan(daemons, *words)["reasons"] == {computed: {"greenit/silver/equipment": "parameters"}}  # bronze reads none
    forget(daemons, computed, "code_version = 'older'")
    found = plan(daemons, *words)
    assert found["reasons"] == {computed: {"greenit/bronze/equipment_inventory": "code", "greenit/silver/equipment": "code"}}
    assert found["customers"] == {computed: ["greenit/bronze/equipment_inventory", "greenit/silver/equipment"]}
    before = daemons.made.versions(computed)
    done = daemons.strata("backfill", "start", *words)
    assert done.exit_code == 0, done.output
    assert name_of(done.output).startswith("release-")
    assert daemons.made.versions(computed) == before  # the content is the same, so no version is new
    assert plan(daemons, *words)["customers"] == {}  # and it is up to date all the same
    assert "nothing to compute" in daemons.strata("backfill", "start", *words).output


def test_what_depends_on_an_outdated_table_is_computed_too_and_a_table_without_a_version_is_new(daemons: Daemons, computed: str) -> None:
    found = plan(daemons, computed, "--outdated")
    assert found["reasons"][computed]["greenit/gold/impact"] == "new"
    assert {"greenit/gold/impact", "greenit/publication", "greenit/quarantine"} <= set(found["customers"][computed])
    assert "greenit/silver/equipment" not in found["customers"][computed]


def test_who_was_never_computed_is_not_out_of_date(daemons: Daemons) -> None:
    daemons.declare("never")
    assert plan(daemons, "never", "--outdated")["customers"] == {}


def forget(daemons: Daemons, name: str, change: str) -> None:
    with daemons.made.superuser(daemons.made.postgres.names.warehouse) as connection:
        connection.execute(f"UPDATE platform.table_version SET {change} WHERE customer_id = %s", [name])
