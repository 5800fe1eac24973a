"""A real installation for tests: its own home, PostgreSQL, customers and deliveries; runs in this process or in a forked one.

What belongs here: what several test folders need to drive the path. What does not: expectations.
"""
from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import yaml
from psycopg.rows import dict_row

from partitions.customers import CUSTOMERS, Customer, customer
from platform_assets.landing import land_files
from resources.postgres import READER, SUPERUSER, WRITER, Postgres
from resources.settings import PROJECT, Settings, settings

# dev starts nothing by itself and lets no customer in (environments.yaml); tests and benches of both switch it on, as a person may
os.environ.setdefault("STRATA_ALLOW", "automatic_scheduling,customer_facing")

JOB = "greenit_customer"
LIVE = sum(1 for layer in ("gold", "platinum") for _ in (PROJECT / "platform_assets" / "greenit" / layer).glob("*.odcs.yaml"))  # tables that go live together
PRELOADED = ["dagster", "ibis", "duckdb", "pyarrow", "psycopg", "platform_assets.greenit.definitions", "platform_assets.expectations",
             "tests.preload"]
EQUIPMENT = ["equipment_id", "model", "manufacturer", "item_type", "quantity", "status", "ownership", "purchase_date", "retired_date", "exported_at", "country", "site", "datacentre", "org_unit", "energy_kwh_per_year", "unit_price", "currency"]


@dataclass
class Run:
    """What became of a run: Dagster's verdict and the events a test asks about."""

    success: bool
    failures: dict[str, str]
    materialized: dict[str, dict[str, Any]]
    checks: dict[str, bool]
    attempts: dict[str, int] = field(default_factory=dict)


