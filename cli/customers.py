"""`strata customers`: who is declared, what would change, how they stand, and how one leaves.

What belongs here: words for people, JSON and exit codes. What does not: planning and applying (resources/reconciliation.py), figures
(platform_assets/standing.py).
"""
from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.audit import person
from partitions.customers import Customer, check_id, customer, load_customers
from partitions.errors import ErasureError
from resources.postgres import Postgres
from resources.settings import settings

if TYPE_CHECKING:
    from platform_assets.standing import Standing
    from resources.reconciliation import Change

SIGNS = {"add": ("+", "green"), "change": ("~", "yellow"), "remove": ("-", "red"), "drift": ("?", "cyan"), "refuse": ("!", "red")}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@click.group()
def customers() -> None:
    """The customers that `customers/` declares."""


def reconciled(postgres: Postgres, declared: Mapping[str, Customer]) -> list[Change]:
    """Make these customers stand as declared, before they are launched or served; whoever else stands is left alone."""
    from resources.orchestrator import instance
    from resources.reconciliation import settled

    return settled(postgres, instance(postgres), declared, whole=False)


@customers.command("list")
def list_customers() -> None:
    """Every declared customer."""
    from rich.console import Console
    from rich.table import Table

    table = Table("customer", "name", "status", "currency", "sources", "steward")
    for found in load_customers(settings().customers).values():
        table.add_row(found.id, found.name, found.status, found.currency, ", ".join(sorted(found.sources)), found.steward.email)
    Console().print(table)


@customers.command("plan")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@click.option("--detailed-exitcode", is_flag=True, help="Exit code 2 if something would change.")
def plan_customers(output: str, detailed_exitcode: bool) -> None:
    """What `apply` would change, and what stands without a file. Changes nothing. Exit code 1 if something declared can never be done."""
    from cli.main import started
    from resources.orchestrator import instance
    from resources.reconciliation import plan

    postgres = started()
    changes = plan(postgres, instance(postgres), load_customers(settings().customers))
    _show(changes, output, "to do")
    refused = any(change.action == "refuse" for change in changes)
    sys.exit(1 if refused else 2 if detailed_exitcode and any(change.is_applied for change in changes) else 0)


@customers.command("apply")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def apply_customers(output: str) -> None:
    """Do what `plan` shows. Safe to repeat; no data is ever deleted here."""
    from cli.main import started
    from resources.orchestrator import instance
    from resources.reconciliation import settled

    postgres = started()
    changes = settled(postgres, instance(postgres), load_customers(settings().customers))
    _show(changes, output, "done")
    sys.exit(any(change.action == "refuse" for change in changes))


def _show(changes: list[Change], output: str, end: str) -> None:
    if output == "json":
        click.echo(json.dumps([vars(change) for change in changes], indent=1))
        return
    for change in changes:
        sign, colour = SIGNS[change.action]
        click.secho(f"{sign} {change.customer:<20} {change.what:<20} {change.detail}", fg=colour)
    done = sum(change.is_applied for change in changes)
    shown = [f"{number} {word}" for word in ("drift", "refuse") if (number := sum(change.action == word for change in changes))]
    click.echo(", ".join([f"{done} changes {end}" if done else "no changes", *shown]))


@customers.command("status")
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), help="The day to judge freshness; default: today, by each customer's time zone.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def status(customer_ids: tuple[str, ...], at: Any, output: str) -> None:
    """Next refresh by schedule, last run, freshness, open quarantine, live publication and whether it is held, rows, lake bytes and cost of each customer."""
    from cli.main import started
    from platform_assets.standing import standings
    from resources.orchestrator import instance

    folder = settings().customers
    declared = {name: customer(name, folder) for name in customer_ids} or load_customers(folder)
    postgres = started()
    instance(postgres)  # Dagster makes its tables when it is first opened
    found = standings(postgres, declared, at.date() if at else None)
    if output == "json":
        click.echo(json.dumps([one.facts for one in found], indent=1))
    else:
        _table(found)


@customers.command("storage-policy")
@click.argument("customer_id", metavar="CUSTOMER", required=False)
@click.option("--of-removal", is_flag=True, help="The policy of the one login that removes customers, instead.")
def storage_policy(customer_id: str | None, of_removal: bool) -> None:
    """Print the policy that keeps a CUSTOMER's login of the object store to its own prefixes, as JSON of AWS IAM. Exit code 1 if nothing lies there."""
    from resources.object_store import policy
    from resources.stored_objects import removal_policy

    if bool(customer_id) == of_removal:
        raise click.UsageError("name a customer, or say --of-removal")
    made = policy(settings(), customer(customer_id, settings().customers).id) if customer_id else removal_policy(settings())
    click.echo(json.dumps(made, indent=1))
    sys.exit(not made["Statement"])


