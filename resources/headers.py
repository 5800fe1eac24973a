"""Headers compared by us: which columns a file has, under the names that its format declares.

What belongs here: refusing a header (rules SCHEMA, DIALECT, HEADER) with the names missing, duplicate or unexpected, never a value of a
row. What does not: reading rows (records) and files (inspection).
"""
from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from partitions.errors import DeliveryError
from resources.formats import Format
from resources.records import Dialect, cells

COLUMN_LIMIT = 2000
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
OTHER_DELIMITERS = ",;\t|"
Refusal = Callable[[str, str, str], DeliveryError]


def parse_header(
    record: bytes | Sequence[str], dialect: Dialect, format: Format, columns: Sequence[str], refuse: Refusal,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names in file order, and those that the format does not know. Raises by `refuse(rule, problem, fix)`."""
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
    if not set(names) & declared:
        _refuse_strangers(names, declared, dialect, refuse)
    _refuse_twins(names, format, refuse)
    unexpected = tuple(name for name in names if name not in declared and name not in format.ignore)
    filled = {format.column_of(name) for name in names}
    missing = [format.header_of(column) for column in format.required if column not in filled]
    if missing:
        nearly = {_folded(name) for name in unexpected} & {_folded(name) for name in missing}
        text = f"columns missing: {_listed(missing)}" + (f"; unexpected: {_listed(unexpected)}" if unexpected else "")
        raise refuse("HEADER" if nearly else "SCHEMA", text, f"deliver the columns of format {format.name} under exactly these names")
    return names, unexpected


def declared_names(format: Format, columns: Sequence[str]) -> set[str]:
    """Every header that the format knows."""
    return {*format.columns, *format.ignore, *columns} - {""}


def _refuse_strangers(names: Sequence[str], declared: set[str], dialect: Dialect, refuse: Refusal) -> None:
    """No declared name at all: another delimiter, or no header. The first line may then be data, so nothing of it is shown."""
    if len(names) == 1:
        for other in OTHER_DELIMITERS:
            parts = {part.strip('"') for part in names[0].split(other)}
            if other != dialect.delimiter.decode() and parts & declared:
                problem = f"the header is delimited by {other!r}, the format declares {dialect.delimiter.decode()!r}"
                raise refuse("DIALECT", problem, "choose the format that fits in the customer's file")
    raise refuse("HEADER", "the first line has none of the declared column names", f"deliver a header line; for example {_listed(sorted(declared))}")


def _refuse_twins(names: Sequence[str], format: Format, refuse: Refusal) -> None:
    empty = [name for name in names if not _folded(name) and name not in format.ignore]
    if empty:
        raise refuse("HEADER", "a column has no name", "name every column")
    twins = [name for name, count in Counter(_folded(name) for name in names if name not in format.ignore).items() if count > 1]
    if twins:
        raise refuse("HEADER", f"columns named twice: {_listed(twins)}", "deliver each column once; names that differ by case or blanks only count as one")
    targets = Counter(column for name in names if (column := format.column_of(name)) is not None)
    doubled = [column for column, count in targets.items() if count > 1]
    if doubled:
        raise refuse("HEADER", f"two headers fill one column: {_listed(doubled)}", "deliver one of them")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).translate(INVISIBLE).strip().casefold().replace(" ", "_")


def _listed(names: Sequence[str]) -> str:
    """At most eight names, each cut at 40 characters and printable."""
    shown = [name[:40] if name.isprintable() else ascii(name[:40]) for name in names[:8]]
    return ", ".join(shown) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
