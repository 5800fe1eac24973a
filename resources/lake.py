"""The lake's IO manager: bronze and silver as Parquet in DuckLake, one catalog per customer.

What belongs here: the write transaction of a lake table with its cheap invariants, and reading a pinned snapshot. What does not: sessions
(session.py), the landing reader (landing.py), rules beyond schema, keys and accounting (platform_assets/checks.py).
"""
from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import ibis.expr.types as ir

from partitions.errors import AccountingError, ContractError, DeliveryError
from resources import lake_objects, versions
from resources.corrections import content_of, decisions
from resources.expressions import sql_of, unbound_table
from resources.facts import bars, output_facts
from resources.failpoints import failpoint
from resources.lake_head import lost_at_head, replace_lost
from resources.lake_tables import ensure_table, quarantine_of, rollback
from resources.lineage import column_lineage
from resources.production_lake import owners
from resources.quarantine import QUARANTINE, SetApart, load_decisions, only_good, refusing, rejected_rows, set_apart
from resources.quarantine import content as quarantine_content
from resources.recipes import recipe
from resources.session import Session, fenced
from resources.sessions import permanent, session_of, spec_of_input, spec_of_output
from resources.storage import REJECTS, TableSpec
from resources.versions import Version

if TYPE_CHECKING:
    from resources.landing import Loaded

CHARTED_RULES = 20
NO_ROWS = "0:0"  # the content hash of a table without rows


class LakeIOManager(dg.IOManager):
    """Writes an ibis expression as the new state of one customer's lake table; reads the version that ARCHITECTURE 6 names."""

    @permanent
    def handle_output(self, context: dg.OutputContext, obj: ir.Table) -> None:
        session = session_of(context)
        spec = spec_of_output(context)
        version, facts = write(session, spec, obj)
        session.written[spec.qualified] = version
        context.add_output_metadata({**facts, **_seen(session, spec, version), **column_lineage(obj, session.sources)})

    @permanent
    def load_input(self, context: dg.InputContext) -> ir.Table:
        session = session_of(context)
        spec = spec_of_input(context)
        version = version_to_read(session, spec)
        session.pin(spec.name, context.asset_key, version)
        return read(session, spec, version)


def version_to_read(session: Session, spec: TableSpec) -> Version:
    """What this run wrote, else the newest with a passed verdict; raises ContractError where there is none."""
    version = session.written.get(spec.qualified) or versions.newest(session.lock, session.customer_id, spec.qualified, passed=True)
    if version is None:
        raise ContractError("no version of this table has passed its checks", customer=session.customer_id, table=spec.qualified,
                            fix="materialize it first, with its checks")
    return version


def read(session: Session, spec: TableSpec, version: Version) -> ir.Table:
    """One version as a view named like the table, and the ibis table that stands for it."""
    lake_objects.verify(session, spec, version)
    columns = ", ".join(f'"{c.name}"' for c in spec.columns)
    session.views[spec.name] = f"SELECT {columns} FROM lake.{spec.qualified} AT (VERSION => {version.snapshot_id})"
    session.con.execute(f'CREATE OR REPLACE TEMP VIEW "{spec.name}" AS {session.views[spec.name]}')
    return unbound_table(spec)


@fenced
def write(session: Session, spec: TableSpec, expression: ir.Table) -> tuple[Version, dict]:
    """Replace the customer's rows of a table in one transaction, or keep the newest version where the content is equal."""
    con = session.con
    known = versions.newest(session.lock, session.customer_id, spec.qualified)
    if known and not lake_objects.stands(session, spec, known):
        known = None  # a version whose files are gone is not known any more: the table is made anew
        replace_lost(session, spec)
    content = landed_content(session, spec)
    if content and known and known.content_hash == content:
        known = session.confirmed(spec, known, [], "")
        return known, output_facts(spec, known, unchanged=True)
    if spec.layer == "bronze" and not session.copies:
        session.load_landing(spec)
    inputs = session.inputs(expression)
    made_by = recipe(session, spec, expression, "duckdb")
    if known and session.knows(known, made_by):
        return session.confirmed(spec, known, inputs, made_by), output_facts(spec, known, unchanged=True)
    sql = sql_of(expression, "duckdb")
    ensure_table(session, spec, expression)
    failpoint("lake.before_write")
    written = _committed(session, spec, expression, sql, inputs, content, known)
    if written is None:
        assert known is not None  # what came out equal is equal to something
        known = session.confirmed(spec, known, inputs, made_by)
        return known, output_facts(spec, known, sql, unchanged=True)
    failpoint("lake.after_commit")
    snapshot = con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0]
    version = session.new_version(spec, inputs, recipe=made_by, snapshot_id=snapshot, **written)
    for table in (spec.name, QUARANTINE):
        lake_objects.record(session, spec, version, table)
    session.lock.execute(versions.insert_statement(session.customer_id, version))
    failpoint("lake.after_register")
    return version, output_facts(spec, version, sql)


