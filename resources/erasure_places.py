"""Every place where something of a customer lies, as an exact list.

What belongs here: finding and counting. What does not: deleting (erasure.py) and searching for what no list knows of (byte_scan.py). A new table
of the warehouse is found by its column `customer_id`, a new run by its tag.
"""
from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import psycopg
from psycopg import sql

from partitions.customers import CUSTOMERS
from resources import run_history
from resources.audit import head_file
from resources.byte_scan import token
from resources.object_store import login_file, prefixes
from resources.postgres import MIGRATOR, ORCHESTRATOR, SUPERUSER, Postgres, lake_reader_role, lake_role, reader_role
from resources.settings import Settings
from resources.stored_objects import Stored, StoredObjects, Upload

IN_ORDER = """SELECT c.oid::regclass::text, array_remove(array_agg(f.conrelid::regclass::text), NULL) FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
    LEFT JOIN pg_constraint f ON f.confrelid = c.oid AND f.contype = 'f' AND f.conrelid <> c.oid
    WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' GROUP BY c.oid"""


@dataclass(frozen=True)
class Places:
    """What there is of one customer. Lists name what will be deleted, one by one; `words` are the account ids that its deliveries named."""

    customer: str
    partitions: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)  # warehouse table -> rows, in an order in which they can be deleted
    catalog: list[str] = field(default_factory=list)  # tables of the lake's catalog
    objects: list[str] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)  # on an object store, lake and landing: place and version
    uploads: list[Upload] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    history: dict[str, int] = field(default_factory=dict)  # Dagster's table -> rows
    logs: list[str] = field(default_factory=list)
    scratch: list[str] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)
    told: int = 0  # lines of the notices' file
    roles: list[str] = field(default_factory=list)
    own_files: list[str] = field(default_factory=list)  # its login of the object store, the head of its audit log
    words: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Place -> how many things lie there."""
        return {
            "partition": len(self.partitions), **{f"warehouse {table}": rows for table, rows in self.rows.items()}, "lake catalog tables": len(self.catalog),
            "lake objects": len(self.objects), "landed files": len(self.landed), "versions of stored objects": len(self.stored),
            "unfinished uploads": len(self.uploads), **{f"dagster {table}": rows for table, rows in self.history.items()},
            "run logs": len(self.logs), "scratch files": len(self.scratch), "kept parameter files": len(self.overlays), "notices told": self.told,
            "roles": len(self.roles), "files of its own": len(self.own_files),
        }

    @property
    def is_empty(self) -> bool:
        return not any(self.counts.values())


def survey(postgres: Postgres, instance: dg.DagsterInstance, customer: str) -> Places:
    """Everything of a customer, now. Raises SettingsError where lake or landing are on an object store and there is no login that removes."""
    configured = postgres.settings
    store = StoredObjects(configured) if prefixes(configured, customer) else None
    stored, uploads = (store.of(customer), store.uploads_of(customer)) if store else ([], [])
    with postgres.connect(SUPERUSER, postgres.names.lake) as connection:
        catalog = _names(connection, "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(%s) ORDER BY 1", lake_role(customer))
        own = [lake_role(customer), reader_role(customer), lake_reader_role(customer)]
        roles = _names(connection, "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) ORDER BY 1", own)
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:
        runs = run_history.runs_of(connection, customer)
        history = run_history.counted(connection, customer, runs)
    with postgres.connect(MIGRATOR) as connection:
        rows = {table: number for table in tables_in_order(connection) if (number := rows_of(connection, table, customer))}
        words = _names(connection, "SELECT DISTINCT unnest(owners) FROM platform.delivery WHERE customer_id = %s ORDER BY 1", customer)
    kept = configured.home / "parameters-of"
    return Places(
        customer, [key for key in instance.get_dynamic_partitions(CUSTOMERS.name or "customer") if key == customer], rows, catalog,
        files_below(Path(configured.lake_path(customer))), files_below(configured.landing_root / customer), stored, uploads, runs, history,
        [path for run in runs for path in files_below(configured.dagster_home / "storage" / run)],
        [path for folder in scratch_of(configured, customer) for path in files_below(folder)],
        [path for folder in sorted(kept.glob(f"*/customers/{customer}")) for path in files_below(folder)],
        len(told_lines(notices_file(configured), customer)), roles, [str(path) for path in own_files(configured, customer) if path.exists()], words)


def own_files(settings: Settings, customer: str) -> list[Path]:
    """Files among those of the installation that are one customer's."""
    return [login_file(settings, customer), head_file(settings, customer)]


def tables_in_order(connection: psycopg.Connection) -> list[str]:
    """The warehouse's tables of customers; a table that refers to another comes before it."""
    from graphlib import TopologicalSorter

    return list(TopologicalSorter(dict(connection.execute(IN_ORDER).fetchall())).static_order())


def rows_of(connection: psycopg.Connection, table: str, customer: str) -> int:
    target = sql.Identifier(*table.split("."))
    return connection.execute(sql.SQL("SELECT count(*) FROM {} WHERE customer_id = %s").format(target), [customer]).fetchone()[0]


def files_below(folder: Path) -> list[str]:
    """Absolute paths of the files and links below a folder; never through a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(str(path) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def scratch_of(settings: Settings, customer: str) -> list[Path]:
    """A run's scratch folder is `<customer>-<8 characters of its run>`, and no id holds a hyphen."""
    return sorted(settings.temp_root.glob(f"{customer}-*"))


def notices_file(settings: Settings) -> Path:
    return settings.home / "notices" / f"{settings.environment}.jsonl"


def told_lines(path: Path, customer: str) -> list[bytes]:
    """The lines of the notices' file that are about a customer."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if is_about(line, customer)] if path.exists() else []


def is_about(line: bytes, customer: str) -> bool:
    try:
        return json.loads(line).get("customer") == customer
    except (ValueError, AttributeError):  # a line that a crash cut short names nobody for certain: it goes if the id stands in it
        import re

        return re.search(token(customer).encode(), line) is not None


def _names(connection: psycopg.Connection, query: str, value: str | Iterable[str]) -> list[str]:
    return [name for (name,) in connection.execute(query, [value])]
