"""What a steward may decide about rows in quarantine, and what follows from it.

What belongs here: judging a decision before it is recorded, and counting what is open, decided or waiting for a replay. What does not: the
registry (corrections.py), the rows (quarantine.py), words for people (cli/quarantine.py).
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from partitions.errors import CorrectionError
from resources import versions
from resources.corrections import Correction, Place, concerns, decisions, fixes
from resources.quarantine import ID_DIGITS, NEVER_ACCEPTED, KeptRow, gold_groups, groups, kept_rows, still_kept
from resources.reasons import STRUCTURE
from resources.session import Session
from resources.storage import TableSpec
from resources.versions import Version


@dataclass(frozen=True)
class Tally:
    """Counts of one customer. `by_rule`: (table, rule, column, open, rejected)."""

    by_rule: tuple[tuple[str, str, str | None, int, int], ...]
    accepted: int
    fixed: int
    waiting: int

    @property
    def open(self) -> int:
        return sum(entry[3] for entry in self.by_rule)

    @property
    def rejected(self) -> int:
        return sum(entry[4] for entry in self.by_rule)


def tally(session: Session, specs: Sequence[TableSpec]) -> Tally:
    """What is kept back, and what became of the decisions in force about deliveries in effect."""
    lake = [spec for spec in specs if spec.in_lake]
    found = [(g.table, g.rule, g.column, g.rows - g.rejected, g.rejected) for g in groups(session, lake)]
    for spec in specs:
        if spec.layer == "gold" and (version := versions.newest(session.lock, session.customer_id, spec.qualified)) and version.quarantined_count:
            found += [(spec.qualified, *entry, 0) for entry in gold_groups(session.lock, session.customer_id, version)]
    waiting = waiting_corrections(session, specs)
    shas, numbers = _effective(session, specs), {c.correction_id for c in waiting}
    accepted = fixed = 0
    for spec in lake:
        taken_in = [c for c in decisions(session.corrections, spec.qualified).values() if _counts(c, shas) and c.correction_id not in numbers]
        admitted = [c.place for c in taken_in if c.action == "accept"]
        accepted += len(admitted) - still_kept(session, spec, admitted)
        laid = fixes(session.corrections, spec.qualified, shas.get(spec.qualified, ()))
        fixed += sum(c.correction_id not in numbers for c in laid.values())
    return Tally(tuple(found), accepted, fixed, len(waiting))


def waiting_corrections(session: Session, specs: Sequence[TableSpec]) -> list[Correction]:
    """Corrections about deliveries in effect that are newer than the tables they concern: what a replay would take in."""
    shas, found = _effective(session, specs), {}
    for spec in specs:
        if spec.in_lake and (version := versions.newest(session.lock, session.customer_id, spec.qualified)):
            newer = [c for c in session.corrections if c.correction_id > version.correction_id and concerns(c, spec.qualified) and _counts(c, shas)]
            found.update({c.correction_id: c for c in newer})
    return [found[number] for number in sorted(found)]


def replayed_tables(session: Session, specs: Sequence[TableSpec]) -> list[str]:
    """Tables at which a replay starts: those that waiting corrections concern, and those that an earlier replay left behind.

    Left behind is a table that was made from an older version of its input, downstream of a table that a correction concerns.
    """
    waiting = waiting_corrections(session, specs)
    start = {spec.qualified for spec in specs if any(concerns(c, spec.qualified) for c in waiting)}
    newest = {spec.qualified: versions.newest(session.lock, session.customer_id, spec.qualified) for spec in specs}
    touched = {spec.qualified for spec in specs if any(concerns(c, spec.qualified) for c in session.corrections)}
    while more := {name for name, v in newest.items() if v and touched.intersection(v.inputs)} - touched:
        touched |= more
    live = versions.live(session.lock, session.customer_id)
    start |= {name for name in touched if (v := newest[name]) and _is_behind(v, newest, live)}
    return sorted(start)


def _is_behind(version: Version, newest: Mapping[str, Version | None], live: Mapping[str, int]) -> bool:
    """Made from an older version of an input, without a passed verdict, or a figure that is not the live one."""
    old = any((found := newest.get(name)) and found.version != used for name, used in version.inputs.items())
    return bool(old) or version.verdict != "passed" or (version.snapshot_id is None and live.get(version.table_name) != version.version)


def _effective(session: Session, specs: Sequence[TableSpec]) -> dict[str, set[str]]:
    """Bronze table -> sha256 of its files in effect."""
    return {spec.qualified: {file.sha256 for file in session.deliveries(spec)} for spec in specs if spec.layer == "bronze"}


def _counts(correction: Correction, shas: Mapping[str, set[str]]) -> bool:
    return correction.sha256 in shas.get(correction.source, ())


# decisions


def named_rows(session: Session, spec: TableSpec, ids: Iterable[str]) -> list[KeptRow]:
    """The rows of a table's quarantine with these ids; a row that an earlier fix let through is found as well. Raises CorrectionError."""
    wanted = list(dict.fromkeys(ids))
    known = {row.id: row for row in kept_rows(session, spec, ids=wanted)}
    for c in session.corrections:
        if c.table_name == spec.qualified:
            known.setdefault(f"{c.sha256[:ID_DIGITS]}-{c.row}", KeptRow(c.table_name, "", None, None, (), None, None, c.source, c.file, c.row, c.sha256))
    if strangers := [id for id in wanted if id not in known]:
        raise CorrectionError(f"{len(strangers)} of {len(wanted)} ids name no row in this quarantine", customer=session.customer_id, table=spec.qualified,
                              row=ascii(strangers[0])[:40], fix=f"see `strata quarantine show {session.customer_id} {spec.name}`")
    return [known[id] for id in wanted]


