"""An operator materializes one customer's partition from Dagster's pages, by clicking."""
from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from platform_assets.composition import tables_of
from tests.ui.conftest import Served

pytestmark = pytest.mark.ui

CUSTOMER, OTHERS = "acme", ("globex", "initech")
RUN_SECONDS = 240
PARTITIONS = """query($keys: [AssetKeyInput!]) { assetNodes(assetKeys: $keys) { assetKey { path } assetPartitionStatuses
                { ... on DefaultPartitionStatuses { materializedPartitions } } } }"""
CHECKS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode { assetChecksOrError { ... on AssetChecks
            { checks { name blocking executionForLatestMaterialization { status evaluation { success partition } } } } } } } }"""


def test_a_customer_is_materialized_from_the_browser_and_no_other(served: Served, page: Any) -> None:
    from platform_assets import greenit

    tables = ["/".join(asset.key.path) for asset, _ in tables_of(greenit)]
    before = {other: served.versions(other) for other in OTHERS}
    assert served.versions(CUSTOMER) == {}
    assert all(CUSTOMER not in done for done in _materialized(served, tables).values())

    page.goto(f"{served.url}/asset-groups")
    page.get_by_text("bronze", exact=True).locator("visible=true").first.wait_for()
    _shoot(page, "1-graph")

    page.goto(f"{served.url}/assets/greenit/gold/impact?view=overview")
    page.get_by_text("Impacts of every activity").first.wait_for()
    page.get_by_text("classification: public").first.wait_for()
    _shoot(page, "2-asset-before")

    page.goto(f"{served.url}/locations/greenit/jobs/greenit_customer")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("Select a partition or create one").click()
    page.get_by_text(CUSTOMER, exact=True).locator("visible=true").first.click()
    page.keyboard.press("Escape")
    _shoot(page, "3-dialog")
    page.get_by_role("button", name=re.compile("^Launch")).click()
    run = _launched(served)
    page.goto(f"{served.url}/runs/{run}")
    _shoot(page, "4-run")
    assert _ended(served) == "SUCCESS"
    page.reload()
    page.get_by_text("Success", exact=True).locator("visible=true").first.wait_for()
    _shoot(page, "5-run-done")

    assert all(CUSTOMER in done for done in _materialized(served, [*tables, "greenit/publication"]).values())
    versions = served.versions(CUSTOMER)
    assert set(versions) == {_qualified(key) for key in tables}
    assert {version["verdict"] for version in versions.values()} == {"passed"}
    assert {version["run_id"] for version in versions.values()} == {run}
    assert {other: served.versions(other) for other in OTHERS} == before

    checks = served.ask(CHECKS, key={"path": ["greenit", "gold", "impact"]})["assetNodeOrError"]["assetChecksOrError"]["checks"]
    assert len(checks) > 10
    assert {check["executionForLatestMaterialization"]["status"] for check in checks} == {"SUCCEEDED"}
    assert {check["executionForLatestMaterialization"]["evaluation"]["partition"] for check in checks} == {CUSTOMER}

    impact = versions["greenit_gold.impact"]
    page.goto(f"{served.url}/assets/greenit/gold/impact?view=partitions&partition={CUSTOMER}")
    row = page.locator("tr", has=page.get_by_text("dagster/row_count", exact=True))
    row.get_by_text(str(impact["row_count"]), exact=True).wait_for()
    page.locator("tr", has=page.get_by_text("version", exact=True)).get_by_text(str(impact["version"]), exact=True).wait_for()
    page.get_by_text("rows_by_month_start").first.wait_for()
    _shoot(page, "6-partition")
    page.goto(f"{served.url}/assets/greenit/gold/impact?view=checks")
    page.get_by_text("Passed").first.wait_for()
    _shoot(page, "7-checks")


def _materialized(served: Served, keys: list[str]) -> dict[str, set[str]]:
    """asset -> customers whose partition is materialized."""
    nodes = served.ask(PARTITIONS, keys=[{"path": key.split("/")} for key in keys])["assetNodes"]
    assert len(nodes) == len(keys)
    return {"/".join(node["assetKey"]["path"]): set(node["assetPartitionStatuses"]["materializedPartitions"]) for node in nodes}


def _launched(served: Served) -> str:
    """The id of the one run that the click made."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        runs = served.runs(CUSTOMER)
        if runs:
            assert len(runs) == 1
            return runs[0]["runId"]
        time.sleep(1)
    raise AssertionError("no run was launched")


def _ended(served: Served) -> str:
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        [found] = served.runs(CUSTOMER)
        if found["status"] in ("SUCCESS", "FAILURE", "CANCELED"):
            return found["status"]
        time.sleep(1)
    raise AssertionError(f"the run has not ended after {RUN_SECONDS} s")


def _qualified(key: str) -> str:
    domain, layer, table = key.split("/")
    return f"{domain}_{layer}.{table}"


def _shoot(page: Any, name: str) -> None:
    """A picture into $STRATA_SCREENSHOTS, where somebody asks for pictures."""
    if folder := os.environ.get("STRATA_SCREENSHOTS"):
        page.wait_for_timeout(1500)
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))
