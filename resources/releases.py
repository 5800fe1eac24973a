"""Which release a customer's figures were made by, and how the next one was tried on it (`platform.release`, `release_trial`, `release_movement`).

What belongs here: reading and writing these rows, and what a release is made of. What does not: comparing figures and judging movements
(platform_assets/releases).
"""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from partitions.errors import ReleaseError
from resources.environment import policy_of
from resources.settings import PROJECT, Settings

LOCK = "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^]]*\])?)==([^\s;\\]+)", re.MULTILINE)
CAUSES = ("data", "code", "libraries", "parameters")  # in the order in which a trial changes them, one after the other
DIGITS = 12


@dataclass(frozen=True)
class MadeBy:
    """What figures hang on besides the data: hashes of the tables' fingerprints, of the parameters read, of the pinned libraries."""

    code: str
    parameters: str
    libraries: str


@dataclass(frozen=True)
class Release:
    """What a customer's live figures are made by, since when and why: `first` publication, `promoted`, `unguarded` (an environment without
    approvals), `rolled back`."""

    name: str
    cause: str
    code: str
    parameters: str
    libraries: str
    publication_id: int
    run_id: str
    at: datetime | None = None

    @property
    def made_by(self) -> MadeBy:
        return MadeBy(self.code, self.parameters, self.libraries)


@dataclass(frozen=True)
class Movement:
    """One figure that moves, in its unit; None where there is none on that side. `by_*` add up to after − before."""

    kpi: str
    month: date
    unit: str
    before: float | None
    after: float | None
    by_data: float = 0.0
    by_code: float = 0.0
    by_libraries: float = 0.0
    by_parameters: float = 0.0

    @property
    def causes(self) -> tuple[str, ...]:
        return tuple(name for name in CAUSES if getattr(self, f"by_{name}"))


@dataclass(frozen=True)
class Trial:
    """How a release was tried on one customer; `problems` maps a table to why it did not come out."""

    base: str
    candidate: str
    outcome: str
    problems: dict[str, str] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    bronze: dict[str, int] = field(default_factory=dict)
    as_of: date | None = None
    noise: int = 0
    base_seconds: float = 0.0
    candidate_seconds: float = 0.0


def digest(content: Any) -> str:
    """A short hash of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGITS]


def libraries_of(root: Path) -> dict[str, str]:
    """Package -> version, as the lock file of a checkout pins them."""
    path = root / LOCK
    return dict(sorted(PIN.findall(path.read_text(encoding="utf-8")))) if path.is_file() else {}


@cache
def libraries_here() -> str:
    """The hash of this checkout's pins."""
    return digest(libraries_of(PROJECT))


# what figures are live by


def is_guarded(configured: Settings) -> bool:
    """Whether customers see this environment's figures: a release reaches each of them by a promotion alone, and their rows are read for a reason."""
    policy = policy_of(configured)
    return policy.customer_facing and not policy.code_development


def is_waiting(found: Release | None, made_by: MadeBy) -> bool:
    """Whether figures would be made by something else than those that are live; who was never published waits for nothing."""
    return found is not None and found.made_by != made_by


def refuse_waiting(connection: psycopg.Connection, customer: str, domain: str, made_by: MadeBy) -> None:
    """Raises ReleaseError for a customer whom what is installed has not reached."""
    found = newest(connection, customer, domain)
    if found and is_waiting(found, made_by):
        changed = [one.name for one in fields(MadeBy) if getattr(found, one.name) != getattr(made_by, one.name)]
        raise ReleaseError(f"its figures are those of {found.name}, and what is installed differs in {' and '.join(changed)}", customer=customer,
                           fix="`strata release promote` brings it to the installed release, once that is approved")


def newest(connection: psycopg.Connection, customer: str, domain: str) -> Release | None:
    """What the customer's live figures are made by; None before the first publication."""
    names = ", ".join(one.name for one in fields(Release))
    query = f"SELECT {names} FROM platform.release WHERE customer_id = %s AND domain = %s ORDER BY number DESC LIMIT 1"
    with connection.cursor(row_factory=class_row(Release)) as cursor:
        return cursor.execute(query, [customer, domain]).fetchone()


def before(connection: psycopg.Connection, customer: str, domain: str, name: str) -> Release | None:
    """What came before the newest rows of a release of that name."""
    names = ", ".join(one.name for one in fields(Release))
    query = f"""SELECT {names} FROM platform.release WHERE customer_id = %(customer)s AND domain = %(domain)s AND name <> %(name)s AND number <
        (SELECT max(number) FROM platform.release WHERE customer_id = %(customer)s AND domain = %(domain)s AND name = %(name)s) ORDER BY number DESC LIMIT 1"""
    with connection.cursor(row_factory=class_row(Release)) as cursor:
        return cursor.execute(query, {"customer": customer, "domain": domain, "name": name}).fetchone()


def record(connection: psycopg.Connection, customer: str, domain: str, release: Release) -> None:
    """Write down what the live figures are made by from now on, in the caller's transaction."""
    connection.execute("""INSERT INTO platform.release (customer_id, domain, name, cause, code, parameters, libraries, publication_id, run_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                       [customer, domain, release.name, release.cause, release.code, release.parameters, release.libraries, release.publication_id,
                        release.run_id])


# trials


def keep_trial(connection: psycopg.Connection, customer: str, release: str, trial: Trial, movements: Sequence[Movement]) -> None:
    """Keep how a release was tried on a customer, in place of an earlier trial of the same name."""
    values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in asdict(trial).items()}
    names = ", ".join(values)
    with connection.transaction():
        connection.execute("DELETE FROM platform.release_trial WHERE customer_id = %s AND release = %s", [customer, release])
        connection.execute("DELETE FROM platform.release_movement WHERE customer_id = %s AND release = %s", [customer, release])
        connection.execute(f"INSERT INTO platform.release_trial (customer_id, release, {names}) VALUES (%s, %s, {', '.join(['%s'] * len(values))})",
                           [customer, release, *values.values()])
        columns = ", ".join(one.name for one in fields(Movement))
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO platform.release_movement (customer_id, release, {columns}) "
                               f"VALUES (%s, %s, {', '.join(['%s'] * len(fields(Movement)))})",
                               [[customer, release, *(getattr(one, name.name) for name in fields(Movement))] for one in movements])


def trials(connection: psycopg.Connection, release: str) -> dict[str, Trial]:
    """Customer -> trial of a release, of all customers that the connection sees."""
    names = [one.name for one in fields(Trial)]
    rows = connection.execute(f"SELECT customer_id, {', '.join(names)} FROM platform.release_trial WHERE release = %s ORDER BY 1", [release]).fetchall()
    return {row[0]: _trial(dict(zip(names, row[1:], strict=True))) for row in rows}


def _trial(row: Mapping[str, Any]) -> Trial:
    return Trial(**{**row, "base_seconds": float(row["base_seconds"]), "candidate_seconds": float(row["candidate_seconds"])})


def movements(connection: psycopg.Connection, release: str) -> dict[str, list[Movement]]:
    """Customer -> its figures that a release moves, by KPI and month."""
    names = [one.name for one in fields(Movement)]
    query = f"SELECT customer_id, {', '.join(names)} FROM platform.release_movement WHERE release = %s ORDER BY customer_id, kpi, month"
    found: dict[str, list[Movement]] = {}
    for customer, *row in connection.execute(query, [release]):
        found.setdefault(customer, []).append(Movement(**dict(zip(names, row, strict=True))))
    return found
