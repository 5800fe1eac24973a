"""Dagster's own storage on our PostgreSQL: pooled connections, and the instance's home folder.

What belongs here: how a process of ours becomes a Dagster instance. What does not: launching (cli/launching.py).
"""
from __future__ import annotations

import os
import shutil
from functools import cache
from typing import Any
from urllib.parse import quote

import dagster as dg
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from resources.event_log import BatchedEventLogStorage
from resources.postgres import ORCHESTRATOR, Postgres
from resources.settings import PROJECT

URL_VARIABLE = "STRATA_DAGSTER_URL"


class PooledPostgresStorage(DagsterPostgresStorage):
    """The stock storage opens a connection per query and asks for the schema of its own tables with most events, which together cost
    over a CPU second per run; this one keeps a connection open and remembers which tables there are (Dagster migrates them at start only).
    """

    def __init__(self, postgres_url: str, should_autocreate_tables: bool = True, inst_data=None, token_provider=None) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = BatchedEventLogStorage(postgres_url, should_autocreate_tables, token_provider=token_provider)
        for storage in (self.run_storage, self.event_log_storage, self.schedule_storage):
            storage.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3600, max_overflow=20)
        events: Any = self.event_log_storage
        events.has_table, events.has_asset_key_col = cache(events.has_table), cache(events.has_asset_key_col)

    @classmethod
    def from_config_value(cls, inst_data, config_value) -> PooledPostgresStorage:
        return cls(pg_url_from_config(config_value), config_value.get("should_autocreate_tables", True), inst_data)


def storage_url(postgres: Postgres) -> str:
    """SQLAlchemy's address of Dagster's database, password included: for the environment of our own processes only."""
    p = postgres.parameters(ORCHESTRATOR, postgres.names.dagster)
    login = f"{p['user']}:{quote(p['password'], safe='')}"
    if p["host"].startswith("/"):
        return f"postgresql+psycopg2://{login}@/{p['dbname']}?host={quote(p['host'], safe='')}"
    return f"postgresql+psycopg2://{login}@{p['host']}:{p.get('port', 5432)}/{p['dbname']}"


def prepare(postgres: Postgres) -> None:
    """Make the instance's folder from the project's dagster.yaml and point this process and its children at it."""
    home = postgres.settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[URL_VARIABLE] = storage_url(postgres)


def instance(postgres: Postgres) -> dg.DagsterInstance:
    """The Dagster instance of this installation."""
    prepare(postgres)
    return dg.DagsterInstance.get()
