"""KPIs as the reader's role sees them, as rows and as a table for people."""
from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
from psycopg.rows import dict_row

COLUMNS = ("period", "scope", "category", "domain", "criterion", "method", "view", "value", "value_min", "value_max", "unit", "dq_score",
           "coverage_pct", "version")


def kpi_rows(connection: psycopg.Connection, period: date | None = None) -> list[dict[str, Any]]:
    """The live rows of `greenit_platinum.kpi_monthly` of the connection's customer, in a fixed order."""
    where = "WHERE period = %s" if period else ""
    query = f"SELECT {', '.join(COLUMNS)} FROM greenit_platinum.kpi_monthly_live {where} ORDER BY period, scope, category, domain, criterion, method, view"
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [period] if period else None).fetchall()  # noqa: S608


def kpi_table(customer: str, rows: list[dict[str, Any]]) -> None:
    """Print the newest month of `rows`."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        Console().print(f"{customer}: nothing is published yet; run `strata launch {customer}`")
        return
    newest = rows[-1]["period"]
    table = Table(title=f"{customer}: {newest:%Y-%m} (version {rows[-1]['version']})", title_justify="left")
    for name in COLUMNS[1:-1]:
        table.add_column(name, justify="right" if name.startswith(("value", "dq", "coverage")) else "left")
    for row in (r for r in rows if r["period"] == newest):
        table.add_row(*(_cell(row[name]) for name in COLUMNS[1:-1]))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{float(value):,.4g}"
