"""PostgreSQL dies, or a connection does, at the worst moment: readers keep what they had, nothing is written twice, the next run heals."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest

from partitions.errors import FencedError
from platform_assets import publication
from platform_assets.collection import collect_customer
from resources import lake, versions, warehouse
from resources.postgres import EmbeddedServer, Postgres
from resources.session import Session
from tests.faults.proxy import CommitCutter
from tests.faults.reading import polling
from tests.faults.writing import IMPACT, INVENTORY, TOP, broken, published, write_bronze, write_gold, write_platinum, write_publication
from tests.installation import Installation, inventory
from tests.lake import session_for

numbers = iter(range(1, 100))


@pytest.fixture
def name(installation: Installation, tmp_path: Path) -> Iterator[str]:
    with published(installation, f"unserved{next(numbers)}", tmp_path) as made:
        yield made


def shown(installation: Installation, name: str) -> list[int]:
    rows = installation.query("SELECT version FROM platform.live_version ORDER BY table_name", customer=name)
    return [row["version"] for row in rows]


def publishable(session: Session, rows: int) -> None:
    for write in (write_gold, write_platinum):
        versions.set_verdict(session.lock, session.customer_id, write(session, rows), "passed")


def crashing(installation: Installation, point: str) -> tuple[Callable[[str], None], list[str]]:
    """A fail point's stand-in that ends the server as a crash does, once, and starts it again; and the list that says whether it did."""
    server = EmbeddedServer(installation.settings, lambda _role: "")
    dead: list[str] = []

    def crash(at: str) -> None:
        if at == point and not dead:
            dead.append(at)
            server._run("pg_ctl", "-w", "-D", str(server.data), "-m", "immediate", "stop")
            server.start()

    return crash, dead


@pytest.mark.parametrize("point", ["warehouse.after_stream", "publication.before_commit"])
def test_a_server_that_dies_while_gold_loads_or_pointers_move_keeps_the_old_figures(
    installation: Installation, name: str, point: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`pg_ctl -m immediate` is a crash: no connection is ended in order, and the server recovers from its log when it starts."""
    crash, dead = crashing(installation, point)
    for module in (warehouse, publication):
        monkeypatch.setattr(module, "failpoint", crash)
    before = shown(installation, name)
    session = session_for(installation, name)
    if point.startswith("publication"):
        publishable(session, 5)
    with polling(installation, name, "top_contributors") as seen, pytest.raises((psycopg.OperationalError, FencedError)):
        write_publication(session) if point.startswith("publication") else write_gold(session, 5)
    session.close()
    assert dead == [point]
    assert (shown(installation, name), seen.empty, seen.mixed, seen.rows) == (before, 0, 0, {3})
    assert seen.unanswered > 0
    assert broken(installation, name) == []

    later = session_for(installation, name)
    publishable(later, 5)
    write_publication(later)
    later.close()
    assert shown(installation, name) != before
    assert broken(installation, name) == []


@pytest.mark.parametrize("point", ["lake.before_commit", "lake.after_commit"])
def test_a_server_that_dies_while_the_lake_is_written_loses_no_row_and_writes_none_twice(
    installation: Installation, name: str, point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The catalog and the lock die with the server; what was committed and not registered is replaced."""
    crash, dead = crashing(installation, point)
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "2.csv", {"equipment_id": "x"}, {"equipment_id": "y"})])
    before = installation.versions(name)
    session = session_for(installation, name)
    with monkeypatch.context() as failing:
        failing.setattr(lake, "failpoint", crash)
        with pytest.raises((psycopg.OperationalError, duckdb.Error, FencedError)):
            write_bronze(session)
    session.close()
    assert (dead, installation.versions(name)) == ([point], before)
    assert broken(installation, name) == []
    later = session_for(installation, name)
    assert write_bronze(later).row_count == 2
    assert later.con.execute(f"SELECT equipment_id FROM lake.{INVENTORY.spec.qualified} ORDER BY 1").fetchall() == [("x",), ("y",)]
    later.close()
    assert len(installation.versions(name)[INVENTORY.spec.qualified]) == len(before[INVENTORY.spec.qualified]) + 1
    assert broken(installation, name) == []


@pytest.mark.parametrize("days", [-1, 366])
def test_versions_and_deliveries_go_by_their_numbers_whatever_the_clock_said(installation: Installation, name: str, tmp_path: Path, days: int) -> None:
    """F10: all that there is was written while the server's clock was days ahead or behind; then it was set right."""
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        for table, column in (("table_version", "created_at"), ("publication", "published_at"), ("delivery", "landed_at")):
            connection.execute(f"UPDATE platform.{table} SET {column} = {column} + %s * interval '1 day' WHERE customer_id = %s", [days, name])
    before = shown(installation, name)
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "2.csv", {"equipment_id": "newer"})])
    session = session_for(installation, name)
    write_bronze(session)
    publishable(session, 5)
    write_publication(session)
    assert session.con.execute(f"SELECT equipment_id FROM lake.{INVENTORY.spec.qualified}").fetchall() == [("newer",)]
    session.close()
    assert all(now > then for now, then in zip(shown(installation, name), before, strict=True))
    collect_customer(session_for(installation, name))
    assert broken(installation, name) == []


def through(installation: Installation, cutter: CommitCutter, name: str) -> Session:
    """A session whose connections all go through the proxy."""
    made = session_for(installation, name)
    made.settings = replace(installation.settings, runtime=cutter.folder)
    made.postgres = Postgres(made.settings)
    return made


@pytest.mark.parametrize("write", [write_gold, write_platinum])
def test_a_version_whose_commit_was_not_answered_is_found_and_not_written_twice(
    installation: Installation, name: str, cutter: CommitCutter, write: Callable[[Session, int], versions.Version], monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = (IMPACT if write is write_gold else TOP).spec.qualified
    before = installation.versions(name)[table]
    session = through(installation, cutter, name)
    monkeypatch.setattr(warehouse, "failpoint", lambda at: cutter.arm() if at.endswith(".before_commit") else None)
    with pytest.raises((psycopg.OperationalError, FencedError)):
        write(session, 5)
    assert cutter.cuts == 1
    session.close()
    [committed] = [one for one in installation.versions(name)[table] if one not in before]
    assert committed[1] == "pending"  # so nobody reads it until it is checked
    later = session_for(installation, name)
    assert write(later, 5).version == committed[0]
    later.close()
    assert len(installation.versions(name)[table]) == len(before) + 1
    assert broken(installation, name) == []


def test_a_publication_whose_commit_was_not_answered_is_not_made_twice(installation: Installation, name: str, cutter: CommitCutter) -> None:
    before = shown(installation, name)
    session = through(installation, cutter, name)
    publishable(session, 5)
    cutter.arm()
    with polling(installation, name, "top_contributors") as seen, pytest.raises((psycopg.OperationalError, FencedError)):
        write_publication(session)
    session.close()
    moved = shown(installation, name)
    assert (moved != before, cutter.cuts) == (True, 1)
    assert (seen.empty, seen.mixed, seen.unanswered) == (0, 0, 0)
    later = session_for(installation, name)
    number, _ = write_publication(later)
    later.close()
    assert number is None
    assert (shown(installation, name), broken(installation, name)) == (moved, [])
