"""`releases/<release>/expected.yaml`: what a release may move, approved by a person, versioned in Git.

What belongs here: the file, writing it from a trial, and judging movements by it. What does not: figures (movements.py) and who may be promoted
(gate.py, promotion.py).
"""
from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from partitions.errors import ReleaseError
from resources.releases import CAUSES, Movement
from resources.settings import PROJECT

FILE = "expected.yaml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
ALL = "*"
DECIMALS = 4  # of per cent, rounded outwards: what a trial saw on complete data is met again where it is promoted
HEADER = """# What {release} may move. Written by `strata release approve` from a trial, and reviewed like code: change what is wrong before it is merged.
# A movement that stands in no line holds its customer back; a line that nothing meets is a warning. "*" stands for all customers or KPIs.
"""

Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Kind = Literal["move", "appear", "disappear"]
Month = Annotated[str, StringConstraints(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Approved(_Strict):
    """Who answers for it, from which day and why. A role, so that the file names no person."""

    by: Text
    day: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    why: Text


class Expected(_Strict):
    """Figures of a KPI of a customer in months `first` to `last`: they `move` by between `percent[0]` and `percent[1]` %, `appear` or `disappear`."""

    customer: Text
    kpi: Text
    first: Month
    last: Month
    kind: Kind = "move"
    percent: list[float] | None = Field(default=None, min_length=2, max_length=2)
    causes: list[Text] = []

    def holds(self, customer: str, moved: Movement) -> bool:
        """Whether a movement is one of these."""
        if self.customer not in (ALL, customer) or self.kpi not in (ALL, moved.kpi) or not self.first <= f"{moved.month:%Y-%m}" <= self.last:
            return False
        if kind_of(moved) != self.kind:
            return False
        change = percent_of(moved)
        return self.kind != "move" or self.percent is None or (change is not None and self.percent[0] <= change <= self.percent[1])


class Expectations(_Strict):
    """The file. `candidate` is what was tried (plan.identity); `held` are customers on whom the trial failed: they are not promoted. `reasons`: cause ->
    the commits, rows and libraries behind it, which customers are told."""

    release: Text
    base: Text
    candidate: Text
    approved: Approved
    held: list[Text] = []
    reasons: dict[str, list[str]] = {}
    movements: list[Expected] = []

    def causes(self, customer: str, moved: Iterable[Movement]) -> tuple[str, ...]:
        """Because of what a customer's movements were expected."""
        lines = [line for line in self.movements if any(line.holds(customer, one) for one in moved)]
        return tuple(cause for cause in CAUSES if any(cause in line.causes for line in lines))


def check_release(name: str) -> str:
    """The name itself: it becomes a folder. Raises ReleaseError."""
    if not NAME.fullmatch(name):
        raise ReleaseError(f"{ascii(name)[:64]} is no name of a release", fix="use up to 63 of A-Z, a-z, 0-9, dot, _ and -, such as v1.4.0")
    return name


def kind_of(moved: Movement) -> Kind:
    if moved.before is None or moved.before == 0.0:
        return "appear"
    return "disappear" if moved.after is None else "move"


def percent_of(moved: Movement) -> float | None:
    """The change in per cent of what was; None where there was nothing to take it of."""
    if moved.before is None or moved.after is None or moved.before == 0.0:
        return None
    return (moved.after - moved.before) / abs(moved.before) * 100


def expected_of(customer: str, moved: Iterable[Movement]) -> list[Expected]:
    """The lines that say what a trial saw: one per KPI, kind and set of causes, as narrow as they can be."""
    groups: dict[tuple[str, Kind, tuple[str, ...]], list[Movement]] = {}
    for one in moved:
        if one.before != one.after:
            groups.setdefault((one.kpi, kind_of(one), one.causes), []).append(one)
    found = []
    for (kpi, kind, causes), movements in sorted(groups.items()):
        months = [f"{one.month:%Y-%m}" for one in movements]
        changes = [change for one in movements if (change := percent_of(one)) is not None]
        scale = 10**DECIMALS
        span = [math.floor(min(changes) * scale) / scale, math.ceil(max(changes) * scale) / scale] if kind == "move" else None
        found.append(Expected(customer=customer, kpi=kpi, first=min(months), last=max(months), kind=kind, percent=span, causes=list(causes)))
    return found


def judged(expectations: Expectations, customer: str, moved: Sequence[Movement]) -> tuple[list[Movement], list[Expected]]:
    """The movements that no line holds, and the lines of this customer that nothing met."""
    mine = [one for one in expectations.movements if one.customer in (ALL, customer)]
    unexpected = [one for one in moved if one.before != one.after and not any(line.holds(customer, one) for line in mine)]
    missing = [line for line in mine if line.customer != ALL and not any(line.holds(customer, one) for one in moved)]
    return unexpected, missing


# the file


def path_of(release: str, root: Path = PROJECT) -> Path:
    return root / "releases" / check_release(release) / FILE


def written(expectations: Expectations, root: Path = PROJECT) -> Path:
    """Write the file; one line per movement, so that a review sees each."""
    path = path_of(expectations.release, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = expectations.model_dump(exclude_defaults=True)
    lines = [yaml.safe_dump(line, default_flow_style=True, sort_keys=False, width=10_000).strip() for line in said.pop("movements", [])]
    head = yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=160)
    body = "movements:\n" + "".join(f"  - {line}\n" for line in lines) if lines else "movements: []\n"
    path.write_text(HEADER.format(release=expectations.release) + head + body, encoding="utf-8")
    return path


def read(release: str, root: Path = PROJECT) -> Expectations | None:
    """The approval of a release; None where there is none. Raises ReleaseError for a file that does not validate."""
    path = path_of(release, root)
    if not path.is_file():
        return None
    place = f"releases/{release}/{FILE}"
    try:
        return Expectations.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ReleaseError("the approval is not plain YAML", file=place, fix="write it anew: `strata release approve`") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise ReleaseError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", file=place, fix="correct the line") from error


def approved(release: str, candidate: str, root: Path = PROJECT) -> Expectations:
    """The approval of exactly what is installed. Raises ReleaseError where there is none, or where the release has changed since."""
    found = read(release, root)
    if found is None:
        raise ReleaseError(f"{release} is not approved", file=f"releases/{release}/{FILE}",
                           fix=f"`strata release impact {release} --base <commit>`, then `strata release approve {release}`, and merge the file")
    if found.release != release:
        raise ReleaseError(f"the file approves {found.release}", file=f"releases/{release}/{FILE}", fix="approve this release under its own name")
    if found.candidate != candidate:
        raise ReleaseError(f"{release} has changed since it was approved: {found.candidate} was tried, {candidate} is installed",
                           file=f"releases/{release}/{FILE}", fix="try it again (`strata release impact`) and approve what comes out")
    return found


def approval(release: str, base: str, candidate: str, by: str, why: str, day: date, moved: dict[str, list[Movement]], held: list[str],
             reasons: dict[str, list[str]] | None = None) -> Expectations:
    """What a person approves of a trial, as narrow as it came out."""
    lines = [line for customer in sorted(moved) if customer not in held for line in expected_of(customer, moved[customer])]
    answers = Approved(by=by, day=day.isoformat(), why=why)
    return Expectations(release=release, base=base, candidate=candidate, approved=answers, held=sorted(held), reasons=reasons or {}, movements=lines)
