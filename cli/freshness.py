"""Who is stale, since when, and whose steward to call: for people and as JSON."""
from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import click

from partitions.customers import Customer
from platform_assets.freshness import Freshness, freshness
from resources.postgres import WRITER, Postgres

COLOURS = {"fresh": "green", "due": "yellow", "stale": "red", "never": "red", "untracked": "dim"}


def show_freshness(postgres: Postgres, customers: Mapping[str, Customer], at: date | None, as_json: bool) -> bool:
    """Print every source of the customers on a day (default: each customer's today); returns whether one is stale or never came."""
    rows: list[tuple[Freshness, Customer]] = []
    for name, found in customers.items():
        with postgres.connect(WRITER, customer=name) as connection:
            rows += [(one, found) for one in freshness(connection, found, at)]
    if as_json:
        click.echo(json.dumps([_row(*row) for row in rows], indent=1))
    else:
        _table(rows)
    return any(one.is_late for one, _ in rows)


def _row(one: Freshness, customer: Customer) -> dict[str, Any]:
    return {"customer": one.customer, "source": one.source, **one.facts, "steward": customer.steward.name, "email": customer.steward.email}


def _table(rows: list[tuple[Freshness, Customer]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("customer", "source", "last delivery", "covers until", "due since", "state", "steward")
    for one, customer in rows:
        said = _row(one, customer)
        table.add_row(one.customer, one.source, *(said[name] or "–" for name in ("last_delivery", "covers_until", "due_since")),
                      f"[{COLOURS[one.state]}]{one.state}[/]", escape(f"{customer.steward.name} <{customer.steward.email}>"))
    Console(width=max(120, Console().width)).print(table)
