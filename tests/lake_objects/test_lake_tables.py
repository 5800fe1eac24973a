"""Tables of a customer's lake: made together, asked for once, held to their contracts one by one."""
from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from partitions.errors import ContractError
from platform_assets import greenit
from platform_assets.composition import tables_of
from resources import lake
from resources.expressions import unbound_table
from resources.lake_tables import drop_table, ensure_table
from resources.quarantine import QUARANTINE
from resources.session import Session
from resources.storage import Column, TableSpec
from tests.faults.writing import INVENTORY, write_bronze
from tests.installation import Installation, inventory
from tests.lake import session_for

SPECS = tuple(made.spec for _, made in tables_of(greenit) if made.spec.in_lake)
NAMES = {spec.qualified for spec in SPECS} | {f"{spec.schema}.{QUARANTINE}" for spec in SPECS}


@pytest.fixture
def session(installation: Installation, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Of a customer of the test's own, who has no tables yet."""
    name = f"lt{zlib.crc32(request.node.name.encode()):08x}"
    installation.declare(name)
    made = session_for(installation, name)
    made.lake_specs = SPECS
    yield made
    made.close()
    (installation.settings.customers / f"{name}.yaml").unlink()


def snapshots(session: Session) -> int:
    return session.con.execute("SELECT count(*) FROM lake.snapshots()").fetchone()[0]


def tables(session: Session) -> set[str]:
    """As the lake tells, not as the session remembers."""
    found = session.con.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'lake'").fetchall()
    return {name for (name,) in found if not name.startswith("lake_")}


def ensure(session: Session, spec: TableSpec) -> None:
    ensure_table(session, spec, unbound_table(spec))


def test_the_first_table_of_a_run_brings_all_others_in_one_snapshot(session: Session) -> None:
    before = snapshots(session)
    ensure(session, INVENTORY.spec)
    assert tables(session) == NAMES == session.empty
    assert snapshots(session) == before + 1
    for spec in SPECS:
        ensure(session, spec)
    assert snapshots(session) == before + 1


def test_a_table_that_came_with_a_release_is_made_beside_those_that_hold_rows(session: Session, installation: Installation, tmp_path: Path) -> None:
    session.lake_specs = SPECS[:-1]
    installation.land(session.customer_id, "equipment_inventory", [inventory(tmp_path / "1.csv", {}, {})])
    written = write_bronze(session)
    assert SPECS[-1].qualified not in tables(session)
    later = session_for(installation, session.customer_id)
    session.close()
    later.lake_specs = SPECS
    ensure(later, SPECS[-1])
    assert (tables(later), later.empty) == (NAMES, {SPECS[-1].qualified})
    rows = later.con.execute(f"SELECT count(*) FROM lake.{INVENTORY.spec.qualified}").fetchone()[0]
    later.close()
    assert rows == written.row_count == 2


def test_a_table_that_was_dropped_is_made_again_and_not_taken_for_empty_once_it_was_written(
    session: Session, installation: Installation, tmp_path: Path
) -> None:
    ensure(session, INVENTORY.spec)
    drop_table(session, INVENTORY.spec.qualified)
    assert tables(session) == NAMES - {INVENTORY.spec.qualified}
    installation.land(session.customer_id, "equipment_inventory", [inventory(tmp_path / "1.csv", {}, {}, {})])
    assert write_bronze(session).row_count == 3
    assert INVENTORY.spec.qualified not in session.empty
    session.run = replace(session.run, recomputes=True)
    installation.land(session.customer_id, "equipment_inventory", [inventory(tmp_path / "2.csv", {})])
    assert write_bronze(session).row_count == 1
    assert session.con.execute(f"SELECT count(*) FROM lake.{INVENTORY.spec.qualified}").fetchone()[0] == 1


def test_a_table_that_differs_from_its_contract_stops_itself_alone(session: Session) -> None:
    ensure(session, INVENTORY.spec)
    other = replace(INVENTORY.spec, columns=(*(c for c in INVENTORY.spec.columns if c.name != "quantity"), Column("quantity", "bigint", False, "internal")))
    with pytest.raises(ContractError, match="not the contract's") as refused:
        ensure(session, other)
    assert (refused.value.place["table"], refused.value.place["column"]) == (INVENTORY.spec.qualified, "quantity")
    ensure(session, SPECS[0])


def test_a_column_that_was_added_is_there_for_the_next_look(session: Session) -> None:
    ensure(session, INVENTORY.spec)
    wider = replace(INVENTORY.spec, columns=(*INVENTORY.spec.columns, Column("colour", "varchar", False, "internal")))
    ensure(session, wider)
    before = snapshots(session)
    ensure(session, wider)
    assert snapshots(session) == before
    assert lake.check_rows(session, wider, f"lake.{wider.qualified}") is None
