"""`strata backfill`: many customers at once, after a release or on request; how it goes; and only what failed once more.

What belongs here: who and what a backfill is for, words for people, exit codes. What does not: which tables a release left behind
(platform_assets/outdated.py), how Dagster keeps a backfill (resources/backfills.py, resources/orders.py).
"""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from partitions.customers import Customer, customer, load_customers
from resources.settings import settings

if TYPE_CHECKING:
    import dagster as dg

    from resources.orders import Order
    from resources.postgres import Postgres

Keys = Mapping[str, "frozenset[dg.AssetKey]"]
WHY = ("new", "code", "parameters")
POLL_SECONDS = 2.0
COLOURS = {"failed": "red", "canceled": "yellow", "succeeded": "green"}


@click.group()
def backfill() -> None:
    """Compute many customers at once, as one backfill per size class; without a daemon one after the other, here."""


def _choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that say who and what."""
    for decorate in reversed([
        click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]"),
        click.option("--select", "selection", help="Dagster's asset selection, such as 'key:greenit/gold/*' or 'group:silver'; default: everything."),
        click.option("--outdated", is_flag=True, help="Only tables made by other code or parameters than there are now, and what depends on them."),
        click.option("--even-if-paused", is_flag=True, help="Also customers whose file says that they are paused."),
    ]):
        command = decorate(command)
    return command


@backfill.command("plan")
@_choosing
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def plan(customer_ids: tuple[str, ...], selection: str | None, outdated: bool, even_if_paused: bool, output: str) -> None:
    """What `start` would compute, by customer. Changes nothing."""
    from cli.main import started

    wanted, reasons, skipped = _wanted(started(), _declared(customer_ids), selection, outdated, even_if_paused)
    if output == "json":
        tables = {name: sorted(key.to_user_string() for key in keys) for name, keys in wanted.items()}
        click.echo(json.dumps({"customers": tables, "reasons": reasons, "skipped": skipped}, indent=1))
        return
    for name, keys in wanted.items():
        why = "; ".join(f"{word}: {', '.join(sorted(table for table, found in reasons.get(name, {}).items() if found == word))}"
                        for word in WHY if word in reasons.get(name, {}).values())
        click.secho(f"+ {name:<20} {len(keys):>3} assets  {why}".rstrip(), fg="green")
    for name, why in skipped.items():
        click.secho(f"? {name:<20} {why}", fg="cyan")
    click.echo(f"{len(wanted)} customers to compute" if wanted else "nothing to compute")


@backfill.command("start")
@_choosing
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Last day that figures cover; default: the newest delivered period's end.")
@click.option("--parameters", "pin", metavar="COMMIT", help="Compute by parameters, vocabularies, overlays of this commit.")
@click.option("--wait", is_flag=True, help="Follow it until every customer is done; exit code 1 if one failed.")
def start(customer_ids: tuple[str, ...], selection: str | None, outdated: bool, even_if_paused: bool, as_of: Any, pin: str | None, wait: bool) -> None:
    """Start what `plan` shows. Without customers: all active ones."""
    from cli.customers import reconciled, refuse_erased
    from cli.launching import tags_of
    from cli.main import started
    from cli.parameters import pinned_for
    from cli.serving import daemon_lives
    from resources.backfills import new_order, parts_of, waiting_order
    from resources.orchestrator import instance

    postgres, declared = started(), _declared(customer_ids)
    refuse_erased(postgres, declared)
    wanted, _, _ = _wanted(postgres, declared, selection, outdated, even_if_paused)
    if not wanted:
        click.echo("nothing to compute")
        return
    chosen = {name: declared[name] for name in wanted}
    reconciled(postgres, chosen)
    tags = tags_of(as_of.date() if as_of else None, pinned_for(chosen, pin), even_if_paused)
    cause, dagster = "release" if outdated else "request", instance(postgres)
    name = waiting_order(dagster, parts_of(wanted, chosen), cause, tags) if daemon_lives(dagster) else None
    if name:
        click.echo(f"{name} asks for the same and has not begun: it is carried on, and nothing is computed twice")
    _carry_out(postgres, name or new_order(cause, datetime.now(UTC)), cause, wanted, chosen, tags, wait)


@backfill.command("status")
@click.argument("name", metavar="[BACKFILL]", required=False)
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.option("--limit", type=click.IntRange(min=1), default=10, help="How many to list.")
def status(name: str | None, output: str, limit: int) -> None:
    """How a backfill goes, by customer; without a name the newest ones, those of schedules and triggers included."""
    from cli.main import started
    from resources.orchestrator import instance
    from resources.orders import order_names, order_of

    dagster = instance(started())
    found = [order_of(dagster, one) for one in ([name] if name else order_names(dagster, limit))]
    if output == "json":
        click.echo(json.dumps([{"name": one.name, "cause": one.cause, "backfills": one.backfills, "customers": dict(sorted(one.states.items()))}
                               for one in found], indent=1))
        return
    for one in found:
        _tell(one)
        for customer_id, state in sorted(one.states.items()) if name else ():
            click.secho(f"  {customer_id:<20} {state}", fg=COLOURS.get(state))
    if not found:
        click.echo("no backfills yet")


@backfill.command("retry")
@click.argument("name", metavar="BACKFILL")
@click.option("--wait", is_flag=True, help="Follow it until every customer is done; exit code 1 if one failed.")
def retry(name: str, wait: bool) -> None:
    """Compute once more those customers of a backfill that failed or were canceled, and nobody else."""
    from cli.launching import job_of
    from cli.main import started
    from resources.orchestrator import instance
    from resources.orders import order_of
    from resources.sessions import PAUSED_TAG

    postgres = started()
    found = order_of(instance(postgres), name)
    everything = frozenset(job_of().asset_layer.asset_graph.executable_asset_keys)
    declared = {one: customer(one, settings().customers) for one in found.failed}
    open_ones, skipped = _open(declared, found.tags.get(PAUSED_TAG) == "true")
    for one, why in skipped.items():
        click.secho(f"? {one:<20} {why}", fg="cyan")
    if not open_ones:
        click.echo(f"{name}: nobody failed" if found.is_over else f"{name}: nobody failed so far")
        return
    wanted = {one: everything if (keys := found.keys[one]) is None else keys & everything for one in open_ones}
    _carry_out(postgres, name, found.cause, wanted, open_ones, found.tags, wait)


def _declared(customer_ids: tuple[str, ...]) -> dict[str, Customer]:
    folder = settings().customers
    return {name: customer(name, folder) for name in customer_ids} or load_customers(folder)


def _open(declared: Mapping[str, Customer], even_if_paused: bool) -> tuple[dict[str, Customer], dict[str, str]]:
    """Who may be computed, and why the others may not."""
    shut = {"leaving"} if even_if_paused else {"leaving", "paused"}
    closed: dict[str, str] = {name: found.status for name, found in declared.items() if found.status in shut}
    return {name: found for name, found in declared.items() if name not in closed}, closed


def _wanted(postgres: Postgres, declared: Mapping[str, Customer], selection: str | None, is_outdated: bool,
            even_if_paused: bool) -> tuple[dict[str, frozenset[dg.AssetKey]], dict[str, dict[str, str]], dict[str, str]]:
    """Customer -> what to compute; customer -> table -> why, of outdated ones; and who is skipped, with the reason."""
    from cli.launching import job_of, selected
    from platform_assets.greenit.definitions import defs
    from platform_assets.outdated import outdated
    from platform_assets.selection import downstream_of

    everything = frozenset(job_of().asset_layer.asset_graph.executable_asset_keys)
    chosen = selected(selection, job_of().asset_layer.asset_graph)
    open_ones, skipped = _open(declared, even_if_paused)
    if not is_outdated:
        return dict.fromkeys(open_ones, chosen), {}, skipped
    graph = defs.resolve_asset_graph()
    found = outdated(postgres, graph, everything, open_ones)
    wanted = {name: (frozenset(tables) | downstream_of(graph, set(tables), everything)) & chosen for name, tables in found.items()}
    reasons = {name: {key.to_user_string(): why for key, why in tables.items() if key in chosen} for name, tables in found.items()}
    return {name: wanted[name] for name in open_ones if wanted.get(name)}, reasons, skipped


def _carry_out(postgres: Postgres, name: str, cause: str, wanted: Keys, customers: Mapping[str, Customer], tags: Mapping[str, str], wait: bool) -> None:
    """As backfills of the daemon, or here without one, under one name."""
    from cli.launching import carried_out, launch_of_keys
    from cli.serving import await_code_location, daemon_lives
    from resources.backfills import add, parts_of, tags_of
    from resources.orchestrator import instance
    from resources.orders import order_of

    dagster, parts = instance(postgres), parts_of(wanted, customers)
    if not daemon_lives(dagster):
        click.echo(f"{name}: {len(wanted)} customers, one after the other here: no daemon is running")
        done = [carried_out(postgres, launch_of_keys(part.keys, tags_of(name, cause, part, tags)), list(part.customers)) for part in parts]
        sys.exit(not all(ok for outcomes in done for ok in outcomes.values()))
    await_code_location(dagster)
    for part in parts:
        click.echo(f"{name}: backfill {add(dagster, part, tags_of(name, cause, part, tags))} of {part.title}")
    click.echo(f"follow it in Dagster's pages, or by: strata backfill status {name}")
    while wait:
        found = order_of(dagster, name)
        if found.is_over:
            _tell(found)
            sys.exit(bool(found.failed))
        time.sleep(POLL_SECONDS)


def _tell(order: Order) -> None:
    click.echo(f"{order.name:<34} {len(order.states):>5} customers  " + ", ".join(f"{number} {state}" for state, number in order.counts.items()))
