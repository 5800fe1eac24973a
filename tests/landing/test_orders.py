"""Deliveries shuffled, repeated and corrected: whatever the order of arrival, the same files count in the end.

Hypothesis draws the deliveries and two orders of arrival; the real registry judges. What counts is also worked out here, from the
definitions alone: a snapshot is the newest (period, sequence), a period its highest sequence, an append everything.
"""
from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partitions.errors import DeliveryError
from resources.deliveries import Mode, effective, land, newest_period_end

from .conftest import customer_of, source_of
from .test_deliveries import inventory_file

MONTHS = ("2024-06", "2024-07", "2024-08")
REAL = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Drawn:
    """One delivery as its sender meant it."""

    period: str | None
    sequence: int
    ids: tuple[str, ...]  # one file each


@st.composite
def deliveries(draw: st.DrawFn, periods: tuple[str | None, ...]) -> list[Drawn]:
    """Per period one to three sequences, not always from 1 on nor without gaps, of one or two files; every content is its own."""
    drawn = []
    for period in draw(st.lists(st.sampled_from(periods), min_size=1, max_size=len(periods), unique=True)):
        for sequence in draw(st.lists(st.integers(1, 5), min_size=1, max_size=3, unique=True)):
            drawn.append(Drawn(period, sequence, tuple(f"{period}-{sequence}-{n}" for n in range(draw(st.integers(1, 2))))))
    return drawn


def orders(drawn: list[Drawn]) -> st.SearchStrategy[list[Drawn]]:
    """All of them at least once and some twice, in any order."""
    return st.lists(st.sampled_from(drawn), max_size=4).flatmap(lambda again: st.permutations([*drawn, *again]))


def arrive(registry: psycopg.Connection, mode: Mode, order: list[Drawn]) -> tuple[list[tuple], list[str], date | None]:
    """Land in that order into an empty registry: the files that count, the results, and the last day covered."""
    registry.execute("TRUNCATE platform.delivery")
    registry.commit()
    source = replace(source_of("equipment_inventory"), mode=mode)
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for one in order:
            files = [inventory_file(Path(folder), f"{id}.csv", id) for id in one.ids]
            results.append(land(registry, Path(folder, "landing"), customer_of(), source, files, one.period, one.sequence).result)
        found = effective(registry, "acme", source.name, mode)
        return [(f.period and f"{f.period:%Y-%m}", f.sequence, f.sha256) for f in found], results, newest_period_end(registry, "acme")


def counting(mode: Mode, drawn: list[Drawn]) -> set[tuple[str | None, int]]:
    """The (period, sequence) pairs that count, from the definitions alone."""
    pairs = {(one.period, one.sequence) for one in drawn}
    if mode == "append":
        return pairs
    highest = {(period, max(s for p, s in pairs if p == period)) for period, _ in pairs}
    return highest if mode == "period" else {max(highest, key=lambda pair: pair[0] or "")}


@pytest.mark.parametrize(("mode", "periods"), [("period", MONTHS), ("snapshot", (None, *MONTHS)), ("append", (None, *MONTHS))])
@REAL
@given(data=st.data())
def test_the_final_state_is_the_same_in_every_order_of_arrival(registry: psycopg.Connection, mode: Mode, periods: tuple[str | None, ...], data: st.DataObject) -> None:
    drawn = data.draw(deliveries(periods))
    first, second = data.draw(orders(drawn)), data.draw(orders(drawn))
    state, results, covered = arrive(registry, mode, first)
    assert (state, covered) == arrive(registry, mode, second)[::2]
    assert {(period, sequence) for period, sequence, _ in state} == counting(mode, drawn)
    assert len({sha for _, _, sha in state}) == len(state) == sum(len(one.ids) for one in drawn if (one.period, one.sequence) in counting(mode, drawn))
    assert (results.count("new"), results.count("unchanged")) == (len(drawn), len(first) - len(drawn))


@REAL
@given(data=st.data())
def test_corrections_without_a_sequence_leave_the_last_that_arrived(registry: psycopg.Connection, data: st.DataObject) -> None:
    """Nobody numbers them, so arrival numbers them: of each period the last new content counts, and repeating the counting one changes nothing."""
    arrivals = data.draw(st.lists(st.tuples(st.sampled_from(MONTHS), st.sampled_from("abc")), min_size=1, max_size=8))
    registry.execute("TRUNCATE platform.delivery")
    registry.commit()
    source = replace(source_of("equipment_inventory"), mode="period")
    expected: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for month, content in arrivals:
            name = f"{month}-{content}.csv"
            result = land(registry, Path(folder, "landing"), customer_of(), source, [inventory_file(Path(folder), name, name)], month).result
            known = expected.setdefault(month, [])
            assert result == ("unchanged" if name in known else "new")
            known += [name] if name not in known else []
        found = effective(registry, "acme", source.name, "period")
    assert {f"{f.period:%Y-%m}": (f.sequence, f.file_name) for f in found} == {month: (len(names), names[-1]) for month, names in expected.items()}


@REAL
@given(data=st.data())
def test_a_sequence_that_is_taken_refuses_other_files_and_changes_nothing(registry: psycopg.Connection, data: st.DataObject) -> None:
    drawn = data.draw(deliveries(MONTHS))
    taken = data.draw(st.sampled_from(drawn))
    before = arrive(registry, "period", drawn)[0]
    source = replace(source_of("equipment_inventory"), mode="period")
    with tempfile.TemporaryDirectory() as folder, pytest.raises(DeliveryError, match="holds other files"):
        land(registry, Path(folder, "landing"), customer_of(), source, [inventory_file(Path(folder), "x.csv", "another")], taken.period, taken.sequence)
    after = effective(registry, "acme", source.name, "period")
    assert [(f.period and f"{f.period:%Y-%m}", f.sequence, f.sha256) for f in after] == before
