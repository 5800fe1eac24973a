"""Behaviour of greenit/gold/allocation."""

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

HOST = {"equipment_id": "h", "quantity": 1, "cpu_units": 2, "cpu_cores": 20, "ssd_gb": 4000.0}  # 40 vCPU at two threads a core
VM = {"vm_id": "v", "equipment_id": "h", "kind": "compute"}
NOBODY = "(unallocated)"


@pytest.fixture
def allocation_of(gold, table_of, rows):
    def compute(hosts, machines, applications=()):
        said = {"equipment": hosts, "virtual_machine": machines, "application": applications}
        return rows(gold.allocation(**{name: table_of("silver", name, *lines) for name, lines in said.items()}))

    return compute


@pytest.fixture
def shares(allocation_of):
    """`shares([hosts], [machines], [applications])`: key -> {(machine, application): share}."""

    def compute(hosts, machines, applications=()):
        made = allocation_of(hosts, machines, applications)
        found = defaultdict(dict)
        for row in made:
            found[row["allocation_key"]][row["vm_id"], row["application_id"]] = row["share"]
            assert row["parent_id"].startswith("equipment-")
        assert sum(len(of_key) for of_key in found.values()) == len(made)
        return {key: {child: pytest.approx(float(share), abs=1e-12) for child, share in of_key.items()} for key, of_key in found.items()}

    return compute


def test_by_capacity_what_is_idle_stands_and_by_allocation_nothing_is_left(shares):
    found = shares([HOST], [{**VM, "vm_id": "a", "vcpu": 8.0}, {**VM, "vm_id": "b", "vcpu": 2.0}])
    assert found["capacity"] == {("a", NOBODY): 0.2, ("b", NOBODY): 0.05, (NOBODY, NOBODY): 0.75}  # of 40 vCPU
    assert found["allocated"] == {("a", NOBODY): 0.8, ("b", NOBODY): 0.2}


def test_explicit_shares_come_first_and_sizes_share_the_rest(shares):
    found = shares([HOST], [{**VM, "vm_id": "a", "explicit_share": 0.5}, {**VM, "vm_id": "b", "vcpu": 10.0}])
    assert found["capacity"] == {("a", NOBODY): 0.5, ("b", NOBODY): 0.125, (NOBODY, NOBODY): 0.375}  # 10 of 40 of the other half
    assert found["allocated"] == {("a", NOBODY): 0.5, ("b", NOBODY): 0.5}


def test_explicit_shares_of_more_than_the_host_are_cut_in_proportion(shares):
    found = shares([HOST], [{**VM, "vm_id": "a", "explicit_share": 0.9}, {**VM, "vm_id": "b", "explicit_share": 0.6}, {**VM, "vm_id": "c", "vcpu": 4.0}])
    assert found["capacity"] == {("a", NOBODY): 0.6, ("b", NOBODY): 0.4, ("c", NOBODY): 0.0}


def test_a_machine_of_unknown_size_is_in_the_unallocated(shares):
    found = shares([HOST], [{**VM, "vm_id": "a", "vcpu": 10.0}, {**VM, "vm_id": "b"}])
    assert found == {"capacity": {("a", NOBODY): 0.25, (NOBODY, NOBODY): 0.75}, "allocated": {("a", NOBODY): 1.0}}


def test_a_host_whose_machines_are_all_of_unknown_size_is_unallocated(shares):
    assert shares([HOST], [VM]) == {"capacity": {(NOBODY, NOBODY): 1.0}, "allocated": {(NOBODY, NOBODY): 1.0}}


def test_storage_machines_share_a_storage_host_by_gigabytes(shares):
    store = [{**VM, "vm_id": "a", "kind": "storage", "storage_gb": 1000.0}, {**VM, "vm_id": "b", "kind": "storage", "storage_gb": 3000.0}]
    assert shares([{**HOST, "quantity": 2}], store)["capacity"] == {("a", NOBODY): 0.125, ("b", NOBODY): 0.375, (NOBODY, NOBODY): 0.5}  # of 8,000 GB
    # a host with a machine for computing is measured by vCPU: the GB of the other are no size
    assert shares([HOST], [store[0], {**VM, "vm_id": "c", "vcpu": 40.0}])["capacity"] == {("c", NOBODY): 1.0}


