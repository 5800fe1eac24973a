"""Every attack case that belongs here stands in the name of a test, so that none is lost when tests move."""
from __future__ import annotations

import re
from pathlib import Path

from resources.safeguards import SAFEGUARDS
from resources.settings import PROJECT

HERE = {*range(1, 21), *range(29, 46), *range(50, 57), *range(60, 63)}  # the front end's cases come with it, the chart's with the chart


def test_every_case_of_the_catalogue_that_belongs_here_has_a_test() -> None:
    named: set[int] = set()
    for folder in ("isolation", "s3"):
        for path in Path(PROJECT / "tests" / folder).glob("test_*.py"):
            for words in re.findall(r"^def test_cases?_((?:\d\d_|to_)+)", path.read_text(encoding="utf-8"), re.MULTILINE):
                first, _, last = words.partition("to_")
                numbers = [int(number) for number in re.findall(r"\d\d", first)]
                named |= set(numbers) | (set(range(numbers[-1], int(last[:2]) + 1)) if last else set())
    assert sorted(HERE - named) == []
    assert {number for guard in SAFEGUARDS for number in guard.cases} <= named
