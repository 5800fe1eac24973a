"""How silver reads text: numbers and dates by the format's conventions, words by vocabularies, and what cannot be read as rejects.

What belongs here: expressions every domain's silver shares. What does not: I/O, a table's own columns, and any business rule.
A format's conventions come from its bronze contract (`resources/formats.py`); a number is read exactly or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

import ibis
import ibis.expr.types as ir

from resources.formats import Convention

Conventions = Mapping[str, Convention]
REJECT = "struct<rule: string, column: string, value: string>"
FAST_SCALE, FAST_DIGITS = 12, 6  # of the decimal that fits 64 bits, see `to_decimal`


@ibis.udf.scalar.builtin(name="try_strptime")
def _try_strptime(text: str, pattern: str) -> datetime:  # type: ignore[empty-body]
    """DuckDB's: NULL where the text does not follow the pattern."""


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
    """`read(value, convention)` of the row's own format; NULL for a format without conventions."""
    return ibis.cases(*((format_column == name, read(value, convention)) for name, convention in sorted(conventions.items())))


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
    """The date that the format's pattern gives, NULL otherwise (also for 30 February)."""
    return by_format(trimmed(value), format_column, conventions, lambda text, c: _parsed(text, c.date_pattern).date())


def to_timestamp(value: ir.StringValue, format_column: ir.StringValue, conventions: Conventions) -> ir.TimestampValue:
    """The moment (UTC, no zone) that the format's pattern gives, NULL otherwise."""
    return by_format(trimmed(value), format_column, conventions, lambda text, c: _parsed(text, c.timestamp_pattern))


def _parsed(text: ir.StringValue, pattern: str) -> ir.TimestampValue:
    """strptime, with the pattern's zeros demanded: `2024-9-1` is not `%Y-%m-%d`."""
    expected = len(pattern.replace("%Y", "yyyy"))
    return (text.length() == expected).ifelse(_try_strptime(text, pattern), ibis.null("timestamp"))


def rejects(*entries: tuple[ir.BooleanValue, str, str, ir.StringValue]) -> ir.ArrayValue:
    """The reserved column `_rejects` from (is bad, rule, column, raw value) entries; NULL where none is bad.

    One OR over all rows, the list only for rows with trouble.
    """
    bad = ibis.literal(False)
    for condition, *_ in entries:
        bad = bad | condition.fill_null(False)
    made = [
        condition.fill_null(False).ifelse(ibis.struct({"rule": rule, "column": column, "value": value.cast("string")}).cast(REJECT), ibis.null(REJECT))
        for condition, rule, column, value in entries
    ]
    return bad.ifelse(ibis.array(made).filter(lambda entry: entry.notnull()), ibis.null(f"array<{REJECT}>"))


def unreadable(raw: ir.StringValue, read: ir.Value) -> ir.BooleanValue:
    """There was text and it could not be read."""
    return trimmed(raw).notnull() & read.isnull()
