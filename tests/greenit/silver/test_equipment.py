"""Behaviour of greenit/silver/equipment."""

from datetime import date
from decimal import Decimal


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_a_line_comes_out_typed_trimmed_and_conformed(clean, inventory, rows):
    (line,) = rows(clean.equipment(inventory({"item_type": "  LapTop ", "country": " france ", "status": "EN SERVICE", "quantity": "3"})))
    assert (line["item_type"], line["country_code"], line["status"], line["quantity"]) == ("laptop", "FRA", "in_use", 3)
    assert (line["ownership"], line["purchase_date"], line["_rejects"], line["_row"]) == ("owned", date(2024, 1, 1), None, 1)


def test_countries_are_known_by_code_and_by_english_and_french_name(clean, inventory, rows):
    words = {"France": "FRA", "FR": "FRA", "fra": "FRA", "Allemagne": "DEU", "China": "CHN", "Spain": "ESP", "Côte d’Ivoire": "CIV", "Cote d'Ivoire": "CIV",
             "UK": "GBR", "États-Unis": "USA", "Deutschland": "DEU"}  # fmt: skip
    lines = rows(clean.equipment(inventory(*({"equipment_id": word, "country": word} for word in words))))
    assert {line["equipment_id"]: line["country_code"] for line in lines} == words
    assert not any(line["_rejects"] for line in lines)


def test_french_numbers_and_dates_follow_the_format_of_their_row(clean, inventory, rows):
    french = {
        "_format": "fr_1",
        "quantity": "1 200",
        "energy_kwh_per_year": "23,85",
        "unit_price": "1 234,50",
        "purchase_date": "29/02/2024",
        "currency": "eur",
    }
    (line,) = rows(clean.equipment(inventory(french)))
    assert (line["quantity"], line["energy_kwh_per_year"], line["unit_price"]) == (1200, 23.85, Decimal("1234.5"))
    assert (line["purchase_date"], line["currency"], line["_rejects"]) == (date(2024, 2, 29), "EUR", None)


def test_a_retirement_date_is_kept_only_where_status_says_retired(clean, inventory, rows):
    dated = {"retired_date": "2024-06-16"}
    lines = rows(
        clean.equipment(inventory({**dated, "equipment_id": "a", "status": "In use"}, {**dated, "equipment_id": "b", "status": "Retired"})), "equipment_id"
    )
    assert [line["retired_date"] for line in lines] == [None, date(2024, 6, 16)]


def test_a_datacentre_goes_before_a_site(clean, inventory, rows):
    lines = rows(clean.equipment(inventory({"equipment_id": "a"}, {"equipment_id": "b", "datacentre": "DC1"})), "equipment_id")
    assert [(line["site_id"], line["is_datacentre"]) for line in lines] == [("Paris", False), ("DC1", True)]


def test_a_purchase_after_the_export_is_an_order_and_passes(clean, inventory, rows):
    (line,) = rows(clean.equipment(inventory({"purchase_date": "2027-03-22"})))
    assert line["_rejects"] is None


def test_a_server_may_say_its_configuration(clean, inventory, rows):
    said = {"condition": "Reconditionné", "cpu_model": " Norrland X7 ", "cpu_units": "2", "cpu_cores": "48", "cpu_tdp_watts": "165.5", "ram_gb": "384", "ssd_gb": "3840",
            "hdd_units": "0", "power_watts": "310", "expected_lifetime_years": "6.5"}  # fmt: skip
    (line,) = rows(clean.equipment(inventory(said)))
    assert [line[name] for name in said] == ["refurbished", "Norrland X7", 2, 48, 165.5, 384.0, 3840.0, 0, 310.0, 6.5]
    assert line["_rejects"] is None


def test_what_an_inventory_does_not_say_of_a_configuration_stays_unknown(clean, inventory, rows):
    (line,) = rows(clean.equipment(inventory({})))
    assert [line[name] for name in ("condition", "cpu_units", "cpu_cores", "cpu_tdp_watts", "ram_gb", "power_watts", "expected_lifetime_years")] == [None] * 7


