"""Dagster's database is lost (R3), and everything is restored from dumps into an empty server: nothing is ingested again, contents are equal.

Slow, so `make test-soak` runs it.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from psycopg.conninfo import make_conninfo

from cli.main import strata
from partitions.customers import CUSTOMERS, customer
from platform_assets.verification import verify
from resources.erasure_places import tables_in_order
from resources.orchestrator import instance
from resources.postgres import BACKUP, MIGRATOR, ORCHESTRATOR, SUPERUSER, EmbeddedServer, Postgres
from resources.settings import Settings
from tests.installation import Installation, billing, inventory

pytestmark = pytest.mark.soak
NAME = "restored"


@pytest.fixture(scope="module")
def ready(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A customer whose runs Dagster's own database remembers."""
    before, folder = dict(os.environ), tmp_path_factory.mktemp(NAME)
    installation.declare(NAME)
    installation.land(NAME, "equipment_inventory", [inventory(folder / "1.csv", {"quantity": 2}, {"country": "Atlantis"})])
    installation.land(NAME, "cloud_billing", [billing(folder / "b.csv", f"account-{NAME}", {})])
    said("launch", NAME)
    yield installation
    os.environ.clear()
    os.environ.update(before)


def said(*words: str) -> str:
    done = CliRunner().invoke(strata, list(words))
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return done.output


def looked(settings: Settings) -> Any:
    found = verify(Postgres(settings), {NAME: customer(NAME, settings.customers)}, contents=True)
    assert found.unseen == {}
    return found


def deliveries(installation: Installation) -> list[dict[str, Any]]:
    return installation.query("SELECT * FROM platform.delivery ORDER BY source, sha256", customer=NAME, role="strata_writer")


def test_r3_without_dagsters_database_runs_go_on_and_nothing_is_computed_or_ingested_again(ready: Installation) -> None:
    assert looked(ready.settings).findings == []
    before, delivered, shown = ready.versions(NAME), deliveries(ready), ready.kpis(NAME)
    with ready.superuser("postgres") as connection:
        connection.execute(f"DROP DATABASE {ready.postgres.names.dagster} WITH (FORCE)")
    said("up")
    said("customers", "apply")
    with instance(ready.postgres) as opened:
        assert opened.has_dynamic_partition(CUSTOMERS.name, NAME)
        assert opened.get_runs_count() == 0
    found = looked(ready.settings)
    assert found.broken == []
    assert {one.invariant for one in found.findings} == {"I12"}  # notes: versions that Dagster does not remember
    assert "unchanged" in said("launch", NAME)
    assert (ready.versions(NAME), deliveries(ready), ready.kpis(NAME)) == (before, delivered, shown)
    assert looked(ready.settings).findings == []
    with instance(ready.postgres) as opened:
        [key] = [key for key in opened.get_asset_keys() if key == dg.AssetKey(["greenit", "gold", "impact"])]
        assert NAME in opened.get_materialized_partitions(key)


def tool(name: str, postgres: Postgres, database: str, *words: str) -> None:
    """One of PostgreSQL's programs as the superuser; the password goes by the environment."""
    login = postgres.parameters(SUPERUSER, database)
    password = login.pop("password")
    subprocess.run([str(EmbeddedServer.binaries() / name), "--no-password", "-d", make_conninfo(**login), *words], check=True, capture_output=True,
                   env={**os.environ, "PGPASSWORD": password})


@pytest.fixture
def empty_server(ready: Installation) -> Iterator[Postgres]:
    """Another home with a fresh server and the kept secrets; lake and landing stay where they are, as after the loss of a database's disk."""
    home = Path(tempfile.mkdtemp(prefix="strata-restored-"))
    shutil.copytree(ready.settings.secrets, home / "secrets")
    settings = replace(ready.settings, home=home, runtime=home / "run", landing_store=str(ready.settings.landing_root))
    made = Postgres(settings)
    made.up()
    yield made
    made.down()
    shutil.rmtree(home, ignore_errors=True)


def contents(postgres: Postgres) -> dict[str, list[tuple]]:
    """Every table of customers with its number of rows and a hash of them."""
    with postgres.connect(MIGRATOR) as connection:
        tables = tables_in_order(connection)
    with postgres.connect(BACKUP) as connection:
        return {table: connection.execute(f"SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {table} t").fetchall()
                for table in tables}


def test_dumps_restored_into_an_empty_server_have_equal_contents_and_keep_every_invariant(ready: Installation, empty_server: Postgres, tmp_path: Path) -> None:
    roles = [path.name.removeprefix("lake_") for path in ready.settings.secrets.glob("lake_*")]
    empty_server.ensure_lake_roles(roles)
    for database in (ready.postgres.names.warehouse, ready.postgres.names.lake, ready.postgres.names.dagster):
        dump = tmp_path / database
        tool("pg_dump", ready.postgres, database, "-Fc", "-f", str(dump))
        tool("pg_restore", empty_server, database, "--clean", "--if-exists", "--exit-on-error", str(dump))
    assert contents(empty_server) == contents(ready.postgres)
    assert looked(empty_server.settings).findings == []
    with empty_server.connect(ORCHESTRATOR, empty_server.names.dagster) as connection:
        assert connection.execute("SELECT count(*) > 0 FROM event_logs").fetchone() == (True,)
    with empty_server.connect(SUPERUSER) as connection:
        from resources.safeguards import refuse_unsafe

        refuse_unsafe(connection, "warehouse", "server")  # grants, policies and owners came with the dump
