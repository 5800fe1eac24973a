"""`strata audit`: who read a customer's rows, and who did what to its figures; and writing that down for the commands that do.

What belongs here: who it is, whether a reason is asked for, and showing the log. What does not: the log (resources/audit.py).
"""
from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable
from typing import Any

import click

from partitions.customers import customer
from partitions.errors import AuditError
from resources.postgres import BACKUP, Postgres
from resources.releases import is_guarded
from resources.settings import Settings, settings


def reads_rows(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that shows rows of a customer or moves its figures: `who` and `why`, both kept in the audit log."""
    command = click.option("--reason", "why", default="", help="Why, for the audit log; must be given where customers see the figures (prod).")(command)
    return click.option("--who", help="Who you are; default: $STRATA_USER, else the user of this computer.")(command)


def person(given: str | None) -> str:
    """Who acts; raises BadParameter for a blank name."""
    name = given if given is not None else os.environ.get("STRATA_USER") or getpass.getuser()
    if not name.strip():
        raise click.BadParameter("must not be empty", param_hint="--who")
    return name.strip()


def refuse_without_reason(configured: Settings, customer_id: str, why: str) -> None:
    """Raises AuditError where a reason is asked for and none is given; call it before anything is read."""
    if is_guarded(configured) and not why.strip():
        raise AuditError("rows of a customer are read here for a reason alone", customer=customer_id, fix='say it: --reason "…"; it is kept with your name')


def audited(postgres: Postgres, customer_id: str, action: str, subject: str, rows: int, who: str | None = None, why: str = "") -> None:
    """Write down what is about to be shown or was done."""
    from resources.audit import record

    record(postgres, customer_id, person(who), action, subject, why, rows)


@click.command()
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def audit(customer_id: str, output: str) -> None:
    """Who read rows of CUSTOMER, and who rolled its figures back: when, why, how many rows. Exit code 1 if the log was tampered with."""
    from cli.main import started
    from resources.audit import broken_links, cut_off, entries

    found = customer(customer_id, settings().customers)
    with started().connect(BACKUP) as connection:
        listed = list(entries(connection, [found.id]))
        problems = [problem for _, problem in (*broken_links(listed), *cut_off(connection, settings(), [found.id]))]
    if output == "json":
        click.echo(json.dumps({"entries": [one.facts for one in listed], "problems": problems}, indent=1, ensure_ascii=False))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("number", "when (UTC)", "who", "what", "of", "rows", "why", title=f"{found.id}: audit log", title_justify="left")
        for one in listed:
            table.add_row(str(one.number), f"{one.at:%Y-%m-%d %H:%M:%S}", one.who, one.action, one.subject, f"{one.rows:,}", one.why)
        Console(width=max(140, Console().width)).print(table if listed else f"{found.id}: nobody looked")
        for problem in problems:
            click.secho(problem, fg="red", err=True)
    raise SystemExit(bool(problems))