def _committed(session: Session, spec: TableSpec, expression: ir.Table, *what: Any) -> dict[str, Any] | None:
    """The transaction; once more where it met, or left, a head whose files are gone.

    A COMMIT whose answer was lost leaves such a head: the catalog has the snapshot, and DuckLake, which takes it for failed, has deleted the files that
    the snapshot names (tests/faults/test_unanswered_lake.py). Without them the rows can neither be read nor deleted, by this run or a later one.
    """
    try:
        return _transaction(session, spec, expression, *what)
    except (duckdb.IOException, duckdb.HTTPException, duckdb.TransactionException):
        if not lost_at_head(session, spec):
            raise
    replace_lost(session, spec)
    ensure_table(session, spec, expression)
    return _transaction(session, spec, expression, *what)


def _transaction(session: Session, spec: TableSpec, expression: ir.Table, sql: str, inputs: list[Version], content: str | None,
                 known: Version | None) -> dict[str, Any] | None:
    """Replace the table's rows, or roll back and return None where the content is that of the version that is known; else what to register."""
    con = session.con
    con.execute("BEGIN")
    try:
        rows, apart = _replace(session, spec, sql, REJECTS in expression.columns, inputs)
        rows_in = _account(session, spec, rows, apart.quarantined, inputs)
        if rows:  # nothing can be wrong with no rows
            _invariants(session, spec)
        content = content or _content(session, spec, rows, apart)
        if known and known.content_hash == content:
            con.execute("ROLLBACK")
            return None
        session.assert_fence()
        _message(session, spec)
        failpoint("lake.before_commit")
        con.execute("COMMIT")
    except BaseException:
        rollback(con)
        raise
    return {"content_hash": content, "row_count": rows, "quarantined_count": apart.quarantined, "rejected_count": apart.rejected, "rows_in": rows_in}


def _replace(session: Session, spec: TableSpec, sql: str, has_rejects: bool, inputs: list[Version]) -> tuple[int, SetApart]:
    """DELETE and INSERT of rows and quarantine; returns the rows loaded and what was set apart.

    Good rows stream into the table. Only where some are missing the refused ones are computed, from the rows that were left out: a
    temporary table of everything took 25 s for 5 M lines where streaming takes 12.
    """
    con, target, landed = session.con, f"lake.{spec.qualified}", session.landed.get(spec.name) if spec.layer == "bronze" else None
    columns = ", ".join(f'"{c.name}"' for c in spec.columns)
    _clear(session, spec)
    judged = refusing(spec, sql)
    has_rejects = has_rejects or judged != sql
    rows = 0
    if landed is None or landed.expected:  # where no file was delivered there is nothing to read
        rows = con.execute(f"INSERT INTO {target} BY NAME SELECT {columns} FROM {only_good(judged) if has_rejects else f'({judged})'}").fetchone()[0]
    failpoint("lake.after_insert")
    decided = decisions(session.corrections, spec.qualified)
    load_decisions(con, decided)
    broken = 0
    if landed and landed.rejected:
        broken = con.execute(f"""INSERT INTO lake.{quarantine_of(spec)} BY NAME SELECT '{spec.name}' AS table_name, rule, column_name, value,
            NULL AS rejects, raw, NULL AS missing, '{spec.qualified}' AS source, _file, _row, _sha256 FROM {landed.rejects_table}""").fetchone()[0]
    apart = SetApart()
    if has_rejects and not _all_loaded(spec, rows, landed, inputs):
        source = next((v.table_name for v in inputs if "_bronze." in v.table_name), None)
        left_out = _rows_passed_on(spec, inputs) - rows if source and spec.accounting == "one_to_one" else 0
        apart = set_apart(session, spec, judged, decided, source, left_out)
    rejected = rejected_rows(con, spec) if any(c.action == "reject" for c in decided.values()) else 0
    return rows + apart.admitted, SetApart(apart.admitted, broken + apart.quarantined, rejected)


