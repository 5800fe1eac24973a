"""kill -9 at every fail point: readers keep the last good state, and a rerun heals everything."""
from __future__ import annotations

import signal
from pathlib import Path

import pytest

from partitions.customers import customer as declared
from platform_assets.verification import verify
from resources.settings import PROJECT
from tests.fail_points import DRIVEN, fail_points
from tests.installation import LIVE, Installation, billing, inventory

NAME = "killed"
HIT = {  # which hit of a fail point is killed: the layer in the middle of the path rather than the first
    "lake.before_write": 2, "lake.after_insert": 2, "lake.before_commit": 2, "lake.after_commit": 2, "lake.after_register": 2,
}


IN_A_RUN = fail_points(*DRIVEN["tests/faults/test_kill.py"])


def test_every_fail_point_is_driven_by_a_module_that_is_there() -> None:
    assert fail_points() == fail_points(*(place for places in DRIVEN.values() for place in places))
    for module, places in DRIVEN.items():
        assert (PROJECT / module).is_file()
        assert all(fail_points(place) for place in places)


@pytest.fixture(scope="module")
def customer(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> str:
    installation.declare(NAME)
    folder = tmp_path_factory.mktemp("killed")
    installation.land(NAME, "cloud_billing", [billing(folder / "bill.csv", f"account-{NAME}", {})])
    installation.land(NAME, "equipment_inventory", [inventory(folder / "0.csv", {"quantity": 1})])
    assert installation.run(NAME).success
    return NAME


@pytest.mark.parametrize("name", IN_A_RUN)
def test_a_killed_run_shows_readers_nothing_and_the_next_run_heals(name: str, customer: str, installation: Installation, tmp_path: Path) -> None:
    before = installation.kpis(customer)
    quantity = 2 + IN_A_RUN.index(name)
    installation.land(customer, "equipment_inventory", [inventory(tmp_path / "next.csv", {"quantity": quantity})])

    assert installation.run_in_child(customer, f"{name}:kill9:{HIT.get(name, 1)}") == -signal.SIGKILL

    after = installation.kpis(customer)
    published = after != before
    assert published == (name == "publication.after_commit")
    assert len({row["version"] for row in after}) == 1

    healed = installation.run(customer)
    assert healed.success, healed.failures
    assert silver_quantity(installation, customer) == quantity
    assert installation.query("SELECT count(*) AS n FROM platform.live_version", customer=customer)[0]["n"] == LIVE
    assert leftovers(installation) == []
    assert verify(installation.postgres, {customer: declared(customer, installation.settings.customers)}).broken == []


def silver_quantity(installation: Installation, customer: str) -> int:
    from tests.lake import lake_rows

    return lake_rows(installation, customer, "SELECT sum(quantity) AS q FROM lake.greenit_silver.equipment")[0]["q"]


def leftovers(installation: Installation) -> list[str]:
    """Tables that no migration made."""
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute("SELECT relname FROM pg_class WHERE relname LIKE 'arriving%' OR relname LIKE '%stage%'").fetchall()
    return [row[0] for row in rows]
