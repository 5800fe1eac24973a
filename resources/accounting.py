"""What share of the delivered rows is still in quarantine: of one version, and of every source behind a figure.

What belongs here: arithmetic over the registry of versions. What does not: rows (lake.py, quarantine.py), thresholds (contracts).
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from resources.storage import TableSpec
from resources.versions import Version

if TYPE_CHECKING:
    import pyarrow as pa

FEW_ROWS = 10  # as many open rows block nobody, whatever their share: one typo in a list of five is no reason to hold back its figures
SHARE_COLUMNS = [("source_table", "varchar"), ("rows_in", "bigint"), ("open_rows", "bigint"), ("quarantined_pct", "double")]


def open_rows(version: Version) -> int:
    """Quarantined rows that wait for a steward: without those that were declared to be no data."""
    return version.quarantined_count - version.rejected_count


def quarantined_share(version: Version) -> float:
    """Open rows of all rows in, 0 to 1; where the rows in are not counted, of the rows loaded or kept back."""
    rows = version.rows_in if version.rows_in is not None else version.row_count + version.quarantined_count
    return open_rows(version) / rows if rows else 0.0


def is_overfull(spec: TableSpec, version: Version) -> bool:
    """More open rows than the table's contract allows: the figures would say too little, so they wait."""
    most = spec.max_quarantined_share
    return most is not None and open_rows(version) > FEW_ROWS and quarantined_share(version) > most


@dataclass(frozen=True)
class SourceShare:
    """Of one bronze table: the rows delivered, and how many of them are kept back there or in a table made from it."""

    source_table: str
    rows_in: int
    open_rows: int

    @property
    def quarantined_pct(self) -> float | None:
        return min(100.0, 100.0 * self.open_rows / self.rows_in) if self.rows_in else None


def shares_behind(connection: psycopg.Connection, customer: str, read: list[Version]) -> list[SourceShare]:
    """The share of every bronze table behind these versions, over the inputs that each was made from, back to the delivered rows.

    A row that two tables keep back counts twice; one of a table made from two sources counts for both: never less than it is.
    """
    behind = connection.execute("""
        WITH RECURSIVE behind (table_name, version) AS (
            SELECT * FROM unnest(%s::text[], %s::bigint[])
            UNION
            SELECT used.key, used.value::bigint FROM behind b
            JOIN platform.table_version v ON v.customer_id = %s AND v.table_name = b.table_name AND v.version = b.version
            CROSS JOIN LATERAL jsonb_each_text(v.inputs) used)
        SELECT v.table_name, v.version, v.inputs, v.rows_in, v.quarantined_count - v.rejected_count FROM behind b
        JOIN platform.table_version v ON v.customer_id = %s AND v.table_name = b.table_name AND v.version = b.version""",
        [[v.table_name for v in read], [v.version for v in read], customer, customer]).fetchall()
    known = {(name, version): (inputs, rows_in, waiting) for name, version, inputs, rows_in, waiting in behind}
    roots: dict[tuple[str, int], set[tuple[str, int]]] = {}

    def roots_of(place: tuple[str, int]) -> set[tuple[str, int]]:
        if place not in roots:
            inputs = [used for used in known[place][0].items() if used in known]
            roots[place] = set().union(*(roots_of(used) for used in inputs)) if inputs else {place}
        return roots[place]

    sources = sorted(place for place in known if not known[place][0] and known[place][1] is not None)
    waiting = {source: sum(known[place][2] for place in known if source in roots_of(place)) for source in sources}
    return _by_table([(name, known[name, version][1], waiting[name, version]) for name, version in sources])


def _by_table(found: list[tuple[str, int, int]]) -> list[SourceShare]:
    """One entry per bronze table, also where two versions of it lie behind the figures: then of both together."""
    names = sorted({name for name, _, _ in found})
    return [SourceShare(name.split(".")[1], sum(r for n, r, _ in found if n == name), sum(w for n, _, w in found if n == name)) for name in names]


def as_arrow(shares: list[SourceShare]) -> pa.Table:
    """The table `quarantined_share` that a platinum function may take as an input."""
    import pyarrow as pa

    columns = [[s.source_table for s in shares], [s.rows_in for s in shares], [s.open_rows for s in shares], [s.quarantined_pct for s in shares]]
    kinds = [pa.string(), pa.int64(), pa.int64(), pa.float64()]
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, kinds, strict=True)], names=[name for name, _ in SHARE_COLUMNS])
