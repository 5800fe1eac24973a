"""A zombie: a run that lost its customer's lock to a later one and goes on writing. Its commits are refused; nothing of it is seen.

Two ways to lose it: the connection that held the lock was cut, or a later run took the fence while the old connection still lives.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from partitions.errors import BusyError, FencedError
from resources import lake, versions
from resources.postgres import WRITER
from resources.session import Session
from tests.faults.writing import INVENTORY, write_all, write_bronze, write_gold, write_platinum, write_publication
from tests.installation import Installation, inventory
from tests.lake import session_for

NAME = "fenced"


@pytest.fixture(scope="module", autouse=True)
def customer(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> None:
    """One bronze version of one row, one gold version of three rows, one platinum version, all live: the last good state."""
    installation.declare(NAME)
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path_factory.mktemp("fenced") / "1.csv", {"equipment_id": "first"})])
    good = session_for(installation, NAME)
    write_all(good)
    good.close()


def cut_the_lock(installation: Installation, zombie: Session) -> None:
    with installation.superuser() as connection:
        assert connection.execute("SELECT pg_terminate_backend(%s, 5000)", [zombie.lock.info.backend_pid]).fetchone() == (True,)


def outrun(installation: Installation, zombie: Session) -> None:
    with installation.postgres.connect(WRITER, customer=NAME, autocommit=True) as later:
        later.execute("SELECT platform.take_fence(%s, 'later')", [NAME])


@pytest.fixture
def zombie(installation: Installation) -> Iterator[Session]:
    session = session_for(installation, NAME)
    assert session.con
    assert session.warehouse
    yield session
    session.close()


def state(installation: Installation) -> dict[str, object]:
    """What readers and later runs could see of this customer."""
    one = {"customer": NAME, "role": WRITER}
    return {
        "versions": installation.versions(NAME),
        "live": installation.query("SELECT table_name, version, previous_version FROM platform.live_version ORDER BY 1", **one),
        "publications": installation.query("SELECT publication_id FROM platform.publication ORDER BY 1", **one),
        "gold": installation.query("SELECT version, count(*) AS n FROM greenit_gold.impact GROUP BY 1 ORDER BY 1", **one),
        "platinum": installation.query("SELECT version, count(*) AS n FROM greenit_platinum.top_contributors GROUP BY 1 ORDER BY 1", **one),
    }


@pytest.mark.parametrize("lose", [cut_the_lock, outrun])
@pytest.mark.parametrize("write", [write_bronze, write_gold, write_platinum, write_publication])
def test_what_a_zombie_commits_is_refused_and_not_seen(installation: Installation, zombie: Session, tmp_path: Path, lose, write) -> None:
    number = len(list((installation.settings.landing_root / NAME).rglob("*.csv"))) + 1
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "n.csv", {"equipment_id": f"later-{number}"})])  # bronze has something to write
    if write is write_publication:
        publishable(zombie)
    before = state(installation)
    lose(installation, zombie)
    with pytest.raises(FencedError, match=f"customer {NAME}.*later run") as refused:
        write(zombie, 2) if write in (write_gold, write_platinum) else write(zombie)
    assert "CANARY" not in str(refused.value)
    assert state(installation) == before


def publishable(session: Session) -> None:
    """A new checked gold version with its platinum, so that publishing would move pointers."""
    for write in (write_gold, write_platinum):
        version = write(session, 4 + session.fence % 5)
        versions.set_verdict(session.lock, NAME, version, "passed")


def test_a_later_run_takes_over_and_its_work_is_what_counts(installation: Installation, tmp_path: Path) -> None:
    """A holds lock and fence; its connection is cut; B writes and publishes; A, which knows nothing, comes back."""
    a, b = session_for(installation, NAME), session_for(installation, NAME)
    try:
        assert a.con
        first = a.fence
        cut_the_lock(installation, a)
        assert b.fence == first + 1
        publishable(b)
        write_publication(b)
        of_b = state(installation)
        with pytest.raises(FencedError):
            write_gold(a, 2)
        with pytest.raises(FencedError):
            a.assert_fence()
        assert state(installation) == of_b
    finally:
        a.close()
        b.close()


def test_a_zombie_that_was_outrun_between_its_check_and_the_lakes_commit_registers_nothing(
    installation: Installation, zombie: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lake and the registry are two transactions: the lake's head may move, but no version names that snapshot, so no run ever reads it."""
    known = versions.newest(zombie.lock, NAME, INVENTORY.spec.qualified, passed=True)
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "n.csv", {"equipment_id": "of the zombie"})])
    monkeypatch.setattr(lake, "failpoint", lambda name: outrun(installation, zombie) if name == "lake.before_commit" else None)
    before = state(installation)
    with pytest.raises(FencedError):
        write_bronze(zombie)
    assert state(installation) == before
    assert zombie.con.execute(f"SELECT equipment_id FROM lake.{INVENTORY.spec.qualified}").fetchall() == [("of the zombie",)]  # the head did move
    zombie.close()

    later = session_for(installation, NAME)
    try:
        assert lake.version_to_read(later, INVENTORY.spec) == known
        lake.read(later, INVENTORY.spec, known)
        assert later.con.execute("SELECT equipment_id FROM equipment_inventory").fetchall() == [("first",)]
        monkeypatch.undo()
        version = write_bronze(later)
        assert version.version > known.version
        assert later.con.execute(f"SELECT count(*) FROM lake.{INVENTORY.spec.qualified}").fetchone() == (1,)
    finally:
        later.close()


def test_a_second_run_waits_and_then_says_that_the_customer_is_busy(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.session.LOCK_SECONDS", 0.5)
    holder, second = session_for(installation, NAME), session_for(installation, NAME)
    try:
        before = (holder.fence, state(installation))
        with pytest.raises(BusyError, match=f"customer {NAME}.*another run"):
            second.assert_fence()
        done = installation.run(NAME, ["greenit/bronze/equipment_inventory"])
        assert not done.success
        assert "another run of this customer is under way" in done.failures["greenit__bronze__equipment_inventory"]
        holder.assert_fence()  # nobody took the fence
        assert (holder.fence, state(installation)) == before
    finally:
        second.close()
        holder.close()


def test_the_lock_of_one_customer_holds_up_nobody_else(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.session.LOCK_SECONDS", 0.5)
    installation.declare("fenced_not")
    holder, other = session_for(installation, NAME), session_for(installation, "fenced_not")
    try:
        assert holder.fence
        assert other.fence == 1
    finally:
        other.close()
        holder.close()
