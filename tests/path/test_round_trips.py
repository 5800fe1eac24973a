"""What a customer writes comes out of every store as it went in."""
from __future__ import annotations

import csv
from decimal import Decimal, localcontext
from pathlib import Path

import pytest

from resources.postgres import WRITER
from tests.installation import EQUIPMENT, Installation, billing
from tests.lake import lake_rows

NAME = "round_trips"
AWKWARD = ["back\\slash", "\\N", "\\.", "a\tb", 'say "hi"', "semi;colon", "it's", "Zürich – Ø", "{}", "NULL", "%s", "日本", "line\nbreak", "comma, inside"]
COSTS = ["0.000000000001", "12345678901234567890.123456789012", "-0.1"]


@pytest.fixture(scope="module")
def done(installation: Installation, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("awkward")
    installation.declare(NAME)
    with (folder / "inventory.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, EQUIPMENT)
        writer.writeheader()
        for number, text in enumerate(AWKWARD):
            writer.writerow({"equipment_id": f"e{number}", "item_type": "laptop", "quantity": 1, "status": "in use", "purchase_date": "2024-01-01",
                             "country": "FR", "org_unit": text})
    installation.land(NAME, "equipment_inventory", [folder / "inventory.csv"])
    installation.land(NAME, "cloud_billing", [billing(folder / "bill.csv", f"account-{NAME}", *({"BilledCost": cost} for cost in COSTS))])
    run = installation.run(NAME)
    assert run.success, run.failures
    return run


def test_awkward_text_is_the_same_in_lake_and_warehouse(done, installation: Installation) -> None:
    silver = lake_rows(installation, NAME, "SELECT org_unit FROM lake.greenit_silver.equipment ORDER BY _row")
    assert [row["org_unit"] for row in silver] == AWKWARD
    gold = installation.query("SELECT DISTINCT activity_id, org_unit FROM greenit_gold.activity_live WHERE source = 'equipment'", customer=NAME, role=WRITER)
    assert {row["activity_id"]: row["org_unit"] for row in gold} == {f"equipment-e{number}": text for number, text in enumerate(AWKWARD)}


def test_money_is_the_same_to_the_last_digit(done, installation: Installation) -> None:
    with localcontext(prec=40):
        total = sum(Decimal(cost) for cost in COSTS)
    silver = lake_rows(installation, NAME, "SELECT sum(billed_cost) AS cost FROM lake.greenit_silver.cloud_usage")[0]["cost"]
    gold = installation.query("SELECT sum(cost) AS cost FROM greenit_gold.activity_live", customer=NAME, role=WRITER)[0]["cost"]
    assert silver == gold == total
