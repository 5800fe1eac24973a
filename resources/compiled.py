"""Compiled SQL on disk, under the digest of the expression it was compiled from, for processes that come later.

What belongs here: what an expression is, in a digest that is the same in every process, and keeping its SQL. What does not: compiling
(expressions.py). The digest is of all nodes, so what changes a figure changes it; it costs 0.2 CPU s for all tables, compiling them 6.
An expression with a part whose content is not known here has no digest and is compiled each time.
"""
from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datashape as ds
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot
from ibis.common.graph import Node
from ibis.expr.operations.relations import Namespace
from ibis.expr.operations.udf import AggUDF, InputType, ScalarUDF

KEPT_FILES = 2000
PLAIN = (str, bytes, int, float, bool, type(None), Decimal, date, time, timedelta, dt.DataType, Namespace, Enum)  # what `repr` tells whole
WITH_CONTENT = (ops.InMemoryTable, ops.DatabaseTable, ops.SQLQueryResult, ops.SQLStringView)  # data or a connection behind them


class UnknownPartError(Exception):
    """A part of an expression whose content the digest would not hold."""


def digest(root: Node, dialect: str) -> str | None:
    """What an expression compiles from, the versions of what compiles it included; None where a part is not known."""
    versions = (ibis.__version__, sqlglot.__version__, dialect, ibis.options.sql.fuse_selects, "compact")
    found = hashlib.sha256(repr(versions).encode())
    numbers: dict[Node, int] = {}
    pending = [(root, False)]
    try:
        while pending:
            node, is_ready = pending.pop()
            if node in numbers:
                continue
            if is_ready:
                found.update(_said(node, numbers).encode() + b"\n")
                numbers[node] = len(numbers)
            else:
                pending.append((node, True))
                pending += [(child, False) for child in reversed(node.__children__) if child not in numbers]
    except UnknownPartError:
        return None
    return found.hexdigest()


def _said(node: Node, numbers: dict[Node, int]) -> str:
    kind = type(node)
    is_function = isinstance(node, (ScalarUDF, AggUDF))
    if isinstance(node, WITH_CONTENT) or (is_function and kind.__input_type__ is not InputType.BUILTIN):
        raise UnknownPartError
    if isinstance(node, ops.SelfReference):  # its identifier counts the process's references; its place here does as well
        return f"{kind.__qualname__} #{numbers[node.parent]} @{len(numbers)}"
    called = f" {kind.__func_name__} {dict(kind.__config__)!r} {kind.__udf_namespace__!r}" if is_function else ""
    given = ", ".join(f"{name}={_value(value, numbers)}" for name, value in zip(node.__argnames__, node.__args__, strict=True))
    return f"{kind.__module__}.{kind.__qualname__}{called} {given}"


def _value(value: Any, numbers: dict[Node, int]) -> str:
    if isinstance(value, Node):
        return f"#{numbers[value]}"
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, (tuple, list)):
        return f"({', '.join(_value(item, numbers) for item in value)})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_value(item, numbers)}' for key, item in value.items())}}}"
    if isinstance(value, (set, frozenset)):
        return f"<{', '.join(sorted(_value(item, numbers) for item in value))}>"
    if isinstance(value, ds.DataShape):
        return type(value).__name__
    raise UnknownPartError


def kept(folder: Path, name: str) -> str | None:
    """The SQL that an earlier process kept."""
    try:
        return (folder / f"{name}.sql").read_bytes().decode()
    except OSError:
        return None


def keep(folder: Path, name: str, statement: str) -> None:
    """Keep SQL for later processes, whole or not at all; of very many files the oldest go. A folder that cannot be written keeps nothing."""
    with suppress(OSError):
        folder.mkdir(exist_ok=True, mode=0o700)
        handle, draft = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(statement.encode())  # bytes: a text file would turn a carriage return into a line feed
        Path(draft).rename(folder / f"{name}.sql")
        files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for path in files[:-KEPT_FILES]:
            path.unlink(missing_ok=True)
