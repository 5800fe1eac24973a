"""Behaviour of greenit/gold/use_phase and data_quality: formulas A2, A5, A9."""

import ibis
import pytest

from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.data_quality import dq_score, temporal
from platform_assets.greenit.gold.use_phase import device_kwh, electricity_kwh, instance_embodied_kgco2e_per_hour, instance_kwh_per_hour, watts_at


def value(expression):
    return ibis.get_backend().execute(expression)


def number(plain):
    return ibis.literal(plain)


def test_a_device_uses_its_days_of_the_year():
    assert value(device_kwh(number(2), number(36.525), number(31), number(1.0))) == pytest.approx(6.2)  # 2 × 36.525 × 31 / 365.25


def test_electricity_is_energy_times_pue_times_grid():
    assert value(impact_of(electricity_kwh(number(10.0), number(1.5)), number(0.05))) == pytest.approx(0.75)


def test_an_m5_large_at_half_load_by_cloud_carbon_footprint():
    # published averages 0.74 and 3.5 W: 2 × (0.74 + 0.5 × 2.76) = 4.24 Wh
    watts = watts_at(number(0.5), number(0.74), number(3.5))
    assert value(instance_kwh_per_hour(number(2), watts, number(0), number(0.0))) == pytest.approx(0.00424)


def test_a_gpu_adds_its_own_watts():
    # 16 × 1 W + 1 × (18 + 0.5 × 135) = 101.5 W
    assert value(instance_kwh_per_hour(number(16), number(1.0), number(1), watts_at(number(0.5), number(18.0), number(153.0)))) == pytest.approx(0.1015)


def test_an_instance_carries_its_vcpus_of_the_server_for_an_hour():
    assert value(instance_embodied_kgco2e_per_hour(number(1600.0), number(2), number(96), number(35040.0))) == pytest.approx(1600 * 2 / 96 / 35040)


@pytest.mark.parametrize(("years", "indicator"), [(0, 1), (-1, 1), (2, 2), (3, 2), (4, 3), (6, 3), (7, 4), (10, 4), (11, 5)])
def test_the_temporal_indicator_follows_the_distance(years, indicator):
    assert value(temporal(number(years))) == indicator


def test_the_score_is_the_mean_of_five_and_unknown_counts_five():
    assert value(dq_score(number(4), number(1), number(0), number(2), number(3))) == pytest.approx(11 / 5)
    assert value(dq_score(number(4), number(1), ibis.null("int64"), number(2), ibis.null("int64"))) == pytest.approx(17 / 5)
