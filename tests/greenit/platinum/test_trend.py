"""Behaviour of greenit/platinum/trend: each effect alone, then all together."""

from datetime import date
from decimal import Decimal

import pytest

BEFORE = {"activity_id": "a", "month_start": date(2024, 5, 1), "phase": "use", "criterion": "GWP", "accounting_view": "amortised", "ghg_method": "none", "category": "3.1",
          "domain": "cloud", "unit": "kgCO2e", "amount": 10.0, "factor_value": 2.0, "value": Decimal(20), "method_id": "A5", "method_version": "2.0.0"}  # fmt: skip
NOW = {**BEFORE, "month_start": date(2024, 6, 1)}
EFFECTS = ("activity_effect", "factor_effect", "perimeter_effect", "method_effect")


@pytest.fixture
def bridge(platinum):
    """`bridge(rows)`: the four effects of June against May; they always make the difference."""

    def compute(*rows, compared="previous_month"):
        (row,) = [row for row in platinum("trend", impact=rows) if row["period"] == date(2024, 6, 1) and row["compared_with"] == compared]
        assert sum(row[name] for name in EFFECTS) == row["value"] - row["value_before"]
        return tuple(float(row[name]) for name in EFFECTS)

    return compute


def test_nothing_changed_is_no_effect(bridge):
    assert bridge(BEFORE, NOW) == (0, 0, 0, 0)


def test_more_of_the_same_is_activity(bridge):
    assert bridge(BEFORE, {**NOW, "amount": 15.0, "value": Decimal(30)}) == (10, 0, 0, 0)  # 5 × 2


def test_another_figure_for_the_same_is_factor(bridge):
    assert bridge(BEFORE, {**NOW, "factor_value": 3.0, "value": Decimal(30)}) == (0, 10, 0, 0)  # 10 × 1


def test_amount_changes_at_the_old_factor_and_the_factor_at_the_new_amount(bridge):
    assert bridge(BEFORE, {**NOW, "amount": 15.0, "factor_value": 3.0, "value": Decimal(45)}) == (10, 15, 0, 0)  # 5 × 2, 15 × 1


def test_what_comes_and_what_goes_is_perimeter(bridge):
    new, gone = {**NOW, "activity_id": "new", "value": Decimal(7)}, {**BEFORE, "activity_id": "gone", "value": Decimal(4)}
    assert bridge(BEFORE, NOW, new) == (0, 0, 7, 0)
    assert bridge(BEFORE, NOW, gone) == (0, 0, -4, 0)


@pytest.mark.parametrize("changed", [{"method_id": "A5-storage"}, {"method_version": "3.0.0"}])
def test_another_formula_is_method_whatever_else_changed(bridge, changed):
    assert bridge(BEFORE, {**NOW, **changed, "amount": 15.0, "value": Decimal(26)}) == (0, 0, 0, 6)


def test_all_effects_together_are_the_sum_of_each(bridge):
    rows = [BEFORE, {**NOW, "amount": 15.0, "factor_value": 3.0, "value": Decimal(45)}, {**NOW, "activity_id": "new", "value": Decimal(7)},
            {**BEFORE, "activity_id": "m"}, {**NOW, "activity_id": "m", "method_version": "3", "value": Decimal(26)}]  # fmt: skip
    assert bridge(*rows) == (10, 15, 7, 6)


def test_an_activity_that_began_from_nothing_is_more_activity(bridge):
    assert bridge({**BEFORE, "amount": 0.0, "value": Decimal(0)}, NOW) == (20, 0, 0, 0)


def test_a_reversal_is_less_activity(bridge):
    assert bridge(BEFORE, {**NOW, "amount": -5.0, "value": Decimal(-10)}) == (-30, 0, 0, 0)  # -15 × 2


def test_thirds_leave_no_digit_over(bridge):
    third = {**BEFORE, "amount": 3.0, "value": Decimal("3.333333333333333333")}
    assert bridge(third, {**NOW, "amount": 7.0, "value": Decimal("7.777777777777777777")})[2:] == (0, 0)


def test_the_same_month_of_the_year_before_is_compared_too(bridge, platinum):
    last_year = {**BEFORE, "month_start": date(2023, 6, 1), "value": Decimal(8), "amount": 4.0}
    assert bridge(last_year, BEFORE, NOW, compared="previous_year") == (12, 0, 0, 0)  # 6 × 2
    made = platinum("trend", impact=[last_year, BEFORE, NOW])
    assert {(row["period"], row["compared_with"]) for row in made if row["period"] < date(2023, 7, 1)} == set()  # the first month has nothing before it
    assert max(row["period"] for row in made) == date(2024, 6, 1)  # and nothing is foretold


def test_methods_and_views_are_bridges_of_their_own(platinum):
    rows = [{**row, "ghg_method": method, "accounting_view": view} for row in (BEFORE, NOW) for method in ("location", "market") for view in ("amortised", "purchase_year")]
    assert {(row["method"], row["view"], row["value"]) for row in platinum("trend", impact=rows)} == {
        (method, view, Decimal(20)) for method in ("location", "market") for view in ("amortised", "purchase_year")
    }
