"""Behaviour of the formula modules at their edges, with figures worked out by hand; peers' figures are in tests/vectors."""

from datetime import date

import ibis
import pytest

from platform_assets.greenit.gold import cloud_meters, compute_power, electricity_scope2, language_model, server_embodied, spend, water, web_page
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.embodied import hourly_share
from platform_assets.greenit.gold.in_force import coefficients_of
from platform_assets.greenit.platinum.target_path import linear_target

DAY = ibis.date(2026, 1, 1)
CURVE = [(0.0, 0.12), (10.0, 0.32), (50.0, 0.75), (100.0, 1.02)]


def over(formula, **figures):
    """A formula over one row of columns; None stays NULL."""
    table = ibis.memtable([figures], schema=dict.fromkeys(figures, "float64"))
    return table.select(figure=formula(*(table[name] for name in figures))).to_pyarrow().to_pylist()[0]["figure"]


@pytest.mark.parametrize(("load", "share"), [(0, 0.12), (5, 0.22), (10, 0.32), (75, 0.885), (100, 1.02), (130, 1.02), (-3, 0.12)])
def test_power_follows_the_lines_of_the_curve_and_stays_at_its_ends(load, share):
    # 5 %: half-way from 0.12 to 0.32; 75 %: half-way from 0.75 to 1.02
    assert over(lambda at: compute_power.on_curve(at, CURVE), load=load) == pytest.approx(share)


def test_the_unknown_stays_unknown_at_every_limit():
    """GREATEST and LEAST would make a limit of it."""
    assert over(lambda at: compute_power.on_curve(at, CURVE), load=None) is None
    assert over(compute_power.profile_watts, load=None, a=10, b=0.1, c=10, d=2) is None
    assert over(hourly_share, hours=None, lifetime=35040) is None
    assert over(linear_target, base=None, base_year=2020, year=2030, rate=0.042) is None
    assert over(electricity_scope2.market_based, kwh=None, covered=40, contract=0, residual=0.5, grid=0.3) is None


def test_a_profile_never_falls_below_a_watt():
    # 10 ln(0.1 × (50 + 10)) + 2 = 10 × 1.791759 + 2; idle: 10 ln(0.1 × 1) + 2 < 1
    assert over(compute_power.profile_watts, load=50, a=10, b=0.1, c=10, d=2) == pytest.approx(19.91759, abs=1e-5)
    assert over(compute_power.profile_watts, load=0, a=10, b=0.1, c=1, d=2) == 1.0


def test_memory_draws_most_of_its_power_when_idle():
    assert over(compute_power.memory_watts, gb=256, load=0, idle=0.1, full=0.15) == pytest.approx(25.6)
    assert over(compute_power.memory_watts, gb=256, load=0.5, idle=0.1, full=0.15) == pytest.approx(32)


def test_drives_stand_outside_of_the_share_for_fans_and_board():
    assert over(compute_power.host_watts, cpu=100, ram=50, other=0.2, drives=16) == pytest.approx(196)  # 150 × 1.2 + 16


def test_a_hundred_vcpus_need_two_processors_of_96():
    assert over(compute_power.pieces_for, vcpu=100, per=96) == 2


def test_an_hour_after_the_end_of_life_carries_no_more_than_the_whole():
    assert over(hourly_share, hours=8760, lifetime=35040) == 0.25
    assert over(hourly_share, hours=50_000, lifetime=35040) == 1


def test_a_blade_carries_a_sixteenth_of_its_enclosure():
    assert over(server_embodied.blade_case, base=30.9, enclosure=880) == pytest.approx(85.9)


def test_a_good_die_stands_for_more_wafer_than_its_area():
    # (√400 + 0.2)² = 408.04; dies 70685.83 / 408.04 - 300 π / √816.08 = 140.2407; yield e^-√0.40804 = 0.527953; 70685.83 / 140.2407 / 0.527953
    assert over(server_embodied.wafer_mm2, die=400) == pytest.approx(954.69, abs=0.5)


def test_a_terabyte_of_disk_for_a_day_in_two_copies():
    assert over(cloud_meters.meter_kwh, tb_hours=24, copies=2, kwh=0.00065) == pytest.approx(0.0312)
    assert over(lambda gb, per, hours: cloud_meters.meter_amount(gb, per, hours, ibis.literal(True)), gb=500, per=0.001, hours=720) == pytest.approx(360)


