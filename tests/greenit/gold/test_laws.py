"""Laws that hold for any inventory: nothing is lost or made over a life, the order and the split of rows change nothing, shares make the whole."""

from datetime import date, timedelta
from decimal import Decimal

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis import _

from platform_assets.greenit.gold import sharing
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.electricity_scope2 import market_based
from platform_assets.greenit.gold.embodied import amortised_share
from platform_assets.greenit.gold.instance_footprint import embodied_per_hour, watts_at_load

LAW = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FIRST, LAST = date(2016, 1, 1), date(2032, 1, 1)  # every life below ends within
DAYS = st.integers(min_value=0, max_value=1400)
DEVICE = st.fixed_dictionaries({
    "item_type": st.sampled_from(["laptop", "desktop", "monitor", "smartphone", "server"]), "quantity": st.integers(min_value=1, max_value=5000),
    "ownership": st.sampled_from(["owned", "leased", "byod"]), "country_code": st.sampled_from(["FRA", "DEU", "USA", None]), "bought": DAYS,
    "kept": st.one_of(st.none(), DAYS), "status": st.sampled_from(["in_use", "in_stock"]), "is_datacentre": st.booleans(),
})  # fmt: skip
INVENTORY = st.lists(DEVICE, min_size=1, max_size=6)
SIZES = st.lists(st.integers(min_value=1, max_value=128), min_size=1, max_size=12)


def silver_row(place, device):
    purchase = FIRST + timedelta(days=device["bought"])
    retired = None if device["kept"] is None else purchase + timedelta(days=device["kept"])
    kept = {name: figure for name, figure in device.items() if name not in ("bought", "kept")}
    return {**kept, "equipment_id": f"e{place}", "purchase_date": purchase, "retired_date": retired}


@pytest.fixture
def impacts_of(gold, table_of, months, rows):
    """`impacts_of(rows of silver)`: rows of `impact` over the whole window, in order."""

    def compute(devices, window=None):
        made = gold.activity(equipment=table_of("silver", "equipment", *devices), months=months(FIRST, LAST) if window is None else window)
        return rows(gold.impact(made), "activity_id", "month_start", "phase", "criterion", "accounting_view", "ghg_method", "category")

    return compute


@LAW
@given(inventory=INVENTORY)
def test_over_all_months_both_views_carry_quantity_times_factor_times_share(inventory, impacts_of, reference):
    devices = [silver_row(place, device) for place, device in enumerate(inventory)]
    factors = {(row["item_key"], row["phase"]): row["value"] for row in reference("device_factor").filter(_.criterion == "GWP").to_pyarrow().to_pylist()}
    rates = {row["ownership"]: row["value"] for row in reference("usage_rate").to_pyarrow().to_pylist()}
    found = [row for row in impacts_of(devices) if row["phase"] != "use" and row["criterion"] == "GWP"]
    for device in devices:
        for phase in ("manufacturing", "distribution", "end_of_life"):
            if (device["item_type"], phase) not in factors:
                continue
            whole = device["quantity"] * rates[device["ownership"]] * factors[device["item_type"], phase]
            mine = [row for row in found if row["activity_id"] == f"equipment-{device['equipment_id']}" and row["phase"] == phase]
            views = {view: float(sum(row["value"] for row in mine if row["accounting_view"] == view)) for view in ("amortised", "purchase_year")}
            assert views["amortised"] == pytest.approx(whole, rel=1e-9), (device, phase)
            if phase != "end_of_life" or device["retired_date"]:  # a device still there has had no disposal yet
                assert views["purchase_year"] == pytest.approx(whole, rel=1e-9), (device, phase)


@settings(LAW, max_examples=3)
@given(inventory=st.lists(DEVICE, min_size=2, max_size=5), order=st.randoms(use_true_random=False))
def test_order_and_split_of_rows_change_no_digit(inventory, order, impacts_of, months):
    devices, window = [silver_row(place, device) for place, device in enumerate(inventory)], months(date(2018, 1, 1), date(2018, 4, 1))
    shuffled, half = order.sample(devices, len(devices)), len(devices) // 2
    parts = impacts_of(shuffled[:half], window) + impacts_of(shuffled[half:], window)
    assert sorted(parts, key=str) == sorted(impacts_of(devices, window), key=str)


@QUICK
@given(days=st.lists(st.integers(min_value=1, max_value=31), min_size=1, max_size=60), years=st.sampled_from([1.0, 2.5, 5.0, 6.6]))
def test_any_cutting_of_a_life_into_periods_carries_the_whole_once(days, years, duck):
    ages = [sum(days[:place]) for place in range(len(days))]
    table = ibis.memtable({"place": list(range(len(days))), "days": days, "age": ages})
    share = amortised_share(table.days, table.age, ibis.literal(years), table.place == len(days) - 1)
    assert table.agg(carried=share.sum()).to_pyarrow().to_pylist()[0]["carried"] == pytest.approx(1.0, abs=1e-9)


