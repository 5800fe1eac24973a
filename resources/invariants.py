"""What must hold of every customer at any time, asked of the warehouse's registry and tables: versions, publications, fences, rows.

What belongs here: a finding, and the questions that PostgreSQL answers for all customers at once, as the role that backs up (it reads all rows
and writes none) in one snapshot. What does not: files (store_invariants.py), Dagster's memory (run_invariants.py), which invariants make up the
report (platform_assets/verification.py). A finding tells counts, tables, files, versions: no customer's value.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.rows import dict_row

from resources.audit import Entry, broken_links, cut_off, entries
from resources.postgres import BACKUP, Postgres
from resources.quarantine import QUARANTINE
from resources.storage import TableSpec

TAMPERED = "find out who may write as the owner of the warehouse; restore the log beside it and compare"
CUT = "as above; after a restore of an older backup, note it and remove the file below $STRATA_HOME/audit"
LAUNCH = "launch the customer: what is gone is made anew"
CONTENTS = {"I1": "every published version is whole, checked, and of one set", "I3": "every delivered row and file is accounted for",
            "I5": "nothing is left lying and nothing that is named is missing", "I6": "no run is under way without a process",
            "I7": "versions were written in the order of their runs", "I8": "sums agree from layer to layer",
            "I9": "nothing of another customer lies in a customer's lake", "I12": "Dagster's memory and the data agree",
            "audit": "the log of who read a customer's rows is what was written"}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """An invariant that does not hold. A note is worth knowing and breaks nothing."""

    invariant: str
    customer: str
    table: str | None
    problem: str
    fix: str
    is_note: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Looked:
    """What was looked at: how many things for each invariant, what was found, and which customers could not be looked at, with the reason."""

    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    unseen: dict[str, str] = field(default_factory=dict)

    def add(self, invariant: str, looked_at: int, found: Iterable[Finding] = ()) -> None:
        self.counts[invariant] = self.counts.get(invariant, 0) + looked_at
        self.findings += found

    @property
    def broken(self) -> list[Finding]:
        return [one for one in self.findings if not one.is_note]


UNCHECKED = """SELECT l.customer_id, l.table_name, 'version ' || l.version || ' is live and its verdict is ' || v.verdict AS problem
    FROM platform.live_version l JOIN platform.table_version v USING (customer_id, table_name, version) WHERE v.verdict <> 'passed' AND {ours}"""
MIXED = """SELECT l.customer_id, l.table_name, 'version ' || l.version || ' was computed from version ' || used.value || ' of ' || o.table_name
        || ', and version ' || o.version || ' is live' AS problem
    FROM platform.live_version l JOIN platform.table_version v USING (customer_id, table_name, version) CROSS JOIN LATERAL jsonb_each_text(v.inputs) used
    JOIN platform.live_version o ON o.customer_id = l.customer_id AND o.table_name = used.key WHERE o.version <> used.value::bigint AND {ours}"""
UNPUBLISHED = """SELECT coalesce(l.customer_id, p.customer_id) AS customer_id, coalesce(l.table_name, p.table_name) AS table_name,
        'version ' || coalesce(l.version::text, 'none') || ' is live, and the newest publication shows ' || coalesce(p.version::text, 'none') AS problem
    FROM (SELECT * FROM platform.live_version l WHERE {ours}) l FULL JOIN (SELECT n.customer_id, s.key AS table_name, s.value::bigint AS version FROM (
            SELECT DISTINCT ON (customer_id, domain) l.* FROM platform.publication l WHERE {ours} ORDER BY customer_id, domain, publication_id DESC) n
        CROSS JOIN LATERAL jsonb_each_text(n.versions) s) p USING (customer_id, table_name) WHERE l.version IS DISTINCT FROM p.version"""
HELD = """SELECT customer_id, NULL AS table_name, count(*) || ' live tables are held since a roll-back: runs publish nothing' AS problem
    FROM platform.live_version l WHERE is_pinned AND {ours} GROUP BY 1"""
UNACCOUNTED = """SELECT customer_id, table_name, 'version ' || version || ' has ' || rows_in || ' rows in, but ' || row_count || ' loaded and '
        || quarantined_count || ' quarantined' AS problem FROM platform.table_version l WHERE rows_in <> row_count + quarantined_count AND {ours}"""
OUTRUN = """SELECT customer_id, table_name, 'version ' || version || ' has fence ' || fence || ', and an older version has ' || before AS problem
    FROM (SELECT l.*, max(fence) OVER (PARTITION BY customer_id ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM platform.table_version l WHERE {ours}) v WHERE fence < before"""
UNTAKEN = """SELECT l.customer_id, l.table_name, 'version ' || l.version || ' has fence ' || l.fence || ', and the newest that was taken is '
        || coalesce(f.fence::text, 'none') AS problem
    FROM platform.table_version l LEFT JOIN platform.fence f USING (customer_id) WHERE l.fence > coalesce(f.fence, 0) AND {ours}"""
VERSIONS, LIVE = ("SELECT count(*) FROM platform.%s l WHERE {ours}" % name for name in ("table_version", "live_version"))  # noqa: UP031  braces stay
ASKED = (  # invariant, what counts what is looked at, question, fix
    ("I1", LIVE, UNCHECKED, "strata rollback, or repair what the checks find and launch"),
    ("I1", LIVE, MIXED, "launch the customer: publication moves all pointers together"),
    ("I1", LIVE, UNPUBLISHED, "launch the customer: publication moves all pointers together"),
    ("I1", LIVE, HELD, "strata rollback <customer> --release, when what was published is repaired"),
    ("I3", VERSIONS, UNACCOUNTED, "look for a join that drops or repeats rows, then launch"),
    ("I7", VERSIONS, OUTRUN, "launch the customer; then find out what wrote past the lock"),
    ("I7", VERSIONS, UNTAKEN, "launch the customer; then find out what wrote past the lock"),
)


def ask_registry(postgres: Postgres, customers: Sequence[str], specs: Sequence[TableSpec], agreements: Mapping[str, str]) -> Looked:
    """All that one snapshot of the warehouse tells of the customers. `specs`: every table; `agreements`: of a warehouse table the SQL condition by
    which a row of it does not agree."""
    looked = Looked()
    with postgres.connect(BACKUP) as connection:
        connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
        for invariant, counted, question, fix in ASKED:
            found = _rows(connection, sql.SQL(question), customers)
            count = connection.execute(sql.SQL(counted).format(ours=OURS), {"names": list(customers)}).fetchone()[0]
            looked.add(invariant, count, [Finding(invariant, row["customer_id"], row["table_name"], row["problem"], fix, question is HELD) for row in found])
        for spec in specs:
            if not spec.in_lake:
                looked.add("I1", 1, _rows_gone(connection, spec, customers))
                looked.add("I5", 1, _rows_of_no_version(connection, spec, spec.name, customers))
        for spec in {spec.schema: spec for spec in specs if spec.layer == "gold"}.values():
            looked.add("I5", 1, _rows_of_no_version(connection, spec, QUARANTINE, customers))
        read = Counter[str]()
        tampered = [*((one, TAMPERED) for one in broken_links(_counted(read, entries(connection, customers)))),
                    *((one, CUT) for one in cut_off(connection, postgres.settings, customers))]
        looked.add("audit", read.total(), [Finding("audit", name, None, problem, fix) for (name, problem), fix in tampered])
        for name, condition in agreements.items():
            looked.add("I8", 1, _disagreeing(connection, name, condition, customers))
    return looked


def _counted(seen: Counter[str], found: Iterable[Entry]) -> Iterator[Entry]:
    for one in found:
        seen[one.customer] += 1
        yield one


OURS = sql.SQL("l.customer_id = ANY(%(names)s)")


def _rows(connection: psycopg.Connection, question: sql.SQL, customers: Sequence[str], **parts: sql.Composable) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(question.format(ours=OURS, **parts), {"names": list(customers)}).fetchall()


def _rows_gone(connection: psycopg.Connection, spec: TableSpec, customers: Sequence[str]) -> Iterator[Finding]:
    """Live versions whose rows are not as many as were registered."""
    question = sql.SQL("""SELECT l.customer_id, l.version, v.row_count, (SELECT count(*) FROM {target} t
            WHERE t.customer_id = l.customer_id AND t.version = l.version) AS rows
        FROM platform.live_version l JOIN platform.table_version v USING (customer_id, table_name, version) WHERE l.table_name = {name} AND {ours}""")
    for row in _rows(connection, question, customers, target=sql.Identifier(spec.schema, spec.name), name=sql.Literal(spec.qualified)):
        if row["rows"] != row["row_count"]:
            yield Finding("I1", row["customer_id"], spec.qualified,
                          f"version {row['version']} is live and has {row['rows']:,} rows where {row['row_count']:,} were written", LAUNCH)


def _rows_of_no_version(connection: psycopg.Connection, spec: TableSpec, table: str, customers: Sequence[str]) -> Iterator[Finding]:
    """Rows that no registered version owns: a writer that was cut off, or a restore of part of the database."""
    of = sql.SQL("v.table_name = {}").format(sql.Literal(spec.qualified)) if table == spec.name else sql.SQL("v.table_name = {} || l.table_name").format(
        sql.Literal(f"{spec.schema}."))
    question = sql.SQL("""SELECT l.customer_id, count(*) AS rows FROM {target} l WHERE {ours} AND NOT EXISTS (
        SELECT FROM platform.table_version v WHERE v.customer_id = l.customer_id AND v.version = l.version AND {of}) GROUP BY 1""")
    for row in _rows(connection, question, customers, target=sql.Identifier(spec.schema, table), of=of):
        yield Finding("I5", row["customer_id"], f"{spec.schema}.{table}", f"{row['rows']:,} rows belong to no version",
                      "DELETE them as the customer's role: no reader sees them; then find out what wrote them")


def _disagreeing(connection: psycopg.Connection, name: str, condition: str, customers: Sequence[str]) -> Iterator[Finding]:
    question = sql.SQL("""SELECT l.customer_id, count(*) AS rows FROM {target} t JOIN platform.live_version l
        ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = {name} WHERE {ours} AND ({condition}) GROUP BY 1""")
    for row in _rows(connection, question, customers, target=sql.Identifier(*name.split(".")), name=sql.Literal(name), condition=sql.SQL(condition)):
        yield Finding("I8", row["customer_id"], name, f"{row['rows']:,} sums that were published do not agree", "strata rollback; then look at these rows")
