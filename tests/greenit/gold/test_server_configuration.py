"""Behaviour of greenit/gold/server_configuration, and the servers' rows of device_factor held to it."""

import ibis
import pytest
from ibis import _

from platform_assets.greenit.gold.in_force import coefficients_of
from platform_assets.greenit.gold.server_configuration import configured_factor
from platform_assets.greenit.gold.server_embodied import constants_of_parts

DAY = ibis.date(2026, 1, 1)
KEYS = ("ram_gb_per_cm2", "ssd_gb_per_cm2", "psu_units", "psu_kg")
ASSUMED = {  # the configuration that `boundary` of the rows states
    "item_key": "server", "cpu_units": 2.0, "die_mm2": 490.0, "ram_units": 4.0, "ram_gb": 32.0, "ssd_units": 2.0, "ssd_gb": 1000.0, "hdd_units": 0.0,
}  # fmt: skip


@pytest.fixture
def factor_of(reference):
    """`factor_of(**changes)`: criterion -> the factor of the assumed server, but for the changes."""

    def compute(**changes):
        made = configured_factor(
            ibis.memtable([{**ASSUMED, **changes}]), constants_of_parts(reference("server_component"), DAY),
            coefficients_of(reference("server_coefficient"), "boavizta", KEYS, DAY),
        )  # fmt: skip
        return {row["criterion"]: row for row in made.to_pyarrow().to_pylist()}

    return compute


def test_a_server_is_the_sum_of_its_parts(factor_of):
    # processors 2 (490 × 0.0197 + 9.14) = 37.586; memory 4 (32 / 1.2444 × 2.2 + 5.22) = 247.1744; flash 2 (1000 / 54.88 × 2.2 + 6.34) = 92.8549;
    # supplies 2 × 2.99 × 24.3 = 145.314; case 150; board 66.1; assembly 6.68
    assert factor_of()["GWP"]["value"] == pytest.approx(745.7093, abs=1e-3)


def test_the_interval_is_what_a_configuration_does_not_say(factor_of):
    # least: memory 4 (32 / 2.375 × 2.2 + 5.22) = 139.4484, flash 2 (1000 / 128 × 2.2 + 6.34) = 47.055, supplies 48.6, blade 30.9 + 880 / 16 = 85.9
    # most: memory 4 (32 / 0.625 × 2.2 + 5.22) = 471.44, flash 2 (1000 / 16.4 × 2.2 + 6.34) = 280.9727, supplies 243, rack 150
    gwp = factor_of()["GWP"]
    assert (gwp["value_min"], gwp["value_max"]) == (pytest.approx(431.3694, abs=1e-3), pytest.approx(1255.7787, abs=1e-3))


def test_disks_count_by_the_piece(factor_of):
    assert factor_of(hdd_units=3.0)["GWP"]["value"] - factor_of()["GWP"]["value"] == pytest.approx(3 * 31.11)


def test_the_rows_that_servers_join_are_this_formula(factor_of, reference):
    stated = reference("device_factor").filter(_.item_key == "server", _.phase == "manufacturing").to_pyarrow().to_pylist()
    assert {row["criterion"] for row in stated} == {"GWP", "PE", "ADPe"}
    for row in stated:
        made = factor_of()[row["criterion"]]
        assert [row[name] for name in ("value", "value_min", "value_max")] == [pytest.approx(made[name], rel=1e-5) for name in ("value", "value_min", "value_max")]
