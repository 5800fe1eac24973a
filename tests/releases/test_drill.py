"""One factor and one formula are changed on a branch, and the release goes its whole way: tried, held, approved, promoted ring by ring, taken back.

What belongs here: the path of a release by its commands, on two customers in staging and in prod. What does not: parts of it (test_plan.py,
test_approval.py).
"""
from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resources.postgres import WRITER
from tests.releases.project import Project, project_in

pytestmark = pytest.mark.release
CUSTOMERS = {"aster": "DE", "borea": "FR"}
FACTOR = ("parameters/grid_factor.csv", "owid-deu-2024-gwp,DEU,2024,GWP,0.34413992", "owid-deu-2024-gwp,DEU,2024,GWP,0.44413992")
FORMULA = ("platform_assets/greenit/gold/use_phase.py", "return quantity * kwh_per_year * days / DAYS_PER_YEAR * usage_rate",
           "return quantity * kwh_per_year * days / DAYS_PER_YEAR * usage_rate * 1.02")
MONTH = "2024-09"


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """Two customers published by v1 in prod and, from prod's bronze, in staging; the branch release/2 changes a factor and a formula."""
    folder = Path(tempfile.mkdtemp(prefix="strata-release-"))
    with project_in(folder) as made:
        made.declare("aster", "DE", ring=1, contacts=[{"role": "sustainability office", "email": "green@example.org"}])
        made.declare("borea", "FR")
        made.commit("base")
        made.git("tag", "v1")
        made.strata("prod", "customers", "apply")
        for name, country in CUSTOMERS.items():
            made.deliver(name, country)
            made.hand_over(name)
        made.strata("staging", "customers", "apply")
        for environment in ("prod", "staging"):
            made.strata(environment, "launch", *CUSTOMERS)
        made.git("checkout", "-q", "-b", "release/2")
        made.replace(*FACTOR)
        made.commit("Grid factor of Germany for 2024 as published again")
        made.replace(*FORMULA)
        made.commit("Losses of chargers counted")
        yield made


@pytest.fixture(scope="module")
def before(project: Project) -> dict[str, dict[str, dict[str, str]]]:
    """Environment -> customer -> table -> hash of what is live, before anything of the release was done."""
    return {environment: {name: project.live_hashes(environment, name) for name in CUSTOMERS} for environment in ("staging", "prod")}


@pytest.fixture(scope="module")
def tried(project: Project, before: dict[str, Any]) -> str:
    """What `release impact` says."""
    return project.strata("staging", "release", "impact", "v2", "--base", "v1", "--out", str(project.folder / "out"), code=None)


@pytest.fixture(scope="module")
def approved(project: Project, tried: str) -> str:
    """The approval, merged; the release is tagged and is what prod runs from here on."""
    project.strata("staging", "release", "approve", "v2", "--by", "data-steward", "--why", "the factor was published again")
    text = (project.root / "releases" / "v2" / "expected.yaml").read_text()
    tagged(project, text)
    return text


def tagged(project: Project, approval: str) -> None:
    (project.root / "releases" / "v2" / "expected.yaml").write_text(approval)
    project.commit("What v2 may move")
    project.git("tag", "-f", "v2")


def moved(project: Project, customer: str) -> dict[str, dict[str, Any]]:
    rows = project.query("staging", customer, "SELECT * FROM platform.release_movement WHERE release = 'v2' AND month = '2024-09-01'", role=WRITER)
    return {row["kpi"]: row for row in rows}


def standing(project: Project) -> dict[str, str]:
    """Customer -> why its live figures are of their release."""
    newest = "SELECT cause FROM platform.release ORDER BY number DESC LIMIT 1"
    return {name: project.query("prod", name, newest, role=WRITER)[0]["cause"] for name in CUSTOMERS}


