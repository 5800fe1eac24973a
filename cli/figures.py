"""KPIs as the reader's role sees them, as rows and as a table for people."""
from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
from psycopg.rows import dict_row

WIDTH = 165  # columns of a terminal that the table needs
COLUMNS = ("period", "scope", "category", "domain", "phase", "criterion", "method", "view", "value", "value_min", "value_max", "unit", "dq_score",
           "coverage_pct", "quarantined_pct", "version")


def kpi_rows(connection: psycopg.Connection, period: date | None = None) -> list[dict[str, Any]]:
    """The live rows of `greenit_platinum.kpi_monthly` of the connection's customer, in a fixed order."""
    where = "WHERE period = %s" if period else ""
    order = "period, scope, category, domain, phase, criterion, method, view"
    query = f"SELECT {', '.join(COLUMNS)} FROM greenit_platinum.kpi_monthly_live {where} ORDER BY {order}"
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, [period] if period else None).fetchall()  # noqa: S608


def kpi_table(customer: str, rows: list[dict[str, Any]]) -> None:
    """Print the newest month of `rows`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        Console().print(f"{customer}: nothing is published yet; run `strata launch {customer}`")
        return
    newest = rows[-1]["period"]
    shown = [row for row in rows if row["period"] == newest]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title=f"{customer}, {newest:%B %Y}", title_justify="left",
                  caption=f"version {shown[-1]['version']}; waiting: rows delivered for the domain that are still in quarantine", caption_justify="left")
    for heading in ("scope", "category", "domain", "phase", "criterion", "method", "view"):
        table.add_column(heading, no_wrap=True)
    for heading in ("value", "from", "to", "unit", "quality", "covered", "waiting"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "unit" else "right")
    for row in sorted(shown, key=lambda r: (r["criterion"] != "GWP", r["criterion"], r["view"], r["scope"], r["category"], r["domain"], r["phase"])):
        coverage, waiting = (_percent(row[name]) for name in ("coverage_pct", "quarantined_pct"))
        table.add_row(*(row[name] for name in COLUMNS[1:8]), *(_number(row[name]) for name in ("value", "value_min", "value_max")), row["unit"],
                      _number(row["dq_score"]), coverage, waiting)
    Console(width=max(WIDTH, Console().width)).print(table)


def _percent(value: Any) -> str:
    return "–" if value is None else f"{float(value):.1f} %"


def _number(value: Any) -> str:
    return "–" if value is None else f"{float(value):,.4g}" if abs(float(value)) < 1000 else f"{float(value):,.0f}"
