"""One version of a table of each layer, written as a run writes it, with rows that a test gives.

What belongs here: what tests of faults and recovery write without running a customer whole. What does not: expectations.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ibis.expr.types as ir

from partitions.customers import customer
from platform_assets.contracts import Contract, contract
from platform_assets.greenit.bronze import equipment_inventory
from platform_assets.greenit.gold import impact
from platform_assets.greenit.platinum import top_contributors
from platform_assets.publication import publish
from platform_assets.verification import verify
from resources import lake, versions, warehouse
from resources.expressions import unbound, unbound_table
from resources.invariants import Finding
from resources.session import Session
from resources.storage import landing_name, pg_type
from tests.contracts.building import as_arrow, clean_rows
from tests.installation import Installation, inventory
from tests.lake import session_for

INVENTORY, IMPACT, TOP = (contract(module.__file__) for module in (equipment_inventory, impact, top_contributors))


def write_bronze(session: Session) -> versions.Version:
    columns = [(column.name, column.type) for column in INVENTORY.columns]
    expression = equipment_inventory.equipment_inventory.op.compute_fn.decorated_fn(unbound(landing_name(INVENTORY.table), columns))
    return lake.write(session, INVENTORY.spec, expression)[0]


def write_gold(session: Session, rows: int = 3) -> versions.Version:
    session.con.register("given_impact", as_arrow(IMPACT.spec, clean_rows(IMPACT, rows)))
    return warehouse.write_gold(session, IMPACT.spec, given(IMPACT))[0]


def write_platinum(session: Session, rows: int = 3) -> versions.Version:
    columns = ", ".join(f'"{c.name}" {pg_type(c.type)}' for c in TOP.columns)
    session.warehouse.execute(f"CREATE TEMP TABLE IF NOT EXISTS given_top_contributors ({columns})")
    with session.warehouse.cursor() as cursor:
        cursor.executemany(f"INSERT INTO given_top_contributors VALUES ({', '.join(['%s'] * len(TOP.columns))})",
                           [list(row.values()) for row in clean_rows(TOP, rows)])
    session.warehouse.commit()
    return warehouse.write_platinum(session, TOP.spec, given(TOP))[0]


def given(made: Contract) -> ir.Table:
    return unbound(f"given_{made.table}", [(c.name, c.type) for c in made.columns]).select(*unbound_table(made.spec).columns)


def write_publication(session: Session) -> tuple:
    return publish(session, "greenit", [IMPACT.spec.qualified, TOP.spec.qualified])


def write_all(session: Session, rows: int = 3) -> tuple:
    """A version of each, checked and published; returns what went live."""
    for write in (write_bronze, lambda s: write_gold(s, rows), lambda s: write_platinum(s, rows)):
        version = write(session)
        versions.set_verdict(session.lock, session.customer_id, version, "passed")
    return write_publication(session)


@contextmanager
def published(installation: Installation, name: str, folder: Path, **declared: Any) -> Iterator[str]:
    """A customer with three published rows; its file goes afterwards, since tests of all customers need not meet it."""
    installation.declare(name, **declared)
    installation.land(name, "equipment_inventory", [inventory(folder / "1.csv", {})])
    session = session_for(installation, name)
    write_all(session)
    session.close()
    yield name
    (installation.settings.customers / f"{name}.yaml").unlink()


def broken(installation: Installation, name: str) -> list[Finding]:
    """What the checker of invariants finds broken of a customer, contents included."""
    found = verify(installation.postgres, {name: customer(name, installation.settings.customers)}, contents=True)
    assert found.unseen == {}
    return found.broken
