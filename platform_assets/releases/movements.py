"""What a release moves: figures by KPI and month with their causes, and tables row by row.

What belongs here: comparing versions that stand side by side in the stores. What does not: computing them, and judging what they say (approval.py).
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import psycopg
from psycopg import sql

from platform_assets.contracts import Contract
from resources.releases import Movement
from resources.session import Session
from resources.storage import TableSpec
from resources.versions import Version

Figures = dict[tuple[str, date], tuple[float, str]]  # (KPI, month) -> value, unit


def reported_of(made: Contract) -> dict[str, str] | None:
    """Which columns of a table are month, name, value and unit of a figure that releases are judged by; None for other tables."""
    return made.custom.get("reported")


def figures(connection: psycopg.Connection, customer: str, contracts: Sequence[Contract], versions: Mapping[str, int]) -> Figures:
    """The reported figures of a customer's versions."""
    found: Figures = {}
    for made in contracts:
        columns, number = reported_of(made), versions.get(made.spec.qualified)
        if columns is None or number is None:
            continue
        names = sql.SQL(", ").join(sql.Identifier(columns[role]) for role in ("name", "month", "value", "unit"))
        query = sql.SQL("SELECT {} FROM {} WHERE customer_id = %s AND version = %s").format(names, sql.Identifier(made.spec.schema, made.spec.name))
        for kpi, month, value, unit in connection.execute(query, [customer, number]):
            found[kpi, month] = float(value), unit
    return found


def movements(before: Figures, stages: Sequence[tuple[str, Figures]]) -> list[Movement]:
    """Figures that differ after the last stage, or that some stage moved and a later one moved back. `stages`: cause -> figures once it has changed."""
    found = []
    for kpi, month in sorted(set(before).union(*(figures for _, figures in stages))):
        shares: dict[str, float] = {}
        last, unit = before.get((kpi, month)), None
        for cause, figures in stages:
            now = figures.get((kpi, month))
            if now != last:
                shares[f"by_{cause}"] = (now[0] if now else 0.0) - (last[0] if last else 0.0)
            last, unit = now, (now or last or (0.0, unit))[1]
        first = before.get((kpi, month))
        if shares:
            found.append(Movement(kpi, month, unit or (first or (0.0, ""))[1], first[0] if first else None, last[0] if last else None, **shares))
    return found


def table_difference(connection: psycopg.Connection, customer: str, spec: TableSpec, before: Version, after: Version) -> dict[str, Any]:
    """Rows of two versions in the warehouse compared by the table's key: `added`, `removed`, `changed`, and `columns` -> rows in which it differs."""
    if before.content_hash == after.content_hash:
        return {}
    others = [c.name for c in spec.columns if c.name not in spec.key]
    table, using = sql.Identifier(spec.schema, spec.name), sql.SQL(", ").join(map(sql.Identifier, spec.key))
    side = "(SELECT *, 1 AS is_there FROM {} WHERE customer_id = {} AND version = {})"
    one, other = (sql.SQL(side).format(table, sql.Literal(customer), sql.Literal(version.version)) for version in (before, after))
    differs = [sql.SQL("b.{0} IS DISTINCT FROM a.{0}").format(sql.Identifier(name)) for name in others]
    counts = [sql.SQL("count(*) FILTER (WHERE b.is_there IS NULL)"), sql.SQL("count(*) FILTER (WHERE a.is_there IS NULL)"),
              sql.SQL("count(*) FILTER (WHERE b.is_there = 1 AND a.is_there = 1 AND ({}))").format(sql.SQL(" OR ").join(differs) or sql.SQL("false")),
              *(sql.SQL("count(*) FILTER (WHERE b.is_there = 1 AND a.is_there = 1 AND {})").format(one) for one in differs)]
    query = sql.SQL("SELECT {} FROM {} b FULL JOIN {} a USING ({})").format(sql.SQL(", ").join(counts), one, other, using)
    return _told(others, connection.execute(query).fetchone())


def lake_difference(session: Session, spec: TableSpec, before: Version, after: Version) -> dict[str, Any]:
    """The same for two versions of the lake, of the columns that both have."""
    if before.content_hash == after.content_hash:
        return {}
    sides = [f"lake.{spec.qualified} AT (VERSION => {int(version.snapshot_id or 0)})" for version in (before, after)]
    there = [{row[0] for row in session.con.execute(f"DESCRIBE SELECT * FROM {side}").fetchall()} for side in sides]
    others = [c.name for c in spec.columns if c.name not in spec.key and all(c.name in names for names in there)]
    differs = [f'b."{name}" IS DISTINCT FROM a."{name}"' for name in others]
    both = "b.is_there = 1 AND a.is_there = 1"
    counts = ["count(*) FILTER (WHERE b.is_there IS NULL)", "count(*) FILTER (WHERE a.is_there IS NULL)",
              f"count(*) FILTER (WHERE {both} AND ({' OR '.join(differs) or 'false'}))", *(f"count(*) FILTER (WHERE {both} AND {one})" for one in differs)]
    using = ", ".join(f'"{name}"' for name in spec.key)
    one, other = (f"(SELECT *, 1 AS is_there FROM {side})" for side in sides)
    return _told(others, session.con.execute(f"SELECT {', '.join(counts)} FROM {one} b FULL JOIN {other} a USING ({using})").fetchone())


def _told(columns: Sequence[str], counts: Any) -> dict[str, Any]:
    added, removed, changed, *by_column = counts
    differing = {name: number for name, number in zip(columns, by_column, strict=True) if number}
    return {"added": added, "removed": removed, "changed": changed, "columns": differing}
