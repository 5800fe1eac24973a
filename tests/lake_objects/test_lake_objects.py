"""The lake's files have a hash each, which a reader compares: one flipped byte is found, and so is a file that is gone."""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from partitions.errors import IntegrityError
from platform_assets.collection import collect_customer
from platform_assets.contracts import contract
from resources import lake_objects, versions
from resources.session import Session
from resources.settings import PROJECT
from resources.storage import TableSpec
from resources.versions import Version
from tests.installation import Installation, inventory
from tests.lake import session_for

CUSTOMER, OTHER = "objects_a", "objects_b"
SPEC: TableSpec = contract(PROJECT / "platform_assets/greenit/silver/equipment.odcs.yaml").spec


@pytest.fixture(scope="module")
def computed(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Two customers with three laptops each in silver."""
    for name in (CUSTOMER, OTHER):
        installation.declare(name)
        installation.land(name, "equipment_inventory", [inventory(tmp_path_factory.mktemp(name) / "i.csv", {}, {}, {})])
        assert installation.run(name, ["greenit/bronze/equipment_inventory", "greenit/silver/equipment"]).success
    return installation


@pytest.fixture
def session(computed: Installation) -> Iterator[Session]:
    opened = session_for(computed, CUSTOMER)
    yield opened
    opened.close()


@pytest.fixture
def version(session: Session) -> Version:
    """The newest version of silver's equipment, its hashes freshly taken by a session that is not the reader's."""
    found = versions.newest(session.lock, CUSTOMER, SPEC.qualified)
    assert found is not None
    session.lock.execute("DELETE FROM platform.lake_object WHERE table_name = %s", [SPEC.qualified])
    assert lake_objects.record(session, SPEC, found) == 1
    session.trusted.clear()
    return found


def file_of(session: Session, version: Version) -> Path:
    [(path,)] = session.con.execute(f"SELECT data_file FROM ducklake_list_files('lake', 'equipment', schema => 'greenit_silver', "
                                    f"snapshot_version => {version.snapshot_id})").fetchall()
    return Path(path)


@pytest.fixture
def damaged(session: Session, version: Version) -> Iterator[Path]:
    """The version's file with one bit of one byte of its data flipped; whole again afterwards."""
    path = file_of(session, version)
    whole = path.read_bytes()
    place = whole.index(b"laptop")
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1:])
    yield path
    path.write_bytes(whole)


def test_the_hash_that_is_kept_is_the_files(session: Session, version: Version) -> None:
    path = file_of(session, version)
    [kept] = session.lock.execute("SELECT path, table_name, sha256, bytes FROM platform.lake_object WHERE table_name = %s", [SPEC.qualified]).fetchall()
    assert kept == (f"greenit_silver/equipment/{path.name}", SPEC.qualified, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


def test_a_file_is_read_once_per_session_and_recorded_once(session: Session, version: Version) -> None:
    size = file_of(session, version).stat().st_size
    assert [lake_objects.verify(session, SPEC, version) for _ in range(2)] == [size, 0]
    assert lake_objects.record(session, SPEC, version) == 0


def test_what_a_session_wrote_itself_is_not_read_again(session: Session, version: Version) -> None:
    session.lock.execute("DELETE FROM platform.lake_object WHERE table_name = %s", [SPEC.qualified])
    lake_objects.record(session, SPEC, version)
    assert lake_objects.verify(session, SPEC, version) == 0


def test_one_flipped_bit_that_duckdb_reads_without_a_word_is_found(session: Session, version: Version, damaged: Path) -> None:
    rows = session.con.execute(f"SELECT item_type, count(*) FROM lake.{SPEC.qualified} AT (VERSION => {version.snapshot_id}) GROUP BY 1").fetchall()
    assert rows == [("maptop", 3)]
    with pytest.raises(IntegrityError, match="no longer what was written") as caught:
        lake_objects.verify(session, SPEC, version)
    assert caught.value.place == {"customer": CUSTOMER, "table": SPEC.qualified, "file": f"greenit_silver/equipment/{damaged.name}"}
    assert "or remove it and launch the customer" in caught.value.fix


def test_a_file_that_is_gone_is_named(session: Session, version: Version) -> None:
    path = file_of(session, version)
    aside = path.rename(path.with_suffix(".aside"))
    try:
        with pytest.raises(IntegrityError, match=f"{path.name}.* is gone"):
            lake_objects.verify(session, SPEC, version)
    finally:
        aside.rename(path)
    assert lake_objects.verify(session, SPEC, version) == path.stat().st_size


def test_a_file_beside_the_recorded_ones_is_refused(session: Session, version: Version) -> None:
    """A second file that nobody recorded, in a version one of whose files was: it came past Strata."""
    session.con.execute("BEGIN")
    session.con.execute(f"INSERT INTO lake.{SPEC.qualified} FROM lake.{SPEC.qualified}")
    session.con.execute("COMMIT")
    head = session.con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0]
    try:
        with pytest.raises(IntegrityError, match="not written by Strata"):
            lake_objects.verify(session, SPEC, Version(**{**vars(version), "snapshot_id": head}))
        assert lake_objects.verify(session, SPEC, version) > 0
    finally:
        session.con.execute(f"DELETE FROM lake.{SPEC.qualified}")


def test_a_version_from_before_hashes_were_kept_is_taken_once_and_held_to_it_afterwards(session: Session, version: Version) -> None:
    session.lock.execute("DELETE FROM platform.lake_object WHERE table_name = %s", [SPEC.qualified])
    path = file_of(session, version)
    assert lake_objects.verify(session, SPEC, version) == path.stat().st_size
    session.trusted.clear()
    whole = path.read_bytes()
    path.write_bytes(whole + b"x")
    try:
        with pytest.raises(IntegrityError):
            lake_objects.verify(session, SPEC, version)
    finally:
        path.write_bytes(whole)


def test_another_customers_hashes_are_out_of_reach(computed: Installation, session: Session, version: Version) -> None:
    other = session_for(computed, OTHER)
    try:
        assert other.lock.execute("SELECT count(*) FROM platform.lake_object WHERE customer_id = %s", [CUSTOMER]).fetchone() == (0,)
        lake_objects.forget(other, [str(file_of(session, version))])
    finally:
        other.close()
    assert lake_objects.verify(session, SPEC, version) > 0


def test_garbage_collection_forgets_what_it_releases(computed: Installation, tmp_path: Path) -> None:
    name = "objects_gc"
    computed.declare(name)
    paths = []
    for count in (1, 2, 3):
        computed.land(name, "equipment_inventory", [inventory(tmp_path / f"{count}.csv", *[{}] * count)])
        assert computed.run(name, ["greenit/bronze/equipment_inventory", "greenit/silver/equipment"]).success
        opened = session_for(computed, name)
        found = versions.newest(opened.lock, name, SPEC.qualified)
        lake_objects.record(opened, SPEC, found)
        paths.append(f"greenit_silver/equipment/{file_of(opened, found).name}")
        opened.close()
    kept = "SELECT path FROM platform.lake_object WHERE table_name = 'greenit_silver.equipment' ORDER BY recorded_at"
    assert [row["path"] for row in computed.query(kept, customer=name, role="strata_writer")] == paths
    collect_customer(session_for(computed, name))
    # the newest snapshot of bronze, which stays, still holds the second state of silver
    assert [row["path"] for row in computed.query(kept, customer=name, role="strata_writer")] == paths[1:]
    assert [Path(computed.settings.lake_path(name), path).exists() for path in paths] == [False, True, True]
