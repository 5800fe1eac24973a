"""`strata quarantine`: what a steward does with the rows that were kept back.

What belongs here: arguments, tables for people, CSV out and in. What does not: what may be decided (resources/stewardship.py). This is the
steward's own tool: values of the customer are shown on the terminal and in files that the steward asks for, and nowhere else.
"""
from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cli.audit import audited, person, reads_rows, refuse_without_reason
from partitions.customers import Customer, customer, refuse_paused
from partitions.errors import CorrectionError
from resources.settings import PROJECT, settings
from resources.storage import TableSpec

FORMULA = "=+-@\t\r＝＋－＠"  # what a spreadsheet may take for the beginning of a formula, full-width signs as well (OWASP)
NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
SHOWN = ("id", "table", "file", "row", "rule", "column", "value", "state", "raw")
WHO = click.option("--who", help="Who decides; default: $STRATA_USER, else the user of this computer.")
ROWS = click.argument("row_ids", metavar="[ID]...", nargs=-1)
RULE = click.option("--rule", help="With --all: every open row that was refused for this rule.")
EVERY = click.option("--all", "every", is_flag=True, help="Every open row of --rule.")
WHY = click.option("--why", required=True, help="Why: the reason that stands in the history.")
FORMAT = click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
CUSTOMER = click.argument("customer_id", metavar="CUSTOMER")
TABLE = click.argument("table_name", metavar="TABLE")


@click.group()
def quarantine() -> None:
    """Rows that were kept back: look at them, repair them, and compute again."""


# what every command needs


@contextmanager
def opened(customer_id: str, who: str = "steward") -> Iterator[Any]:
    """The customer's session, under the customer's lock: a run that is under way is waited for. `who`: what it writes is recorded as of."""
    from cli.main import started
    from resources.session import RunIdentity, Session

    found: Customer = customer(customer_id, settings().customers)
    session = Session(settings(), started(), found, RunIdentity(who, None, who, who))
    try:
        yield session
    finally:
        session.close()


def table_specs() -> dict[str, TableSpec]:
    """Every table that can keep rows back, by qualified name, from the contracts."""
    from platform_assets.contracts import contract

    paths = [path for layer in ("bronze", "silver", "gold") for path in sorted((PROJECT / "platform_assets").glob(f"*/{layer}/*.odcs.yaml"))]
    return {made.spec.qualified: made.spec for made in map(contract, paths)}


def _spec(customer_id: str, name: str, specs: Mapping[str, TableSpec]) -> TableSpec:
    """A table of the lake by its short or qualified name; raises CorrectionError."""
    found = [spec for spec in specs.values() if name in (spec.name, spec.qualified) and spec.in_lake]
    if not found:
        known = ", ".join(spec.name for spec in specs.values() if spec.in_lake)
        raise CorrectionError("no table of bronze or silver has this name", customer=customer_id, table=ascii(name)[:64],
                              fix=f"known tables: {known}; a row of gold is repaired where it was delivered")
    return found[0]


def _why(given: str) -> str:
    if not given.strip():
        raise click.BadParameter("must not be empty", param_hint="--why")
    return given.strip()


# list and show


