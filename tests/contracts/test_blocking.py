"""A customer whose data break a rule: nothing of it is published, readers keep the last good state, other customers go on.

The natural break: a bill of twelve lines, eleven with a ChargeCategory that FOCUS does not know. They go to quarantine, and with so many of them
the contract holds the figures back.
"""
from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dagster._serdes import serialize_value

from resources.postgres import WRITER
from tests.installation import Installation, Run, billing, inventory

BAD, GOOD = "block_a", "block_b"
USAGE = "greenit_silver.cloud_usage"
BESIDE = "greenit/gold/allocation"  # hosts and machines: it reads no bill
HUGE = "9" * 26  # kWh per year: fits silver's DECIMAL(38,12), its impact does not fit DECIMAL(38,18)


@pytest.fixture(scope="module")
def story(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Good bill of 10 hours → published; its replacement with a strange word → blocked; the correction of 20 hours → published."""
    folder = tmp_path_factory.mktemp("blocking")
    for name in (BAD, GOOD):
        installation.declare(name, reporting={"months": 2})
        installation.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {})])
    runs: dict[str, Run] = {}
    seen: dict[str, Any] = {}

    def deliver_and_run(step: str, *lines: dict[str, str]) -> None:
        installation.land(BAD, "cloud_billing", [billing(folder / f"{step}.csv", f"account-{BAD}", *lines)])
        runs[step] = installation.run(BAD)
        seen[step] = {"kpis": installation.kpis(BAD), "live": installation.query("SELECT * FROM platform.live_version ORDER BY table_name", customer=BAD),
                      "versions": installation.versions(BAD)}

    deliver_and_run("good", {"ConsumedQuantity": "10"})
    deliver_and_run("bad", {"ConsumedQuantity": "10"}, *[{"ChargeCategory": "Rental"}] * 11)
    installation.land(GOOD, "cloud_billing", [billing(folder / "other.csv", f"account-{GOOD}", {"ConsumedQuantity": "10"})])
    runs["other"] = installation.run(GOOD)
    seen["other"] = {"kpis": installation.kpis(GOOD)}
    deliver_and_run("corrected", {"ConsumedQuantity": "20"})
    return {"runs": runs, "seen": seen}


def cloud(kpis: list[dict[str, Any]]) -> Decimal:
    return sum(r["value"] for r in kpis if (r["domain"], r["criterion"], r["view"], str(r["period"])) == ("cloud", "GWP", "amortised", "2024-09-01"))


def test_the_good_delivery_was_published(story) -> None:
    assert story["runs"]["good"].success
    assert cloud(story["seen"]["good"]["kpis"]) > 0


def test_only_the_broken_rule_fails_and_the_run_with_it(story) -> None:
    run = story["runs"]["bad"]
    assert not run.success
    assert [name for name, passed in run.checks.items() if not passed] == ["cloud_usage.quarantined_share"]


def test_what_lies_downstream_of_the_broken_table_is_not_materialized(story) -> None:
    made = set(story["runs"]["bad"].materialized)
    upstream_or_beside = {key for key in story["runs"]["good"].materialized if key.startswith(("greenit/bronze/", "greenit/silver/"))} | {BESIDE}
    assert {"greenit/bronze/cloud_billing", "greenit/silver/cloud_usage", "greenit/silver/equipment", "greenit/silver/site"} <= made
    assert made <= upstream_or_beside


def test_the_verdict_is_failed_and_no_later_run_will_read_that_version(story) -> None:
    verdicts = [verdict for _, verdict, _ in story["seen"]["corrected"]["versions"][USAGE]]
    assert verdicts == ["passed", "failed", "passed"]


def test_readers_keep_the_last_good_state(story) -> None:
    good, bad = story["seen"]["good"], story["seen"]["bad"]
    assert bad["kpis"] == good["kpis"]
    assert bad["live"] == good["live"]
    assert {name: found for name, found in bad["versions"].items() if "_gold" in name or "_platinum" in name} == {
        name: found for name, found in good["versions"].items() if "_gold" in name or "_platinum" in name}


def test_another_customer_of_the_same_session_is_published(story) -> None:
    assert story["runs"]["other"].success
    assert cloud(story["seen"]["other"]["kpis"]) == cloud(story["seen"]["good"]["kpis"])  # the same ten hours


def test_the_corrected_delivery_is_published(story) -> None:
    """Twice the hours of the same instance are twice the impact (the last of 18 decimals is rounded)."""
    assert story["runs"]["corrected"].success
    assert round(cloud(story["seen"]["corrected"]["kpis"]), 15) == round(2 * cloud(story["seen"]["good"]["kpis"]), 15)
    before, after = ({row["table_name"]: row for row in story["seen"][step]["live"]} for step in ("good", "corrected"))
    changed = {name for name, row in after.items() if row["version"] != before[name]["version"]}
    assert {name: after[name]["previous_version"] for name in changed} == {name: before[name]["version"] for name in changed}
    assert {"greenit_gold.activity", "greenit_gold.impact", "greenit_platinum.kpi_monthly"} <= changed
    assert "greenit_gold.allocation" not in changed  # no bill is in it


def test_an_engine_that_cannot_compute_a_figure_fails_that_customer_without_telling_its_values(story, installation: Installation, tmp_path: Path) -> None:
    before = installation.kpis(GOOD)
    installation.land(GOOD, "equipment_inventory", [inventory(tmp_path / "huge.csv", {"equipment_id": "CANARY-huge", "energy_kwh_per_year": HUGE})])
    done = installation.run(GOOD)
    assert not done.success
    assert "greenit/publication" not in done.materialized
    assert list(done.failures) == ["greenit__gold__impact"]
    assert "ConversionException" in done.failures["greenit__gold__impact"]
    assert installation.kpis(GOOD) == before
    run = installation.instance.get_runs(limit=1)[0]
    told = "\n".join(serialize_value(entry) for entry in installation.instance.all_logs(run.run_id))
    assert json.dumps(done.failures["greenit__gold__impact"])[1:-1] in told
    assert "CANARY" not in told
    assert "Could not cast value" in told
    assert not re.search(r"cast value [^\\]", told)  # \u2026, the mask, stands where the engine names the figure
    assert installation.query("SELECT count(*) AS n FROM platform.table_version WHERE verdict = 'failed'", customer=GOOD, role=WRITER)[0]["n"] == 0
