"""A file through the same way as a delivery: inspect, mend, load in a locked session; what came out, as Python values."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from resources.formats import Convention, Format
from resources.inspection import FileFacts, inspect, mend
from resources.landing import DeliveredFile, Loaded, account, counted, load

COLUMNS = ("id", "name", "note")
PLAIN = Format(name="plain", required=("id",), convention=Convention())


@dataclass(frozen=True)
class Read:
    """`rows`: (_row, cells…); `rejects`: (_row, rule, raw), both in file order."""

    facts: FileFacts
    loaded: Loaded
    rows: list[tuple]
    rejects: list[tuple]


def locked_session(folder: Path, insertion_order: bool = False) -> duckdb.DuckDBPyConnection:
    """A session that may read one folder and change no setting."""
    session = duckdb.connect(config={"threads": 2, "memory_limit": "512MB", "preserve_insertion_order": insertion_order, "autoinstall_known_extensions": False})
    session.execute(f"SET allowed_directories = ['{folder}/']")
    session.execute("SET enable_external_access = false")
    session.execute("SET lock_configuration = true")
    return session


def delivered(path: Path, format: Format = PLAIN, columns: tuple[str, ...] = COLUMNS) -> DeliveredFile:
    """The file, judged and, where it must be, mended beside itself; paths relative to its folder."""
    facts = inspect(path, format, columns, customer="acme", table="things")
    readable = rejects = None
    if not facts.is_plain:
        readable, rejects = path.with_name(path.name + ".readable"), path.with_name(path.name + ".rejects")
        mend(path, format, facts, columns, readable, rejects, path.name)
    return DeliveredFile("acme", "things", None, 1, path.name, path.name, facts.sha256, facts.bytes, facts.rows, facts.faulty, facts.blank, format.name,
                         facts.header, readable and readable.name, rejects.name if rejects and facts.faulty else None)


def read(path: Path, format: Format = PLAIN, columns: tuple[str, ...] = COLUMNS, insertion_order: bool = False) -> Read:
    """Everything of one file; raises AccountingError if DuckDB and the counter disagree."""
    file = delivered(path, format, columns)
    facts = inspect(path, format, columns)
    with locked_session(path.parent, insertion_order) as session:
        loaded = load(session, path.parent, [file], {format.name: format}, columns, "landing_things")
        names = ", ".join(f'"{name}"' for name in columns)
        rows = session.execute(f"SELECT _row, {names} FROM landing_things ORDER BY _row").fetchall()
        rejects = session.execute("SELECT _row, rule, raw FROM landing_things_rejects ORDER BY _row").fetchall()
        account(loaded, counted(session, "landing_things"))
    assert loaded.counted == facts.rows == len(rows) + len(rejects)
    assert sorted(row[0] for row in rows + rejects) == list(range(1, facts.rows + 1))
    return Read(facts, loaded, rows, rejects)


def read_text(folder: Path, text: str | bytes, format: Format = PLAIN, **options) -> Read:
    path = folder / "things.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, format, **options)
