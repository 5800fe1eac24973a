"""Data Docs as files, and where to find them."""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from partitions.customers import Customer
from resources.postgres import Postgres


def build_datadocs(postgres: Postgres, customers: Mapping[str, Customer], out: Path) -> None:
    """Write the site and say what it holds."""
    from platform_assets.datadocs import build

    for found in build(postgres, customers, out):
        click.echo(f"{found.id:<12} {found.tables} tables, {found.rules} rules, {found.broken} broken, {found.quarantined:,} rows in quarantine")
    click.echo(f"open {out / 'index.html'}")