def test_machines_of_more_than_the_capacity_fill_the_host(shares):
    found = shares([HOST], [{**VM, "vm_id": "a", "vcpu": 60.0}, {**VM, "vm_id": "b", "vcpu": 20.0}])
    assert found["capacity"] == found["allocated"] == {("a", NOBODY): 0.75, ("b", NOBODY): 0.25}


@pytest.mark.parametrize("unknown", [{"cpu_cores": None}, {"cpu_cores": 0}, {"quantity": 0}])
def test_a_host_of_unknown_capacity_is_shared_whole_under_both_keys(shares, unknown):
    found = shares([{**HOST, **unknown}], [{**VM, "vcpu": 4.0}])
    assert found["capacity"] == found["allocated"] == {("v", NOBODY): 1.0}


def app(name, share=None, vm="v", environment="prod"):
    return {"application_id": name, "environment": environment, "vm_id": vm, "share": share}


def test_applications_share_their_machine_equally_or_as_they_say(shares):
    machine = [{**VM, "vcpu": 40.0}]
    assert shares([HOST], machine, [app("crm"), app("web")])["allocated"] == {("v", "crm prod"): 0.5, ("v", "web prod"): 0.5}
    assert shares([HOST], machine, [app("crm", 0.7), app("web"), app("erp")])["allocated"] == {
        ("v", "crm prod"): 0.7, ("v", "web prod"): 0.15, ("v", "erp prod"): 0.15
    }
    assert shares([HOST], machine, [app("crm", 0.7), app("crm", 0.1, environment="test")])["allocated"] == {
        ("v", "crm prod"): 0.7, ("v", "crm test"): 0.1, (NOBODY, NOBODY): 0.2
    }


def test_applications_that_say_more_than_their_machine_are_cut_in_proportion(shares):
    assert shares([HOST], [{**VM, "vcpu": 40.0}], [app("crm", 0.9), app("web", 0.6), app("erp")])["allocated"] == {
        ("v", "crm prod"): 0.6, ("v", "web prod"): 0.4, ("v", "erp prod"): 0.0
    }


SIZES = st.none() | st.floats(0, 1e4, allow_subnormal=False)
MACHINES = st.lists(
    st.fixed_dictionaries({"equipment_id": st.sampled_from("xyz"), "kind": st.sampled_from(["compute", "storage"]), "vcpu": SIZES, "storage_gb": SIZES,
                           "explicit_share": st.none() | st.floats(0, 1)}), min_size=1, max_size=40)  # fmt: skip
APPLICATIONS = st.lists(st.tuples(st.integers(0, 39), st.none() | st.floats(0, 1)), max_size=40)


@example(machines=[{"equipment_id": "x", "kind": "compute", "vcpu": 1.192092896e-07, "storage_gb": None, "explicit_share": None}], applications=[])
@example(machines=[{"equipment_id": "x", "kind": "compute", "vcpu": 1e-13, "storage_gb": None, "explicit_share": None}], applications=[])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(machines=MACHINES, applications=APPLICATIONS)
def test_the_shares_of_every_host_and_key_sum_to_one_exactly(allocation_of, machines, applications):
    hosts = [{**HOST, "equipment_id": name, "cpu_cores": cores} for name, cores in (("x", 20), ("y", None), ("z", 3))]
    named = [{**row, "vm_id": str(place)} for place, row in enumerate(machines)]
    made = allocation_of(hosts, named, [app(f"a{place}", share, str(vm)) for place, (vm, share) in enumerate(applications)])
    sums = defaultdict(Decimal)
    for row in made:
        sums[row["parent_id"], row["allocation_key"]] += row["share"]
        assert 0 <= row["share"] <= 1
    assert sums == {(f"equipment-{row['equipment_id']}", key): Decimal(1) for row in machines for key in ("capacity", "allocated")}
    assert len({(row["parent_id"], row["allocation_key"], row["vm_id"], row["application_id"]) for row in made}) == len(made)