@customers.command("remove")
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--confirm", metavar="CUSTOMER", help="The id once more: really remove it. Without it nothing is changed.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="The folder of the export bundle and certificate; default: $STRATA_HOME/exports.")
@click.option("--canary", "canaries", multiple=True, help="A word that only this customer's data hold, to search for besides its id and accounts.")
@click.option("--who", help="Who removes it, for the certificate; default: $STRATA_USER, else the user of this computer.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def remove_customer(customer_id: str, confirm: str | None, out: Path | None, canaries: tuple[str, ...], who: str | None, output: str) -> None:
    """Show every place where something of a leaving CUSTOMER lies; with --confirm export it, erase it, and certify that.

    Exit code 1 if its id or accounts still stand anywhere afterwards."""
    from cli.main import started
    from resources.erasure import remove
    from resources.erasure_places import survey
    from resources.orchestrator import instance

    name, folder, postgres = check_id(customer_id), settings().customers, started()
    if confirm is None:
        found = survey(postgres, instance(postgres), name)
        click.echo(json.dumps(vars(found), indent=1) if output == "json" else _places(found.counts, name))
        return
    if confirm != name:
        raise click.UsageError("--confirm does not repeat the customer's id")
    declared = customer(name, folder) if (folder / f"{name}.yaml").is_file() else None
    made = remove(postgres, instance(postgres), name, declared, out, canaries, person(who))
    click.echo(json.dumps(made.facts, indent=1) if output == "json" else made.text, nl=output == "json")
    sys.exit(not made.is_clean)


def _places(counts: Mapping[str, int], name: str) -> str:
    lines = [f"{place:<48} {number:>9,}" for place, number in counts.items() if number]
    return "\n".join([*lines, f"nothing was changed; `strata customers remove {name} --confirm {name}` exports and erases all of it"])


@customers.command("replay-erasures")
def replay_erasures() -> None:
    """After a restore: remove again whoever was erased and came back. `strata up` does the same. Exit code 1 if something is left."""
    from cli.main import started

    sys.exit(not replayed(started(), quiet=False))


def replayed(postgres: Postgres, quiet: bool = True) -> bool:
    """Replay the ledger of erasures; returns whether nothing is left of whoever is in it."""
    from resources.erasure import replay
    from resources.erasure_ledger import synchronized
    from resources.orchestrator import instance

    made = replay(postgres, instance(postgres)) if synchronized(postgres) else []
    for one in made:
        click.echo(one.text, nl=False)
    if not made and not quiet:
        click.echo("nobody who was erased is here")
    return all(one.is_clean for one in made)


def refuse_erased(postgres: Postgres, names: Iterable[str]) -> None:
    """Raises ErasureError for an id that was erased: whatever came under it would be removed again."""
    from resources.erasure_ledger import entry_of, ledger_file, synchronized

    ledger = synchronized(postgres) if ledger_file(postgres.settings).exists() else []
    for name in names:
        if entry := entry_of(ledger, name):
            raise ErasureError(f"this id was erased on {entry.erased_at[:10]} and is never used again", customer=name, fix="choose another id")


def _table(found: list[Standing]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("customer", "status", "next due (UTC)", "last run", "when (UTC)", "freshness", "quarantine", "live", "since (UTC)", "rows", "lake", "cost of")
    for one in found:
        live = f"{one.publication or '–'}{', held' if one.is_held else ''}"
        table.add_row(one.customer, one.status, _moment(one.next_due_at), (one.run_state or "–").lower(), _moment(one.run_at), one.freshness,
                      f"{one.quarantine_open:,}", live, _moment(one.published_at), f"{one.live_rows:,}", size(one.lake_bytes), _cost(one))
    Console(width=max(190, Console().width)).print(table)


def _cost(one: Standing) -> str:
    """`2024-09 $0.0123, 0.004 kWh`: the newest month of the clock."""
    return f"{one.cost_month:%Y-%m} ${one.cost_usd:,.3g}, {one.energy_kwh:,.3g} kWh" if one.cost_month else "–"


def _moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else "–"


def size(number: float) -> str:
    """Bytes for people: 1536 -> 1.5 KiB."""
    for unit in UNITS:
        if number < 1024 or unit == UNITS[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
