"""How silver reads text: numbers and dates by the format's conventions, words by vocabularies, and what cannot be read as rejects.

What belongs here: expressions every domain's silver shares. What does not: I/O, a table's own columns, and any business rule.
A format's conventions come from its bronze contract (`resources/formats.py`); a number is read exactly or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import ibis
import ibis.expr.types as ir

from platform_assets.contracts import Contract, custom_of
from resources.formats import Convention
from resources.reasons import checked
from resources.storage import Column

Conventions = Mapping[str, Convention]
REJECT = "struct<rule: string, column: string, value: string, check: string>"
Entry = tuple[Any, ...]  # (is bad, reason, column, raw value[, name of the contract's rule])
NOTATIONS = (  # in which people write a day: text that names one in another than the declared notation is DATE_FORMAT, else DATE
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%y-%m-%d", "%d/%m/%y", "%m/%d/%y", "%d.%m.%y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M",
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S",  # none with %z: DuckDB 1.5.5 then takes 31 February for 3 March
)
FAST_SCALE, FAST_DIGITS = 12, 6  # of the decimal that fits 64 bits, see `to_decimal`


@ibis.udf.scalar.builtin(name="try_strptime")
def _try_strptime(text: str, pattern: str) -> datetime:  # type: ignore[empty-body]
    """DuckDB's: NULL where the text does not follow the pattern."""


@ibis.udf.scalar.builtin(name="try_strptime")
def _try_strptimes(text: str, patterns: list[str]) -> datetime:  # type: ignore[empty-body]
    """DuckDB's: the first pattern that the text follows, NULL where there is none."""


@ibis.udf.scalar.builtin(name="rtrim")
def _without_trailing(text: str, marks: str) -> str:  # type: ignore[empty-body]
    """The text without these characters at its end."""


def trimmed(column: ir.StringValue) -> ir.StringValue:
    """Without surrounding blanks; NULL if nothing is left."""
    return column.strip().nullif("")


def slug(column: ir.StringValue) -> ir.StringValue:
    """Trimmed lower text: how a word is looked up in a vocabulary."""
    return trimmed(column).lower()


def by_format(
    value: ir.StringValue, format_column: ir.StringValue, conventions: Conventions, read: Callable[[ir.StringValue, Convention], ir.Value]
) -> ir.Value:
    """`read(value, convention)` of the row's own format; NULL for a format without conventions. Formats that read alike are one case."""
    alike: dict[Convention, list[str]] = {}
    for name, convention in sorted(conventions.items()):
        alike.setdefault(convention, []).append(name)
    return ibis.cases(*((format_column.isin(names), read(value, convention)) for convention, names in alike.items()))


def decimal_text(value: ir.StringValue, format_column: ir.StringValue, conventions: Conventions) -> ir.StringValue:
    """The number as plain text with a decimal point, NULL where it breaks the format's convention (`1.5` in a file with decimal commas).

    Engines read more than a number (`1_000`, ` 1`, `inf`), hence the pattern. Give the result a column of its own before `to_decimal`,
    with a join or a window between them: Ibis merges selects that follow one another, and the SQL of six such columns grew to 2 MB.
    """
    plain = trimmed(value)
    styles = {(c.decimal_mark, c.group_mark) for c in conventions.values()}
    if len(styles) == 1:
        return _plain_number(plain, *styles.pop())
    return by_format(plain, format_column, conventions, lambda text, c: _plain_number(text, c.decimal_mark, c.group_mark))


def _plain_number(value: ir.StringValue, decimal_mark: str, group_mark: str) -> ir.StringValue:
    """Without group marks and with a point; groups have three digits, so `12 34` is no number."""
    point = re.escape(decimal_mark)
    grouped = f"[0-9]{{1,3}}([{group_mark}][0-9]{{3}})+|" if group_mark else ""
    shape = rf"^[+-]?(({grouped}[0-9]+)({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]{{1,3}})?$"
    bare = value.re_replace(f"[{group_mark}]", "") if group_mark else value
    pointed = bare if decimal_mark == "." else bare.replace(decimal_mark, ".")
    return value.re_search(shape).ifelse(pointed, ibis.null("string"))


