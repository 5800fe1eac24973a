"""Behaviour of greenit/silver/virtual_machine."""

import pytest

VM = {"vm_id": "vm1", "equipment_id": "s1", "kind": "compute", "vcpu": "4", "ram_gb": "16", "storage_gb": "200"}


@pytest.fixture
def machines(clean, delivered, table_of, rows):
    """`machines({...}, ...)`: the lines of silver where the inventory has s1 and s2."""
    known = table_of("silver", "equipment", {"equipment_id": "s1"}, {"equipment_id": "s2"})
    return lambda *changes: rows(clean.virtual_machine(delivered("virtual_machines", *({**VM, **change} for change in changes)), equipment=known), "_row")


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_a_machine_comes_out_typed_and_conformed(machines):
    (line,) = machines({"kind": " Stockage ", "vcpu": "24.340", "explicit_share": "0.25", "energy_kwh_per_year": "310"})
    assert (line["kind"], line["vcpu"], line["ram_gb"], line["storage_gb"]) == ("storage", 24.34, 16.0, 200.0)
    assert (line["explicit_share"], line["energy_kwh_per_year"], line["org_unit"], line["_rejects"]) == (0.25, 310.0, None, None)


def test_an_allocation_key_counts_as_a_share_only_where_it_can_be_one(machines):
    shares = machines({"vm_id": "a", "allocation_key": "0.4"}, {"vm_id": "b", "allocation_key": "3.3"}, {"vm_id": "c", "allocation_key": "0.4", "explicit_share": "0.1"})
    assert [(line["explicit_share"], line["allocation_key"], line["_rejects"]) for line in shares] == [(0.4, 0.4, None), (None, 3.3, None), (0.1, 0.4, None)]


BAD = [
    ({"vm_id": ""}, "MISSING_KEY", "vm_id"), ({"equipment_id": None}, "MISSING_VALUE", "equipment_id"), ({"kind": None}, "MISSING_VALUE", "kind"),
    ({"kind": "quantum"}, "DOMAIN", "kind"), ({"equipment_id": "s9"}, "DOMAIN", "equipment_id"), ({"vcpu": "x"}, "NUMBER_FORMAT", "vcpu"),
    ({"vcpu": "-1"}, "NUMBER_RANGE", "vcpu"), ({"ram_gb": "-1"}, "NUMBER_RANGE", "ram_gb"), ({"storage_gb": "-1"}, "NUMBER_RANGE", "storage_gb"),
    ({"explicit_share": "1.01"}, "NUMBER_RANGE", "explicit_share"), ({"allocation_key": "-1"}, "NUMBER_RANGE", "allocation_key"),
    ({"energy_kwh_per_year": "-1"}, "NUMBER_RANGE", "energy_kwh_per_year"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(machines):
    lines = machines({"vm_id": "before"}, *({"vm_id": f"bad {n}", **change} for n, (change, _rule, _column) in enumerate(BAD)), {"vm_id": "after", "equipment_id": "s2"})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_of_a_repeated_machine_every_row_is_refused(machines):
    assert [found(line) for line in machines({}, {"vm_id": "vm2"}, {"vm_id": " vm1"})] == [[("DUPLICATE", "vm_id")], [], [("DUPLICATE", "vm_id")]]