def _clear(session: Session, spec: TableSpec) -> None:
    """Delete the table's rows and what it kept back; a table that this session has just made has none."""
    if spec.qualified not in session.empty:
        session.con.execute(f"DELETE FROM lake.{spec.qualified}")
    if not {spec.qualified, quarantine_of(spec)} <= session.empty:
        session.con.execute(f"DELETE FROM lake.{quarantine_of(spec)} WHERE table_name = '{spec.name}'")
    session.empty.discard(spec.qualified)


def _all_loaded(spec: TableSpec, rows: int, landed: Loaded | None, inputs: list[Version]) -> bool:
    """Whether a count says that no row was refused."""
    if landed:
        return rows == landed.rows
    return spec.accounting == "one_to_one" and rows == _rows_passed_on(spec, inputs)


def _rows_passed_on(spec: TableSpec, inputs: list[Version]) -> int:
    """Rows that a one_to_one table answers for: those of the layer before. A table of its own layer is looked up in and passes none on."""
    return sum(v.row_count for v in inputs if not v.table_name.startswith(f"{spec.schema}."))


def _account(session: Session, spec: TableSpec, rows: int, quarantined: int, inputs: list[Version]) -> int | None:
    """Rows in = rows loaded + rows quarantined, for tables that declare it; returns rows in."""
    if spec.layer == "bronze" and (landed := session.landed.get(spec.name)):
        from resources.landing import account

        found = _accounted_for(session, spec, landed) if landed.expected or landed.rejected else {}
        account(landed, found, customer=session.customer_id, table=spec.qualified)
        rows_in = landed.counted
    elif spec.accounting == "one_to_one":
        rows_in = _rows_passed_on(spec, inputs)
    else:
        return None
    if rows_in != rows + quarantined:
        raise AccountingError(f"{rows_in} rows in, but {rows} loaded and {quarantined} quarantined", customer=session.customer_id,
                              table=spec.qualified, fix="look for a join that drops or repeats rows, or a file that changed after delivery")
    return rows_in


def _accounted_for(session: Session, spec: TableSpec, landed: Loaded) -> dict[str, int]:
    """Readable rows per file: loaded, or kept back for another reason than that their record is broken."""
    return dict(session.con.execute(f"""SELECT _sha256, sum(rows)::BIGINT FROM (
        SELECT _sha256, count(*) AS rows FROM lake.{spec.qualified} GROUP BY ALL UNION ALL
        SELECT _sha256, count(*) FROM lake.{quarantine_of(spec)} WHERE table_name = '{spec.name}' GROUP BY ALL UNION ALL
        SELECT _sha256, -count(*) FROM {landed.rejects_table} GROUP BY ALL) GROUP BY ALL HAVING sum(rows) <> 0""").fetchall())


def _invariants(session: Session, spec: TableSpec) -> None:
    """Schema, keys and required columns on the uncommitted table; a break rolls the transaction back. A row without an owner is silver's matter."""
    check_rows(session, spec, f"lake.{spec.qualified}")
    if spec.owner_column:
        source = session.customer.sources.get(spec.name)
        accepted = owners(session, spec, source.accepted_owners if source else [])
        foreign = session.con.execute(f'SELECT count(*) FROM lake.{spec.qualified} WHERE NOT list_contains(?, "{spec.owner_column}")', [accepted]).fetchone()[0]
        if foreign:
            raise DeliveryError(f"{foreign} rows belong to an owner that this customer does not list", customer=session.customer_id,
                                table=spec.qualified, column=spec.owner_column, fix="add the id to accepted_owners, or withdraw the delivery or the correction")


