"""Bringing the catalogs of all lakes to the version that this release's DuckLake writes.

What belongs here: finding catalogs that are behind and attaching each once with DuckLake's own migration. What does not: the warehouse's
migrations (migrations.py). Attaching never upgrades by itself: a catalog that is ahead of older code would stop that code's runs, so it happens
when an operator says so, after the warehouse's migrations.
"""
from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

import duckdb
import psycopg
from psycopg import sql

from partitions.customers import Customer, customer
from partitions.errors import MigrationError, StrataError
from resources.facts import without_values
from resources.postgres import LAKE_PREFIX, SUPERUSER, Postgres, lake_role
from resources.sandbox import load_extensions, sandbox
from resources.session import locked
from resources.session_limits import session_limits

Number = tuple[int, ...]


def number_of(version: str) -> Number:
    """`1.0` as a number to compare; what follows a dash, as in `0.4-dev1`, does not count."""
    return tuple(int(part) for part in version.partition("-")[0].split("."))


@cache
def written_version() -> str:
    """The version of the catalogs that this DuckLake makes: seen on a new one, since no function tells it."""
    with tempfile.TemporaryDirectory() as folder, closing(duckdb.connect(config={"autoinstall_known_extensions": False})) as connection:
        load_extensions(connection, ("ducklake",))
        connection.execute(f"ATTACH 'ducklake:{folder}/new.ducklake' AS new (DATA_PATH '{folder}/data/', METADATA_CATALOG 'seen')")
        return str(connection.execute("SELECT value FROM seen.ducklake_metadata WHERE key = 'version'").fetchone()[0])


def catalog_versions(postgres: Postgres) -> dict[str, str]:
    """Customer -> version of its lake's catalog, of all catalogs that DuckLake has made; two queries however many there are."""
    with postgres.connect(SUPERUSER, postgres.names.lake) as connection:
        made = [name for (name,) in connection.execute("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'ducklake_metadata' ORDER BY 1")]
        parts = [sql.SQL("SELECT {}, value FROM {} WHERE key = 'version'").format(name, sql.Identifier(name, "ducklake_metadata")) for name in made]
        rows = connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall() if parts else []
    return {name.removeprefix(LAKE_PREFIX): version for name, version in rows}


def upgrade(postgres: Postgres) -> dict[str, str | StrataError]:
    """Customer -> `0.3 -> 1.0`, or why not, of every catalog that is not at this release's version. One that fails holds up no other."""
    done: dict[str, str | StrataError] = {}
    for name, version in catalog_versions(postgres).items():
        wanted = written_version()
        if number_of(version) == number_of(wanted):
            continue
        try:
            if number_of(version) > number_of(wanted):
                raise MigrationError(f"its lake's catalog is version {version}, and this release writes {wanted}: catalogs only go forward", customer=name,
                                     fix="run the release that upgraded it, or a newer one")
            _upgrade(postgres, customer(name, postgres.settings.customers))
            done[name] = f"{version} -> {wanted}"
        except StrataError as error:
            done[name] = error
        except (duckdb.Error, psycopg.Error, OSError) as error:
            done[name] = MigrationError(f"its lake's catalog stays at version {version}: {without_values(str(error))}", customer=name,
                                        fix="repair that, then `strata lake upgrade` again")
    return done


def _upgrade(postgres: Postgres, found: Customer) -> None:
    """As the customer's own role, which owns the catalog, while no run of it is under way."""
    temp = Path(postgres.settings.temp_root) / f"{found.id}-upgrade"
    with closing(locked(postgres, found.id, 0)), _temporary_tables(postgres, lake_role(found.id)), \
            sandbox(postgres.settings, postgres, found, session_limits(found), temp, upgrades=True):
        pass


@contextmanager
def _temporary_tables(postgres: Postgres, role: str) -> Iterator[None]:
    """DuckLake's migration updates through temporary tables of PostgreSQL (0.3 to 0.4, duckdb 1.5.5); no run needs any, so no role keeps the right."""
    names = sql.Identifier(postgres.names.lake), sql.Identifier(role)
    with postgres.connect(SUPERUSER, autocommit=True) as connection:
        connection.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(*names))
        try:
            yield
        finally:
            connection.execute(sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM {}").format(*names))
