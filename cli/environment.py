"""`strata env`: the policy of the environments, and whether what stands here follows it.

What belongs here: the table and the findings, for people. What does not: holding anybody to the policy, which the commands and the code location
do at start.
"""
from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click
import psycopg
from psycopg.conninfo import make_conninfo

from partitions.customers import load_customers
from partitions.errors import EnvironmentPolicyError, MigrationError, SettingsError
from resources.checkout import checkout, problem_with
from resources.environment import FILE, Policy, policies, policy_of
from resources.environment_mark import mark_of, refuse_other_environment, refuse_shared_server
from resources.migrations import pending
from resources.postgres import READER_PREFIX, SUPERUSER, Postgres
from resources.production_lake import source_login
from resources.settings import Settings, settings

WIDTH = 140
STARTING = {"refreshes", "stale_sources"}  # sensors that do something nobody asked for; the others follow a run or a folder
WAREHOUSE = "strata_prod"
Line = tuple[bool | None, str]  # whether it holds (None: nobody could look), and what
ROWS = {
    "code development": lambda policy: _word(policy.code_development),
    "code that may run": lambda policy: "any checkout" if policy.code_development else ", ".join(
        [*(f"tag {name}" for name in policy.tags), *(f"branch {name}" for name in policy.branches)]),
    "suites": lambda policy: ", ".join(policy.suites).replace("_", "-") or "none",
    "data": lambda policy: policy.data,
    "bronze from": lambda policy: policy.bronze_from,
    "automatic scheduling": lambda policy: _word(policy.automatic_scheduling),
    "customer-facing": lambda policy: _word(policy.customer_facing),
    "newer database": lambda policy: policy.newer_database,
    "may be switched on": lambda policy: ", ".join(policy.may_allow) or "nothing",
}


@click.group("env")
def environment() -> None:
    """What each environment may do."""


@environment.command()
def check() -> None:
    """Print the policy of environments.yaml and whether this installation follows it. Starts and changes nothing. Exit code 1 if something does not hold."""
    here = settings()
    _print_table(here)
    lines = list(findings(here))
    for holds, said in lines:
        word, colour = {True: ("holds", "green"), False: ("broken", "red"), None: ("unseen", "yellow")}[holds]
        click.echo(f"{click.style(f'{word:<7}', fg=colour)} {said}")
    sys.exit(any(holds is False for holds, _ in lines))


def findings(here: Settings) -> Iterator[Line]:
    """What of the policy can be seen from outside of a run."""
    try:
        policy = policy_of(here)
    except EnvironmentPolicyError as error:
        yield False, str(error)
        return
    allowed = f", with {', '.join(sorted(here.allow))} switched on by STRATA_ALLOW" if here.allow else ""
    yield True, f"{FILE.name} is valid; this is {here.environment}{allowed}"
    found = checkout()
    problem = problem_with(found, policy)
    yield problem is None, f"{problem[0]}. Fix: {problem[1]}" if problem else f"{here.environment} runs {found.name}, as told by {found.told_by}"
    yield from _of_definitions(policy, problem is None)
    yield from _of_server(Postgres(here), policy)
    if policy.bronze_from == "production":
        yield from _of_production(here)


def _of_definitions(policy: Policy, loads: bool) -> Iterator[Line]:
    """Whether the code location that is served from here starts work by itself."""
    if not loads:
        yield None, "the code location does not load, so nothing starts by itself"
        return
    from platform_assets.greenit.definitions import defs

    starting = sorted([*(found.name for found in defs.schedules or []), *({found.name for found in defs.sensors or []} & STARTING)])
    yield bool(starting) == policy.automatic_scheduling, f"the code location starts by itself: {', '.join(starting) or 'nothing'}"


def _of_server(postgres: Postgres, policy: Policy) -> Iterator[Line]:
    name = postgres.settings.environment
    try:
        with postgres.connect(SUPERUSER, "postgres") as connection:
            yield _told(lambda: refuse_shared_server(connection, name), f"the server holds databases of {name} alone")
            readers = [role for (role,) in connection.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s) ORDER BY 1", [READER_PREFIX])]
        yield policy.customer_facing or not readers, f"logins of customers' own tools: {', '.join(readers) or 'none'}"
        with postgres.connect(SUPERUSER) as connection:
            yield _told(lambda: refuse_other_environment(connection, name), f"the warehouse is marked as {mark_of(connection) or 'nobody'}'s")
        missing = pending(postgres)
        yield True, f"no applied migration was changed; {', '.join(missing) or 'none'} to apply"
    except MigrationError as error:
        yield False, str(error)
    except (psycopg.OperationalError, SettingsError) as error:
        yield None, f"the server does not answer ({type(error).__name__}): `strata up` starts it"


def _of_production(here: Settings) -> Iterator[Line]:
    """Whether each customer's lake in production opens with its reader, and whether that login reaches the warehouse."""
    for name in sorted(load_customers(here.customers)):
        try:
            login = source_login(here, name)
            psycopg.connect(make_conninfo(**login, connect_timeout="10")).close()
        except (SettingsError, psycopg.OperationalError) as error:
            yield False, str(error) if isinstance(error, SettingsError) else f"production's lake of {name} does not open: {type(error).__name__}"
            continue
        try:
            psycopg.connect(make_conninfo(**{**login, "dbname": WAREHOUSE}, connect_timeout="10")).close()
            yield False, f"the login {login['user']} reaches production's warehouse: REVOKE CONNECT there"
        except psycopg.OperationalError:
            yield True, f"{login['user']} opens one lake of production and no warehouse"


def _told(ask: Any, holds: str) -> Line:
    try:
        ask()
    except EnvironmentPolicyError as error:
        return False, str(error)
    return True, holds


def say_what_is_off(here: Settings) -> None:
    """One line for whoever looks for schedules where there are none."""
    policy = policy_of(here)
    if not policy.automatic_scheduling:
        click.echo(f"schedules, triggers and the nightly upkeep are off in {here.environment} ({FILE.name})"
                   + ("; STRATA_ALLOW=automatic_scheduling switches them on here" if "automatic_scheduling" in policy.may_allow else ""))


def _print_table(here: Settings) -> None:
    from rich.console import Console
    from rich.table import Table

    made = Table("", *(f"{name} (here)" if name == here.environment else name for name in policies()), box=None, pad_edge=False)
    for row, value in ROWS.items():
        made.add_row(row, *(value(policy) for policy in policies().values()))
    Console(width=WIDTH).print(made)


def _word(flag: bool) -> str:
    return "yes" if flag else "no"
