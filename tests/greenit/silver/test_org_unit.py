"""Behaviour of greenit/silver/org_unit."""

from datetime import date
from decimal import Decimal

SALES = {"org_unit": "Sales", "valid_from": "2024-01-01", "parent": "Acme", "fte": "12.5", "revenue_per_month": "104000.10", "currency": "eur"}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_a_unit_comes_out_typed_and_may_change_from_a_day_on(clean, delivered, rows):
    first, later = rows(clean.org_unit(delivered("organisation", SALES, {**SALES, "valid_from": "2024-07-01", "fte": "14"})), "_row")
    assert (first["valid_from"], first["fte"], first["revenue_per_month"], first["currency"]) == (date(2024, 1, 1), 12.5, Decimal("104000.1"), "EUR")
    assert (later["valid_from"], later["fte"], first["_rejects"], later["_rejects"]) == (date(2024, 7, 1), 14.0, None, None)


def test_a_unit_without_people_or_revenue_stays_unknown_and_is_not_zero(clean, delivered, rows):
    (line,) = rows(clean.org_unit(delivered("organisation", {"org_unit": "Top", "valid_from": "2024-01-01"})))
    assert (line["fte"], line["revenue_per_month"], line["currency"], line["parent"], line["_rejects"]) == (None, None, None, None, None)


def test_french_thousands_and_dates(clean, delivered, rows):
    french = {"_format": "fr_1", "org_unit": "Ventes", "valid_from": "01/07/2024", "fte": "1 012,5", "revenue_per_month": "1\u202f250\u202f000,00", "currency": "CHF"}
    (line,) = rows(clean.org_unit(delivered("organisation", french)))
    assert (line["valid_from"], line["fte"], line["revenue_per_month"], line["_rejects"]) == (date(2024, 7, 1), 1012.5, Decimal(1250000), None)


BAD = [
    ({"org_unit": None}, "MISSING_KEY", "org_unit"), ({"valid_from": ""}, "MISSING_KEY", "valid_from"), ({"valid_from": "2024-02-30"}, "DATE", "valid_from"),
    ({"valid_from": "01/02/2024"}, "DATE_FORMAT", "valid_from"), ({"fte": "twelve"}, "NUMBER_FORMAT", "fte"), ({"fte": "-1"}, "NUMBER_RANGE", "fte"),
    ({"revenue_per_month": "-0.01"}, "NUMBER_RANGE", "revenue_per_month"), ({"currency": "Taler"}, "DOMAIN", "currency"),
    ({"currency": " "}, "MISSING_VALUE", "currency"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(clean, delivered, rows):
    bad = [{**SALES, "org_unit": f"bad {place}", **change} for place, (change, _rule, _column) in enumerate(BAD)]
    lines = rows(clean.org_unit(delivered("organisation", {**SALES, "org_unit": "before"}, *bad, {**SALES, "org_unit": "after"})), "_row")
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_two_rows_of_a_unit_for_one_day_are_both_refused(clean, delivered, rows):
    lines = rows(clean.org_unit(delivered("organisation", SALES, {**SALES, "fte": "13"}, {**SALES, "valid_from": "2024-02-01"})), "_row")
    assert [found(line) for line in lines] == [[("DUPLICATE", "valid_from")], [("DUPLICATE", "valid_from")], []]
