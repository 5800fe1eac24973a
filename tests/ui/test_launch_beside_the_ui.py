"""`strata launch` while `strata ui` runs: the daemon's queue does the work, and the shell sees it."""
from __future__ import annotations

from datetime import date

import pytest

from resources.settings import PROJECT
from tests.ui.conftest import UNDELIVERED, Served

pytestmark = pytest.mark.ui

SOURCES = [path.name.removesuffix(".odcs.yaml") for path in (PROJECT / "platform_assets/greenit/bronze").glob("*.odcs.yaml")]
BRONZE_RULES = sorted(f"greenit_bronze_{name}_rules" for name in SOURCES)
BRONZE = sorted([*(f"greenit__bronze__{name}" for name in SOURCES), *BRONZE_RULES])


def test_one_failing_customer_makes_exit_code_1_and_the_others_finish(served: Served) -> None:
    shell = served.strata("launch", "globex", UNDELIVERED)
    said, _ = shell.communicate(timeout=300)
    assert shell.returncode == 1, said
    assert "1 of 2 customers succeeded" in said
    assert "no delivery of this customer declares a period" in said
    assert any(line.startswith("globex") and "gold/impact" in line and "rows" in line for line in said.splitlines()), said
    assert {version["verdict"] for version in served.versions("globex").values()} == {"passed"}
    assert served.versions(UNDELIVERED) == {}
    [failed] = served.runs(UNDELIVERED)  # a permanent failure: neither the step nor the run was tried again
    assert failed["status"] == "FAILURE"


def test_a_part_brings_its_checks_and_a_second_launch_of_a_customer_waits(served: Served) -> None:
    first = served.strata("launch", "initech", "--select", "group:bronze", "--as-of", "2024-08-31")
    assert "is queued" in first.stdout.readline()
    second = served.strata("launch", "initech", "--select", "group:bronze", "--checks-only")
    for shell in (first, second):
        said, _ = shell.communicate(timeout=300)
        assert shell.returncode == 0, said
    later, earlier = served.runs("initech")
    assert sorted(earlier["stepKeysToExecute"]) == BRONZE
    assert sorted(later["stepKeysToExecute"]) == BRONZE_RULES
    assert later["startTime"] >= earlier["endTime"]
    assert {version["as_of"] for version in served.versions("initech").values()} == {date(2024, 8, 31)}
