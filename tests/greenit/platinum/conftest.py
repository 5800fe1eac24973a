"""What tests of platinum share: a table of platinum as dicts, of rows made by hand; the same on PostgreSQL, where platinum is computed."""

import importlib
import inspect

import psycopg
import pytest

from platform_assets.contracts import contract
from resources.accounting import SHARE_COLUMNS
from resources.expressions import sql_of, unbound
from resources.postgres import SUPERUSER
from tests.greenit.conftest import DOMAIN, contract_of

POSTGRES = {"varchar": "text", "double": "double precision", "decimal(38,18)": "numeric(38,18)", "decimal(38,12)": "numeric(38,12)"}
PLATINUM = ("kpi_monthly", "kpi_dimension", "data_quality", "fleet", "equivalence", "intensity", "trajectory", "trend", "top_contributors", "metric_monthly")


def asset_of(name):
    return getattr(importlib.import_module(f"platform_assets.greenit.platinum.{name}"), name)


def inputs_of(name):
    return list(inspect.signature(asset_of(name).op.compute_fn.decorated_fn).parameters)


def columns_of(name):
    """(column, contract type) of an input or of a table of platinum."""
    if name == "quarantined_share":
        return list(SHARE_COLUMNS)
    place = DOMAIN / "platinum" / f"{name}.odcs.yaml"
    return [(column.name, column.type) for column in contract(place if place.exists() else contract_of(name)).columns]


def sql(name, dialect):
    return sql_of(asset_of(name)(**{one: unbound(one, columns_of(one)) for one in inputs_of(name)}), dialect)


@pytest.fixture
def platinum(table_of, reference, rows, shares_of):
    """`platinum(<table>, <input>=[{...}], ...)`: the rows of a table, in DuckDB; inputs that are not given are parameters, or empty."""

    def compute(name, **said):
        def given(one):
            place = DOMAIN / "platinum" / f"{one}.odcs.yaml"
            layer = "platinum" if place.exists() else "gold"
            if one == "quarantined_share":
                return shares_of(*said.get(one, ()))
            is_table = (DOMAIN / layer / f"{one}.odcs.yaml").exists()
            return table_of(layer, one, *said.get(one, ())) if is_table else reference(one)

        return rows(asset_of(name)(**{one: given(one) for one in inputs_of(name)}))

    return compute


@pytest.fixture(scope="session")
def warehouse(installation):
    """A connection to the PostgreSQL of the installation, for temporary tables."""
    with installation.postgres.connect(SUPERUSER, autocommit=True) as connection:
        yield connection


@pytest.fixture
def in_postgres(warehouse: psycopg.Connection):
    """`in_postgres.put(name, rows)` and `in_postgres.made(name)`: temporary tables typed by contract, and a table of platinum computed over them."""

    class Here:
        def put(self, name, lines):
            columns = columns_of(name)
            typed = ", ".join(f'"{column}" {POSTGRES.get(kind, kind)}' for column, kind in columns)
            warehouse.execute(f'DROP TABLE IF EXISTS pg_temp."{name}"')
            warehouse.execute(f'CREATE TEMP TABLE "{name}" ({typed})')
            with warehouse.cursor().copy(f'COPY pg_temp."{name}" FROM STDIN') as copy:
                for line in lines:
                    copy.write_row([line[column] for column, _kind in columns])

        def made(self, name):
            typed = ", ".join(f'"{column}"::{POSTGRES.get(kind, kind)} AS "{column}"' for column, kind in columns_of(name))
            found = warehouse.execute(f"SELECT {typed} FROM ({sql(name, 'postgres')}) AS computed")
            return [dict(zip((column.name for column in found.description), line, strict=True)) for line in found.fetchall()]

    return Here()
