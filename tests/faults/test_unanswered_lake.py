"""A COMMIT of the lake whose answer never comes: it was carried out, or it was not; the run finds out, writes once, and no later run is stuck.

DuckLake takes such a commit for failed and deletes the files of the transaction, while its catalog has the snapshot that names them.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import duckdb
import pytest

from partitions.errors import FencedError
from platform_assets.collection import collect_customer
from resources import lake
from resources.postgres import Postgres
from resources.session import Session
from tests.faults.proxy import CommitCutter
from tests.faults.writing import INVENTORY, broken, published, write_bronze
from tests.installation import Installation, billing, inventory
from tests.lake import lake_rows, session_for

numbers = count(1)
TABLE = INVENTORY.spec.qualified


@pytest.fixture
def name(installation: Installation, tmp_path: Path) -> Iterator[str]:
    """A published customer with a second delivery: two rows that bronze has to write, and one that it keeps back; beside it a row of another table
    waits in the same quarantine."""
    with published(installation, f"unanswered{next(numbers)}", tmp_path) as made:
        bill = billing(tmp_path / "bill.csv", f"account-{made}", {})
        bill.write_text(bill.read_text() + "broken line\n")
        installation.land(made, "cloud_billing", [bill])
        assert installation.run(made, ["greenit/bronze/cloud_billing"]).success
        second = inventory(tmp_path / "2.csv", {"equipment_id": "x"}, {"equipment_id": "y"})
        second.write_text(second.read_text() + "broken line\n")
        installation.land(made, "equipment_inventory", [second])
        yield made


@pytest.fixture
def session(installation: Installation, cutter: CommitCutter, name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """Only its lake goes through the proxy; the first commit of a table is cut."""
    made = session_for(installation, name)
    assert made.fence
    made.settings = replace(installation.settings, runtime=cutter.folder)
    made.postgres = Postgres(made.settings)
    monkeypatch.setattr(lake, "failpoint", lambda at: cutter.arm() if at == "lake.before_commit" and not cutter.cuts else None)
    yield made
    made.close()


def quarantined(installation: Installation, name: str) -> dict[str, int]:
    rows = lake_rows(installation, name, "SELECT table_name, count(*) AS n FROM lake.greenit_bronze.quarantine GROUP BY 1")
    return {row["table_name"]: row["n"] for row in rows}


def whole(installation: Installation, name: str, before: int) -> None:
    """One version more, its rows once, what others kept back still there."""
    assert len(installation.versions(name)[TABLE]) == before + 1
    assert [row["equipment_id"] for row in lake_rows(installation, name, f"SELECT equipment_id FROM lake.{TABLE} ORDER BY 1")] == ["x", "y"]
    assert quarantined(installation, name) == {"cloud_billing": 1, "equipment_inventory": 1}
    assert broken(installation, name) == []


def test_a_commit_that_was_carried_out_is_found_and_the_rows_are_written_once(
    installation: Installation, name: str, cutter: CommitCutter, session: Session,
) -> None:
    before = len(installation.versions(name)[TABLE])
    version = write_bronze(session)
    assert (cutter.cuts, version.row_count) == (1, 2)
    session.close()
    whole(installation, name, before)


def test_a_commit_that_never_came_there_is_told_and_the_next_try_writes(installation: Installation, name: str, cutter: CommitCutter, session: Session) -> None:
    before, cutter.is_carried_out = installation.versions(name), False
    with pytest.raises(duckdb.TransactionException):
        write_bronze(session)
    assert (cutter.cuts, installation.versions(name)) == (1, before)
    write_bronze(session)
    session.close()
    whole(installation, name, len(before[TABLE]))


def test_a_run_that_dies_with_its_commit_unanswered_leaves_no_customer_stuck(
    installation: Installation, name: str, session: Session, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It loses its lock too, so it repairs nothing: the head names files that are gone, and readers of versions do not notice."""
    before = installation.versions(name)

    def outrun(_session: Session, _spec: object) -> None:
        raise FencedError("a later run took this customer over", customer=name)

    with monkeypatch.context() as dying:
        dying.setattr(lake, "replace_lost", outrun)
        with pytest.raises(FencedError):
            write_bronze(session)
    session.close()
    with pytest.raises(duckdb.IOException, match="No such file"):
        lake_rows(installation, name, f"SELECT equipment_id FROM lake.{TABLE}")
    assert installation.versions(name) == before
    assert broken(installation, name) == []
    collect_customer(session_for(installation, name))  # the nightly upkeep comes first
    later = session_for(installation, name)
    write_bronze(later)
    later.close()
    whole(installation, name, len(before[TABLE]))