def check_rows(session: Session, spec: TableSpec, relation: str) -> None:
    """Required columns hold values and the key is unique; raises ContractError naming the column, never a value."""
    required = [c.name for c in spec.columns if c.required]
    counts = ", ".join(f'count(*) - count("{name}")' for name in required)
    found = session.con.execute(f"SELECT {counts} FROM {relation}").fetchone() or ()
    for name, nulls in zip(required, found, strict=True):
        if nulls:
            raise ContractError(f"{nulls} rows have no value", customer=session.customer_id, table=spec.qualified, column=name,
                                fix="reject such rows in the table's function")
    if spec.key == ("_sha256", "_row"):  # an origin is unique by construction: the reader numbers the rows of each file
        return
    key = ", ".join(f'"{name}"' for name in spec.key)
    distinct = f"SELECT count(*) - count(DISTINCT hash({key})) FROM {relation}"
    exact = f"SELECT count(*) FROM (SELECT 1 FROM {relation} GROUP BY {key} HAVING count(*) > 1)"
    # 64-bit hashes first: 0.7 s where the grouping of 5 M text keys takes 1.4 s; they may collide, the grouping decides
    if session.con.execute(distinct).fetchone()[0] and (twice := session.con.execute(exact).fetchone()[0]):
        raise ContractError(f"{twice} keys stand on more than one row", customer=session.customer_id, table=spec.qualified,
                            column=", ".join(spec.key), fix="reject duplicates in the table's function")


def landed_content(session: Session, spec: TableSpec) -> str | None:
    """The content hash of a bronze table, known before reading: its files, formats, the code that reads them and the corrections in force."""
    if spec.layer != "bronze":
        return None
    if session.copies:
        return _copied_content(session, spec)
    files = sorted((f.sha256, f.format, f.file_name) for f in session.deliveries(spec))
    corrected = content_of(session.corrections, spec.qualified, [sha256 for sha256, *_ in files])
    return hashlib.sha256(json.dumps([files, spec.code_version, *([corrected] if corrected else [])], sort_keys=True).encode()).hexdigest()


def _copied_content(session: Session, spec: TableSpec) -> str:
    """The same of a table that is copied from production: its rows as they are masked, and those that were broken there."""
    session.load_landing(spec)
    landed = session.landed[spec.name]
    rows = content_hash(session.con, f'"{landed.relation}"', [c.name for c in spec.columns])
    broken = content_hash(session.con, f'"{landed.rejects_table}"', ["rule", "column_name", "value", "raw", "_row", "_sha256"])
    return hashlib.sha256(json.dumps([rows, broken, spec.code_version]).encode()).hexdigest()


def _content(session: Session, spec: TableSpec, rows: int, apart: SetApart) -> str:
    """Rows and, where there is one, quarantine: a table that keeps other rows back is another one, even if it holds the same."""
    content = content_hash(session.con, f"lake.{spec.qualified}", [c.name for c in spec.columns]) if rows else NO_ROWS
    return f"{content}+{quarantine_content(session.con, spec, apart.rejected)}" if apart.quarantined else content


def content_hash(con: duckdb.DuckDBPyConnection, relation: str, columns: list[str]) -> str:
    """A hash of a table's rows that knows no order: count and sum of 64-bit row hashes (5 M rows × 5 columns: 0.09 s)."""
    listed = ", ".join(f'"{name}"' for name in columns)
    counted = con.execute(f"SELECT count(*), coalesce(sum(hash({listed})), 0) FROM {relation}").fetchone()
    count, total = counted or (0, 0)
    return f"{count}:{int(total):x}"


def _seen(session: Session, spec: TableSpec, version: Version) -> dict[str, Any]:
    """What a look at the table tells: bytes of its files, and what became of its rows, by rule."""
    size = sum(lake_objects.files_of(session, spec.schema, spec.name, version.snapshot_id).values())
    if not version.quarantined_count:
        return {"bytes": size}
    kept_back = session.con.execute(f"""SELECT concat_ws(' ', 'quarantined:', rule, column_name), count(*) FROM lake.{spec.schema}.quarantine
        WHERE table_name = '{spec.name}' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {CHARTED_RULES}""").fetchall()
    return {"bytes": size, "rows_by_fate": bars("fate", [("loaded", version.row_count), *kept_back])}


def _message(session: Session, spec: TableSpec) -> None:
    extra = json.dumps({"table": spec.qualified, "code": spec.code_version, "parameters": session.run.parameter_version,
                        "commit": session.run.code_commit, "as_of": session.as_of.isoformat()})
    session.con.execute("CALL lake.set_commit_message(?, ?, extra_info => ?)", ["strata", f"run {session.run.run_id}", extra])


@dg.io_manager(required_resource_keys={"sessions"})
def lake_io_manager(_context: dg.InitResourceContext) -> LakeIOManager:
    return LakeIOManager()