def test_flash_per_gigabyte_is_die_and_a_part_of_the_drive():
    # 1,000 GB / 50 GB/cm² × 2.2 + 6.34 = 50.34 kg of a drive
    assert over(server_embodied.memory_impact, units=1, gb=1000, density=50, slope=2.2, base=6.34) == pytest.approx(50.34)


def test_a_returning_visitor_loads_what_is_not_cached():
    assert over(web_page.bytes_of_visits, page=2e6, first=0.75, again=0.25, reload=0.2) == pytest.approx(1.6e6)
    assert over(web_page.gigabytes, transferred=2e9) == 2


def test_generation_never_takes_longer_than_was_measured():
    c = {"seconds_per_parameter": 0.0, "seconds_per_batch": 0.0, "batch": 64.0, "seconds_base": 0.02}
    assert over(lambda tokens, active, measured: language_model.generation_seconds(tokens, active, measured, c), tokens=200, active=7, measured=10) == 4
    assert over(lambda tokens, active, measured: language_model.generation_seconds(tokens, active, measured, c), tokens=200, active=7, measured=3) == 3
    assert over(lambda tokens, active, measured: language_model.generation_seconds(tokens, active, measured, c), tokens=200, active=7, measured=None) == 4
    assert over(lambda tokens, active, measured: language_model.generation_seconds(tokens, active, measured, c), tokens=None, active=7, measured=3) is None


def test_spend_goes_to_dollars_and_then_to_the_prices_of_the_factor():
    # 1,000 € × 1.08 $/€ × 292.7 / 320.0, then × 0.093
    assert over(spend.spend_in_factor_money, spend=1000, rate=1.08, then=292.7, now=320) == pytest.approx(987.8625)
    assert over(impact_of, usd=987.8625, factor=0.093) == pytest.approx(91.8712, abs=1e-4)


def test_certificates_beyond_the_consumption_make_no_credit():
    assert over(electricity_scope2.market_based, kwh=100, covered=500, contract=0, residual=0.5, grid=0.3) == 0
    assert over(electricity_scope2.market_based, kwh=100, covered=40, contract=0.1, residual=0.5, grid=0.3) == pytest.approx(34)  # 4 + 30


def test_without_a_residual_mix_the_rest_takes_the_grid():
    assert over(electricity_scope2.market_based, kwh=100, covered=40, contract=0.0, residual=None, grid=0.3) == pytest.approx(18)


def test_a_contract_without_a_factor_is_unknown_and_not_zero():
    assert over(electricity_scope2.market_based, kwh=100, covered=40, contract=None, residual=0.5, grid=0.3) is None


def test_losses_of_the_grid_are_a_line_of_their_own():
    assert over(electricity_scope2.lost_kwh, kwh=100, losses=0.08) == pytest.approx(8)


def test_cooling_goes_by_it_energy_and_electricity_by_all_of_it():
    # 100 × (0.37 + 1.26 × 5.04)
    assert over(water.datacentre_litres, it=100, pue=1.26, wue=0.37, grid=5.04) == pytest.approx(672.04)
    assert over(water.datacentre_litres, it=100, pue=1.26, wue=None, grid=5.04) is None


def test_a_target_falls_by_shares_of_the_base_year_to_nothing_and_not_below():
    assert over(linear_target, base=1000, base_year=2020, year=2030, rate=0.042) == pytest.approx(580)
    assert over(linear_target, base=1000, base_year=2020, year=2050, rate=0.042) == 0


def coefficient(key, value, first, last=None, **ends):
    return {"model": "m", "key": key, "value": value, "value_min": None, "value_max": None, "valid_from": first, "valid_to": last, **ends}


def test_coefficients_are_those_in_force_on_the_day_and_a_missing_one_is_null():
    rows = [
        coefficient("a", 1.0, date(2000, 1, 1), date(2024, 12, 31)), coefficient("a", 2.0, date(2025, 1, 1), value_min=1.5),
        coefficient("b", 9.0, date(2030, 1, 1)), coefficient("a", 7.0, date(2000, 1, 1)) | {"model": "another"},
    ]  # fmt: skip
    kinds = {"model": "string", "key": "string", "value": "float64", "value_min": "float64", "value_max": "float64", "valid_from": "date", "valid_to": "date"}
    found = coefficients_of(ibis.memtable(rows, schema=kinds), "m", ("a", "b"), DAY).to_pyarrow().to_pylist()
    assert found == [{"a": 2.0, "a_min": 1.5, "a_max": 2.0, "b": None, "b_min": None, "b_max": None}]
