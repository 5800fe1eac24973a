"""Behaviour of greenit/gold/embodied: formula A1."""

import random
from datetime import date, timedelta

import ibis
import pytest

from platform_assets.greenit.gold.embodied import amortised_share, months_in_service


def life(table_of, window, purchase, retired=None):
    """The months of one device as dicts, in order."""
    device = table_of("silver", "equipment", {"equipment_id": "e", "purchase_date": purchase, "retired_date": retired})
    return months_in_service(device, window).order_by("month_start").to_pyarrow().to_pylist()


def shares(table_of, window, purchase, retired, years):
    device = table_of("silver", "equipment", {"equipment_id": "e", "purchase_date": purchase, "retired_date": retired})
    lived = months_in_service(device, window)
    share = amortised_share(lived.days_in_month, lived.age_days, ibis.literal(float(years)), lived.is_last_month)
    return [row["share"] for row in lived.select("month_start", share=share).order_by("month_start").to_pyarrow().to_pylist()]


def test_a_device_counts_from_the_day_of_purchase(table_of, months):
    january, february = life(table_of, months(date(2024, 1, 1), date(2024, 3, 1)), date(2024, 1, 20))
    assert (january["days_in_month"], january["age_days"], january["is_first_month"]) == (12, 0, True)
    assert (february["days_in_month"], february["age_days"], february["is_first_month"]) == (29, 12, False)  # a leap year


def test_the_day_of_retirement_does_not_count(table_of, year_2024):
    lived = life(table_of, year_2024, date(2023, 1, 1), date(2024, 2, 10))
    assert [(month["days_in_month"], month["is_last_month"]) for month in lived] == [(31, False), (9, True)]


def test_a_device_that_leaves_on_the_first_had_its_last_month_before(table_of, year_2024):
    lived = life(table_of, year_2024, date(2023, 1, 1), date(2024, 2, 1))
    assert [(month["month_start"], month["is_last_month"]) for month in lived] == [(date(2024, 1, 1), True)]


def test_a_device_retired_on_the_day_of_its_purchase_was_there_for_a_day(table_of, year_2024):
    lived = life(table_of, year_2024, date(2024, 5, 1), date(2024, 5, 1))
    assert [(month["days_in_month"], month["is_last_month"]) for month in lived] == [(1, True)]


def test_a_device_bought_after_the_window_has_no_month(table_of, year_2024):
    assert life(table_of, year_2024, date(2025, 1, 1)) == []


def test_the_window_ends_at_as_of_and_a_planned_retirement_is_not_yet_one(table_of, months):
    march = life(table_of, months(date(2024, 3, 1), date(2024, 3, 11)), date(2024, 1, 1), date(2024, 3, 20))
    assert [(month["days_in_month"], month["is_last_month"]) for month in march] == [(10, False)]


def test_without_a_purchase_date_a_device_was_always_there_and_has_no_age(table_of, months):
    (january,) = life(table_of, months(date(2024, 1, 1), date(2024, 2, 1)), None)
    assert (january["days_in_month"], january["age_days"], january["is_first_month"]) == (31, None, False)


def test_a_month_carries_its_days_of_the_lifetime(table_of, year_2024):
    # 12 d / (4 × 365.25 d), then 29 d
    assert shares(table_of, year_2024, date(2024, 1, 20), None, 4)[:2] == pytest.approx([12 / 1461, 29 / 1461])


def test_after_the_lifetime_nothing_is_left(table_of, year_2024):
    # 2 a = 730.5 d from 2022-03-01; on 1 March 2024 the device is 731 d old; February (day 702 to 731) carries 730.5 - 702 = 28.5 d
    carried = shares(table_of, year_2024, date(2022, 3, 1), None, 2)
    assert carried[1] == pytest.approx(28.5 / 730.5)
    assert carried[2:] == [0.0] * 10


def test_the_month_of_an_early_retirement_takes_the_remainder(table_of, year_2024):
    # bought 2024-01-01 for 4 a, gone 2024-03-10: (1461 - 60) d of 1461 d are left on 1 March
    assert shares(table_of, year_2024, date(2024, 1, 1), date(2024, 3, 10), 4) == pytest.approx([31 / 1461, 29 / 1461, 1401 / 1461])


def test_over_a_life_the_shares_sum_to_one(table_of, months):
    dice = random.Random(2)
    window = months(date(2015, 1, 1), date(2032, 1, 1))
    for _case in range(40):
        purchase = date(2015, 1, 1) + timedelta(days=dice.randrange(1500))
        retired = purchase + timedelta(days=dice.randrange(4500)) if dice.random() < 0.7 else None
        carried = shares(table_of, window, purchase, retired, dice.choice([0.5, 2, 2.5, 3, 5, 6.6, 8]))
        assert sum(carried) == pytest.approx(1, abs=1e-12), (purchase, retired)
        assert min(carried) >= 0


def test_without_a_purchase_date_the_share_is_unknown_and_not_zero(table_of, months):
    assert shares(table_of, months(date(2024, 1, 1), date(2024, 3, 1)), None, None, 4) == [None, None]
