"""Behaviour of greenit/silver/application."""

import pytest

SHOP = {"application_id": "shop", "environment": "production", "vm_id": "vm1"}


@pytest.fixture
def applications(clean, delivered, table_of, rows):
    """`applications({...}, ...)`: the lines of silver where it has the machines vm1 and vm2."""
    known = table_of("silver", "virtual_machine", {"vm_id": "vm1"}, {"vm_id": "vm2"})
    return lambda *changes: rows(clean.application(delivered("applications", *({**SHOP, **change} for change in changes)), virtual_machine=known), "_row")


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_an_application_stands_once_for_each_environment_and_machine(applications):
    lines = applications({"users": "1200", "share": "0.5", "business_domain": " Sales "}, {"vm_id": "vm2"}, {"environment": "test", "equipment_id": "s1"})
    assert [(line["environment"], line["vm_id"], line["equipment_id"]) for line in lines] == [("production", "vm1", None), ("production", "vm2", None), ("test", "vm1", "s1")]
    assert (lines[0]["users"], lines[0]["share"], lines[0]["business_domain"], lines[1]["users"], lines[1]["share"]) == (1200, 0.5, "Sales", None, None)
    assert [line["_rejects"] for line in lines] == [None] * 3


BAD = [
    ({"application_id": " "}, "MISSING_KEY", "application_id"), ({"environment": None}, "MISSING_KEY", "environment"), ({"vm_id": ""}, "MISSING_KEY", "vm_id"),
    ({"vm_id": "vm9"}, "DOMAIN", "vm_id"), ({"users": "many"}, "NUMBER_FORMAT", "users"), ({"users": "1.5"}, "NUMBER_RANGE", "users"),
    ({"users": "-1"}, "NUMBER_RANGE", "users"), ({"share": "1.2"}, "NUMBER_RANGE", "share"), ({"share": "-0.1"}, "NUMBER_RANGE", "share"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(applications):
    lines = applications({}, *({"application_id": f"bad {n}", **change} for n, (change, _rule, _column) in enumerate(BAD)), {"application_id": "after"})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_of_a_repeated_row_every_one_is_refused_also_an_equal_one(applications):
    assert [found(line) for line in applications({}, {"vm_id": "vm2"}, {})] == [[("DUPLICATE", "vm_id")], [], [("DUPLICATE", "vm_id")]]
