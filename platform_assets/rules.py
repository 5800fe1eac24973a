"""Rules of severity `quarantine`: a row that breaks one is kept back with its reason instead of being loaded.

What belongs here: one function for each kind of rule that speaks of a row, and giving a table's rows their `_rejects` from its contract.
What does not: rules on a whole table and on its history (measures.py), reading text (conform.py), storing rows (resources/).
A kind is known by the name of its Great Expectations type, so a rule changes its severity by one word; kinds of our own have theirs.
"""
from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any

import ibis
import ibis.expr.types as ir

from partitions.errors import ContractError
from platform_assets.conform import Entry, joined_rejects, rejects
from platform_assets.contracts import Contract, Rule
from resources.settings import PROJECT
from resources.storage import REJECTS

Predicate = Callable[[ir.Table, dict[str, Any]], ir.BooleanValue]
UNIQUE = {"expect_column_values_to_be_unique": "column", "expect_compound_columns_to_be_unique": "column_list"}


def missing(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """The column has no value."""
    return rows[said["column"]].isnull()


def outside_set(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """A value that is not in the list."""
    column = rows[said["column"]]
    return column.notnull() & column.notin(said["value_set"])


def stranger(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """A value that a vocabulary or parameter file (`table`, `key`) does not have."""
    known = words(said["table"], said["key"])
    if known is None:
        raise ContractError("a row can only refer to a vocabulary or a parameter file", column=said["column"], fix="use severity warn or error for a table")
    return outside_set(rows, {**said, "value_set": list(known)})


@cache
def words(table: str, key: str) -> tuple[str, ...] | None:
    """The distinct values of a column of a vocabulary or parameter file; None if there is no such file."""
    path = next((path for folder in ("vocabularies", "parameters") if (path := PROJECT / folder / f"{table}.csv").exists()), None)
    if path is None:
        return None
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(sorted({row[key] for row in csv.DictReader(file) if row[key]}))


def outside_interval(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """A value below the least or above the most; both are allowed themselves unless `strict_min` or `strict_max` is set."""
    column, bad = rows[said["column"]], ibis.literal(False)
    if (least := _typed(said.get("min_value"), column)) is not None:
        bad = bad | (column <= least if said.get("strict_min") else column < least)
    if (most := _typed(said.get("max_value"), column)) is not None:
        bad = bad | (column >= most if said.get("strict_max") else column > most)
    return bad


def off_pattern(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """A value that the regular expression does not match."""
    column = rows[said["column"]]
    return column.notnull() & ~column.re_search(said["regex"])


def not_greater(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """A is not greater than B (with `or_equal`: smaller)."""
    a, b = rows[said["column_A"]], rows[said["column_B"]]
    return a < b if said.get("or_equal") else a <= b


def not_an_object(rows: ir.Table, said: dict[str, Any]) -> ir.BooleanValue:
    """Text that is not one JSON object, or an object that names a key twice."""
    column = rows[said["column"]]
    return column.notnull() & ~_is_plain_object(column)


KINDS: dict[str, tuple[Predicate, str]] = {  # kind -> its predicate ("this row is bad"), the reason unless the rule names another
    "expect_column_values_to_not_be_null": (missing, "MISSING_VALUE"),
    "expect_column_values_to_be_in_set": (outside_set, "DOMAIN"),
    "expect_column_values_to_be_between": (outside_interval, "NUMBER_RANGE"),
    "expect_column_values_to_match_regex": (off_pattern, "DOMAIN"),
    "expect_column_pair_values_a_to_be_greater_than_b": (not_greater, "DATE_RANGE"),
    "references": (stranger, "DOMAIN"),
    "json_object": (not_an_object, "DOMAIN"),
}


def kept_back(rows: ir.Table, made: Contract) -> ir.Table:
    """A table's rows with what its contract's `quarantine` rules say in `_rejects`, beside what its function found itself.

    Unique keys are judged last and among good rows only: of equal rows the first in (file, row) stays, of conflicting ones none.
    """
    rules = [rule for rule in made.rules if rule.severity == "quarantine"]
    if not rules:
        return rows
    entries = [_entry(rows, made, rule) for rule in rules if rule.expectation not in UNIQUE]
    found = rejects(*entries) if entries else ibis.null(rows[REJECTS].type()) if REJECTS in rows.columns else rejects()
    rows = rows.mutate(**{REJECTS: joined_rejects(rows[REJECTS], found) if REJECTS in rows.columns else found})
    for rule in rules:
        if rule.expectation in UNIQUE:
            rows = _without_twins(rows, made, rule)
    return rows


def _entry(rows: ir.Table, made: Contract, rule: Rule) -> Entry:
    if rule.expectation not in KINDS:
        raise ContractError(f"a rule of kind {rule.expectation} cannot keep rows back", table=made.table, column=rule.kwargs.get("column"),
                            fix=f"use severity warn or error, or one of {', '.join(sorted({*KINDS, *UNIQUE}))}")
    predicate, reason = KINDS[rule.expectation]
    column = rule.kwargs.get("column") or rule.kwargs["column_A"]
    if column in made.key:
        reason = {"MISSING_VALUE": "MISSING_KEY", "DOMAIN": "KEY_FORMAT"}.get(reason, reason)
    return predicate(rows, rule.kwargs), rule.reason or reason, column, rows[column], rule.name


def _without_twins(rows: ir.Table, made: Contract, rule: Rule) -> ir.Table:
    said = rule.kwargs[UNIQUE[rule.expectation]]
    key = [said] if isinstance(said, str) else list(said)
    origin = [name for name in rows.columns if name.startswith("_")]
    content = ibis.struct({name: rows[name] for name in rows.columns if name not in origin}).hash()
    place = [rows[name] for name in ("_sha256", "_row") if name in origin] or [content]
    is_good = rows[REJECTS].isnull()
    twins = ibis.window(group_by=[rows[name] for name in key])
    first = ibis.window(group_by=[*(rows[name] for name in key), is_good], order_by=place)
    good_content = is_good.ifelse(content, ibis.null("int64"))
    judged = rows.mutate(is_good_row=is_good, is_conflict=good_content.min().over(twins) != good_content.max().over(twins),
                         nth=ibis.row_number().over(first))
    complete = ibis.and_(*(judged[name].notnull() for name in key))
    is_twin = judged.is_good_row & complete & (judged.is_conflict.fill_null(False) | (judged.nth > 0))
    found = rejects((is_twin, "DUPLICATE", key[-1], judged[key[-1]], rule.name))
    return judged.mutate(**{REJECTS: joined_rejects(judged[REJECTS], found)}).drop("is_good_row", "is_conflict", "nth")


def _typed(value: Any, column: ir.Value) -> Any:
    return date.fromisoformat(value) if value is not None and column.type().is_date() else value


@ibis.udf.scalar.builtin(name="json_valid")
def _json_valid(text: str) -> bool:  # type: ignore[empty-body]
    """DuckDB's."""


@ibis.udf.scalar.builtin(name="json_type")
def _json_type(text: str) -> str:  # type: ignore[empty-body]
    """DuckDB's: OBJECT, ARRAY, VARCHAR, …"""


@ibis.udf.scalar.builtin(name="json_keys")
def _json_keys(text: str) -> list[str]:  # type: ignore[empty-body]
    """DuckDB's: the keys of an object, a repeated one as often as it stands there."""


def _is_plain_object(column: ir.StringValue) -> ir.BooleanValue:
    """Evaluated in turn: a text that is no JSON never reaches the JSON functions, which would raise."""
    keys = _json_keys(column)
    return ibis.cases((_json_valid(column), (_json_type(column) == "OBJECT") & (keys.length() == keys.unique().length())), else_=False)
