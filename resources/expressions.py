"""Ibis expressions of tables: unbound inputs, and the SQL that an expression compiles to, kept per process and on disk.

What belongs here: what makes one table's function and compilation run once per process instead of once per customer. Inputs are tables
without a backend, so a function gives the same expression for every customer (building and compiling `gold/activity` costs 1.6 CPU s).
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.common.graph import Node

from resources.compiled import digest, keep, kept
from resources.settings import settings
from resources.storage import TableSpec

IBIS_TYPES = {"varchar": "string", "bigint": "int64", "double": "float64", "timestamp": "timestamp", "date": "date", "boolean": "boolean"}
KEPT = 256
COMPILED = "compiled"  # folder of an installation's home
ibis.options.sql.fuse_selects = False  # merged selects repeat a column's expression wherever it is used: gold/activity grew to 2.6 MB of SQL instead of 0.6

_sql: dict[tuple[Any, str], str] = {}


def unbound(name: str, columns: Iterable[tuple[str, str]]) -> ir.Table:
    """A table by name with the contract's column types, bound to no session."""
    return ibis.table({column: IBIS_TYPES.get(kind.lower(), kind) for column, kind in columns}, name=name)


def unbound_table(spec: TableSpec) -> ir.Table:
    return unbound(spec.name, [(c.name, c.type) for c in spec.columns])


def remembered(function: Callable[..., ir.Table]) -> Callable[..., ir.Table]:
    """A pure table function that is called once per process for equal inputs."""
    made: dict[tuple[Any, ...], ir.Table] = {}

    @wraps(function)
    def call(*tables: ir.Table, **named: ir.Table) -> ir.Table:
        key = (*(table.op() for table in tables), *((name, table.op()) for name, table in sorted(named.items())))
        if key not in made:
            if len(made) >= KEPT:
                made.clear()
            made[key] = function(*tables, **named)
        return made[key]

    return call


def sql_of(expression: ir.Table, dialect: str) -> str:
    """The SQL of an expression for `duckdb` or `postgres`; compiled once per installation where there is one, else once per process."""
    key = (expression.op(), dialect)
    if key not in _sql:
        if len(_sql) >= KEPT:
            _sql.clear()
        _sql[key] = _kept_or_compiled(expression, dialect)
    return _sql[key]


def _kept_or_compiled(expression: ir.Table, dialect: str) -> str:
    home, name = settings().home, digest(expression.op(), dialect)
    if name is None or not home.is_dir():
        return _compiled(expression, dialect)
    statement = kept(home / COMPILED, name)
    if statement is None:
        statement = _compiled(expression, dialect)
        keep(home / COMPILED, name, statement)
    return statement


def _compiled(expression: ir.Table, dialect: str) -> str:
    """SQL without indents, which are half of the text: 261 kB of gold/activity instead of 606."""
    return str(ibis.to_sql(expression, dialect=dialect, pretty=False))


def leaf_names(expression: ir.Table) -> frozenset[str]:
    """Names of the tables that an expression reads."""
    return _leaf_names(expression.op())


@lru_cache(maxsize=KEPT)
def _leaf_names(root: Node) -> frozenset[str]:
    return frozenset(leaf.name for leaf in root.find((ops.DatabaseTable, ops.UnboundTable)))
