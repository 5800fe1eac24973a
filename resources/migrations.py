"""Applying migrations/V###__name.sql to the warehouse, as the migrator, by yoyo.

What belongs here: calling the tool. What does not: SQL (migrations/).
"""
from __future__ import annotations

from urllib.parse import quote, urlencode

from resources.postgres import MIGRATOR, Postgres
from resources.settings import PROJECT

FOLDER = PROJECT / "migrations"


def migrate(postgres: Postgres) -> list[str]:
    """Apply what is missing, in order, each file in a transaction of its own; returns the names applied."""
    from yoyo import get_backend, read_migrations

    p = postgres.parameters(MIGRATOR, postgres.names.warehouse)
    server = f"/{p['dbname']}" if p["host"].startswith("/") else f"{p['host']}:{p.get('port', 5432)}/{p['dbname']}"
    options = urlencode({**({"host": p["host"]} if p["host"].startswith("/") else {}), **postgres.tls})
    backend = get_backend(f"postgresql+psycopg://{p['user']}:{quote(p['password'], safe='')}@{server}?{options}")
    try:
        with backend.lock():
            missing = backend.to_apply(read_migrations(str(FOLDER)))
            backend.apply_migrations(missing)
            return [migration.id for migration in missing]
    finally:
        backend.connection.close()
