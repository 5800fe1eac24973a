"""Behaviour of greenit/silver/saas_contract and saas_usage, from nested JSON to rows."""

import json
from datetime import date
from decimal import Decimal

import pytest

from platform_assets.greenit.silver.saas_contract import saas_contract
from platform_assets.greenit.silver.saas_usage import saas_usage

CONTRACT = {"contract_id": "c1", "vendor": "Nimbus", "product": "Mail", "start_date": "2024-01-01"}
MAILS = {"month": "2024-06", "activity": "emails", "quantity": 1200}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


@pytest.fixture
def contracts(bronze_of, reference, rows):
    return lambda *changes: rows(saas_contract(bronze_of("saas_contracts", "strata_json_1", CONTRACT, *changes), reference("country")), "_row")


@pytest.fixture
def usage(bronze_of, reference, rows):
    """Rows of saas_usage from lists (or from text, as it stands in bronze)."""

    def build(*lists):
        said = [{"contract_id": f"c{place}", "usage": one if isinstance(one, str) or one is None else json.dumps(one)} for place, one in enumerate(lists, 1)]
        return rows(saas_usage(bronze_of("saas_contracts", "strata_json_1", CONTRACT, *said), reference("saas_activity")), "_row", "month_start", "activity_key")

    return build


def test_a_contract_comes_out_typed(contracts):
    (line,) = contracts({"end_date": "2024-12-31", "users": "40", "spend": "199.90", "currency": " eur", "spend_sector": "511210",
                         "kgco2e_per_user_year": "12.5", "country": "Irlande"})  # fmt: skip
    assert (line["start_date"], line["end_date"], line["users"], line["spend"]) == (date(2024, 1, 1), date(2024, 12, 31), 40, Decimal("199.9"))
    assert (line["currency"], line["spend_sector"], line["kgco2e_per_user_year"], line["country_code"]) == ("EUR", "511210", 12.5, "IRL")
    assert (line["_row"], line["_rejects"]) == (1, None)


def test_what_a_contract_does_not_say_stays_unknown(contracts):
    (line,) = contracts({})
    assert [line[name] for name in ("end_date", "users", "spend", "currency", "spend_sector", "kgco2e_per_user_year", "country_code")] == [None] * 7
    assert line["_rejects"] is None


