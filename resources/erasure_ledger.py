"""The ledger of erasures: who was erased, without naming them, kept where no restore can take it back.

What belongs here: appending an entry, finding an id in it, and making its two copies equal. What does not: erasing (erasure.py).

A backup restored to a time before an erasure brings the customer back, and with it a ledger that knows of nothing. So the ledger stands twice:
as `platform.erasure`, and as lines of `$STRATA_HOME/erasures/<environment>.jsonl`, which belongs to no backup of a database.
"""
from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg.rows import class_row

from partitions.customers import check_id
from resources.postgres import MIGRATOR, Postgres
from resources.settings import Settings


@dataclass(frozen=True)
class Erasure:
    """One entry: `subject` is sha256(salt + id) in hex; `erased_at` in UTC, ISO 8601."""

    subject: str
    salt: str
    erased_at: str

    def is_of(self, customer: str) -> bool:
        return self.subject == _subject(self.salt, customer)


def ledger_file(settings: Settings) -> Path:
    return settings.home / "erasures" / f"{settings.environment}.jsonl"


def append(postgres: Postgres, customer: str) -> Erasure:
    """The entry of a customer, made and stored in both places where there is none."""
    found = entry_of(synchronized(postgres), check_id(customer))
    if found is None:
        salt = secrets.token_hex(16)
        found = Erasure(_subject(salt, customer), salt, datetime.now(UTC).isoformat(timespec="seconds"))
        _append_lines(ledger_file(postgres.settings), [found])
        synchronized(postgres)
    return found


def entry_of(ledger: Iterable[Erasure], customer: str) -> Erasure | None:
    return next((entry for entry in ledger if entry.is_of(customer)), None)


def synchronized(postgres: Postgres) -> list[Erasure]:
    """All entries, after each of the two copies was given what only the other one had."""
    path = ledger_file(postgres.settings)
    with postgres.connect(MIGRATOR) as connection:
        with connection.cursor(row_factory=class_row(Erasure)) as cursor:
            rows = cursor.execute("""SELECT customer_id AS subject, salt, to_char(erased_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS erased_at
                FROM platform.erasure""").fetchall()
        lines = _lines(path)
        in_table, in_file = {row.subject for row in rows}, {line.subject for line in lines}
        for entry in lines:
            if entry.subject not in in_table:
                connection.execute("INSERT INTO platform.erasure (customer_id, salt, erased_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                                   [entry.subject, entry.salt, entry.erased_at])
    missing = [row for row in rows if row.subject not in in_file]
    if missing:
        _append_lines(path, missing)
    return sorted([*lines, *missing], key=lambda entry: (entry.erased_at, entry.subject))


def _subject(salt: str, customer: str) -> str:
    return hashlib.sha256((salt + customer).encode()).hexdigest()


def _lines(path: Path) -> list[Erasure]:
    """The file's entries; a last line that a crash cut short is passed over (its erasure had not begun)."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(Erasure(**json.loads(line)))
        except ValueError:
            continue
    return found


def _append_lines(path: Path, entries: Iterable[Erasure]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut else "") + "".join(json.dumps(asdict(entry)) + "\n" for entry in entries))
        file.flush()
        os.fsync(file.fileno())
