"""A steward opens Data Docs from a folder: index, customer, table, and what a rule found."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from platform_assets.datadocs import build
from tests.installation import Installation, billing, inventory

pytestmark = pytest.mark.ui
CUSTOMER = "docs_ui"


def test_a_steward_walks_from_the_index_to_the_rule_that_is_broken(installation: Installation, page: Any, tmp_path: Path) -> None:
    """Two bill lines, one of them without a BilledCost, which bronze warns of and silver quarantines; so is a laptop in a country that nobody knows."""
    found = installation.declare(CUSTOMER, reporting={"months": 2})
    installation.land(CUSTOMER, "equipment_inventory", [inventory(tmp_path / "i.csv", {}, {"country": "Atlantis"})])
    installation.land(CUSTOMER, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{CUSTOMER}", {}, {"BilledCost": "", "SkuId": "CANARY"})])
    assert installation.run(CUSTOMER).success
    build(installation.postgres, {CUSTOMER: found}, tmp_path / "site")

    trouble: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("requestfailed", lambda request: trouble.append(request.url))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto((tmp_path / "site" / "index.html").as_uri())
    row = page.locator("tr", has=page.get_by_role("link", name=CUSTOMER))
    assert [cell.strip() for cell in row.locator("td").all_inner_texts()][3:] == ["1", "2", "steward@example.org"]
    shoot(page, "docs-1-index")
    page.get_by_role("link", name=CUSTOMER).click()
    page.get_by_role("heading", name="silver").wait_for()
    shoot(page, "docs-2-customer")
    page.get_by_role("link", name="greenit_bronze.cloud_billing").click()

    first = page.locator(".ge-section").first
    assert first.locator("h5").inner_text().strip() == "BilledCost"
    assert "1 unexpected values found. 50% of 2 total rows." in first.inner_text()
    assert first.locator(".rule").inner_text().startswith("BilledCost__not_be_null (warn)")
    assert "failed" in first.locator("i.fas").evaluate("icon => getComputedStyle(icon, '::before').content")
    assert page.locator("i.fa-check-circle").count() == 2
    assert "CANARY" not in page.content()
    shoot(page, "docs-3-table")
    page.get_by_role("link", name=f"all tables of {CUSTOMER}").click()
    page.get_by_role("heading", name="platinum").wait_for()
    assert trouble == []
    assert all(url.startswith("file://") for url in asked)


def shoot(page: Any, name: str) -> None:
    """A picture into $STRATA_SCREENSHOTS, where somebody asks for pictures."""
    if folder := os.environ.get("STRATA_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
