"""Behaviour of greenit/silver/network_link."""

from datetime import date

import pytest

from platform_assets.greenit.silver.network_link import network_link

LINE = {"link_id": "l1", "month": "2024-06", "kind": "Fibre", "lines": "2", "country": "France"}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


@pytest.fixture
def links(bronze_of, reference, rows):
    return lambda *changes: rows(network_link(bronze_of("network_traffic", "strata_1", LINE, *changes), reference("network_kind"), reference("country")), "_row")


def test_a_link_comes_out_typed_by_its_month(links):
    line, mobile = links({"site": "Lyon"}, {"link_id": "l2", "kind": " 5G ", "lines": None, "gb": "12.5", "provider": "Telario"})
    assert (line["month_start"], line["kind"], line["lines"], line["gb"], line["country_code"], line["site_id"]) == (
        date(2024, 6, 1), "fixed_line", 2, None, "FRA", "Lyon")  # fmt: skip
    assert (mobile["kind"], mobile["lines"], mobile["gb"], mobile["provider"], mobile["_rejects"]) == ("mobile", None, 12.5, "Telario", None)


def test_a_link_of_two_months_is_two_rows(links):
    assert [found(line) for line in links({}, {"month": "2024-07"})] == [[], []]


BAD = [
    ({"link_id": None}, "MISSING_KEY", "link_id"), ({"month": "June"}, "DATE", "month"), ({"month": "2024-06-01"}, "DATE_FORMAT", "month"),
    ({"kind": None}, "MISSING_VALUE", "kind"), ({"kind": "telegraph"}, "DOMAIN", "kind"), ({"lines": "-2"}, "NUMBER_RANGE", "lines"),
    ({"gb": "-0.5"}, "NUMBER_RANGE", "gb"), ({"gb": "1,5"}, "NUMBER_FORMAT", "gb"), ({"lines": None}, "MISSING_VALUE", "gb"),
    ({"lines": "two"}, "NUMBER_FORMAT", "lines"), ({"country": "Atlantis"}, "DOMAIN", "country"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_link_and_not_the_clean_ones(links):
    lines = links({}, *({"link_id": f"b{place}", **change} for place, (change, *_why) in enumerate(BAD)), {"link_id": "z"})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_two_figures_for_one_link_and_month_are_both_refused(links):
    assert [found(line) for line in links({}, {"lines": "3"})] == [[("DUPLICATE", "month_start")]] * 2
