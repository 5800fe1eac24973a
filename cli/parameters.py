"""`strata parameters`: what figures are computed by, who said so, and what changed.

What belongs here: arguments, calls and words for people. What does not: reading, judging, comparing or fetching files.
"""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resources.settings import settings

if TYPE_CHECKING:
    from partitions.customers import Customer


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
    click.echo(f"{check_all(configured)} files keep their contracts; parameter version {state_of(configured, None).name}")
    for name in [customer(name, configured.customers).id for name in customer_ids] or with_overlays(configured):
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


def shown(table: Any) -> None:
    from rich.console import Console

    Console().print(table)



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
