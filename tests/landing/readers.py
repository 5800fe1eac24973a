"""A file through the same way as a delivery: inspect, mend, load in a locked session; what came out, as Python values."""
from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb

from resources import staging
from resources.formats import Convention, Format
from resources.landing import DeliveredFile, Loaded, account, counted, load
from resources.source import FileFacts

COLUMNS = ("id", "name", "note")
PLAIN = Format(name="plain", required=("id",), convention=Convention())


@dataclass(frozen=True)
class Read:
    """`rows`: (_row, cells…); `rejects`: (_row, rule, raw), both in file order; `extras`: the `_extra` of a row that has one."""

    facts: FileFacts
    loaded: Loaded
    rows: list[tuple]
    rejects: list[tuple]
    extras: dict[int, str]


def locked_session(folder: Path, insertion_order: bool = False) -> duckdb.DuckDBPyConnection:
    """A session that may read one folder and change no setting."""
    session = duckdb.connect(config={"threads": 2, "memory_limit": "512MB", "preserve_insertion_order": insertion_order, "autoinstall_known_extensions": False})
    session.execute(f"SET allowed_directories = ['{folder}/']")
    session.execute("SET enable_external_access = false")
    session.execute("SET lock_configuration = true")
    return session


def delivered(path: Path, format: Format = PLAIN, columns: tuple[str, ...] = COLUMNS) -> DeliveredFile:
    """The file, staged in a folder of its own beside it; paths relative to the file's folder."""
    staged = staged_file(path, format, columns)
    return staging.delivered(staged, "acme", "things", format.name, path.parent)


def staged_file(path: Path, format: Format = PLAIN, columns: tuple[str, ...] = COLUMNS, types: dict[str, str] | None = None,
                drift: str = "evolve") -> staging.Staged:
    """The file copied and judged as landing does it."""
    folder = Path(tempfile.mkdtemp(prefix="staged", dir=path.parent))
    source = staging.SourceContract("things", "snapshot", columns, {format.name: format}, types=types or {}, drift=drift)
    return staging.stage(path, folder, 0, format, source, {"customer": "acme", "table": "things"})


def read(path: Path, format: Format = PLAIN, columns: tuple[str, ...] = COLUMNS, insertion_order: bool = False, types: dict[str, str] | None = None,
         drift: str = "evolve") -> Read:
    """Everything of one file; raises AccountingError if DuckDB and the counter disagree."""
    staged = staged_file(path, format, columns, types, drift)
    file, facts = staging.delivered(staged, "acme", "things", format.name, path.parent), staged.facts
    with locked_session(path.parent, insertion_order) as session:
        loaded = load(session, path.parent, [file], {format.name: format}, columns, "landing_things")
        names = "".join(f', "{name}"' for name in columns)
        rows = session.execute(f"SELECT _row{names} FROM landing_things ORDER BY _row").fetchall()
        extras = dict(session.execute("SELECT _row, _extra FROM landing_things WHERE _extra IS NOT NULL").fetchall())
        rejects = session.execute("SELECT _row, rule, raw FROM landing_things_rejects ORDER BY _row").fetchall()
        account(loaded, counted(session, "landing_things"))
    assert loaded.counted == facts.rows == len(rows) + len(rejects)
    assert sorted(row[0] for row in rows + rejects) == list(range(1, facts.rows + 1))
    return Read(facts, loaded, rows, rejects, extras)


def read_text(folder: Path, text: str | bytes, format: Format = PLAIN, name: str = "things.csv", **options) -> Read:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, format, **options)
