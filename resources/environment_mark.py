"""Which environment a server and a database belong to, so that no variable can point one environment at another's.

What belongs here: the mark of the warehouse and the two refusals. What does not: making databases (postgres.py), the policy (environment.py).

Roles and passwords are a server's and have no environment in their names: on a shared server the logins of dev would open production. So a server
holds one environment. The warehouse says which as the comment of its schema `platform`: every role may read it in spite of row-level security,
a dump carries it, and a dump of production restored under dev's name is still production's.
"""
from __future__ import annotations

import psycopg
from psycopg import sql

from partitions.errors import EnvironmentPolicyError
from resources.settings import ENVIRONMENTS

MARK = "environment: "
READ = "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = 'platform'"
THERE = "SELECT datname FROM pg_database WHERE datname = ANY(%s)"


def refuse_shared_server(connection: psycopg.Connection, environment: str) -> None:
    """Raises EnvironmentPolicyError where the server holds another environment's databases. Asked before anything is made there."""
    others = {f"strata{kind}_{name}": name for name in ENVIRONMENTS if name != environment for kind in ("", "_lake", "_dagster")}
    found = sorted({others[database] for (database,) in connection.execute(THERE, [list(others)])})
    if found:
        raise EnvironmentPolicyError(
            f"this is {environment}, and the server holds databases of {' and '.join(found)}, which logins of {environment} would open: roles are the server's",
            fix="set STRATA_DSN (embedded: STRATA_HOME) to a server of its own, or STRATA_ENVIRONMENT to what the server is")


def mark_of(connection: psycopg.Connection) -> str | None:
    """The environment that a warehouse says it is; None before its first migration, or from before there were marks."""
    row = connection.execute(READ).fetchone()
    return row[0].removeprefix(MARK) if row and row[0] and row[0].startswith(MARK) else None


def refuse_other_environment(connection: psycopg.Connection, environment: str) -> None:
    """Raises EnvironmentPolicyError where the warehouse is marked as another environment's."""
    mark = mark_of(connection)
    if mark not in (None, environment):
        raise EnvironmentPolicyError(f"this is {environment}, and the database holds the warehouse of {mark}",
                                     fix=f"point STRATA_DSN at {environment}'s own server; a copy of {mark}'s data is no data of {environment}")


def set_mark(connection: psycopg.Connection, environment: str) -> None:
    """Mark a warehouse that has none, as the owner of its schema."""
    if mark_of(connection) is None:
        connection.execute(sql.SQL("COMMENT ON SCHEMA platform IS {}").format(sql.Literal(f"{MARK}{environment}")))
