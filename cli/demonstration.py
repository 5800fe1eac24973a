"""The demo: sample files made, landed and computed for three customers, and their KPIs printed."""
from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.figures import kpi_rows, kpi_table
from cli.launching import launch_all
from partitions.customers import load_customers
from platform_assets.landing import land_files
from resources.postgres import READER, WRITER, Postgres
from resources.settings import PROJECT


def demonstrate(reconcile: Callable[..., Any], postgres: Postgres) -> None:
    """Run the whole path for the sample customers; exits with 1 if one fails."""
    from samples.generate import generate

    declared = load_customers(PROJECT / "customers")
    added = sorted({change.customer for change in reconcile(postgres, declared) if change.action == "add"})
    click.echo(f"customers: {', '.join(added) or 'all known already'}")
    with tempfile.TemporaryDirectory() as folder:
        for call in generate(Path(folder)):
            found = declared[call.customer]
            with postgres.connect(WRITER, customer=found.id) as connection:
                files = [Path(folder, name) for name in call.files]
                made = land_files(connection, postgres.settings.landing_root, found, call.source, files, call.period, call.sequence)
            click.echo(f"{found.id:<12} landed {call.source} {call.period or ''}: {made.result}, {made.rows:,} rows, {made.faulty} to quarantine")
    outcomes = launch_all(postgres, list(declared), None, None)
    for name in declared:
        with postgres.connect(READER, customer=name) as connection:
            kpi_table(name, kpi_rows(connection))
    if not all(outcomes.values()):
        raise SystemExit(1)
    click.echo("\nLook at it in Dagster: `make ui`, then open http://127.0.0.1:3000")