def test_a_plan_names_the_changed_tables_and_computes_nothing(project: Project, before: dict[str, Any]) -> None:
    said = json.loads(project.strata("staging", "release", "plan", "--base", "v1", "--format", "json"))
    assert said["changed"]["greenit_gold.activity"] == ["code", "parameters"]
    assert said["changed"]["greenit_gold.coverage"] == ["text"]
    assert said["parameters"] == ["parameters/grid_factor"]
    assert not said["libraries"]
    assert not said["shared"]
    assert "greenit_silver.equipment" not in said["computed"]
    assert {"greenit_gold.impact", "greenit_platinum.metric_monthly"} <= set(said["computed"])


def test_the_trial_names_exactly_who_moves_by_how_much_and_why(project: Project, tried: str) -> None:
    """E × f: the formula makes 2 % more energy, the factor 0.44413992 / 0.34413992 = 1.290579 in Germany alone; both 1.02 × 1.290579 = 1.316391."""
    aster, borea = moved(project, "aster"), moved(project, "borea")
    use = aster["scope2_location"]
    assert use["after"] / use["before"] == pytest.approx(1.02 * 0.44413992 / 0.34413992, rel=1e-9)
    assert use["by_code"] / use["before"] == pytest.approx(0.02, rel=1e-6)
    assert use["by_parameters"] / use["before"] == pytest.approx(1.02 * (0.44413992 / 0.34413992 - 1), rel=1e-6)
    assert borea["scope2_location"]["after"] / borea["scope2_location"]["before"] == pytest.approx(1.02, rel=1e-6)
    assert all(row["by_parameters"] == 0.0 for row in borea.values())
    assert all(row["by_data"] == row["by_libraries"] == 0.0 for row in [*aster.values(), *borea.values()])
    assert "cloud_total" not in aster
    assert "manufacturing" not in aster
    assert "Losses of chargers counted" in tried
    assert "owid-deu-2024-gwp: value 0.34413992 → 0.44413992" in tried


def test_its_suites_pass_and_the_base_has_no_noise(project: Project, tried: str) -> None:
    for name in CUSTOMERS:
        row = project.query("staging", name, "SELECT * FROM platform.release_trial WHERE release = 'v2'", role=WRITER)[0]
        assert (row["outcome"], row["noise"], row["problems"]) == ("compared", 0, {})
        assert row["tables"]["greenit_gold.impact"]["added"] == row["tables"]["greenit_gold.impact"]["removed"] == 0
        assert row["tables"]["greenit_gold.impact"]["changed"] > 0
        assert row["base_seconds"] > 0


def test_the_report_is_a_page_that_loads_nothing(project: Project, tried: str) -> None:
    page = (project.folder / "out" / "report.html").read_text()
    assert "scope2_location" in page
    assert "<svg" in page
    assert "src=" not in page
    assert "http" not in page.partition("<body>")[2]


def test_staging_shows_what_it_showed_before_the_trial(project: Project, tried: str, before: dict[str, Any]) -> None:
    assert {name: project.live_hashes("staging", name) for name in CUSTOMERS} == before["staging"]


def test_without_an_approval_nobody_is_reached(project: Project, tried: str) -> None:
    project.git("tag", "v2")
    assert "v2 is not approved" in project.strata("prod", "release", "promote", "v2", code=1)
    assert standing(project) == {"aster": "first", "borea": "first"}
    said = json.loads(project.strata("prod", "release", "status", "--format", "json"))
    assert {name: one["waits"] for name, one in said.items()} == {"aster": True, "borea": True}


def test_a_run_of_the_new_code_is_turned_away_before_it_reads_anything(project: Project, tried: str, before: dict[str, Any]) -> None:
    said = project.strata("prod", "launch", "aster", code=1)
    assert "differs in code and parameters" in said
    assert "release promote" in said
    assert project.live_hashes("prod", "aster") == before["prod"]["aster"]


def test_a_trial_where_customers_look_is_refused(project: Project, tried: str) -> None:
    assert "try the release in staging" in project.strata("prod", "release", "impact", "v2", "--base", "v1", code=1)


