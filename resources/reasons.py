"""The reasons for which a file is refused or a row is kept back: a closed list, in the order in which the first one that applies is given.

What belongs here: names, their order, and the two ways to give one (a typed refusal, a checked name). What does not: who finds them.
"""
from __future__ import annotations

from typing import Any

from partitions.errors import DeliveryError

FILE_ORDER = ("NAME", "EMPTY", "NOT_XLSX", "NOT_PARQUET", "XML_DTD", "BOMB", "PATH", "ARCHIVE", "CHECKSUM", "PARQUET", "TRUNCATED", "ENCODING", "NOT_CSV",
              "JSON", "XML", "DIALECT", "HEADER", "SCHEMA", "CONTROL_TOTAL", "TENANT", "QUOTA")
ROW_ORDER = ("ENCODING", "NUL_BYTE", "UNICODE", "QUOTE", "JSON", "JSON_DUP_KEY", "DEPTH", "NUMBER", "TRUNCATED", "FIELD_COUNT", "CELL_SIZE", "SCHEMA",
             "MISSING_KEY", "KEY_FORMAT", "TYPE", "CELL", "MISSING_VALUE", "DATE", "DATE_FORMAT", "NUMBER_FORMAT", "NUMBER_RANGE", "DATE_RANGE", "UNIT",
             "DOMAIN", "FOCUS", "POISON", "INCOMPLETE_TX", "CLOCK", "DUPLICATE")
STRUCTURE = frozenset(ROW_ORDER[: ROW_ORDER.index("SCHEMA")])  # the record itself cannot be read: there is no row to accept
IDENTITY = frozenset({"MISSING_KEY", "KEY_FORMAT", "DUPLICATE"})  # what a row is: no steward can wave it through
REASONS = frozenset(FILE_ORDER) | frozenset(ROW_ORDER)


def rank(reason: str) -> int:
    """The place of a row's reason in the order. Raises ValueError for a reason that is not in the list."""
    return ROW_ORDER.index(reason)


def checked(reason: str) -> str:
    """The reason itself. Raises ValueError for one that is not in the list."""
    if reason not in REASONS:
        raise ValueError(f"{reason} is not one of the reasons of resources/reasons.py")
    return reason


def refusal(rule: str, problem: str, fix: str, **place: Any) -> DeliveryError:
    """A file refused whole, for a reason of the list."""
    return DeliveryError(problem, fix=fix, rule=checked(rule), **place)
