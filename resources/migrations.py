"""Applying migrations/V###__name.sql to the warehouse, as the migrator, by yoyo.

What belongs here: calling the tool. What does not: SQL (migrations/).
"""
from __future__ import annotations

from urllib.parse import quote

from resources.environment_mark import refuse_other_environment, set_mark
from resources.postgres import MIGRATOR, Postgres
from resources.settings import PROJECT

FOLDER = PROJECT / "migrations"


def migrate(postgres: Postgres) -> list[str]:
    """Apply what is missing, in order, each file in a transaction of its own; returns the names applied. EnvironmentPolicyError on another
    environment's warehouse."""
    from yoyo import get_backend, read_migrations

    with postgres.connect(MIGRATOR) as connection:
        refuse_other_environment(connection, postgres.settings.environment)
    p = postgres.parameters(MIGRATOR, postgres.names.warehouse)
    server = f"/{p['dbname']}?host={quote(p['host'], safe='')}" if p["host"].startswith("/") else f"{p['host']}:{p.get('port', 5432)}/{p['dbname']}"
    backend = get_backend(f"postgresql+psycopg://{p['user']}:{quote(p['password'], safe='')}@{server}")
    try:
        with backend.lock():
            missing = backend.to_apply(read_migrations(str(FOLDER)))
            backend.apply_migrations(missing)
            with postgres.connect(MIGRATOR) as connection:
                set_mark(connection, postgres.settings.environment)
            return [migration.id for migration in missing]
    finally:
        backend.connection.close()
