"""The report of a release's trial, as Markdown and as a page that loads nothing, and the notice that a customer gets of it.

What belongs here: words, tables and charts for people. What does not: computing what they say (cli/trial.py) and judging it (approval.py).
"""
from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from platform_assets.releases.approval import percent_of
from platform_assets.releases.plan import Plan
from resources.releases import CAUSES, Movement, Trial

MOST_SLOWER, LEAST_SECONDS = 1.25, 5.0  # a candidate may cost a quarter more than its base; trials of less CPU time say nothing
COLOURS = {"data": "#5d6875", "code": "#0b5cad", "libraries": "#8a5a00", "parameters": "#1a7f4b"}
BARS = 12
REASONS_SHOWN = 40
HEADINGS = {"code": "Because of code", "libraries": "Because of libraries", "parameters": "Because of parameters"}


@dataclass(frozen=True)
class Check:
    """One of the suites that a release has to pass in staging before it may be approved."""

    name: str
    says: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Told:
    """All that a report says: the plan, why (heading -> lines), and each customer's trial with its movements."""

    release: str
    base: str
    candidate: str
    plan: Plan
    reasons: dict[str, list[str]]
    trials: dict[str, Trial]
    movements: dict[str, list[Movement]]


def checks(told: Told) -> list[Check]:
    """Functional, non-regression and performance, from what the trial recorded."""
    trials = told.trials.values()
    failed = sorted(name for name, trial in told.trials.items() if trial.outcome == "failed")
    noise = sum(trial.noise for trial in trials)
    silent = sorted(name for name in told.trials if not told.plan.causes() and told.movements.get(name))
    breaking = [f"{name}: {line}" for name, lines in told.plan.contracts.items() for line in lines if line.startswith("breaking")]
    unmarked = [name for name, lines in told.plan.contracts.items()
                if any(line.startswith("breaking") for line in lines) and lines[-1] == "the contract's version is the same"]
    before, after = sum(t.base_seconds for t in trials if t.outcome == "compared"), sum(t.candidate_seconds for t in trials if t.outcome == "compared")
    slower = after / before if before >= LEAST_SECONDS else None
    return [
        Check("functional", "Every customer's tables come out and keep their blocking rules.", not failed,
              f"{len(told.trials) - len(failed)} of {len(told.trials)} customers" + (f"; failed: {', '.join(failed)}" if failed else "")),
        Check("non_regression", "The base computed twice is equal to the last digit, and nothing moves without a cause.", not (noise or silent),
              f"{noise} tables differ from themselves" + (f"; moved without a cause: {', '.join(silent)}" if silent else "")),
        Check("contracts", "What breaks readers of a table raises its contract's version.", not unmarked,
              f"{len(breaking)} breaking changes" + (f"; same version: {', '.join(unmarked)}" if unmarked else "")),
        Check("performance", f"The candidate costs at most {MOST_SLOWER} times the base's CPU and database seconds.", slower is None or slower <= MOST_SLOWER,
              f"{after:.1f} s against {before:.1f} s" + (f", {slower:.2f} times" if slower is not None else ": too little to judge")),
    ]


# a customer's movements in rows


def in_rows(movements: Iterable[Movement]) -> list[dict[str, Any]]:
    """One row per KPI that moves: its newest month that does, and how many months do. Movements that end where they began are left out."""
    moved = sorted((one for one in movements if one.before != one.after), key=lambda one: (one.kpi, one.month))
    rows = []
    for kpi, group in groupby(moved, key=lambda one: one.kpi):
        months = list(group)
        newest = months[-1]
        causes = [name for name in CAUSES if any(name in one.causes for one in months)]
        rows.append({"kpi": kpi, "month": f"{newest.month:%Y-%m}", "before": number(newest.before), "after": number(newest.after), "unit": newest.unit,
                     "change": changed(newest), "causes": ", ".join(shares(newest, causes)), "months": len(months), "percent": percent_of(newest) or 0.0,
                     "of": {name: getattr(newest, f"by_{name}") for name in causes}, "first": f"{months[0].month:%Y-%m}"})
    return sorted(rows, key=lambda row: -abs(row["percent"]))


def shares(moved: Movement, causes: Sequence[str]) -> list[str]:
    return [f"{name} {_signed(getattr(moved, f'by_{name}'))}" for name in causes]


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def changed(moved: Movement) -> str:
    percent = percent_of(moved)
    return f"{percent:+,.4g} %" if percent is not None else "appears" if moved.before is None or moved.before == 0 else "disappears"


def _signed(value: float) -> str:
    return f"{value:+,.5g}"


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """The largest changes in per cent, each bar cut by cause, as SVG."""
    shown = [row for row in rows if row["percent"]][:BARS]
    if not shown:
        return ""
    most = max(abs(row["percent"]) for row in shown)
    height, label, width = 22, 250, 520
    parts = []
    for place, row in enumerate(shown):
        y, total = place * height + 24, sum(abs(share) for share in row["of"].values()) or 1.0
        x = float(label)
        parts.append(f'<text x="{label - 8}" y="{y + 14}" text-anchor="end">{html.escape(row["kpi"])}</text>')
        for cause, share in row["of"].items():
            long = abs(row["percent"]) / most * width * abs(share) / total
            parts.append(f'<rect x="{x:.1f}" y="{y + 3}" width="{max(long, 1):.1f}" height="{height - 8}" fill="{COLOURS[cause]}"/>')
            x += max(long, 1)
        parts.append(f'<text x="{x + 6:.1f}" y="{y + 14}">{html.escape(row["change"])}</text>')
    legend = [name for name in CAUSES if any(name in row["of"] for row in shown)]
    keys = "".join(f'<rect x="{label + 110 * i}" y="4" width="10" height="10" fill="{COLOURS[name]}"/><text x="{label + 16 + 110 * i}" y="13">{name}</text>'
                   for i, name in enumerate(legend))
    return (f'<svg role="img" aria-label="Largest changes by cause" viewBox="0 0 {label + width + 110} {len(shown) * height + 30}" width="100%" '
            f'font-size="12" font-family="inherit" fill="currentColor">{keys}{"".join(parts)}</svg>')