@quarantine.command("list")
@CUSTOMER
@FORMAT
def list_quarantine(customer_id: str, output: str) -> None:
    """What is kept back of CUSTOMER, by table, rule and column, and what waits for a replay."""
    specs = table_specs()
    with opened(customer_id) as session:
        lines, waiting = _summary(session, list(specs.values()))
    if output == "json":
        click.echo(json.dumps({"customer": customer_id, "quarantine": lines, "corrections_waiting": waiting}, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=f"{customer_id}: quarantine", title_justify="left")
    for name in ("table", "rule", "column", "open", "rejected", "share", "files", "since"):
        shown.add_column(name, no_wrap=name != "files", justify="right" if name in ("open", "rejected", "share") else "left")
    for line in lines:
        files = ", ".join(line["files"][:2]) + (f" and {len(line['files']) - 2} more" if len(line["files"]) > 2 else "")
        shown.add_row(line["table"], line["rule"], line["column"] or "", f"{line['open']:,}", f"{line['rejected']:,}", f"{line['share_pct']:.2f} %", files,
                      line["since"] or "")
    Console(width=max(130, Console().width)).print(shown if lines else f"{customer_id}: nothing is kept back")
    total, rejected = sum(line["open"] for line in lines), sum(line["rejected"] for line in lines)
    click.echo(f"open: {total:,}   rejected: {rejected:,}   corrections that wait for `strata quarantine replay {customer_id}`: {waiting:,}")


def _summary(session: Any, specs: Sequence[TableSpec]) -> tuple[list[dict[str, Any]], int]:
    """One entry per table, rule and column, with the first delivery day of the files that the rows are in."""
    from resources import versions
    from resources.quarantine import groups
    from resources.stewardship import tally

    counted = tally(session, specs)
    landed = dict(session.lock.execute("SELECT file_name, min(landed_at)::date::text FROM platform.delivery WHERE customer_id = %s GROUP BY 1",
                                       [session.customer_id]).fetchall())
    files = {(g.table, g.rule, g.column): list(g.files) for g in groups(session, [spec for spec in specs if spec.in_lake])}
    lines = []
    for table, rule, column, waiting, rejected in counted.by_rule:
        version = versions.newest(session.lock, session.customer_id, table)
        rows = (version.rows_in if version.rows_in is not None else version.row_count + version.quarantined_count) if version else 0
        named = files.get((table, rule, column), [])
        share = 100.0 * waiting / rows if rows else 0.0
        lines.append({"table": table, "rule": rule, "column": column, "open": waiting, "rejected": rejected, "share_pct": share,
                      "files": named, "since": min((landed[name] for name in named if name in landed), default=None)})
    return lines, counted.waiting


@quarantine.command()
@CUSTOMER
@TABLE
@click.option("--rule", help="Only rows that were refused for this rule.")
@click.option("--row", "row_id", help="One row, by its id; with its history.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many rows (a CSV file gets all of them).")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path, dir_okay=False), help="Write all rows to a CSV file, to be edited for `fix --from`.")
@FORMAT
@reads_rows
def show(customer_id: str, table_name: str, rule: str | None, row_id: str | None, limit: int, csv_file: Path | None, output: str, who: str | None,
         why: str) -> None:
    """The rows of TABLE that are kept back, with what was delivered. That you looked is kept in the audit log."""
    from resources.quarantine import kept_rows
    from resources.stewardship import named_rows, states

    specs = table_specs()
    spec = _spec(customer_id, table_name, specs)
    refuse_without_reason(settings(), customer_id, why)
    with opened(customer_id) as session:
        rows = named_rows(session, spec, [row_id]) if row_id else kept_rows(session, spec, rule, limit=None if csv_file else limit)
        decided = states(session, spec, list(specs.values()))
        found = (_shown(row, decided.get((row.sha256, row.row), "open")) for row in rows)
        if csv_file:
            written = _write_csv(csv_file, found)
            try:
                audited(session.postgres, customer_id, "quarantine show --csv", spec.qualified, written, who, why)
            except BaseException:  # what nobody could write down, nobody gets
                csv_file.unlink()
                raise
            click.echo(f"{written:,} rows in {csv_file}")
            return
        listed = list(found)
        audited(session.postgres, customer_id, "quarantine show", spec.qualified, len(listed), who, why)
        history = [_told(c) for row in (rows if row_id else ()) for c in session.corrections if (c.source, *c.place) == (row.source, row.sha256, row.row)]
    if output == "json":
        click.echo(json.dumps({"rows": listed, "history": history}, indent=1, ensure_ascii=False))
    else:
        _print_rows(customer_id, spec.qualified, listed, history)


def _shown(row: Any, state: str) -> dict[str, Any]:
    """A row as the steward sees it; one that is in quarantine no more has no rule."""
    state = state if row.rule or "waits" in state else "loaded"
    return dict(zip(SHOWN, (row.id, row.table, row.file, row.row, row.rule, row.column, row.value, state, row.raw), strict=True))


def _told(correction: Any) -> dict[str, Any]:
    return {"correction": correction.correction_id, "when": correction.recorded_at.isoformat(timespec="seconds"), "who": correction.author,
            "action": correction.action, "values": dict(correction.values), "why": correction.reason}