def test_an_unexpected_movement_holds_back_that_customer_alone(project: Project, approved: str, before: dict[str, Any]) -> None:
    """The approval says nothing of borea's water: aster, in the first ring, is reached; borea stays as it was."""
    tagged(project, "".join(line for line in approved.splitlines(keepends=True) if "borea" not in line or "kpi: water" not in line))
    said = project.strata("prod", "release", "promote", "v2", code=1)
    assert said.index("ring 1: aster") < said.index("ring 2: borea")
    assert "release_movements_are_expected" in said
    assert standing(project) == {"aster": "promoted", "borea": "first"}
    assert project.live_hashes("prod", "borea") == before["prod"]["borea"]
    tagged(project, approved)


def test_an_approved_release_reaches_the_others_and_figures_are_those_of_the_trial(project: Project, approved: str) -> None:
    project.strata("prod", "release", "promote", "v2")
    assert standing(project) == {"aster": "promoted", "borea": "promoted"}
    for name in CUSTOMERS:
        live, expected = project.metrics("prod", name), moved(project, name)
        assert {kpi: live[kpi, MONTH] for kpi in expected} == {kpi: row["after"] for kpi, row in expected.items()}
    assert "nobody waits" in project.strata("prod", "release", "promote", "v2")


def test_a_promoted_customer_is_computed_as_before(project: Project, tried: str) -> None:
    project.strata("prod", "launch", "aster")
    assert standing(project)["aster"] == "promoted"


def test_a_release_that_has_changed_since_it_was_approved_reaches_nobody(project: Project, approved: str) -> None:
    project.git("checkout", "-q", "-b", "release/2.1")
    project.replace("platform_assets/greenit/gold/use_phase.py", "usage_rate * 1.02", "usage_rate * 1.03")
    project.commit("More losses")
    project.git("tag", "v2.1")
    try:
        assert "has changed since it was approved" in project.strata("prod", "release", "promote", "v2", code=1)
        assert "has changed since it was tried" in project.strata("staging", "release", "approve", "v2", "--by", "x", "--why", "y", code=1)
    finally:
        project.git("checkout", "-q", "release/2")


def test_a_customer_is_told_what_its_steward_has_read_once_it_has_the_figures(project: Project, approved: str) -> None:
    for environment in ("staging", "prod"):  # what the trial foresaw, and what the promotion did
        letter = project.strata(environment, "release", "notice", "v2", "aster")
        assert "scope2_location" in letter
        assert "(+31.64 %)" in letter
        assert "Losses of chargers counted" in letter
        assert "owid-deu-2024-gwp" in letter
        assert "not reviewed yet" in letter
    assert "0 notices sent" in project.strata("prod", "release", "tell", "v2")
    project.strata("prod", "release", "notice", "v2", "aster", "--reviewed-by", "data-steward")
    assert "1 notices sent: aster" in project.strata("prod", "release", "tell", "v2")
    told = json.loads((project.home("prod") / "notices" / "prod.jsonl").read_text().splitlines()[-1])
    assert (told["to"], told["kind"]) == ("green@example.org", "change_notice")
    assert "are shown since" in told["text"]


def test_going_back_restores_equal_hashes(project: Project, tried: str, before: dict[str, Any]) -> None:
    assert "AuditError" in project.strata("prod", "release", "rollback", "v2", code=1)
    project.strata("prod", "release", "rollback", "v2", "--reason", "the factor was wrong after all", "--who", "steward")
    actions = [row["action"] for row in project.query("prod", "aster", "SELECT action FROM platform.audit ORDER BY number", role=WRITER)]
    assert {"release promote", "release rollback"} <= set(actions)
    assert {name: project.live_hashes("prod", name) for name in CUSTOMERS} == before["prod"]
    assert standing(project) == {"aster": "rolled back", "borea": "rolled back"}
    project.git("checkout", "-q", "v1")
    project.strata("prod", "launch", "aster")
    assert {name: project.live_hashes("prod", name) for name in CUSTOMERS} == before["prod"]
