"""Dagster's own storage on our PostgreSQL: pooled connections, and the instance's home folder.

What belongs here: how a process of ours becomes a Dagster instance. What does not: launching (cli/launching.py).
"""
from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import dagster as dg
import yaml
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from partitions.errors import SettingsError
from resources.event_log import BatchedEventLogStorage
from resources.postgres import ORCHESTRATOR, Postgres
from resources.settings import PROJECT

URL_VARIABLE, INSTANCE_VARIABLE = "STRATA_DAGSTER_URL", "STRATA_INSTANCE"
OVERLAID = {"run_launcher", "concurrency"}


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
    encryption = f"?{urlencode(postgres.tls)}" if postgres.tls else ""
    return f"postgresql+psycopg2://{login}@{p['host']}:{p.get('port', 5432)}/{p['dbname']}{encryption}"


def instance_settings() -> dict[str, Any]:
    """The project's dagster.yaml, with the sections of the file that `$STRATA_INSTANCE` names (run_launcher, concurrency) in their place.

    Raises SettingsError where that file cannot be read or changes another section: storage and monitoring are not an operator's to choose."""
    made = yaml.safe_load((PROJECT / "dagster.yaml").read_text(encoding="utf-8"))
    if not (named := os.environ.get(INSTANCE_VARIABLE)):
        return made
    try:
        more = yaml.safe_load(Path(named).read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{INSTANCE_VARIABLE} names a file that cannot be read as YAML", file=named, fix="correct it, or unset the variable") from error
    if not isinstance(more, dict) or set(more) - OVERLAID:
        foreign = sorted(set(more) - OVERLAID) if isinstance(more, dict) else []
        raise SettingsError(f"{INSTANCE_VARIABLE} may set {' and '.join(sorted(OVERLAID))} alone", file=named, section=", ".join(map(str, foreign)) or None,
                            fix="take the rest out")
    return {**made, **more}


def prepare(postgres: Postgres) -> None:
    """Make the instance's folder from the project's dagster.yaml and point this process and its children at it."""
    home = postgres.settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance_settings()), encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[URL_VARIABLE] = storage_url(postgres)


def instance(postgres: Postgres) -> dg.DagsterInstance:
    """The Dagster instance of this installation."""
    prepare(postgres)
    return dg.DagsterInstance.get()
