"""Behaviour of greenit/gold/processor: what is found of a processor by its name, and what is assumed."""

import math

import pytest

from platform_assets.greenit.gold.processor import Sheet, die_area, fitted_profile, found, range_profile

TEADS = ((0.0, 0.12), (10.0, 0.32), (50.0, 0.75), (100.0, 1.02))
GENERIC, GOLD = (171.2, 0.0354, 36.89, -10.13), (35.5688, 0.2438, 9.6694, -0.6087)
SHEETS = [
    Sheet("Intel Xeon E5-2670", "Sandy Bridge", "Intel", "Xeon E5", 115, 8, 16, 416),
    Sheet("Intel Xeon E5-2670 V2", "Ivy Bridge", "Intel", "Xeon E5", 115, 10, 20, None),
    Sheet("Ivy 10 a", "Ivy Bridge", cores=10, die_mm2=300.0), Sheet("Ivy 10 b", "Ivy Bridge", cores=10, die_mm2=340.0),
    Sheet("Ivy 6", "Ivy Bridge", cores=6, die_mm2=240.0),
]  # fmt: skip


def test_a_name_is_matched_by_its_words_in_any_case_and_not_by_a_shorter_name():
    assert found("intel xeon E5-2670 v2", SHEETS) is SHEETS[1]
    assert found("Intel Xeon E5-2670", SHEETS) is SHEETS[0]
    assert found("Graviton9", SHEETS) is None
    assert found("", SHEETS) is None


def test_a_published_die_is_its_own_interval():
    area = die_area(SHEETS[0], 8, SHEETS)
    assert (area.value, area.low, area.high) == (416, 416, 416)


def test_an_unpublished_die_takes_its_family_with_as_many_cores_and_their_range():
    area = die_area(SHEETS[1], 10, SHEETS)
    assert (area.value, area.low, area.high) == (320, 300, 340)


def test_between_core_counts_the_family_is_a_line():
    # through (6, 240) and twice 10 cores with mean 320: 20 mm² per core, 8 cores = 280
    area = die_area(SHEETS[1], 8, SHEETS)
    assert area.value == pytest.approx(280)


def test_a_family_of_one_core_count_is_scaled():
    area = die_area(Sheet("x", "Sandy Bridge"), 4, SHEETS)
    assert area.value == pytest.approx(208)  # 416 × 4 / 8


def test_a_range_without_a_profile_takes_the_generic_one():
    profiles = {("", ""): GENERIC, ("Intel", "Xeon Gold"): GOLD}
    assert range_profile(Sheet("x", manufacturer="Intel", model_range="Xeon Gold"), profiles) == GOLD
    assert range_profile(SHEETS[0], profiles) == GENERIC
    assert range_profile(None, profiles) == GENERIC


@pytest.mark.parametrize("base", [GENERIC, GOLD])
def test_a_fitted_profile_passes_near_the_points_of_its_design_power(base):
    a, b, c, d = fitted_profile(base, 200.0, TEADS)
    for load, share in TEADS:
        assert a * math.log(b * (load + c)) + d == pytest.approx(200 * share, abs=0.06 * 200)


def test_without_a_design_power_the_profile_stays():
    assert fitted_profile(GOLD, None, TEADS) == GOLD