def to_decimal(number: ir.StringValue, scale: int) -> ir.DecimalValue:
    """DECIMAL(38, scale) of a number's text, NULL where it would have to be rounded or does not fit.

    DuckDB 1.5.5 casts text to a 128-bit decimal 40 times slower than to a 64-bit one (5 M values: 4.9 s against 0.12 s), so what fits
    DECIMAL(18, 12) goes through it; both ways are exact.
    """
    has_exponent = number.contains("E") | number.contains("e")
    point = number.find(".")
    short = (point >= 0).ifelse(_without_trailing(number, "0"), number)
    digits_after = ibis.ifelse(point >= 0, short.length() - point - 1, 0)
    digits_before = ibis.ifelse(point >= 0, point, number.length())
    is_short = (digits_before <= FAST_DIGITS) & (digits_after <= min(FAST_SCALE, scale)) & ~has_exponent
    wide = f"decimal(38, {scale})"
    return ibis.cases(
        (is_short, short.try_cast(f"decimal(18, {FAST_SCALE})").cast(wide)),
        (has_exponent, _exponent_fits(number, scale).ifelse(number.try_cast(wide), ibis.null(wide))),
        (digits_after <= scale, number.try_cast(wide)),
    )


def _exponent_fits(number: ir.StringValue, scale: int) -> ir.BooleanValue:
    """Whether `8.0E-7` needs no digit beyond the scale: digits after the point of the mantissa minus the exponent."""
    mantissa = number.re_extract(r"^([^eE]*)", 1)
    exponent = number.re_extract(r"[eE]([+-]?[0-9]+)$", 1).cast("int64")
    point = mantissa.find(".")
    return ibis.ifelse(point >= 0, mantissa.length() - point - 1, 0) - exponent <= scale


def to_date(value: ir.StringValue, format_column: ir.StringValue, conventions: Conventions) -> ir.DateValue:
    """The date that the first of the format's patterns gives that fits, NULL otherwise (also for 30 February)."""

    def read(text: ir.StringValue, c: Convention) -> ir.Value:
        return _first(text, c.date_pattern, *c.date_patterns).date()

    return by_format(trimmed(value), format_column, conventions, read)


def to_timestamp(value: ir.StringValue, format_column: ir.StringValue, conventions: Conventions) -> ir.TimestampValue:
    """The moment (UTC, no zone) that the first of the format's patterns gives that fits, NULL otherwise."""

    def read(text: ir.StringValue, c: Convention) -> ir.Value:
        return _first(text, c.timestamp_pattern, *c.timestamp_patterns)

    return by_format(trimmed(value), format_column, conventions, read)


def _first(text: ir.StringValue, *patterns: str) -> ir.TimestampValue:
    """What the first pattern gives that the text follows."""
    found = [_parsed(text, pattern) for pattern in patterns]
    return found[0] if len(found) == 1 else ibis.coalesce(*found)


def is_by_day(format_column: ir.StringValue, conventions: Conventions) -> ir.BooleanValue:
    """Whether the row's format writes days where others write moments."""
    return format_column.isin(sorted(name for name, c in conventions.items() if c.is_by_day))


def _parsed(text: ir.StringValue, pattern: str) -> ir.TimestampValue:
    """strptime, with the pattern's zeros demanded: `2024-9-1` is not `%Y-%m-%d`, but `%Y-%-m-%-d`."""
    directives, rest = re.findall("%-?[a-zA-Z]", pattern), len(re.sub("%-?[a-zA-Z]", "", pattern))
    shortest, longest = (rest + sum(_width(one, end) for one in directives) for end in (0, 1))
    length = text.length()
    fits = length == longest if shortest == longest else length.between(shortest, longest)
    return fits.ifelse(_try_strptime(text, pattern), ibis.null("timestamp"))


def _width(directive: str, end: int) -> int:
    """Characters of a directive of strptime, at least (`end` 0) or at most (1)."""
    return (1, 2)[end] if directive.startswith("%-") else {"%Y": 4, "%g": 3, "%f": 6}.get(directive, 2)