def fix(session: Session, spec: TableSpec, sources: Mapping[str, TableSpec], given: Mapping[str, Mapping[str, str | None]], reason: str,
        author: str) -> list[Correction]:
    """Fixes of rows by id, judged; values of an earlier fix of the row stay in force where the new one says nothing."""
    made = []
    for row in named_rows(session, spec, given):
        source = sources[row.source]
        earlier = fixes(session.corrections, row.source, [row.sha256]).get((row.sha256, row.row))
        values = {**(earlier.values if earlier else {}), **given[row.id]}
        _refuse_columns(session, source, row, values)
        _refuse_part(session, source, row, values)
        made.append(Correction(spec.qualified, row.source, row.sha256, row.row, row.file, "fix", values, reason, author))
    return made


def accept(session: Session, spec: TableSpec, rows: Sequence[KeptRow], reason: str, author: str) -> list[Correction]:
    """Decisions to load rows although a rule refused them. Raises CorrectionError for a fault that nobody can wave through."""
    for row in rows:
        place = {"customer": session.customer_id, "table": spec.qualified, "file": row.file, "row": row.row}
        if never := sorted(row.rules & NEVER_ACCEPTED):
            raise CorrectionError(f"a row refused for {', '.join(never)} cannot be accepted", column=row.column, fix="fix it, or reject it", **place)
        if row.missing:
            raise CorrectionError("accepted as it is, the row would have no value where the table needs one", column=row.missing, fix="fix it first", **place)
    return [_decision(spec, row, "accept", reason, author) for row in rows]


def reject(spec: TableSpec, rows: Sequence[KeptRow], reason: str, author: str) -> list[Correction]:
    """Decisions that rows are no data, such as a total line: they stay in quarantine and are not open any more."""
    return [_decision(spec, row, "reject", reason, author) for row in rows]


def withdraw(spec: TableSpec, rows: Sequence[KeptRow], reason: str, author: str) -> list[Correction]:
    """Take back what was decided about rows: they are judged again as they were delivered."""
    return [_decision(spec, row, "withdraw", reason, author) for row in rows]


def _decision(spec: TableSpec, row: KeptRow, action: str, reason: str, author: str) -> Correction:
    return Correction(spec.qualified, row.source, row.sha256, row.row, row.file, action, {}, reason, author)


def _refuse_columns(session: Session, source: TableSpec, row: KeptRow, values: Mapping[str, str | None]) -> None:
    place = {"customer": session.customer_id, "table": source.qualified, "file": row.file, "row": row.row}
    columns = [c.name for c in source.columns if not c.name.startswith("_")]
    if strangers := sorted(set(values) - set(columns)):
        raise CorrectionError("the source has no such column", column=ascii(strangers[0])[:48], fix=f"columns: {', '.join(columns)}", **place)
    owner = source.owner_column
    if owner and owner in values:
        accepted = session.customer.sources[source.name].accepted_owners if source.name in session.customer.sources else []
        if values[owner] not in accepted:
            raise CorrectionError("a fix cannot give a row to an owner that this customer does not list", column=owner, rule="TENANT",
                                  fix="an account of this customer goes to `accepted_owners` first", **place)


def _refuse_part(session: Session, source: TableSpec, row: KeptRow, values: Mapping[str, str | None]) -> None:
    """A broken record has no values of its own: a fix has to give every column that its format requires."""
    if not row.rules & STRUCTURE:
        return
    format = next((file.format for file in session.deliveries(source) if file.sha256 == row.sha256), None)
    required = source.formats[format].required if format and format in source.formats else ()
    if absent := [name for name in required if values.get(name) is None]:
        raise CorrectionError("the record is broken, so the fix has to give every required column", customer=session.customer_id, table=source.qualified,
                              file=row.file, row=row.row, column=", ".join(absent), fix="give them all, with --set for each")


def chosen_rows(session: Session, spec: TableSpec, ids: Sequence[str], rule: str | None) -> list[KeptRow]:
    """Rows by id, or all of a rule that are still open. Raises CorrectionError where there is none."""
    if ids:
        return named_rows(session, spec, ids)
    rejected = {place for place, c in decisions(session.corrections, spec.qualified).items() if c.action == "reject"}
    rows = [row for row in kept_rows(session, spec, rule) if (row.sha256, row.row) not in rejected]
    if not rows:
        raise CorrectionError("no open row of this rule stands in this quarantine", customer=session.customer_id, table=spec.qualified, rule=ascii(rule)[:40],
                              fix=f"see `strata quarantine list {session.customer_id}`")
    return rows


def states(session: Session, spec: TableSpec, specs: Sequence[TableSpec]) -> dict[Place, str]:
    """What was decided about rows of a table's quarantine, in words; a row that is not named is open."""
    waiting = {c.correction_id for c in waiting_corrections(session, specs)}
    said: dict[Place, str] = {}
    for c in session.corrections:
        if c.table_name != spec.qualified or c.action == "withdraw":
            said.pop(c.place, None)
        elif c.correction_id in waiting:
            said[c.place] = f"{c.action}, waits for replay"
        else:
            said[c.place] = {"reject": "rejected", "accept": "accepted, cannot be loaded", "fix": "fixed, still refused"}[c.action]
    return said
