"""What a run tells the steward: a broken rule, a full quarantine, a failure; and that it is over."""
from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from cli.launching import launch_all
from cli.main import strata
from partitions.customers import CUSTOMERS, customer
from platform_assets import notices
from platform_assets.greenit.definitions import defs
from resources.orchestrator import instance
from resources.postgres import WRITER
from tests.installation import Installation, billing, inventory

NAME = "told_a"
CANARY = "CANARY-value"


def of(installation: Installation, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    rows = installation.query("SELECT * FROM platform.notice", customer=name, role=WRITER)
    return {(row["kind"], row["subject"]): row for row in rows}


def tell(installation: Installation, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    notices.tell_of_newest_run(installation.postgres, installation.instance, [name])
    return of(installation, name)


@pytest.fixture(scope="module")
def story(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """Good → a bill of twelve lines, eleven with a word that FOCUS does not know, and two laptops, one of them in Atlantis → both corrected."""
    folder = tmp_path_factory.mktemp("told")
    installation.declare(NAME, reporting={"months": 2})
    seen = {}
    for step, lines, country in (("good", [{}], "FR"), ("bad", [{}, *[{"ChargeCategory": CANARY}] * 11], "Atlantis"), ("corrected", [{}, {"SkuId": "S2"}], "DE")):
        installation.land(NAME, "equipment_inventory", [inventory(folder / f"{step}.csv", {}, {"country": country})])
        installation.land(NAME, "cloud_billing", [billing(folder / f"{step}b.csv", f"account-{NAME}", *lines)])
        installation.run(NAME)
        seen[step] = tell(installation, NAME)
        seen[f"{step} again"] = tell(installation, NAME)
    return seen


def test_a_good_run_tells_nothing(story) -> None:
    assert story["good"] == {}


def test_a_broken_rule_is_told_with_table_rule_and_what_stays(story) -> None:
    told = story["bad"]["publication_blocked", "greenit_silver.cloud_usage"]
    assert (told["rule"], told["problem"]) == ("quarantined_share", "1 of its rules are broken; what was published before stays")
    assert told["fix"] == "look at the rule's result, repair the source and land it again"
    assert told["link"].endswith("/assets/greenit/silver/cloud_usage?view=checks")


def test_a_filled_quarantine_is_told_with_its_share(story) -> None:
    told = story["bad"]["quarantine_filled", "greenit_silver.equipment"]
    assert told["problem"].startswith("1 rows (50.00%) are in quarantine")
    assert story["bad"]["quarantine_filled", "greenit_silver.cloud_usage"]["problem"].startswith("11 rows (91.67%) are in quarantine, more than the ")
    assert told["fix"].startswith(f"`strata quarantine list {NAME}`")


def test_a_broken_rule_is_no_failed_run_besides(story) -> None:
    assert len(story["bad"]) == 3
    assert {kind for kind, _ in story["bad"]} == {"publication_blocked", "quarantine_filled"}


def test_the_corrected_run_ends_the_trouble(story) -> None:
    assert {key for key, row in story["corrected"].items() if row["solved_at"] is None} == set()
    assert len(story["corrected"]) == 3


def test_telling_a_run_twice_changes_nothing(story) -> None:
    for step in ("good", "bad"):
        assert story[step] == story[f"{step} again"]


def test_the_steward_got_each_once_and_no_value(story, installation: Installation) -> None:
    lines = [json.loads(line) for line in (installation.settings.home / "notices" / "dev.jsonl").read_text().splitlines()]
    mine = sorted((line["kind"], line["table"], line["seen"]) for line in lines if line["customer"] == NAME)
    assert mine == [("publication_blocked", "greenit_silver.cloud_usage", 1), ("quarantine_filled", "greenit_silver.cloud_usage", 1), ("quarantine_filled", "greenit_silver.equipment", 1)]
    assert CANARY not in str(lines)
    assert CANARY not in str(story)


def test_a_failed_step_is_told_with_its_reason_until_it_succeeds(installation: Installation, tmp_path: Path) -> None:
    name = "told_failed"
    installation.declare(name)
    installation.land(name, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{name}", {})])
    accepted = {"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["somebody-else"]}}
    installation.declare(name, sources=accepted)
    assert not installation.run(name, ["greenit/bronze/cloud_billing"]).success
    told = tell(installation, name)["run_failed", "greenit_bronze.cloud_billing"]
    assert "1 rows belong to an owner that this customer does not list" in told["problem"]
    assert told["solved_at"] is None
    assert not installation.run(name, ["greenit/bronze/cloud_billing"]).success
    assert tell(installation, name)["run_failed", "greenit_bronze.cloud_billing"]["seen"] == 2
    installation.declare(name)
    assert installation.run(name, ["greenit/bronze/cloud_billing"]).success
    assert tell(installation, name)["run_failed", "greenit_bronze.cloud_billing"]["solved_at"] is not None


def test_an_error_that_is_not_ours_shows_its_class_alone(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fail point raises a RuntimeError, whose words could be anything."""
    name = "told_class"
    installation.declare(name)
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "i.csv", {})])
    monkeypatch.setenv("FAILPOINT", "lake.before_commit:raise")
    assert not installation.run(name, ["greenit/bronze/equipment_inventory"]).success
    assert tell(installation, name)["run_failed", "greenit_bronze.equipment_inventory"]["problem"] == "RuntimeError"


def test_an_old_run_that_is_told_late_opens_nothing(installation: Installation, tmp_path: Path) -> None:
    name = "told_late"
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": [f"account-{name}"]}})
    installation.land(name, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{name}", {})])
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["x"]}})
    assert not installation.run(name, ["greenit/bronze/cloud_billing"]).success
    [failed] = installation.instance.get_runs(dg.RunsFilter(tags={notices.PARTITION_TAG: name}))
    installation.declare(name)
    assert installation.run(name, ["greenit/bronze/cloud_billing"]).success
    notices.tell_of_run(installation.postgres, installation.instance, failed)
    assert of(installation, name) == {}


def test_a_stale_source_is_told_each_day_once_and_settled_by_its_delivery(installation: Installation, tmp_path: Path) -> None:
    name = "told_stale"
    found = installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["a"], "expected": {"every": "month"}}})
    installation.land(name, "cloud_billing", [billing(tmp_path / "1.csv", "a", {})], "2024-09")
    with installation.postgres.connect(WRITER, customer=name, autocommit=True) as connection:
        connection.execute("UPDATE platform.delivery SET landed_at = '2024-10-02 08:00+00'")
        for day in (date(2024, 10, 31), date(2024, 11, 1), date(2024, 11, 1), date(2024, 11, 2)):
            notices.stale(connection, found, day)
        told = of(installation, name)["source_stale", "cloud_billing"]
        assert (told["seen"], told["solved_at"]) == (2, None)  # due and late on 1 November already: there is no grace
        assert told["problem"] == "the newest delivery reaches until 2024-09-30; the next one is due since 2024-11-01 and late from 2024-11-01 on"
    now = datetime.now(UTC)
    installation.land(name, "cloud_billing", [billing(tmp_path / "2.csv", "a", {"SkuId": "S2"})], f"{now:%Y-%m}")
    assert of(installation, name)["source_stale", "cloud_billing"]["solved_at"] is not None


def test_a_source_that_nobody_expects_any_more_is_no_trouble(installation: Installation) -> None:
    name = "told_unexpected"
    source = {"format": "focus_1_0", "accepted_owners": ["a"]}
    for expected, is_open in (({"expected": {"every": "day"}}, True), ({}, False)):
        found = installation.declare(name, sources={"cloud_billing": {**source, **expected}})
        with installation.postgres.connect(WRITER, customer=name, autocommit=True) as connection:
            notices.stale(connection, found)
        assert (of(installation, name)["source_stale", "cloud_billing"]["solved_at"] is None) == is_open


def test_the_command_tells_what_is_missing_and_exits_with_1_while_a_sink_does_not_take_it(
        installation: Installation, monkeypatch: pytest.MonkeyPatch, webhook) -> None:
    name = "told_command"
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "expected": {"every": "month"}}})
    monkeypatch.setenv("STRATA_NOTIFY", webhook.url)
    said = []
    for answer in (500, 204, 204):
        webhook.answer = answer
        done = CliRunner().invoke(strata, ["notify", name])
        said.append((done.exit_code, done.output.strip()))
    assert said == [(1, f"{name}: 0 notices sent, 1 unsent: the webhook answered 500"), (0, f"{name}: 1 notices sent"), (0, f"{name}: 0 notices sent")]


# Dagster's sensors


def sensor(name: str) -> Any:
    return next(found for found in defs.sensors if found.name == name)


def test_the_failed_run_sensor_tells_the_steward(installation: Installation, tmp_path: Path) -> None:
    name = "told_sensor"
    installation.declare(name)
    installation.land(name, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{name}", {})])
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["x"]}})
    result = defs.resolve_job_def("greenit_customer").execute_in_process(
        partition_key=name, instance=installation.instance, raise_on_error=False, asset_selection=[dg.AssetKey(["greenit", "bronze", "cloud_billing"])])
    context = dg.build_run_status_sensor_context("failed_runs", result.get_run_failure_event(), installation.instance, result.dagster_run)
    said = sensor("failed_runs")(context)
    assert said.skip_message == "1 notices sent, 0 unsent"
    assert set(of(installation, name)) == {("run_failed", "greenit_bronze.cloud_billing")}


def test_a_tick_of_the_stale_sensor_sends_again_what_a_sink_did_not_take(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                                        webhook) -> None:
    name = "told_tick"
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "expected": {"every": "week", "grace_days": 1}}})
    shutil.copy(installation.settings.customers / f"{name}.yaml", tmp_path)
    monkeypatch.setenv("STRATA_CUSTOMERS", str(tmp_path))
    monkeypatch.setenv("STRATA_NOTIFY", webhook.url)
    said = []
    for answer in (500, 200, 200):
        webhook.answer = answer
        said.append(sensor("stale_sources")(dg.build_sensor_context(instance=installation.instance)).skip_message)
    assert said == ["0 notices sent, 1 unsent", "1 notices sent, 0 unsent", "0 notices sent, 0 unsent"]
    body = json.loads(webhook.posted[1][2])
    assert (body["customer"], body["kind"], body["problem"]) == (name, "source_stale", "a delivery is expected every week, and none ever came")


def test_the_sensors_run_without_anybody_switching_them_on() -> None:
    assert {found.name: found.default_status for found in defs.sensors} == dict.fromkeys(
        ("customers_folder", "failed_runs", "finished_runs", "refreshes", "stale_sources"), dg.DefaultSensorStatus.RUNNING)


def test_a_launch_in_process_tells_by_itself(installation: Installation, tmp_path: Path) -> None:
    name = "told_launch"
    found = installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["x"]}})
    installation.declare(name)
    installation.land(name, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{name}", {})])
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["x"]}})
    assert customer(name, installation.settings.customers) == found
    dagster = instance(installation.postgres)
    try:
        dagster.add_dynamic_partitions(CUSTOMERS.name, [name])
        assert launch_all(installation.postgres, [name], "group:bronze", None) == {name: False}
    finally:
        dagster.dispose()
    row = of(installation, name)["run_failed", "greenit_bronze.cloud_billing"]
    assert (row["seen"], row["sent_at"] is not None) == (1, True)