def rejects(*entries: Entry) -> ir.ArrayValue:
    """The reserved column `_rejects` from (is bad, reason, column, raw value[, rule's name]) entries; NULL where none is bad. Raises
    ValueError for a reason that is not in the closed list (`resources/reasons.py`); which of them comes first is said there.

    One OR over all rows, the list only for rows with trouble.
    """
    bad = ibis.literal(False)
    made = []
    for condition, reason, column, value, *check in entries:
        condition = condition.fill_null(False)
        bad = bad | condition
        said = {"rule": checked(reason), "column": column, "value": value.cast("string"), "check": check[0] if check else ibis.null("string")}
        made.append(condition.ifelse(ibis.struct(said).cast(REJECT), ibis.null(REJECT)))
    return bad.ifelse(ibis.array(made).filter(lambda entry: entry.notnull()), ibis.null(f"array<{REJECT}>"))


def joined_rejects(one: ir.ArrayValue, other: ir.ArrayValue) -> ir.ArrayValue:
    """Two `_rejects` as one."""
    return ibis.cases((one.isnull(), other), (other.isnull(), one), else_=one.concat(other))


def unreadable(raw: ir.StringValue, read: ir.Value) -> ir.BooleanValue:
    """There was text and it could not be read."""
    return trimmed(raw).notnull() & read.isnull()


# what a table's function adds to the rows that `parsed` gives


def refusing(rows: ir.Table, *entries: Entry) -> ir.Table:
    """The rows with these entries in `_rejects`, after those that are there."""
    return rows.mutate(_rejects=joined_rejects(rows["_rejects"], rejects(*entries)))


def conformed(rows: ir.Table, raw: str, vocabulary: ir.Table, value: str, is_required: bool = False) -> ir.Table:
    """The rows with `<raw>__known`: the vocabulary's `value` for the word of column `raw`, NULL where there is none.

    A word that the vocabulary does not know is DOMAIN, a required one that is not there MISSING_VALUE.
    """
    known = vocabulary.select(alias__of_word="alias", **{f"{raw}__known": vocabulary[value]})
    found = rows.mutate(word__of_row=slug(rows[raw])).left_join(known, [("word__of_row", "alias__of_word")]).drop("word__of_row", "alias__of_word")
    entries: list[Entry] = [(unreadable(found[raw], found[f"{raw}__known"]), "DOMAIN", raw, found[raw])]
    if is_required:
        entries.append((trimmed(found[raw]).isnull(), "MISSING_VALUE", raw, found[raw]))
    return refusing(found, *entries)


def referring(rows: ir.Table, column: str, other: ir.Table, key: str) -> ir.Table:
    """The rows with DOMAIN where `column` says what `key` of the other table, in which it is unique, does not have."""
    found = rows.left_join(other.select(key__of_other=key), [(column, "key__of_other")])
    is_stranger = found[column].notnull() & found["key__of_other"].isnull()
    return refusing(found, (is_stranger, "DOMAIN", column, found[column], f"{column}__is_known")).drop("key__of_other")


def unrepeated(rows: ir.Table, *key: str) -> ir.Table:
    """The rows with DUPLICATE where a key stands more than once. Every row of it is refused, equal ones too: nobody can say which one is true."""
    counted = rows.mutate(copies__of_key=ibis._.count().over(ibis.window(group_by=list(key))))
    is_whole = ibis.and_(*(counted[name].notnull() for name in key))
    return refusing(counted, (is_whole & (counted["copies__of_key"] > 1), "DUPLICATE", key[-1], counted[key[-1]])).drop("copies__of_key")


# typed reading by contract


def parsed(raw: ir.Table, made: Contract, conventions: Conventions, reason: str | None = None) -> ir.Table:
    """The raw rows with every column of `made` that says `from`, typed as the contract says, and `_rejects` for what cannot be read.

    A contract's column names its raw column by the customProperty `from`; `read: exact` takes text byte for byte, otherwise it is trimmed
    and empty text is NULL. A required column without text is MISSING_KEY (in the key) or MISSING_VALUE. `reason` replaces every reason;
    the rule's name then says which it was. A raw column that the typed one does not replace stays.
    """
    columns = [(column, str(origin), exact) for column, (origin, exact) in _sources(made).items()]
    numbers = {c.name: decimal_text(raw[origin], raw["_format"], conventions) for c, origin, _ in columns if _is_number(c.type)}
    step = raw.mutate(**{f"{name}__text": text for name, text in numbers.items()}, row__number=ibis.row_number())  # a window: see `decimal_text`
    read = step.mutate(**{f"{c.name}__read": _typed(step, c, origin, exact, conventions) for c, origin, exact in columns})
    entries = [entry for c, origin, exact in columns for entry in _faults(read, c, origin, exact, c.name in made.key)]
    if reason:
        entries = [(bad, reason, column, value, f"{column}__{said.lower()}") for bad, said, column, value in entries]
    judged = read.mutate(_rejects=rejects(*entries))
    names = [c.name for c, *_ in columns]  # in order: the SQL of a table is the same in every process
    kept = [name for name in raw.columns if name not in names]
    return judged.select(*kept, **{name: judged[f"{name}__read"] for name in names}, _rejects=judged["_rejects"])


