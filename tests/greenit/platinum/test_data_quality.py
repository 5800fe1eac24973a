"""Behaviour of greenit/platinum/data_quality."""

from datetime import date
from decimal import Decimal
from math import e, sqrt

import pytest

JUNE = date(2024, 6, 1)
ROW = {"activity_id": "a", "month_start": JUNE, "phase": "use", "criterion": "GWP", "accounting_view": "amortised", "ghg_method": "none", "domain": "cloud", "value": Decimal(30),
       "dq_score": 2.0, "gsd": e**0.1, "grid_id": "g1", "factor_id": "f1", "method_id": "A5"}  # fmt: skip
DONE = {"activity_id": "a", "month_start": JUNE, "domain": "cloud", "dq_reliability": 2}


@pytest.fixture
def cell(platinum):
    def compute(impacts, reliability=(2,), **said):
        names = {row["activity_id"] for row in impacts}
        known = dict(zip(sorted(names), reliability, strict=False))
        (row,) = platinum("data_quality", impact=impacts, activity=[{**DONE, "activity_id": name, "dq_reliability": known.get(name, 4)} for name in names], **said)
        return row

    return compute


def test_the_score_weighs_by_the_size_of_the_impact(cell):
    row = cell([ROW, {**ROW, "activity_id": "b", "value": Decimal(-10), "dq_score": 4.0}])
    assert (row["size"], row["dq_score"], row["impacts"]) == (40.0, pytest.approx(2.5), 2)  # (30 × 2 + 10 × 4) / 40


def test_errors_of_one_factor_add_and_those_of_others_meet_at_right_angles(cell):
    same = [ROW, {**ROW, "activity_id": "b", "value": Decimal(10)}]
    assert cell(same)["uncertainty_pct"] == pytest.approx(10)  # 40 × 0.1 / 40
    other = [{**row, "grid_id": grid} for row, grid in zip(same, ("g1", "g2"), strict=True)]
    assert cell(other)["uncertainty_pct"] == pytest.approx(sqrt(3**2 + 1**2) / 40 * 100)


def test_an_impact_rests_on_a_meter_a_price_a_suppliers_word_or_an_estimate(cell):
    rows = [ROW, {**ROW, "activity_id": "b", "flags": "known_by_cost", "value": Decimal(4)}, {**ROW, "activity_id": "c", "flags": "supplier_figure", "value": Decimal(6)},
            {**ROW, "phase": "manufacturing", "value": Decimal(8)}, {**ROW, "activity_id": "d", "flags": "grid_of_the_world", "value": Decimal(2)}]  # fmt: skip
    row = cell(rows, reliability=(1, 2, 2, 4))
    # a: metered use 30, its manufacture 8 is estimated; d by type 2; flagged 4 + 6 + 2 of 50
    assert [row[f"{name}_value"] for name in ("metered", "estimated", "spend", "supplier")] == [30, 10, 4, 6]
    assert row["flagged_pct"] == pytest.approx(24)


def test_a_cell_says_how_much_of_its_domain_is_covered(cell):
    assert cell([ROW], coverage=[{"month_start": JUNE, "domain": "cloud", "criterion": "GWP", "coverage_pct": 62.5}])["coverage_pct"] == 62.5
    assert cell([ROW], coverage=[{"month_start": JUNE, "domain": "cloud", "criterion": "PE", "coverage_pct": 62.5}])["coverage_pct"] is None


def test_a_cell_of_nothing_has_no_shares(cell):
    row = cell([{**ROW, "value": Decimal(0)}])
    assert (row["dq_score"], row["uncertainty_pct"], row["flagged_pct"]) == (None, None, None)