BAD = [
    ({"contract_id": " "}, "MISSING_KEY", "contract_id"), ({"vendor": None}, "MISSING_VALUE", "vendor"), ({"start_date": None}, "MISSING_VALUE", "start_date"),
    ({"start_date": "01/02/2024"}, "DATE_FORMAT", "start_date"), ({"end_date": "2023-12-31"}, "DATE_RANGE", "end_date"),
    ({"users": "-1"}, "NUMBER_RANGE", "users"), ({"users": "1.5"}, "NUMBER_RANGE", "users"), ({"users": "many"}, "NUMBER_FORMAT", "users"),
    ({"spend": "-10", "currency": "EUR"}, "NUMBER_RANGE", "spend"), ({"spend": "10"}, "MISSING_VALUE", "currency"),
    ({"spend": "10", "currency": "Taler"}, "DOMAIN", "currency"), ({"spend_sector": "software"}, "DOMAIN", "spend_sector"),
    ({"kgco2e_per_user_year": "-0.1"}, "NUMBER_RANGE", "kgco2e_per_user_year"), ({"country": "Atlantis"}, "DOMAIN", "country"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_contract_and_not_the_clean_ones(contracts):
    lines = contracts({}, *({"contract_id": f"b{place}", **change} for place, (change, *_why) in enumerate(BAD)), {"contract_id": "z"})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_of_equal_contracts_one_stays_and_of_conflicting_ones_none(contracts):
    lines = contracts({}, {}, {"contract_id": "c2", "users": "1"}, {"contract_id": "c2", "users": "2"})
    assert [found(line) for line in lines] == [[], *[[("DUPLICATE", "contract_id")]] * 3]


def test_every_element_of_every_list_becomes_a_row(usage):
    """2 + 0 + 0 + 1 elements: 3 rows."""
    lines = usage([MAILS, {"month": "2024-06", "activity": "Visioconférence", "quantity": 8.25}], [], None, [{**MAILS, "month": "2024-07", "quantity": "3"}])
    assert [(line["contract_id"], line["month_start"], line["activity_key"], line["quantity"], line["_rejects"]) for line in lines] == [
        ("c1", date(2024, 6, 1), "email", 1200.0, None), ("c1", date(2024, 6, 1), "video_conference_hour", 8.25, None),
        ("c4", date(2024, 7, 1), "email", 3.0, None),
    ]  # fmt: skip


ELEMENTS = [
    ({**MAILS, "activity": "carrier pigeons"}, "DOMAIN", "activity"), ({**MAILS, "quantity": -1}, "NUMBER_RANGE", "quantity"),
    ({**MAILS, "quantity": "a lot"}, "NUMBER_FORMAT", "quantity"), ({**MAILS, "quantity": {"value": 3}}, "NUMBER_FORMAT", "quantity"),
    ({**MAILS, "quantity": None}, "MISSING_VALUE", "quantity"), ({**MAILS, "month": "2024-13"}, "DATE", "month"),
    ({**MAILS, "month": "2024-06-15"}, "DATE_FORMAT", "month"), ({"activity": "emails", "quantity": 1}, "MISSING_KEY", "month"),
    ({"month": "2024-06", "quantity": 1}, "MISSING_KEY", "activity"),
]  # fmt: skip


@pytest.mark.parametrize(("element", "rule", "column"), ELEMENTS)
def test_an_element_that_cannot_be_read_is_kept_back_and_its_neighbours_stay(usage, element, rule, column):
    lines = usage([{**MAILS, "month": "2024-01"}, element, {**MAILS, "month": "2024-12"}])
    assert len(lines) == 3
    assert sorted(found(line) for line in lines) == [[], [], [(rule, column)]]


@pytest.mark.parametrize("element", [17, "emails", None, [MAILS], True])
def test_an_element_that_is_no_object_is_kept_back_as_it_is(usage, element):
    good, bad = sorted(usage([MAILS, element]), key=lambda line: line["_rejects"] is not None)
    assert found(good) == []
    assert ("TYPE", "usage") in found(bad)
    assert next(reject["value"] for reject in bad["_rejects"] if reject["rule"] == "TYPE") == json.dumps(element, separators=(",", ":"))


@pytest.mark.parametrize("text", [json.dumps(MAILS), '"emails"', "12 emails", "[1, 2"])
def test_what_is_no_list_is_kept_back_as_one_element(usage, text):
    (line,) = [line for line in usage(text, []) if line["_row"] == 1]
    if text.startswith("{"):  # an object is the element of a list that was forgotten: it stands alone and is read
        assert (line["quantity"], line["_rejects"]) == (1200.0, None)
    else:
        assert ("TYPE", "usage") in found(line)


def test_elements_that_say_the_same_count_once_and_those_that_do_not_count_not(usage):
    lines = usage([MAILS, MAILS], [MAILS, {**MAILS, "quantity": 5}])
    assert sorted((line["contract_id"], found(line)) for line in lines) == [
        ("c1", []), ("c1", [("DUPLICATE", "activity_key")]), ("c2", [("DUPLICATE", "activity_key")]), ("c2", [("DUPLICATE", "activity_key")])]  # fmt: skip


def test_a_delivered_list_keeps_its_nested_parts_and_sets_wrong_nesting_apart(landed, tmp_path, reference, rows):
    path = tmp_path / "saas.json"
    good = {**CONTRACT, "users": 12, "spend": 10.50, "currency": "EUR", "usage": [MAILS, {**MAILS, "month": "2024-07"}], "owner": "Ops"}
    listless, priced = {**CONTRACT, "contract_id": "c2", "usage": MAILS}, {**CONTRACT, "contract_id": "c3", "spend": {"amount": 10}}
    path.write_text(json.dumps([good, listless, priced, [good]]), encoding="utf-8")
    bronze, broken, facts = landed(path, "saas_contracts", "strata_json_1")
    assert (facts.rows, [(row, rule) for row, rule, _raw in broken]) == (4, [(2, "TYPE"), (3, "TYPE"), (4, "TYPE")])
    (contract,) = rows(saas_contract(bronze, reference("country")))
    assert (contract["users"], contract["spend"], contract["_rejects"]) == (12, Decimal("10.5"), None)
    assert [line["quantity"] for line in rows(saas_usage(bronze, reference("saas_activity")))] == [1200.0, 1200.0]
