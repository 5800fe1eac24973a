"""Corrections: what a steward decided about single delivered rows, and what of it is in force.

What belongs here: the append-only registry `platform.correction`, the rule of what supersedes what, and laying fixes over landed rows. What
does not: which decisions are allowed (quarantine.py) and the rows themselves (lake.py).

A row is named by its file's sha256 and its number there, so a correction never outlives the delivery that it is about: a corrected file has
another sha256. Of the fixes of a row the newest is in force (it carries on the values of those before it); of the decisions `accept` and
`reject` the newest of a row in a table. `withdraw` takes back what came before.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
import psycopg
from psycopg.rows import class_row

if TYPE_CHECKING:
    from resources.landing import DeliveredFile, Loaded
    from resources.storage import TableSpec

COLUMNS = 'correction_id, table_name, source, sha256, row, file, action, "values", reason, author, recorded_at'
Place = tuple[str, int]


@dataclass(frozen=True)
class Correction:
    """One decision about one delivered row. `table_name` is where it stood in quarantine, `source` its bronze table; both qualified.

    `values` (fix only): bronze column -> the text that stands for what was delivered, None for nothing.
    """

    table_name: str
    source: str
    sha256: str
    row: int
    file: str
    action: str
    values: Mapping[str, str | None] = field(default_factory=dict)
    reason: str = ""
    author: str = ""
    correction_id: int = 0
    recorded_at: datetime | None = None

    @property
    def place(self) -> Place:
        return self.sha256, self.row


def recorded(connection: psycopg.Connection, customer: str) -> tuple[Correction, ...]:
    """Everything that was ever decided for a customer, oldest first."""
    query = f"SELECT {COLUMNS} FROM platform.correction WHERE customer_id = %s ORDER BY correction_id"  # noqa: S608  a constant
    with connection.cursor(row_factory=class_row(Correction)) as cursor:
        return tuple(cursor.execute(query, [customer]).fetchall())


def record(connection: psycopg.Connection, customer: str, decided: Sequence[Correction]) -> list[int]:
    """Append decisions, all or none; returns their ids. One writer of a customer at a time, so that ids appear in their order."""
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"correction/{customer}"])
        rows = connection.execute("""
            INSERT INTO platform.correction (customer_id, table_name, source, sha256, row, file, action, "values", reason, author)
            SELECT %s, t, s, h, r, f, a, v::jsonb, w, p
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
                 WITH ORDINALITY AS d (t, s, h, r, f, a, v, w, p, place) ORDER BY place RETURNING correction_id""",
            [customer, [c.table_name for c in decided], [c.source for c in decided], [c.sha256 for c in decided], [c.row for c in decided],
             [c.file for c in decided], [c.action for c in decided], [json.dumps(dict(c.values), sort_keys=True) for c in decided],
             [c.reason for c in decided], [c.author for c in decided]]).fetchall()
    return [number for (number,) in rows]


def fixes(known: Iterable[Correction], source: str, shas: Iterable[str]) -> dict[Place, Correction]:
    """The fix in force of each row of a bronze table's files in effect."""
    newest = {c.place: c for c in known if c.source == source and c.action in ("fix", "withdraw")}
    return {place: c for place, c in newest.items() if c.action == "fix" and c.sha256 in set(shas)}


def decisions(known: Iterable[Correction], table_name: str) -> dict[Place, Correction]:
    """The `accept` or `reject` in force of each row in a table. A later fix or withdrawal ends it: the row is judged again."""
    newest = {c.place: c for c in known if c.table_name == table_name}
    return {place: c for place, c in newest.items() if c.action in ("accept", "reject")}


def concerns(correction: Correction, table_name: str) -> bool:
    """Whether a table has to be made again because of a correction: bronze for its values, the quarantining table for a decision."""
    if correction.action in ("fix", "withdraw") and correction.source == table_name:
        return True
    return correction.action != "fix" and correction.table_name == table_name


def content_of(known: Sequence[Correction], source: str, shas: Iterable[str]) -> list[list]:
    """What corrections add to a bronze table's content; empty where there are none, so that nothing changes then."""
    shas = set(shas)
    laid = [[*c.place, c.correction_id, dict(c.values)] for c in fixes(known, source, shas).values()]
    decided = [[*c.place, c.action] for c in decisions(known, source).values() if c.sha256 in shas]
    return sorted(laid, key=lambda entry: entry[:2]) + sorted(decided)


