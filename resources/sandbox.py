"""A customer's DuckDB: what it loads and attaches, and the lock after which SQL in it reaches that customer alone.

What belongs here: opening it, in an order that matters. What does not: the customer's lock and a run's identity (session.py), figures of
limits (session_limits.py), proof that it holds (probes.py, tests/isolation). ARCHITECTURE 3 is the rule.
"""
from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from partitions.customers import Customer
from partitions.errors import CustomerError, DeliveryError, MigrationError
from resources.environment import policy_of
from resources.facts import without_values
from resources.masking import mask_key, set_key
from resources.object_store import SOURCE_LOGIN_PREFIX, is_remote, prefixes, secret_options
from resources.postgres import Postgres, lake_role
from resources.production_lake import CATALOG, source_login, source_path
from resources.session_limits import SessionLimits
from resources.settings import Settings

EXTENSIONS = ("ducklake", "postgres_scanner")


@contextmanager
def sandbox(settings: Settings, postgres: Postgres, customer: Customer, limits: SessionLimits, temp: Path,
            upgrades: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with the customer's lake as `lake` and the warehouse as `warehouse`, bounded and locked. `temp`: a folder for its scratch files.
    `upgrades`: a catalog of an older DuckLake is brought to this one's version, else refused (MigrationError)."""
    from dagster_duckdb import DuckDBResource

    with DuckDBResource(database=":memory:", connection_config=options(limits, temp)).get_connection() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET max_temp_directory_size = '{limits.temp_gb}GB'")  # given as an option at opening it is shown and not held
        remote = prefixes(settings, customer.id)
        copies = policy_of(settings).bronze_from == "production"
        needs_httpfs = bool(remote) or customer.encrypted or copies  # DuckDB's own crypto only reads
        load_extensions(connection, (*EXTENSIONS, "httpfs") if needs_httpfs else EXTENSIONS)
        for number, prefix in enumerate(remote):
            _secret(connection, f"objects_{number}", "s3", secret_options(settings, customer.id), scope=prefix)
        _attach(connection, settings, postgres, customer, limits, upgrades)
        if copies:
            _attach_production(connection, settings, customer.id)
        _lock_down(connection, settings, customer.id, temp, [source_path(settings, customer.id)] if copies else [])
        yield connection


def options(limits: SessionLimits, temp: Path) -> dict[str, Any]:
    """What a customer's DuckDB is opened with."""
    return {"autoinstall_known_extensions": False, "autoload_known_extensions": False, "allow_community_extensions": False,
            "memory_limit": f"{limits.memory_mb}MB", "threads": limits.threads, "temp_directory": str(temp), "preserve_insertion_order": False}


def _attach(connection: duckdb.DuckDBPyConnection, settings: Settings, postgres: Postgres, customer: Customer, limits: SessionLimits,
            upgrades: bool) -> None:
    names, role, lake_path = postgres.names, lake_role(customer.id), settings.lake_path(customer.id)
    if not is_remote(lake_path):
        Path(lake_path).mkdir(parents=True, exist_ok=True)
    _secret(connection, "lake_login", "postgres", _login(postgres.parameters(role, names.lake)))
    try:
        connection.execute(f"ATTACH 'ducklake:postgres:{_encryption(postgres.tls)}' AS lake (META_SECRET 'lake_login', DATA_PATH '{_quoted(lake_path)}', "
                           f"METADATA_SCHEMA '{role}', META_SCHEMA '{role}', DATA_INLINING_ROW_LIMIT 0, ENCRYPTED {customer.encrypted}, "
                           f"AUTOMATIC_MIGRATION {upgrades})")
    except duckdb.InvalidInputException as error:
        if "catalog version mismatch" in str(error):
            raise MigrationError("its lake's catalog was written by an older DuckLake than this release has", customer=customer.id,
                                 fix="run `strata lake upgrade`") from None
        if "Failed to set encryption" not in str(error):
            raise
        raise CustomerError("encryption of a lake is decided before its first run", customer=customer.id,
                            fix="put `encrypted` back in the customer's file") from None
    _secret(connection, "warehouse_login", "postgres", _login(postgres.parameters(role, names.warehouse)))
    connection.execute(f"ATTACH '{_encryption(postgres.tls)}' AS warehouse (TYPE postgres, SECRET warehouse_login)")
    connection.execute(f"SET ducklake_max_retry_count = 100; SET pg_connection_limit = {limits.scanners}")
    connection.execute("SET pg_use_ctid_scan = false")  # a thousand pages at a time, it goes through rows of everybody
    connection.execute("SET pg_use_binary_copy = false")  # 200 k rows with four DECIMAL(38,18): 0.8 s as text, 3.2 s as binary


def _attach_production(connection: duckdb.DuckDBPyConnection, settings: Settings, customer: str) -> None:
    """The customer's lake in production, read-only by its login and by the attachment, and the key of masks."""
    path, role = source_path(settings, customer), lake_role(customer)
    if is_remote(path):
        _secret(connection, "production_objects", "s3", secret_options(settings, customer, SOURCE_LOGIN_PREFIX), scope=path)
    found = source_login(settings, customer)
    _secret(connection, "production_login", "postgres", _login(found))
    try:
        connection.execute(f"ATTACH 'ducklake:postgres:{_encryption(found)}' AS {CATALOG} (META_SECRET 'production_login', METADATA_SCHEMA '{role}', "
                           f"META_SCHEMA '{role}', DATA_PATH '{_quoted(path)}', OVERRIDE_DATA_PATH true, READ_ONLY)")
    except duckdb.Error as error:
        raise DeliveryError(f"production's lake of this customer cannot be opened: {without_values(str(error))}", customer=customer,
                            fix="see that the customer has run there, that its DuckLake is not older, and that secrets/ holds the reader's password") from None
    set_key(connection, mask_key(settings))


def _lock_down(connection: duckdb.DuckDBPyConnection, settings: Settings, customer: str, temp: Path, more: list[str]) -> None:
    """No other path, no other setting, until the session ends. The order matters: locking comes last."""
    allowed = [settings.lake_path(customer), settings.landing_path(customer), f"{temp}/", *more]
    connection.execute(f"SET allowed_directories = [{', '.join(repr(_quoted(path)) for path in allowed)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def load_extensions(connection: duckdb.DuckDBPyConnection, names: tuple[str, ...] = EXTENSIONS) -> None:
    """Load DuckDB's extensions from their wheels, signature checked; by ordinary INSTALL where a wheel is absent."""
    for name in names:
        found = importlib.util.find_spec(f"duckdb_extension_{name}")
        if found and found.submodule_search_locations:
            files = sorted(Path(found.submodule_search_locations[0]).glob(f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"))
            if files:
                connection.load_extension(str(files[0]))
                continue
        connection.install_extension(name)
        connection.load_extension(name)


def _login(parameters: dict[str, str]) -> dict[str, str]:
    """libpq's parameters as options of a secret."""
    named = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "DATABASE": "dbname"}
    return {option: parameters[key] for option, key in named.items() if key in parameters}


def _encryption(parameters: Mapping[str, str]) -> str:
    """What a server's address says of encryption, which DuckDB's secrets have no options for, as it is written inside of a quoted text."""
    return _quoted(" ".join(f"{key}={_value(value)}" for key, value in parameters.items() if key.startswith("ssl")))


def _value(text: str) -> str:
    """A value of a connection string."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _secret(connection: duckdb.DuckDBPyConnection, name: str, kind: str, options: dict[str, str], scope: str | None = None) -> None:
    """A login held by DuckDB's secret manager, which redacts the password wherever it shows; `scope`: of objects below this prefix alone."""
    given = ", ".join(f"{option} '{_quoted(value)}'" for option, value in {**options, **({"SCOPE": scope} if scope else {})}.items())
    connection.execute(f"CREATE SECRET {name} (TYPE {kind}, {given})")


def _quoted(text: str) -> str:
    return str(text).replace("'", "''")