def _sources(made: Contract) -> dict[Column, tuple[str, bool]]:
    """Column -> (raw column, whether it is taken byte for byte) for the columns that name one."""
    said = {p.name: custom_of(p) for p in made.properties}
    return {c: (said[c.name]["from"], said[c.name].get("read") == "exact") for c in made.columns if "from" in said[c.name]}


def _is_number(kind: str) -> bool:
    return kind.startswith("decimal") or kind in ("bigint", "double")


def _typed(rows: ir.Table, column: Column, origin: str, exact: bool, conventions: Conventions) -> ir.Value:
    """The raw column as the contract's type, NULL where it cannot be read."""
    raw, kind = rows[origin], column.type
    if kind == "varchar":
        return raw.nullif("") if exact else trimmed(raw)
    if kind == "date":
        return to_date(raw, rows["_format"], conventions)
    if kind == "timestamp":
        return to_timestamp(raw, rows["_format"], conventions)
    if kind == "boolean":
        return ibis.cases((slug(raw).isin(["true", "1", "yes"]), True), (slug(raw).isin(["false", "0", "no"]), False))
    text = rows[f"{column.name}__text"]
    if kind == "double":
        return text.try_cast("float64")
    if kind == "bigint":
        return to_decimal(text, 0).try_cast("int64")
    digits, scale = (int(part) for part in kind.removeprefix("decimal(").removesuffix(")").split(","))
    wide = to_decimal(text, scale)
    return wide if digits == 38 else wide.try_cast(f"decimal({digits}, {scale})")


def _faults(rows: ir.Table, column: Column, origin: str, exact: bool, is_key: bool) -> Iterator[Entry]:
    """What can be wrong with one cell: it is missing, or its text does not give a value of the type."""
    raw, read = rows[origin], rows[f"{column.name}__read"]
    there = (raw.nullif("") if exact else trimmed(raw)).notnull()
    if column.required:
        yield ~there, "MISSING_KEY" if is_key else "MISSING_VALUE", origin, raw
    bad = there & read.isnull()
    if _is_number(column.type):
        is_number = rows[f"{column.name}__text"].notnull()
        yield bad & ~is_number, "NUMBER_FORMAT", origin, raw
        yield bad & is_number, "NUMBER_RANGE", origin, raw
    elif column.type in ("date", "timestamp"):
        is_some_day = _try_strptimes(trimmed(raw), ibis.array(list(NOTATIONS))).notnull()
        yield bad & is_some_day, "DATE_FORMAT", origin, raw
        yield bad & ~is_some_day, "DATE", origin, raw
    elif column.type == "boolean":
        yield bad, "DOMAIN", origin, raw


TYPED = ("number", "integer", "date", "timestamp")  # logicalTypes whose text can be unreadable


def retyped(raw: ir.Table, types: Mapping[str, str], conventions: Conventions) -> ir.Table:
    """One row: for each column that `types` (logicalTypes of the source) declares a number, date or timestamp, `<column>__filled` and
    `<column>__read`: how many values there are and how many can be read in the format's convention."""
    readers: dict[str, Callable[[str], ir.Value]] = {
        "number": lambda name: decimal_text(raw[name], raw["_format"], conventions),
        "integer": lambda name: decimal_text(raw[name], raw["_format"], conventions),
        "date": lambda name: to_date(raw[name], raw["_format"], conventions), "timestamp": lambda name: to_timestamp(raw[name], raw["_format"], conventions),
    }
    counts: dict[str, ir.Value] = {}
    for name, kind in types.items():
        if kind in readers:
            counts |= {f"{name}__filled": trimmed(raw[name]).count(), f"{name}__read": readers[kind](name).count()}
    return raw.aggregate(**counts)
