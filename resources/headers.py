"""Headers compared by us: which columns a file has, under the names that its format declares.

What belongs here: refusing a header (rules SCHEMA, DIALECT, HEADER) with the names missing, duplicate or unexpected, never a value of a
row. What does not: reading rows (records) and files (inspection).
"""
from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from partitions.errors import DeliveryError
from resources.formats import Format
from resources.records import Dialect, cells

COLUMN_LIMIT = 2000
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
OTHER_DELIMITERS = ",;\t|"
Refusal = Callable[[str, str, str], DeliveryError]


@dataclass(frozen=True)
class Header:
    """Names in file order (repaired ones as declared), and those that the format does not know."""

    names: tuple[str, ...]
    unexpected: tuple[str, ...] = ()
    is_repaired: bool = False


def parse_header(
    record: bytes | Sequence[str], dialect: Dialect, format: Format, columns: Sequence[str], refuse: Refusal, drift: str = "evolve",
) -> Header:
    """Judge a header. Raises by `refuse(rule, problem, fix)`."""
    if isinstance(record, bytes):
        try:
            record.decode("utf-8")
        except UnicodeDecodeError as error:
            raise refuse("ENCODING", "the header is not UTF-8", "declare the encoding in the format, or export as UTF-8") from error
        names = tuple(cells(record, dialect))
    else:
        names = tuple(record)
    if len(names) > COLUMN_LIMIT:
        raise refuse("SCHEMA", f"the file has more than {COLUMN_LIMIT:,} columns", "export the declared columns only")
    declared = declared_names(format, columns)
    repaired = _without_aliases(names, declared) if format.aliases else names
    if declared and not set(repaired) & declared:
        _refuse_strangers(names, declared, dialect, format, refuse)
    _refuse_twins(repaired, format, refuse)
    unexpected = tuple(name for name in repaired if name not in declared)
    refuse_missing(repaired, unexpected, format, refuse)
    refuse_undeclared(unexpected, drift, refuse)
    return Header(repaired, unexpected, repaired != names)


def refuse_missing(names: Sequence[str], unexpected: Sequence[str], format: Format, refuse: Refusal) -> None:
    """Refuse a file without a required column; HEADER where a name is there but for its spelling."""
    filled = {*format.constants, *(format.column_of(name) for name in names)}
    missing = [format.header_of(column) for column in format.required if column not in filled]
    if missing:
        nearly = {folded(name) for name in unexpected} & {folded(name) for name in missing}
        text = f"columns missing: {listed(missing)}" + (f"; unexpected: {listed(unexpected)}" if unexpected else "")
        rule = "HEADER" if nearly and format.missing_column == "SCHEMA" else format.missing_column
        raise refuse(rule, text, f"deliver the columns of format {format.name} under exactly these names")


def refuse_undeclared(unexpected: Sequence[str], drift: str, refuse: Refusal) -> None:
    """Refuse names that are ours, and under the policy `freeze` every name that is not declared."""
    reserved = [name for name in unexpected if name.startswith("_")]
    if reserved:
        raise refuse("HEADER", f"names that begin with _ are reserved: {listed(reserved)}", "rename the column, or map it in the format")
    if unexpected and drift == "freeze":
        raise refuse("SCHEMA", f"columns that are not declared: {listed(unexpected)}", "declare them, or change the source's drift policy")


def _without_aliases(names: Sequence[str], declared: set[str]) -> tuple[str, ...]:
    """Each name as declared where it differs by case, blanks and invisible characters only."""
    spelt = {folded(name): name for name in sorted(declared)}
    return tuple(name if name in declared else spelt.get(folded(name), name) for name in names)


def declared_names(format: Format, columns: Sequence[str]) -> set[str]:
    """Every header that the format knows."""
    return {*format.columns, *format.ignore, *columns} - {""}


def _refuse_strangers(names: Sequence[str], declared: set[str], dialect: Dialect, format: Format, refuse: Refusal) -> None:
    """No declared name at all: another delimiter, or no header. The first line may then be data, so nothing of it is shown."""
    if len(names) == 1:
        for other in OTHER_DELIMITERS:
            parts = {part.strip('"') for part in names[0].split(other)}
            if other != dialect.delimiter.decode() and parts & declared:
                problem = f"the header is delimited by {other!r}, the format declares {dialect.delimiter.decode()!r}"
                raise refuse("DIALECT", problem, "choose the format that fits in the customer's file")
    rule = "HEADER" if format.missing_column == "SCHEMA" else format.missing_column
    raise refuse(rule, "the first line has none of the declared column names", f"deliver a header line; for example {listed(sorted(declared))}")


def _refuse_twins(names: Sequence[str], format: Format, refuse: Refusal) -> None:
    rule = "SCHEMA" if format.type == "parquet" else "HEADER"
    empty = [name for name in names if not folded(name) and name not in format.ignore]
    if empty:
        raise refuse(rule, "a column has no name", "name every column")
    if any("\0" in name for name in names):
        raise refuse(rule, "a column's name holds NUL", "name every column in text")
    twins = [name for name, count in Counter(folded(name) for name in names if name not in format.ignore).items() if count > 1]
    if twins:
        raise refuse(rule, f"columns named twice: {listed(twins)}", "deliver each column once; names that differ by case or blanks only count as one")
    targets = Counter(column for name in names if (column := format.column_of(name)) is not None)
    doubled = [column for column, count in targets.items() if count > 1]
    if doubled:
        raise refuse(rule, f"two headers fill one column: {listed(doubled)}", "deliver one of them")


def folded(name: str) -> str:
    """A name without what makes two headers look alike."""
    return unicodedata.normalize("NFKC", name).translate(INVISIBLE).strip().casefold().replace(" ", "_")


def listed(names: Sequence[str]) -> str:
    """At most eight names, each cut at 40 characters and printable."""
    shown = [name[:40] if name.isprintable() else ascii(name[:40]) for name in names[:8]]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