BAD = [
    ({"equipment_id": " "}, "MISSING_VALUE", "equipment_id"), ({"item_type": None}, "MISSING_VALUE", "item_type"),
    ({"quantity": None}, "MISSING_VALUE", "quantity"), ({"status": ""}, "MISSING_VALUE", "status"),
    ({"quantity": "1,5"}, "NUMBER_FORMAT", "quantity"), ({"quantity": "1.5"}, "NUMBER_FORMAT", "quantity"), ({"quantity": "two"}, "NUMBER_FORMAT", "quantity"),
    ({"energy_kwh_per_year": "23,85"}, "NUMBER_FORMAT", "energy_kwh_per_year"), ({"unit_price": "12 €"}, "NUMBER_FORMAT", "unit_price"),
    ({"quantity": "0"}, "NUMBER_RANGE", "quantity"),
    ({"quantity": "-3"}, "NUMBER_RANGE", "quantity"), ({"quantity": "20000000000"}, "NUMBER_RANGE", "quantity"),
    ({"energy_kwh_per_year": "-1"}, "NUMBER_RANGE", "energy_kwh_per_year"), ({"unit_price": "-0.01"}, "NUMBER_RANGE", "unit_price"),
    ({"purchase_date": "2023-02-29"}, "DATE_FORMAT", "purchase_date"), ({"retired_date": "16/06/2023"}, "DATE_FORMAT", "retired_date"),
    ({"status": "Retired", "retired_date": "2023-12-31"}, "DATE_RANGE", "retired_date"),
    ({"country": "Frankreich-Nord"}, "DOMAIN", "country"),
    ({"purchase_date": "2024-01-01", "retired_date": "2023-12-31"}, "DATE_RANGE", "retired_date"),
    ({"cpu_cores": "1.7"}, "NUMBER_FORMAT", "cpu_cores"), ({"cpu_cores": "-1"}, "NUMBER_RANGE", "cpu_cores"), ({"ram_gb": "lots"}, "NUMBER_FORMAT", "ram_gb"),
    ({"cpu_tdp_watts": "-5"}, "NUMBER_RANGE", "cpu_tdp_watts"), ({"expected_lifetime_years": "0"}, "NUMBER_RANGE", "expected_lifetime_years"),
    ({"power_watts": "-1"}, "NUMBER_RANGE", "power_watts"), ({"condition": "battered"}, "DOMAIN", "condition"),
    ({"status": "sleeping"}, "DOMAIN", "status"), ({"ownership": "stolen"}, "DOMAIN", "ownership"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(clean, inventory, rows):
    bad = [{"equipment_id": f"bad {place}", **change} for place, (change, _rule, _column) in enumerate(BAD)]
    lines = rows(clean.equipment(inventory({"equipment_id": "before"}, *bad, {"equipment_id": "after"})), "_row")
    expected = [[], *([(rule, column)] for _change, rule, column in BAD), []]
    assert [(line["_row"], found(line)) for line in lines] == list(enumerate(expected, 1))


def test_of_a_repeated_key_every_row_is_refused(clean, inventory, rows):
    lines = rows(clean.equipment(inventory({"equipment_id": "a"}, {"equipment_id": "b"}, {"equipment_id": "a ", "quantity": "9"})), "_row")
    assert [found(line) for line in lines] == [[("DUPLICATE", "equipment_id")], [], [("DUPLICATE", "equipment_id")]]


def test_a_reject_carries_the_raw_text(clean, inventory, rows):
    (line,) = rows(clean.equipment(inventory({"country": " Freedonia "})))
    assert [(entry["rule"], entry["column"], entry["value"]) for entry in line["_rejects"]] == [("DOMAIN", "country", " Freedonia ")]
