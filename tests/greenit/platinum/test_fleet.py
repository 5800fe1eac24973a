"""Behaviour of greenit/platinum/fleet."""

from datetime import date
from decimal import Decimal

import pytest

JUNE = date(2024, 6, 1)
LINE = {"activity_id": "a", "month_start": JUNE, "source": "equipment", "domain": "equipment", "item_key": "laptop", "quantity": Decimal(3), "lifetime_years": 5.0,
        "purchase_date": date(2022, 7, 1), "purchase_share": 0.0, "disposal_share": 0.0, "condition": "new", "dq_reliability": 4}  # fmt: skip


@pytest.fixture
def item(platinum):
    """`item(lines)`: the one row of laptops in June."""

    def compute(*lines):
        (row,) = platinum("fleet", activity=lines)
        return row

    return compute


def test_units_are_counted_and_their_age_is_at_the_end_of_the_month(item):
    row = item(LINE, {**LINE, "activity_id": "b", "quantity": Decimal(1), "purchase_date": date(2024, 1, 1)})
    # until 1 July 2024: 731 days of three units, 182 days of one
    assert (row["units"], row["dated_units"], row["mean_age_years"]) == (4.0, 4.0, pytest.approx((3 * 731 + 182) / 365.25 / 4))


def test_a_unit_of_unknown_purchase_counts_and_has_no_age(item):
    row = item(LINE, {**LINE, "activity_id": "b", "purchase_date": None})
    assert (row["units"], row["dated_units"], row["past_lifetime_units"]) == (6.0, 3.0, 0.0)
    assert row["mean_age_years"] == pytest.approx(731 / 365.25)
    assert item({**LINE, "purchase_date": None})["mean_age_years"] is None


def test_what_is_older_than_its_lifetime_is_past_it(item):
    old = {**LINE, "activity_id": "b", "purchase_date": date(2019, 6, 1), "quantity": Decimal(2)}
    assert item(LINE, old, {**old, "activity_id": "c", "lifetime_years": None})["past_lifetime_units"] == 2.0


def test_bought_retired_refurbished_and_metered_units_are_counted(item):
    row = item({**LINE, "purchase_share": 1.0}, {**LINE, "activity_id": "b", "disposal_share": 1.0, "quantity": Decimal(1)},
               {**LINE, "activity_id": "c", "condition": "refurbished", "dq_reliability": 1, "quantity": Decimal(5)},
               {**LINE, "activity_id": "d", "purchase_share": None, "disposal_share": None})  # fmt: skip
    assert [row[f"{name}_units"] for name in ("bought", "retired", "refurbished", "metered")] == [3.0, 1.0, 5.0, 5.0]


def test_only_equipment_is_a_fleet_and_what_is_unmapped_stays(platinum):
    made = platinum("fleet", activity=[{**LINE, "item_key": None}, {**LINE, "activity_id": "web", "source": "web", "domain": "web"}])
    assert [(row["item"], row["units"]) for row in made] == [("unmapped", 3.0)]
