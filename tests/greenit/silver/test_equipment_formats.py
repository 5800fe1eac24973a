"""One inventory as CSV, as a workbook and as JSON: the same rows of silver."""

import csv
import json
from datetime import date

import openpyxl
import pytest

ROWS = [
    {"equipment_id": "007", "model": 'Rack 1U, 19"', "item_type": "server", "quantity": 2, "status": "in use", "purchase_date": date(2022, 2, 28), "country": "FR",
     "datacentre": "LYO1", "energy_kwh_per_year": 2450.5, "unit_price": 5600.25, "currency": "EUR", "condition": "new", "cpu_units": 2, "cpu_cores": 32,
     "cpu_tdp_watts": 150, "ram_gb": 256, "ssd_gb": 3840, "power_watts": 279.7, "expected_lifetime_years": 6},
    {"equipment_id": "008", "model": "Élan 14", "item_type": "laptop", "quantity": 48, "status": "retired", "purchase_date": date(2018, 1, 1),
     "retired_date": date(2024, 9, 30), "country": "Côte d’Ivoire", "site": "Abidjan", "condition": "refurbished"},
    {"equipment_id": "009", "item_type": "monitor", "quantity": 1.5, "status": "in use", "purchase_date": date(2023, 1, 1), "country": "FR"},  # no half pieces
    {"equipment_id": "010", "item_type": "monitor", "quantity": 1, "status": "in use", "purchase_date": date(2023, 1, 1), "country": "Atlantis"},
]  # fmt: skip
COLUMNS = sorted({name for row in ROWS for name in row})


def as_csv(path):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(ROWS)


def as_workbook(path):
    book = openpyxl.Workbook()
    book.active.title = "Equipment"
    book.active.append(COLUMNS)
    for row in ROWS:
        book.active.append([row.get(name) for name in COLUMNS])
    book.create_sheet("Notes").append(["not data"])
    book.save(path)


def as_json(path):
    path.write_text(json.dumps(ROWS, default=str, ensure_ascii=False), encoding="utf-8")


@pytest.fixture
def silver(tmp_path, bronze_of_file, clean, rows):
    """`silver(format, name, write)`: what silver makes of the file that `write` writes."""

    def build(format, name, write):
        (tmp_path / "sent").mkdir(exist_ok=True)
        write(tmp_path / "sent" / name)
        return rows(clean.equipment(bronze_of_file("equipment_inventory", format, tmp_path / "sent" / name)), "_row")

    return build


@pytest.mark.parametrize(("format", "name", "write"), [("strata_xlsx_1", "fleet.xlsx", as_workbook), ("strata_json_1", "fleet.json", as_json)])
def test_a_workbook_and_json_give_the_rows_that_csv_gives(silver, format, name, write):
    as_text = silver("strata_1", "fleet.csv", as_csv)
    assert silver(format, name, write) == as_text
    server, laptop, half, nowhere = as_text
    assert (server["equipment_id"], server["energy_kwh_per_year"], server["cpu_cores"], server["expected_lifetime_years"]) == ("007", 2450.5, 32, 6.0)
    assert (laptop["retired_date"], laptop["country_code"], laptop["cpu_cores"], laptop["_rejects"]) == (date(2024, 9, 30), "CIV", None, None)
    assert [[reject["rule"] for reject in row["_rejects"]] for row in (half, nowhere)] == [["NUMBER_FORMAT"], ["DOMAIN"]]
