"""`strata trace` and `strata metrics`: a figure led back to its raw rows, and what every KPI is.

What belongs here: printing. What does not: finding the rows (platform_assets/greenit/tracing.py), the KPIs (platform_assets/greenit/metrics.py).
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import click
import psycopg
from psycopg.rows import dict_row

from platform_assets.greenit.metrics import METRICS
from platform_assets.greenit.tracing import Trace, TracedImpact

CELLS_SHOWN = 7  # filled cells of a raw row that a terminal shows


def print_trace(customer: str, found: Trace, figures: dict[str, list[dict[str, Any]]]) -> None:
    """For people: the figure, the largest impacts with their calculation, factors and raw rows, and whether everything adds up."""
    metric = found.metric
    unit = metric.unit.partition("/")[0] if metric.over else metric.unit
    click.secho(f"{metric.name} of {customer}, {found.month:%B %Y}: {found.value:,.6g} {unit}", bold=True)
    click.echo(f"  {metric.formula}" + ("; of the ratio, what is above the line" if metric.over else ""))
    click.echo(f"  {found.impacts:,} impacts add up to {found.total:f}; the published cells say {found.figure:f}")
    click.echo(f"  parameters {found.parameter_version}; versions {', '.join(f'{name} {number}' for name, number in found.versions.items())}")
    for one in found.traced:
        click.echo("")
        _print_impact(one, figures)
    rest = found.impacts - len(found.traced)
    if rest:
        click.echo(f"\n… and {rest:,} smaller impacts (--limit shows more)")
    word, colour = ("reconciles", "green") if found.is_reconciled else ("DOES NOT RECONCILE", "red")
    click.secho(f"\n{word}: the sum of the impacts is the figure, and every row that they count was found", fg=colour)


def _print_impact(one: TracedImpact, figures: dict[str, list[dict[str, Any]]]) -> None:
    impact = one.impact
    said = f", {impact['flags']}" if impact["flags"] else ""
    click.secho(f"{impact['activity_id']}  {impact['phase']}, {impact['criterion']}, category {impact['category']}, {impact['method_id']}{said}", fg="cyan")
    click.echo(f"  {one.sentence}  [{float(impact['value_min']):,.4g} to {float(impact['value_max']):,.4g}], score {impact['dq_score']:.1f}")
    for name in ("factor_id", "grid_id"):
        for row in figures.get(impact[name] or "", []):
            unit = "/".join(str(row[key]) for key in ("unit", "per") if row.get(key))
            click.echo(f"  {row['file']} {impact[name]}: {row['value']} {unit} — {row['source']}, {row['source_version']} ({row['licence']})")
    click.echo(f"  {one.found:,} of {one.lines:,} delivered rows" + (f", of which {len(one.raw)} shown:" if len(one.raw) < one.lines else ":"))
    for raw in one.raw:
        cells = list(raw.text.items())
        shown = ", ".join(f"{name}={value[:48]}" for name, value in cells[:CELLS_SHOWN]) + (", …" if len(cells) > CELLS_SHOWN else "")
        click.echo(f"    {raw.table} {raw.file} row {raw.row} (sha256 {raw.sha256[:12]}…): {shown}")


def trace_as_json(found: Trace, figures: dict[str, list[dict[str, Any]]]) -> str:
    """All of it, for programs."""
    traced = [{"impact": one.impact, "activity": one.activity, "calculation": one.sentence, "lines": one.lines, "found": one.found,
               "factors": [row for name in ("factor_id", "grid_id") for row in figures.get(one.impact[name] or "", [])],
               "raw": [vars(raw) for raw in one.raw]} for one in found.traced]
    said = {"metric": found.metric.id, "unit": found.metric.unit, "month": found.month, "value": found.value, "figure": found.figure, "total": found.total,
            "impacts": found.impacts, "reconciled": found.is_reconciled, "parameter_version": found.parameter_version, "versions": found.versions,
            "traced": traced}
    return json.dumps(said, indent=1, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else str(value) if isinstance(value, Decimal) else str(value)


def figures_named(ids: Sequence[str], customer_id: str, parameter_version: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of the parameters by their id, as the customer's state of the figures has them; of today's where that state cannot be had any more."""
    from partitions.errors import ParameterError
    from platform_assets.parameters import limits_of, rules_of
    from platform_assets.tables import reference_contracts
    from resources.parameter_state import read_state, state_of
    from resources.settings import settings

    try:
        state = state_of(settings(), customer_id, parameter_version)
    except ParameterError:
        state = state_of(settings(), customer_id)
    wanted, found = set(ids), dict[str, list[dict[str, Any]]]()
    for made in reference_contracts():
        if made.layer != "parameters" or not {"value", "source"} <= {column.name for column in made.columns}:
            continue
        rows = read_state(state, "parameters", made.spec, limits_of(made), rules_of(made)).to_pylist()
        for row in rows:
            for key in {str(row[column]) for column in row if column.endswith("_id")} & wanted:
                found.setdefault(key, []).append({"file": f"{made.table}.csv", **row})
    return found


def print_metrics() -> None:
    """What every KPI is."""
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "name", "formula", "unit", "traceable")
    for one in METRICS:
        table.add_row(one.id, one.name, one.formula, one.unit, "yes" if one.is_traceable else "")
    Console(width=max(150, Console().width)).print(table)


def metric_rows(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """The live rows of `metric_monthly`, with the value of the month before."""
    query = """SELECT m.period, m.metric_id, m.value, m.unit, p.value AS before FROM greenit_platinum.metric_monthly_live m
        LEFT JOIN greenit_platinum.metric_monthly_live p ON p.metric_id = m.metric_id AND p.period = (m.period - interval '1 month')::date
        ORDER BY m.period, m.metric_id"""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def print_metric_rows(customer: str, rows: list[dict[str, Any]]) -> None:
    """The newest month of every KPI, in the order of their list."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not rows:
        click.echo(f"{customer}: nothing is published yet; run `strata launch {customer}`")
        return
    newest = rows[-1]["period"]
    shown = {row["metric_id"]: row for row in rows if row["period"] == newest}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"{customer}, {newest:%B %Y}", title_justify="left")
    for heading in ("metric", "name", "value", "unit", "a month before"):
        table.add_column(heading, justify="right" if heading in ("value", "a month before") else "left", no_wrap=True)
    for one in METRICS:
        if row := shown.get(one.id):
            table.add_row(one.id, one.name, _number(row["value"]), row["unit"], _number(row["before"]))
    Console(width=max(120, Console().width)).print(table)


def _number(value: Any) -> str:
    return "–" if value is None else f"{float(value):,.4g}" if abs(float(value)) < 1000 else f"{float(value):,.0f}"