@QUICK
@given(host=st.floats(min_value=0, max_value=1e7), sizes=SIZES, free=st.integers(min_value=0, max_value=256))
def test_children_and_the_unallocated_are_the_parent(host, sizes, free, duck):
    table = ibis.memtable({"vcpu": sizes}).mutate(host=ibis.literal(host), capacity=ibis.literal(sum(sizes) + free))
    pieces = table.mutate(kg=sharing.allocated(table.host, sharing.share_of(table.vcpu, table.capacity)))
    summed = pieces.agg(kg=_.kg.sum(), host=_.host.max())
    left = summed.select("kg", rest=sharing.unallocated(summed.host, summed.kg)).to_pyarrow().to_pylist()[0]
    assert left["kg"] + left["rest"] == pytest.approx(host, rel=1e-12, abs=1e-9)
    assert left["rest"] == pytest.approx(host * free / (sum(sizes) + free), rel=1e-9, abs=1e-6)


def test_a_child_without_a_size_gets_no_share_and_a_parent_of_size_zero_gives_none(duck):
    table = ibis.memtable([{"vcpu": None, "total": 8.0}, {"vcpu": 2.0, "total": 0.0}], schema={"vcpu": "float64", "total": "float64"})
    assert table.select(share=sharing.share_of(table.vcpu, table.total)).share.to_pyarrow().to_pylist() == [None, None]


@QUICK
@given(kwh=st.floats(min_value=0, max_value=1e9), grid=st.floats(min_value=0, max_value=1.5))
def test_without_a_contract_the_market_is_the_location(kwh, grid, duck):
    table = ibis.memtable([{"kwh": kwh, "grid": grid, "none": None}], schema=dict.fromkeys(("kwh", "grid", "none"), "float64"))
    row = table.select(
        market=market_based(table.kwh, table.none, table.none, table.none, table.grid), location=impact_of(table.kwh, table.grid)
    ).to_pyarrow().to_pylist()[0]  # fmt: skip
    assert row["market"] == row["location"]


@QUICK
@given(sizes=SIZES, load=st.floats(min_value=0, max_value=100))
def test_instances_that_fill_a_platform_are_the_platform(sizes, load, duck):
    """The footprints of instances that share all vCPUs, memory and flash sum to that of one instance as large as the platform."""
    ends = ("", "_min", "_max")
    parts = {"cpu_units": 2, "ram_units": 8, "ram_gb": 32, "ssd_units": 2, "ssd_drive_gb": 900, "hdd_units": 0, "hdd_drive_gb": 0, "psu_units": 2, "psu_kg": 3,
             "lifetime_hours": 52560, "die_mm2": 600}  # fmt: skip
    platform = {"platform_id": "p", "memory_generation": "DDR4", "threads": sum(sizes) / 2, "a": 35.5, "b": 0.24, "c": 9.6, "d": -0.6}
    platform |= {f"{name}{end}": float(figure) for name, figure in parts.items() for end in ends}
    known = {"ram_gb_per_cm2": 1.2, "ssd_gb_per_cm2": 50, "other_share": 0.33, "ssd_watts": 8, "hdd_watts": 6}
    assumed = {f"{name}{end}": float(figure) for name, figure in known.items() for end in ends}
    assumed |= {f"ddr{generation}_{end}_watts_per_gb": 0.1 for generation in (3, 4, 5) for end in ("idle", "full")}
    constants = ("cpu_per_mm2", "cpu_base", "ram_per_cm2", "ram_base", "ssd_per_cm2", "ssd_base", "hdd", "motherboard", "psu_per_kg", "case_rack", "case_blade",
                 "assembly")  # fmt: skip
    components = ibis.memtable([{"criterion": "GWP", **{name: 1.0 + place for place, name in enumerate(constants)}}])
    total = sum(sizes)
    names = [f"i{place}" for place in range(len(sizes))] + ["whole"]
    instances = ibis.memtable([
        {"provider": "x", "instance_type": name, "platform_id": "p", "load_pct": load, "vcpu": float(size), "memory_gb": 256.0 * size / total,
         "ssd_gb": 1800.0 * size / total, "hdd_gb": 0.0, "gpu_units": 0.0, "accelerator": 0.0}
        for name, size in zip(names, [*sizes, total], strict=True)
    ])  # fmt: skip
    platforms, assumptions = ibis.memtable([platform]), ibis.memtable([assumed])
    for table, columns in ((embodied_per_hour(instances, platforms, components, assumptions), "embodied"), (watts_at_load(instances, platforms, assumptions), "watts")):
        found = table.to_pyarrow().to_pylist()
        for end in ends:
            pieces = sum(row[columns + end] for row in found if row["instance_type"] != "whole")
            assert pieces == pytest.approx(next(row[columns + end] for row in found if row["instance_type"] == "whole"), rel=1e-9)


def test_the_same_inputs_give_the_same_figures_to_the_last_digit(impacts_of, months):
    devices = [silver_row(0, {"item_type": "laptop", "quantity": 3, "ownership": "owned", "country_code": "FRA", "bought": 900, "kept": 700, "status": "in_use", "is_datacentre": False})]
    window = months(date(2018, 1, 1), date(2019, 1, 1))
    first, second = impacts_of(devices, window), impacts_of(devices, window)
    assert first == second
    assert all(isinstance(row["value"], Decimal) for row in first)
    # June to December: 7 × (4 criteria of use, the market's and the grid's losses, in 2 views; 3 amortised phases), and manufacturing and distribution in the month of purchase
    assert len(first) == 7 * ((4 + 2) * 2 + 3) + 2
