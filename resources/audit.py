"""Who read a customer's rows, and who did what to its figures: written down before anything is shown, in a chain that shows what was done to it.

What belongs here: the one way to write a row, reading rows back, and looking whether the chain holds. What does not: who must be asked for a reason
(cli/audit.py), decisions about rows, which have a history of their own (corrections.py). A row names no value of the customer.

The table is append-only (V015). That its newest rows were cut off, no chain can tell; so the newest number and hash of each customer lie in a file
too, `$STRATA_HOME/audit/<environment>/<customer>`, which no restore of a database takes back.
"""
from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import class_row

from partitions.customers import check_id
from resources.postgres import WRITER, Postgres
from resources.settings import Settings

SEPARATOR = "\x1f"
COLUMNS = ("customer_id AS customer, number, at, who, login, action, subject, why, rows, previous, hash, "
           "(extract(epoch FROM at) * 1000000)::bigint AS microseconds")


@dataclass(frozen=True)
class Entry:
    """One row. `at` in UTC; `login`: the database's role; `subject`: what was looked at, such as a table; `rows`: how many rows of the customer were shown."""

    customer: str
    number: int
    at: datetime
    who: str
    login: str
    action: str
    subject: str
    why: str
    rows: int
    previous: str
    hash: str
    microseconds: int

    @property
    def facts(self) -> dict[str, Any]:
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(self).items() if name != "microseconds"}

    @property
    def expected_hash(self) -> str:
        """What the hash must be, worked out here and not by the database."""
        parts = (self.previous, self.customer, self.number, self.microseconds, self.who, self.login, self.action, self.subject, self.why, self.rows)
        return hashlib.sha256(SEPARATOR.join(map(str, parts)).encode()).hexdigest()


def head_file(settings: Settings, customer: str) -> Path:
    return settings.home / "audit" / settings.environment / check_id(customer)


def record(postgres: Postgres, customer: str, who: str, action: str, subject: str, why: str, rows: int) -> int:
    """Write one row down, for good; returns its number. Call it before what was read is shown: where this fails, nothing is."""
    with postgres.connect(WRITER, customer=customer) as connection:
        [(number, found)] = connection.execute(
            "INSERT INTO platform.audit (customer_id, who, action, subject, why, rows) VALUES (%s, %s, %s, %s, %s, %s) RETURNING number, hash",
            [customer, _printable(who), _printable(action), _printable(subject), _printable(why), rows]).fetchall()
    _keep_head(head_file(postgres.settings, customer), number, found)
    return number


def entries(connection: psycopg.Connection, customers: Sequence[str]) -> Iterator[Entry]:
    """All rows of the customers one by one, each customer's oldest first."""
    query = f"SELECT {COLUMNS} FROM platform.audit WHERE customer_id = ANY(%s) ORDER BY customer_id, number"
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        yield from cursor.stream(query, [list(customers)])  # noqa: S608  constants


def broken_links(found: Iterable[Entry]) -> Iterator[tuple[str, str]]:
    """(customer, problem) of each row that is not what was written, or does not follow the one before it."""
    before: dict[str, Entry] = {}
    for one in found:
        last = before.get(one.customer)
        expected = (last.number + 1, last.hash) if last else (1, "")
        if (one.number, one.previous) != expected:
            yield one.customer, f"row {one.number} of the audit log does not follow row {expected[0] - 1}"
        elif one.hash != one.expected_hash:
            yield one.customer, f"row {one.number} of the audit log is not what was written"
        before[one.customer] = one


def cut_off(connection: psycopg.Connection, settings: Settings, customers: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(customer, problem) where the row that was the newest once is gone."""
    for name in customers:
        path = head_file(settings, name)
        if path.exists():
            head = json.loads(path.read_text(encoding="utf-8"))
            kept = connection.execute("SELECT FROM platform.audit WHERE customer_id = %s AND number = %s AND hash = %s", [name, head["number"], head["hash"]])
            if kept.fetchone() is None:
                yield name, f"row {head['number']} of the audit log, the newest once, is gone or another one"


def _printable(text: str) -> str:
    """The text without control characters, which would end a part of what is hashed."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()


def _keep_head(path: Path, number: int, found: str) -> None:
    """The newest row as it is known outside of the database. Writers at once take turns, and a late one does not put an older row in its place."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (path.parent / ".turn").open("a") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if path.exists() and json.loads(path.read_text(encoding="utf-8"))["number"] > number:
            return
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"number": number, "hash": found}), encoding="utf-8")
        draft.rename(path)