def _print_rows(customer_id: str, table: str, rows: list[dict[str, Any]], history: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, names = Console(width=max(140, Console().width)), (SHOWN[0], *SHOWN[2:])
    shown = Table(title=f"{customer_id}: {table}", title_justify="left")
    for name in names:
        shown.add_column("delivered" if name == "raw" else name, no_wrap=name == "id", overflow="fold")
    for row in rows:
        shown.add_row(*(escape(_visible(_delivered(row[name]) if name == "raw" else row[name])) for name in names))
    console.print(shown if rows else f"{customer_id}: {table} keeps nothing back")
    for entry in history:
        values = ", ".join(f"{name} = {_visible(value)}" for name, value in entry["values"].items())
        console.print(escape(f"#{entry['correction']} {entry['when']} {entry['who']}: {entry['action']} {values}  ({entry['why']})"))


def _delivered(raw: str | None) -> str:
    """A row as it was delivered, without its empty cells; a broken record as it is."""
    try:
        cells = json.loads(raw or "null")
    except ValueError:
        cells = None
    if not isinstance(cells, dict):
        return raw or ""
    return ", ".join(f"{name}={value}" for name, value in cells.items() if value is not None and not name.startswith("_"))


def _visible(value: Any) -> str:
    """Text without characters that could move the cursor or colour the terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in ("" if value is None else str(value)))


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: `'` before a text that begins like one; numbers are left alone."""
    if isinstance(value, str) and value[:1] and value[0] in FORMULA and not NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text[1:] if text[:1] == "'" and text[1:2] and text[1] in FORMULA else text


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows one by one to a file that only its owner can read; returns how many."""
    count = 0
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", newline="", encoding="utf-8-sig") as file:
        os.chmod(file.fileno(), 0o600)
        writer = csv.writer(file)
        writer.writerow(SHOWN)
        for row in rows:
            writer.writerow([guarded(row[name]) for name in SHOWN])
            count += 1
    return count


# decide


@quarantine.command()
@CUSTOMER
@TABLE
@click.argument("row_id", metavar="[ID]", required=False)
@click.option("--set", "given", multiple=True, metavar="COLUMN=VALUE", help="The right text for a column of the delivered file; repeat for more.")
@click.option("--from", "csv_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A CSV file with the columns id, column, value.")
@WHY
@WHO
def fix(customer_id: str, table_name: str, row_id: str | None, given: tuple[str, ...], csv_file: Path | None, why: str, who: str | None) -> None:
    """Give the right values for rows of TABLE. The delivered file stays as it is; the fix is laid over it at the next replay."""
    from resources import stewardship

    if (row_id is None) == (csv_file is None) or (row_id is not None) != bool(given):
        raise click.UsageError("give an ID with --set COLUMN=VALUE, or --from FILE")
    specs = table_specs()
    spec = _spec(customer_id, table_name, specs)
    with opened(customer_id) as session:
        values = {str(row_id): dict(map(_assignment, given))} if csv_file is None else _edited(session, spec, csv_file)
        if not values:
            raise CorrectionError("the file changes no value", customer=customer_id, file=csv_file, fix="edit the column `value`")
        made = stewardship.fix(session, spec, specs, values, _why(why), person(who))
        _record(session, made, "fixed")


def _assignment(text: str) -> tuple[str, str | None]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise click.BadParameter("write it as COLUMN=VALUE", param_hint="--set")
    return name.strip(), value or None


def _edited(session: Any, spec: TableSpec, path: Path) -> dict[str, dict[str, str | None]]:
    """Values by row id of a file that `show --csv` wrote and a person edited; lines whose value is still the refused one are left out."""
    from resources.quarantine import kept_rows

    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if absent := {"id", "column", "value"} - set(reader.fieldnames or []):
            raise CorrectionError(f"the file lacks columns: {', '.join(sorted(absent))}", customer=session.customer_id, file=path.name,
                                  fix="use a file that `show --csv` wrote")
        lines = [((line["id"] or "").strip(), (line["column"] or "").strip(), unguarded(line["value"] or "") or None) for line in reader]
    before = {(row.id, row.column): row.value or None for row in kept_rows(session, spec, ids=[id for id, _, _ in lines])}
    given: dict[str, dict[str, str | None]] = {}
    for id, column, value in lines:
        if column and not ((id, column) in before and before[id, column] == value):
            given.setdefault(id, {})[column] = value
    return given


@quarantine.command()
@CUSTOMER
@TABLE
@ROWS
@RULE
@EVERY
@WHY
@WHO
def accept(customer_id: str, table_name: str, row_ids: tuple[str, ...], rule: str | None, every: bool, why: str, who: str | None) -> None:
    """Load rows of TABLE although a rule refused them. What cannot be read stays empty."""
    _decide("accept", customer_id, table_name, row_ids, rule, every, why, who)


@quarantine.command()
@CUSTOMER
@TABLE
@ROWS
@RULE
@EVERY
@WHY
@WHO
def reject(customer_id: str, table_name: str, row_ids: tuple[str, ...], rule: str | None, every: bool, why: str, who: str | None) -> None:
    """Declare that rows of TABLE are no data, such as a total line. They stay in quarantine and are open no more."""
    _decide("reject", customer_id, table_name, row_ids, rule, every, why, who)


@quarantine.command()
@CUSTOMER
@TABLE
@click.argument("row_ids", metavar="ID...", nargs=-1, required=True)
@WHY
@WHO
def withdraw(customer_id: str, table_name: str, row_ids: tuple[str, ...], why: str, who: str | None) -> None:
    """Take back what was decided about rows of TABLE."""
    _decide("withdraw", customer_id, table_name, row_ids, None, False, why, who)


def _decide(action: str, customer_id: str, table_name: str, row_ids: Sequence[str], rule: str | None, every: bool, why: str, who: str | None) -> None:
    from resources import stewardship

    if bool(row_ids) == every or every != (rule is not None):
        raise click.UsageError("give row ids, or --rule RULE with --all")
    spec = _spec(customer_id, table_name, table_specs())
    with opened(customer_id) as session:
        rows = stewardship.chosen_rows(session, spec, row_ids, rule)
        reason, author = _why(why), person(who)
        if action == "accept":
            made = stewardship.accept(session, spec, rows, reason, author)
        else:
            made = {"reject": stewardship.reject, "withdraw": stewardship.withdraw}[action](spec, rows, reason, author)
        _record(session, made, {"accept": "accepted", "reject": "rejected", "withdraw": "withdrawn"}[action])


def _record(session: Any, made: list[Any], word: str) -> None:
    from resources.corrections import record

    numbers = record(session.lock, session.customer_id, made)
    which = f"correction {numbers[0]}" if len(numbers) == 1 else f"corrections {numbers[0]} to {numbers[-1]}"
    rows = "1 row" if len(numbers) == 1 else f"{len(numbers):,} rows"
    click.echo(f"{rows} {word} by {made[0].author} ({which}). Figures change with: strata quarantine replay {session.customer_id}")


# replay


@quarantine.command()
@CUSTOMER
@click.pass_context
def replay(ctx: click.Context, customer_id: str) -> None:
    """Compute again what depends on corrected rows, and publish it. Nothing else is touched."""
    from cli.customers import reconciled
    from cli.launching import launch_all
    from cli.main import started
    from resources.stewardship import replayed_tables, waiting_corrections

    known = table_specs()
    specs = list(known.values())
    with opened(customer_id) as session:
        waiting, tables = waiting_corrections(session, specs), replayed_tables(session, specs)
        declared = {customer_id: session.customer}
    if not tables:
        click.echo(f"{customer_id}: nothing to replay")
        return
    click.echo(f"{customer_id}: {len(waiting):,} corrections; computing {', '.join(tables)} and what depends on them")
    refuse_paused(declared[customer_id])
    postgres = started()
    reconciled(postgres, declared)
    keys = [f'key:"{known[name].domain}/{known[name].layer}/{name.split(".")[1]}"+' for name in tables]
    outcomes = launch_all(postgres, [customer_id], " or ".join(keys), None)
    ctx.exit(0 if all(outcomes.values()) else 1)