# documents


def page(told: Told) -> str:
    """The report as one HTML page."""
    from jinja2 import Environment, PackageLoader, select_autoescape
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("platform_assets"), autoescape=select_autoescape())
    customers = []
    for name in sorted(told.trials):
        trial, rows = told.trials[name], in_rows(told.movements.get(name, []))
        customers.append({"name": name, "failed": trial.outcome == "failed", "problems": sorted(trial.problems.items()), "rows": rows,
                          "chart": Markup(chart(rows)), "tables": _differences(trial)})  # noqa: S704  every word in it is escaped
    reasons = [(HEADINGS[cause], lines) for cause, lines in told.reasons.items() if lines]
    return environment.get_template("release.html").render(
        title=f"Release {told.release}", lead=lead(told), facts=_facts(told), checks=checks(told), tables=_tables(told.plan),
        reasons=reasons, customers=customers, made_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")


def markdown(told: Told) -> str:
    """The same for a terminal, a pull request or Dagster's pages."""
    lines = [f"# Release {told.release}", "", lead(told), "", "| check | result | |", "| --- | --- | --- |"]
    lines += [f"| {one.says} | {'passed' if one.passed else '**failed**'} | {one.found} |" for one in checks(told)]
    if told.plan.changed:
        lines += ["", "| table | why | readers have to know |", "| --- | --- | --- |"]
        lines += [f"| {table['name']} | {table['causes']} | {'; '.join(table['contract'])} |" for table in _tables(told.plan)]
    for cause, said in told.reasons.items():
        lines += ["", f"**{HEADINGS[cause]}**", "", *(f"- {line}" for line in said)] if said else []
    for name in sorted(told.trials):
        trial, rows = told.trials[name], in_rows(told.movements.get(name, []))
        lines += ["", f"## {name}", ""] + [f"- **{place}**: {problem}" for place, problem in sorted(trial.problems.items())]
        lines += _as_table(rows) if rows else ["No figure moves."] if trial.outcome == "compared" else []
    return "\n".join(lines) + "\n"


def _as_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = ("kpi", "month", "before", "after", "unit", "change", "causes", "months")
    return ["| KPI | month | before | after | unit | change | because of | months |", "| --- | --- | ---: | ---: | --- | ---: | --- | ---: |",
            *("| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows)]


def lead(told: Told) -> str:
    moved = [name for name in told.trials if in_rows(told.movements.get(name, []))]
    kpis = {row["kpi"] for name in moved for row in in_rows(told.movements[name])}
    causes = ", ".join(told.plan.causes()) or "nothing that moves figures"
    return (f"Against {told.base}: {causes} changes; {len(told.plan.computed)} tables computed anew for {len(told.trials)} customers; "
            f"{len(kpis)} KPIs of {len(moved)} customers move.")


def _facts(told: Told) -> list[tuple[str, str]]:
    return [("base", told.base), ("candidate", told.candidate), ("customers", f"{len(told.trials):,}"),
            ("tables changed", f"{len(told.plan.changed):,}"), ("tables computed", f"{len(told.plan.computed):,}"),
            ("figures that move", f"{sum(one.before != one.after for found in told.movements.values() for one in found):,}")]


def _tables(plan: Plan) -> list[dict[str, Any]]:
    names = sorted({*plan.changed, *plan.contracts, *plan.removed})
    return [{"name": name, "causes": ", ".join(plan.changed.get(name, ("removed",) if name in plan.removed else ())), "files": plan.files.get(name, ()),
             "contract": plan.contracts.get(name, ())} for name in names]


def _differences(trial: Trial) -> list[dict[str, Any]]:
    found = []
    for name, one in sorted(trial.tables.items()):
        columns = ", ".join(f"{column} ({rows:,})" for column, rows in sorted(one.get("columns", {}).items(), key=lambda item: -item[1]))
        found.append({"name": name, "added": f"{one.get('added', one.get('new', 0)):,}", "removed": f"{one.get('removed', 0):,}",
                      "changed": f"{one.get('changed', 0):,}", "columns": columns or ("the table is new" if "new" in one else "its order or its quarantine")})
    return found


def notice(release: str, movements: Iterable[Movement], causes: Iterable[str], reasons: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Subject and body of what a customer is told of its movements; None where nothing moves. From when it holds is added when it is sent."""
    rows, names = in_rows(movements), set(causes)
    if not rows:
        return None
    lines = [f"With release {release} some of your figures change. The data that you delivered are the same.", "", "What changes:", ""]
    for row in rows:
        months = f"{row['months']} months, {row['first']} to {row['month']}" if row["months"] > 1 else row["month"]
        lines.append(f"- {row['kpi']}: {row['before']} → {row['after']} {row['unit']} ({row['change']}) in {row['month']}; {months}")
    lines += ["", "Why:", ""]
    headings = {"parameters": "Factors and other parameters", "code": "Calculation", "libraries": "Software libraries", "data": "Data"}
    for cause in CAUSES:
        if cause in names:
            lines += [f"{headings[cause]}:", *(f"- {line}" for line in reasons.get(cause, ())[:REASONS_SHOWN])]
    return f"Your figures change with release {release}", "\n".join(lines) + "\n"
