"""Movements, what of them was approved, and the file that says so."""
from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from partitions.errors import ReleaseError
from platform_assets.releases.approval import Expected, approval, approved, expected_of, judged, path_of, percent_of, read, written
from platform_assets.releases.movements import movements
from resources.releases import Movement

AUGUST, SEPTEMBER = date(2024, 8, 1), date(2024, 9, 1)


def moved(before: float | None, after: float | None, kpi: str = "total", month: date = SEPTEMBER, **shares: float) -> Movement:
    return Movement(kpi, month, "tCO2e", before, after, **(shares or {"by_code": (after or 0.0) - (before or 0.0)}))


# what moves, and because of what


def test_each_cause_has_the_difference_that_its_stage_makes() -> None:
    live = {("total", SEPTEMBER): (10.0, "tCO2e")}
    stages = [("data", live), ("code", {("total", SEPTEMBER): (12.0, "tCO2e")}), ("parameters", {("total", SEPTEMBER): (11.0, "tCO2e")})]
    assert movements(live, stages) == [Movement("total", SEPTEMBER, "tCO2e", 10.0, 11.0, by_code=2.0, by_parameters=-1.0)]
    assert movements(live, stages)[0].causes == ("code", "parameters")


def test_what_two_causes_undo_is_told_and_what_stays_is_not() -> None:
    live = {("total", SEPTEMBER): (10.0, "t"), ("still", SEPTEMBER): (1.0, "t")}
    away = {**live, ("total", SEPTEMBER): (12.0, "t")}
    found = movements(live, [("code", away), ("parameters", live)])
    assert [(one.kpi, one.before, one.after, one.by_code, one.by_parameters) for one in found] == [("total", 10.0, 10.0, 2.0, -2.0)]


def test_a_figure_that_appears_or_goes_has_no_other_side() -> None:
    found = movements({("old", SEPTEMBER): (1.0, "t")}, [("code", {("new", SEPTEMBER): (3.0, "t")})])
    assert [(one.kpi, one.before, one.after, one.by_code) for one in found] == [("new", None, 3.0, 3.0), ("old", 1.0, None, -1.0)]


# what of it is expected


def test_lines_hold_what_the_trial_saw_and_hardly_more() -> None:
    seen = [moved(100.0, 101.0, month=AUGUST), moved(100.0, 102.0), moved(None, 5.0, kpi="new"), moved(5.0, None, kpi="old"), moved(7.0, 7.0, kpi="same", by_code=0.0)]
    lines = expected_of("acme", seen)
    assert [(line.kpi, line.kind, line.percent, line.first, line.last) for line in lines] == [
        ("new", "appear", None, "2024-09", "2024-09"), ("old", "disappear", None, "2024-09", "2024-09"), ("total", "move", [1.0, 2.0], "2024-08", "2024-09")]
    for one in seen[:4]:
        assert any(line.holds("acme", one) for line in lines)
    total = lines[2]
    assert not total.holds("acme", moved(100.0, 102.1))
    assert not total.holds("acme", moved(100.0, 99.0))
    assert not total.holds("globex", moved(100.0, 102.0))
    assert not total.holds("acme", moved(100.0, 102.0, month=date(2024, 10, 1)))
    assert not total.holds("acme", moved(100.0, None))


def test_a_star_holds_for_all_and_never_misses() -> None:
    line = Expected(customer="*", kpi="*", first="2024-01", last="2024-12", percent=[-5.0, 5.0])
    found = approval("v2", "base", "here", "role", "why", SEPTEMBER, {}, []).model_copy(update={"movements": [line]})
    assert judged(found, "acme", [moved(100.0, 104.0)]) == ([], [])
    assert judged(found, "acme", []) == ([], [])
    assert len(judged(found, "acme", [moved(100.0, 106.0)])[0]) == 1


def test_what_is_not_expected_and_what_does_not_come_are_both_named() -> None:
    found = approval("v2", "base", "here", "role", "why", SEPTEMBER, {"acme": [moved(100.0, 101.0), moved(1.0, 2.0, kpi="gone")]}, [])
    unexpected, missing = judged(found, "acme", [moved(100.0, 101.0), moved(3.0, 4.0, kpi="other")])
    assert [one.kpi for one in unexpected] == ["other"]
    assert [line.kpi for line in missing] == ["gone"]


def test_per_cent_are_of_the_size_of_what_was() -> None:
    assert percent_of(moved(-10.0, -11.0)) == pytest.approx(-10.0)
    assert percent_of(moved(0.0, 1.0)) is None
    assert percent_of(moved(8.0, 10.0)) == pytest.approx(25.0)


# the file


def test_a_file_that_was_written_reads_the_same_and_has_a_line_per_movement(tmp_path: Path) -> None:
    made = approval("v2", "b0b0", "here", "data-steward", "a better factor: Germany", SEPTEMBER, {"acme": [moved(100.0, 101.0)], "globex": [moved(1.0, 2.0)]}, ["globex"])
    text = written(made, tmp_path).read_text()
    assert read("v2", tmp_path) == made == approved("v2", "here", tmp_path)
    assert text.count("\n  - {") == 1
    assert "globex" not in text.partition("movements:")[2]


@pytest.mark.parametrize(("text", "problem"), [
    ("release: v2\nbase: b\n", "candidate: Field required"), ("release: [", "not plain YAML"),
    ("release: v2\nbase: b\ncandidate: here\napproved: {by: a, day: '2024-09-01', why: w}\nmovements: [{customer: acme, kpi: total, first: 2024-9, last: 2024-09}]", "movements.0.first"),
    ("release: v2\nbase: b\ncandidate: here\napproved: {by: a, day: '2024-09-01', why: w}\nextra: 1\n", "extra"),
    ("release: v3\nbase: b\ncandidate: here\napproved: {by: a, day: '2024-09-01', why: w}\n", "approves v3"),
    ("release: v2\nbase: b\ncandidate: other\napproved: {by: a, day: '2024-09-01', why: w}\n", "has changed since it was approved"),
])
def test_an_approval_of_something_else_is_refused_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    path = path_of("v2", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ReleaseError, match=problem) as caught:
        approved("v2", "here", tmp_path)
    assert caught.value.place["file"] == "releases/v2/expected.yaml"


def test_no_approval_is_no_promotion(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="v2 is not approved"):
        approved("v2", "here", tmp_path)


@pytest.mark.parametrize("name", ["", "../v2", "v2/..", "-v2", "v 2", "v2\n", "ü", "a" * 64, ".git"])
def test_a_name_that_could_be_a_path_is_none(name: str) -> None:
    with pytest.raises(ReleaseError):
        path_of(name)
