"""Rows built from a contract: clean ones that keep every rule, and for each rule one row that breaks it alone.

What belongs here: one entry in GOOD and BAD per kind of expectation. What does not: any table's name. A rule of a kind that is not here
fails its test with the words of `unknown`.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from platform_assets.contracts import Contract, Rule
from platform_assets.rules import words
from resources.storage import TableSpec

Row = dict[str, Any]
ARROW = {"varchar": pa.string(), "bigint": pa.int64(), "double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us"), "boolean": pa.bool_(),
         "decimal(38,12)": pa.decimal128(38, 12), "decimal(38,18)": pa.decimal128(38, 18)}
TEXTS = ("FRA", "CANARY-1", "a" * 64, "0123456789abcdef-1", "equipment-1", "3.1", "laptop", "511210")  # tried in turn against a pattern
NOT_TEXT = "\u00a7 no such thing \u00a7"  # matches no pattern, stands in no set


def unknown(rule: Rule) -> AssertionError:
    return AssertionError(f"rule {rule.name} is a {rule.expectation}: teach GOOD and BAD of tests/contracts/building.py a value that keeps it and a row that breaks it")


def plain_value(kind: str, number: int) -> Any:
    """A value of a physicalType, other for each number."""
    by_type: dict[str, Callable[[], Any]] = {
        "varchar": lambda: f"text {number}", "bigint": lambda: number, "double": lambda: float(number), "boolean": lambda: number % 2 == 0,
        "date": lambda: date(2024, 1, 1) + timedelta(days=number), "timestamp": lambda: datetime(2024, 1, 1) + timedelta(hours=number),
    }
    return by_type.get(kind, lambda: Decimal(number))()


def typed(value: Any, kind: str) -> Any:
    """A contract's literal (JSON) as a value of a physicalType."""
    if kind == "date":
        return date.fromisoformat(value)
    return Decimal(str(value)) if kind.startswith("decimal") else float(value) if kind == "double" else int(value) if kind == "bigint" else value


def matching(pattern: str, number: int) -> str:
    found = next((text for text in (*(text[:-1] + str(number) for text in TEXTS), *TEXTS) if re.search(pattern, text)), None)
    assert found, f"no text of TEXTS in tests/contracts/building.py matches {pattern}: add one"
    return found


def _between(kwargs: dict[str, Any], kind: str, number: int) -> Any:
    least, most = kwargs.get("min_value"), kwargs.get("max_value")
    if least is not None and most is not None and kind == "bigint":
        return least + number % (most - least + 1)
    return typed(least + bool(kwargs.get("strict_min")) if least is not None else most, kind)


def _beyond(kwargs: dict[str, Any], kind: str) -> Any:
    step = timedelta(days=1) if kind == "date" else typed(1, kind)
    if (most := kwargs.get("max_value")) is not None:
        return typed(most, kind) + step
    return typed(kwargs["min_value"], kind) - step


def _outside(values: list[Any], kind: str) -> Any:
    if kind == "boolean":
        return not values[0]
    return NOT_TEXT if kind == "varchar" else typed(max(values) + 1, kind)


GOOD: dict[str, Callable[[Rule, str, int], Any]] = {
    "expect_column_values_to_be_in_set": lambda rule, kind, number: typed(rule.kwargs["value_set"][number % len(rule.kwargs["value_set"])], kind),
    "references": lambda rule, kind, number: (words(rule.kwargs["table"], rule.kwargs["key"]) or [plain_value(kind, n) for n in range(number + 1)])[number],
    "expect_column_values_to_be_between": lambda rule, kind, number: _between(rule.kwargs, kind, number),
    "expect_column_values_to_match_regex": lambda rule, kind, number: matching(rule.kwargs["regex"], number),
    "expect_column_values_to_not_be_null": lambda rule, kind, number: plain_value(kind, number),
    "expect_column_values_to_be_unique": lambda rule, kind, number: plain_value(kind, number),
}


def clean_row(made: Contract, number: int) -> Row:
    """Row `number` of a table without a fault; keys differ from row to row."""
    row = {c.name: plain_value(c.type, number) for c in made.columns}
    kinds = {c.name: c.type for c in made.columns}
    narrow = {}  # of several intervals on a column each value must lie in all: the last word is the intersection's lower end
    for rule in made.rules:
        column = rule.kwargs.get("column")
        if column is None or rule.expectation not in GOOD:
            continue
        if rule.expectation == "expect_column_values_to_be_between":
            narrow[column] = {**narrow.get(column, {}), **{k: v for k, v in rule.kwargs.items() if k != "column"}}
            row[column] = _between(narrow[column], kinds[column], number)
        else:
            row[column] = GOOD[rule.expectation](rule, kinds[column], number)
    for rule in made.rules:
        if rule.expectation == "expect_column_pair_values_a_to_be_greater_than_b":
            row[rule.kwargs["column_B"]] = row[rule.kwargs["column_A"]]
    return row


def _bad_pair(rows: list[Row], rule: Rule, kinds: dict[str, str]) -> list[Row]:
    a, b = rule.kwargs["column_A"], rule.kwargs["column_B"]
    step = timedelta(days=1) if kinds[a] in ("date", "timestamp") else typed(1, kinds[a])
    return [*rows[:-1], {**rows[-1], a: rows[-1][b] - step}]


def _bad_column(value: Callable[[Rule, str], Any]) -> Callable[[list[Row], Rule, dict[str, str]], list[Row]]:
    return lambda rows, rule, kinds: [*rows[:-1], {**rows[-1], rule.kwargs["column"]: value(rule, kinds[rule.kwargs["column"]])}]


BAD: dict[str, Callable[[list[Row], Rule, dict[str, str]], list[Row]]] = {
    "expect_column_values_to_be_in_set": _bad_column(lambda rule, kind: _outside(rule.kwargs["value_set"], kind)),
    "references": _bad_column(lambda rule, kind: NOT_TEXT),
    "expect_column_values_to_be_between": _bad_column(lambda rule, kind: _beyond(rule.kwargs, kind)),
    "expect_column_values_to_match_regex": _bad_column(lambda rule, kind: f" {NOT_TEXT} "),
    "expect_column_values_to_not_be_null": _bad_column(lambda rule, kind: None),
    "expect_column_values_to_be_unique": lambda rows, rule, kinds: [*rows, {**rows[-1]}],
    "expect_compound_columns_to_be_unique": lambda rows, rule, kinds: [*rows, {**rows[-1]}],
    "expect_column_pair_values_a_to_be_greater_than_b": _bad_pair,
    "expect_table_row_count_to_be_between": lambda rows, rule, kinds: rows[: (rule.kwargs.get("min_value") or 1) - 1],
}
WHOLE_TABLE = {"expect_table_row_count_to_be_between"}  # judged once, without rows that break them
TWINS = {"expect_column_values_to_be_unique": 2, "expect_compound_columns_to_be_unique": 2}  # both rows of a pair are unexpected


def clean_rows(made: Contract, count: int = 3) -> list[Row]:
    return [clean_row(made, number) for number in range(1, count + 1)]


def broken_rows(made: Contract, rule: Rule) -> list[Row]:
    """The clean rows with the one that breaks the rule."""
    if rule.expectation not in BAD:
        raise unknown(rule)
    return BAD[rule.expectation](clean_rows(made), rule, {c.name: c.type for c in made.columns})


def as_arrow(spec: TableSpec, rows: list[Row]) -> pa.Table:
    """Rows as Arrow, with the contract's types."""
    return pa.table([pa.array([row[c.name] for row in rows], ARROW[c.type]) for c in spec.columns], names=[c.name for c in spec.columns])