def overlay(con: duckdb.DuckDBPyConnection, landed: Loaded, target: str, spec: TableSpec, files: Sequence[DeliveredFile],
            known: Sequence[Correction]) -> Loaded:
    """Make the view `target` over `landed.relation` with fixes laid over it and `_correction` naming them; what it gives is the new `Loaded`.

    A broken record whose fix gives all required columns moves from the rejects to the rows. Without corrections the view is a projection.
    """
    shas = {file.sha256 for file in files}
    laid = fixes(known, spec.qualified, shas)
    accepted = {place: c for place, c in decisions(known, spec.qualified).items() if c.action == "accept" and c.sha256 in shas}
    found = list({**accepted, **laid}.values())
    if not found:
        con.execute(f'CREATE OR REPLACE TEMP VIEW "{target}" AS SELECT *, NULL::BIGINT AS _correction FROM "{landed.relation}"')
        return replace(landed, relation=target)
    table = f"{target}_corrections"
    _load(con, table, found, {file.sha256: (file.file_name, file.format) for file in files}, spec)
    repaired = _repair(con, table, landed.rejects_table, f"{target}_rejects")
    con.execute(f'CREATE OR REPLACE TEMP VIEW "{target}" AS {_laid_over(con, landed.relation, table, found)}')
    expected = {sha256: rows + repaired.get(sha256, 0) for sha256, rows in landed.expected.items()}
    moved = sum(repaired.values())
    return replace(landed, relation=target, rejects_table=f"{target}_rejects", rows=landed.rows + moved, rejected=landed.rejected - moved, expected=expected)


def _load(con: duckdb.DuckDBPyConnection, table: str, found: Sequence[Correction], files: Mapping[str, tuple[str, str]], spec: TableSpec) -> None:
    """Corrections as a temporary table; `repairs` marks those that could stand for a whole record."""
    formats = spec.formats
    whole = [bool(c.values) and all(c.values.get(name) is not None for name in formats[files[c.sha256][1]].required) for c in found]
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{table}" (_sha256 VARCHAR, _row BIGINT, _correction BIGINT, given MAP(VARCHAR, VARCHAR), _file VARCHAR, '
                "_format VARCHAR, repairs BOOLEAN)")
    con.execute(f'INSERT INTO "{table}" SELECT s, r, c, map(k, v), f, m, w FROM (SELECT unnest(?::VARCHAR[]) s, unnest(?::BIGINT[]) r, unnest(?::BIGINT[]) c, '
                "unnest(?::VARCHAR[][]) k, unnest(?::VARCHAR[][]) v, unnest(?::VARCHAR[]) f, unnest(?::VARCHAR[]) m, unnest(?::BOOLEAN[]) w)",
                [[c.sha256 for c in found], [c.row for c in found], [c.correction_id for c in found], [list(c.values) for c in found],
                 [list(c.values.values()) for c in found], [files[c.sha256][0] for c in found], [files[c.sha256][1] for c in found], whole])


def _repair(con: duckdb.DuckDBPyConnection, table: str, broken: str, left: str) -> dict[str, int]:
    """Make `left` of the broken records that are not whole yet; returns how many are of each file. (The landed view still reads `broken`.)"""
    con.execute(f'UPDATE "{table}" SET repairs = repairs AND (_sha256, _row) IN (SELECT (_sha256, _row) FROM "{broken}")')
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{left}" AS SELECT * FROM "{broken}" ANTI JOIN (FROM "{table}" WHERE repairs) USING (_sha256, _row)')
    return dict(con.execute(f'SELECT _sha256, count(*) FROM "{table}" WHERE repairs GROUP BY ALL').fetchall())


def _laid_over(con: duckdb.DuckDBPyConnection, relation: str, table: str, found: Sequence[Correction]) -> str:
    """SELECT of the landed rows with the given texts in place of the delivered ones, and of the repaired records.

    Rows without a correction stream past a small hash table and those with one are read apart. One LEFT JOIN would be simpler; DuckDB, which
    does not know how long a CSV file is, then keeps the whole file in the join's hash table. `coalesce` keeps it from turning IN into such a join.
    """
    given = {name for c in found for name in c.values}
    columns = [name for name, *_ in con.execute(f'DESCRIBE "{relation}"').fetchall()]
    shown = [f"""CASE WHEN map_contains(given, '{name}') THEN given['{name}'] ELSE raw."{name}" END AS "{name}\"""" if name in given
             else f'raw."{name}"' for name in columns]
    whole = [f"""given['{name}'] AS "{name}\"""" for name in sorted(given & set(columns))]
    is_corrected = f'coalesce((_sha256, _row) IN (SELECT (_sha256, _row) FROM "{table}"), false)'
    return f"""SELECT *, NULL::BIGINT AS _correction FROM "{relation}" WHERE NOT {is_corrected} UNION ALL BY NAME
        SELECT {', '.join(shown)}, _correction FROM (FROM "{relation}" WHERE {is_corrected}) raw JOIN "{table}" USING (_sha256, _row) UNION ALL BY NAME
        SELECT {', '.join([*whole, '_file', '_row', '_sha256', '_format', '_correction'])} FROM "{table}" WHERE repairs"""
