"""`strata lake`: the lakes of all customers at once."""
from __future__ import annotations

import sys
from collections.abc import Callable

import click

from partitions.errors import StrataError
from resources.postgres import Postgres


def lake_group(started: Callable[..., Postgres]) -> click.Group:
    """The group; `started` opens the installation."""

    @click.group()
    def lake() -> None:
        """Lakes of customers."""

    @lake.command()
    def upgrade() -> None:
        """Bring the catalogs of all lakes to this release's version of DuckLake. Safe to repeat. Exit code 1 if one stays behind; the others go on."""
        sys.exit(not upgraded(started(), quiet=False))

    return lake


def upgraded(postgres: Postgres, quiet: bool = True) -> bool:
    """Upgrade and tell; returns whether no catalog stayed behind. `quiet`: nothing is said where there was nothing to do."""
    from resources.lake_upgrade import upgrade, written_version

    done = upgrade(postgres)
    for name, found in done.items():
        if isinstance(found, StrataError):
            click.secho(f"{name}: {type(found).__name__}: {found}", fg="red", err=True)
        else:
            click.echo(f"{name}: catalog {found}")
    if not done and not quiet:
        click.echo(f"every lake's catalog is at version {written_version()}")
    return not any(isinstance(found, StrataError) for found in done.values())
