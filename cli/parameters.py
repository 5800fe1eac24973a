"""`strata parameters`: what figures are computed by, who said so, and what changed.

What belongs here: arguments, calls and words for people. What does not: reading, judging, comparing or fetching files.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from resources.settings import settings

if TYPE_CHECKING:
    from partitions.customers import Customer

SHOWN = 3  # versions of sources that a line of the list has room for


@click.group()
def parameters() -> None:
    """Parameters and vocabularies, versioned in Git."""


@parameters.command("check")
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
def check(customer_ids: tuple[str, ...]) -> None:
    """Read every parameter and vocabulary file under its contract, and the customers' own; name file, line and column of the first fault."""
    from partitions.customers import customer
    from platform_assets.parameters import check_all, check_customer, with_overlays
    from resources.parameter_state import state_of

    configured = settings()
    named = [customer(name, configured.customers).id for name in customer_ids]
    click.echo(f"{check_all(configured)} files keep their contracts; parameter version {state_of(configured, None).name}")
    for name in named or with_overlays(configured):
        own = check_customer(configured, name)
        click.echo(f"{name}: {', '.join(own) or 'no parameters of its own'}; parameter version {state_of(configured, name).name}")


def pinned_for(declared: dict[str, Customer], pin: str | None) -> str | None:
    """The pin with its commit's full name, once every customer's state can be had: a branch may move while a run waits in the queue."""
    from resources.parameter_state import NAMED, state_of

    if pin is None:
        return None
    states = [state_of(settings(), name, pin) for name in declared]
    named = NAMED.fullmatch(pin)
    return f"{named[1]}@{states[0].commit}" if named else states[0].commit


@parameters.command("list")
def list_files() -> None:
    """Every shipped file with its rows, units, licences and the versions of its sources."""
    from rich.console import Console
    from rich.table import Column, Table

    from platform_assets.parameter_catalogue import entries

    table = Table(Column("file", no_wrap=True), "rows", "units", "licences", "versions of sources", box=None, pad_edge=False)
    for entry in entries():
        versions = ", ".join(entry.versions[:SHOWN]) + (f" and {len(entry.versions) - SHOWN} more" if len(entry.versions) > SHOWN else "")
        table.add_row(f"{entry.made.layer}/{entry.made.table}", f"{entry.rows:,}", ", ".join(entry.units), ", ".join(entry.licences), versions)
    Console().print(table)


@parameters.command("diff")
@click.argument("before", metavar="COMMIT")
@click.argument("after", required=False, metavar="[COMMIT]")
@click.option("--customer", "customer_id", help="Compare this customer's own parameters as well.")
def diff(before: str, after: str | None, customer_id: str | None) -> None:
    """Rows added, removed and changed between two commits, by file and key; without the second one, up to the files as they are."""
    from partitions.customers import customer
    from platform_assets.parameter_history import changes
    from resources.parameter_state import state_of

    configured = settings()
    named = customer(customer_id, configured.customers).id if customer_id else None
    count = 0
    for change in changes(state_of(configured, named, before), state_of(configured, named, after)):
        count += 1
        said = "; ".join(f"{column} {old or 'nothing'} -> {new or 'nothing'}" for column, (old, new) in change.cells.items())
        click.echo(f"{change.file}: {change.kind} {', '.join(change.key)}" + (f": {said}" if change.kind == "changed" else ""))
    click.echo(f"{count} rows differ")


@parameters.command("catalogue")
def print_catalogue() -> None:
    """Print the catalogue for auditors, in Markdown: each file's purpose, sources, licences, units, identity and validity."""
    from platform_assets.parameter_catalogue import catalogue

    click.echo(catalogue(), nl=False)


@parameters.command("fetch")
@click.argument("name", type=click.Choice(["boaviztapi", "electricitymaps"]))
@click.option("--from", "given", type=click.Path(path_type=Path), help="A file that is here already; its content must be the pinned one, where one is pinned.")
def fetch_collection(name: str, given: Path | None) -> None:
    """Fill this installation's parameters from a collection that Strata may use and not ship; they lie under $STRATA_HOME/parameters."""
    from platform_assets.greenit.boavizta import BOAVIZTAPI
    from platform_assets.greenit.electricity_maps import ELECTRICITY_MAPS
    from platform_assets.parameter_fetch import fetch

    collection = next(made for made in (BOAVIZTAPI, ELECTRICITY_MAPS) if made.name == name)
    path, count = fetch(settings(), collection, given)
    click.echo(f"{path}: {count:,} rows ({collection.licence}); parameters of every customer of this installation, below the customer's own")
