"""`strata isolation`: the report on isolation for people and programs."""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from partitions.customers import Customer
from platform_assets.isolation import Line, record, report
from resources.orchestrator import instance
from resources.postgres import Postgres


def show_isolation(postgres: Postgres, customers: Mapping[str, Customer], chosen: Sequence[str], as_json: bool) -> bool:
    """Look, tell, and leave it in Dagster too; returns whether nothing was found."""
    lines = report(postgres, customers, chosen)
    record(instance(postgres), lines)
    if as_json:
        click.echo(json.dumps([line.facts for line in lines], indent=1))
    else:
        _tell(lines)
    return not any(line.problems for line in lines)


def _tell(lines: Sequence[Line]) -> None:
    for line in lines:
        verdict = click.style("found", fg="red") if line.problems else click.style("holds", fg="green") if line.looked_at else click.style("empty", fg="yellow")
        click.echo(f"{verdict}  {line.name:<16} {line.looked_at:>6,} looked at  {line.says}")
        for problem in line.problems:
            click.secho(f"       {problem}", fg="red")
        if line.problems:
            click.echo(f"       Fix: {line.fix}")
    found = sum(len(line.problems) for line in lines)
    click.echo(f"{sum(line.looked_at for line in lines):,} things looked at or tried, {found:,} findings")