@dataclass
class Installation:
    """One home with its server. `instance` is Dagster's, in memory."""

    settings: Settings
    postgres: Postgres
    instance: dg.DagsterInstance

    def declare(self, name: str, /, **changes: Any) -> Customer:
        """A customer's file, lake role and partition."""
        content = {
            "name": f"{name} (test)", "status": "active", "country": "FR", "currency": "EUR", "time_zone": "Europe/Paris",
            "steward": {"name": "Data steward", "email": "steward@example.org"}, "reporting": {"months": 12},
            "sources": {"equipment_inventory": {"format": "strata_1"}, "cloud_billing": {"format": "focus_1_0", "accepted_owners": [f"account-{name}"]}},
            **changes,
        }
        (self.settings.customers / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        self.postgres.ensure_lake_role(name)
        self.instance.add_dynamic_partitions(CUSTOMERS.name, [name])
        return customer(name, self.settings.customers)

    def land(self, name: str, source: str, files: list[Path], period: str | None = "2024-09", sequence: int | None = None):
        with self.postgres.connect(WRITER, customer=name) as connection:
            return land_files(connection, self.settings.landing_root, customer(name, self.settings.customers), source, files, period, sequence)

    def run(self, name: str, selection: list[str] | None = None, **tags: str) -> Run:
        """Everything of a customer, or the named assets with their checks, in this process."""
        return _execute(self.instance, name, selection, tags)

    def run_in_child(self, name: str, failpoint: str = "") -> int:
        """The same in a forked process with a fail point; returns the exit code (negative: the signal)."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        environment = {**{k: v for k, v in os.environ.items() if k.startswith("STRATA_")}, "FAILPOINT": failpoint}
        child = context.Process(target=_child, args=(name, environment))
        child.start()
        child.join(120)
        if child.is_alive():
            child.kill()
            child.join()
            raise TimeoutError(f"the run at {failpoint} hung")
        return child.exitcode

    def query(self, statement: str, *values: Any, customer: str | None = None, role: str = READER) -> list[dict[str, Any]]:
        with self.postgres.connect(role, customer=customer) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, values or None).fetchall()

    def superuser(self, database: str | None = None) -> psycopg.Connection:
        return self.postgres.connect(SUPERUSER, database, autocommit=True)

    def kpis(self, name: str) -> list[dict[str, Any]]:
        return self.query("SELECT * FROM greenit_platinum.kpi_monthly_live ORDER BY period, scope, category, domain, criterion, method, view, phase", customer=name)

    def versions(self, name: str) -> dict[str, list[tuple[int, str, str]]]:
        """table -> [(version, verdict, content hash)], oldest first."""
        rows = self.query("SELECT table_name, version, verdict, content_hash FROM platform.table_version ORDER BY version", customer=name, role=WRITER)
        found: dict[str, list[tuple[int, str, str]]] = {}
        for row in rows:
            found.setdefault(row["table_name"], []).append((row["version"], row["verdict"], row["content_hash"]))
        return found


def _execute(instance: dg.DagsterInstance, name: str, selection: list[str] | None, tags: dict[str, str]) -> Run:
    from platform_assets.greenit.definitions import defs

    job = defs.resolve_job_def(JOB)
    keys = [dg.AssetKey(key.split("/")) for key in selection] if selection else None
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(partition_key=name, instance=instance, raise_on_error=False, asset_selection=keys, tags=tags or None, run_config=quiet)
    failures, attempts = {}, {}
    for event in result.all_events:
        if event.is_step_start or event.is_step_restarted:
            attempts[event.step_key] = attempts.get(event.step_key, 0) + 1
        if event.is_step_failure:
            data = event.step_failure_data
            error = data.error
            while error.cause:
                error = error.cause
            failures[event.step_key] = data.user_failure_data.description if data.user_failure_data else error.message
    materialized = {
        event.asset_key.to_user_string(): {k: v.value for k, v in event.step_materialization_data.materialization.metadata.items()}
        for event in result.get_asset_materialization_events()
    }
    checks = {f"{e.asset_key.path[-1]}.{e.check_name}": e.passed for e in result.get_asset_check_evaluations()}
    return Run(result.success, failures, materialized, checks, attempts)


def _child(name: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(CUSTOMERS.name, [name])
        done = _execute(instance, name, None, {})
    os._exit(0 if done.success else 1)


def make_installation(home: Path, customers: Path) -> Installation:
    """Start a server in `home` and apply all migrations."""
    from resources.migrations import migrate

    customers.mkdir(parents=True, exist_ok=True)
    os.environ.update(STRATA_HOME=str(home), STRATA_CUSTOMERS=str(customers))
    configured = settings()
    postgres = Postgres(configured)
    postgres.up()
    migrate(postgres)
    return Installation(configured, postgres, dg.DagsterInstance.ephemeral())


@contextmanager
def own_installation(prefix: str, **environment: str) -> Iterator[Installation]:
    """An installation beside the shared one; afterwards the process's environment is what it was."""
    before = dict(os.environ)
    home = Path(tempfile.mkdtemp(prefix=prefix))
    os.environ.update(environment)
    made = make_installation(home / "home", home / "customers")
    try:
        yield made
    finally:
        stop(made)
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(made.settings.runtime, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)


def inventory(path: Path, *rows: dict[str, Any]) -> Path:
    """A CSV in format strata_1; what a row does not say is a laptop in France bought in 2023."""
    lines = [",".join(EQUIPMENT)]
    for number, row in enumerate(rows, start=1):
        full = {"equipment_id": f"e{number}", "item_type": "laptop", "quantity": 1, "status": "in use", "purchase_date": "2023-01-01", "country": "FR",
                "site": "Lyon", **row}
        lines.append(",".join(str(full.get(column, "")) for column in EQUIPMENT))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def billing(path: Path, owner: str, *rows: dict[str, Any]) -> Path:
    """A FOCUS 1.0 CSV; what a row does not say is an hour of a Linux m5.large in eu-west-3."""
    from platform_assets.landing import source_contract

    columns = source_contract("cloud_billing").columns
    lines = [",".join(columns)]
    for row in rows:
        if "ChargePeriodStart" in row and "ChargePeriodEnd" not in row:
            row = {**row, "ChargePeriodEnd": row["ChargePeriodStart"].replace("T00:", "T01:")}
        full = {"BilledCost": "0.112", "EffectiveCost": "0.112", "ListCost": "0.112", "BillingAccountId": owner, "BillingCurrency": "USD",
                "ChargeCategory": "Usage", "ChargeDescription": "$0.112 per On Demand Linux m5.large Instance Hour", "ConsumedQuantity": "1",
                "ConsumedUnit": "Hours", "ChargePeriodStart": "2024-09-02T00:00:00Z", "ChargePeriodEnd": "2024-09-02T01:00:00Z",
                "BillingPeriodStart": "2024-09-01T00:00:00Z", "BillingPeriodEnd": "2024-10-01T00:00:00Z", "ProviderName": "AWS",
                "RegionId": "eu-west-3", "ServiceName": "Amazon Elastic Compute Cloud", "ServiceCategory": "Compute", "SkuId": "S1", **row}
        lines.append(",".join(f'"{full[c]}"' if c in full else "" for c in columns))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def stop(installation: Installation) -> None:
    with suppress(Exception):
        installation.instance.dispose()
    installation.postgres.down()
