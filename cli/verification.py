"""`strata verify`: the invariants for people and programs."""
from __future__ import annotations

import json
from collections.abc import Mapping

import click

from partitions.customers import Customer
from platform_assets.verification import verify
from resources.invariants import CONTENTS, Looked
from resources.postgres import Postgres


def show_invariants(postgres: Postgres, customers: Mapping[str, Customer], contents: bool = False, as_json: bool = False) -> bool:
    """Look and tell; returns whether every invariant holds for all that could be looked at."""
    looked = verify(postgres, customers, contents)
    if as_json:
        click.echo(json.dumps({"customers": len(customers), "looked_at": looked.counts, "findings": [one.facts for one in looked.findings],
                               "not_looked_at": looked.unseen}, indent=1))
    else:
        _tell(looked, len(customers))
    return not looked.broken


def _tell(looked: Looked, customers: int) -> None:
    for name, text in CONTENTS.items():
        found = [one for one in looked.findings if one.invariant == name]
        broken = sum(not one.is_note for one in found)
        verdict = click.style("found", fg="red") if broken else click.style("holds", fg="green") if name in looked.counts else click.style("empty", fg="yellow")
        click.echo(f"{verdict}  {name:<5} {looked.counts.get(name, 0):>7,} looked at  {text}")
        for one in found:
            place = " ".join(filter(None, (one.customer, one.table)))
            click.secho(f"        {'note: ' if one.is_note else ''}{place}: {one.problem}. Fix: {one.fix}", fg=None if one.is_note else "red")
    for name, why in looked.unseen.items():
        click.secho(f"{name} was not looked at: {why}", fg="yellow")
    click.echo(f"{customers - len(looked.unseen)} of {customers} customers looked at, {len(looked.broken)} findings")
