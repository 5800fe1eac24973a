"""What may go live, and what is collected afterwards."""
from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from partitions.errors import PublicationError
from platform_assets.collection import collect_customer
from platform_assets.contracts import contract
from platform_assets.greenit.gold import impact
from platform_assets.greenit.platinum import kpi_monthly
from platform_assets.publication import publish
from resources import versions
from resources.postgres import READER, WRITER
from resources.session import Session
from resources.settings import PROJECT
from resources.versions import Version
from tests.installation import Installation, billing, inventory
from tests.lake import session_for

GOLD, PLATINUM = contract(impact.__file__).spec, contract(kpi_monthly.__file__).spec
TABLES = [GOLD.qualified, PLATINUM.qualified]
NAME, COLLECTED = "pub_a", "pub_gc"
DELIVERED = {"bronze/equipment_inventory", "bronze/cloud_billing", "silver/equipment", "silver/cloud_usage", "silver/site"}
SILENT = sorted(f"greenit/{name}" for path in (PROJECT / "platform_assets/greenit").glob("*/*.odcs.yaml") if path.parent.name in ("bronze", "silver")
                and (name := f"{path.parent.name}/{path.name.removesuffix('.odcs.yaml')}") not in DELIVERED)  # fmt: skip


@pytest.fixture
def session(installation: Installation) -> Iterator[Session]:
    """A session of a customer without any version."""
    if not (installation.settings.customers / f"{NAME}.yaml").exists():
        installation.declare(NAME)
    made = session_for(installation, NAME)
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        for table in ("live_version", "release", "publication", "table_version"):
            connection.execute(f"DELETE FROM platform.{table} WHERE customer_id = %s", [NAME])
    yield made
    made.close()


def register(session: Session, spec: Any, verdict: str, inputs: dict[str, int] | None = None, written: bool = True) -> Version:
    """A version in the registry, as if this run (`written`) or an earlier one had made it."""
    version = session.new_version(spec, [], content_hash="x", row_count=1)
    version.inputs.update(inputs or {})
    session.lock.execute(versions.insert_statement(NAME, version))
    if verdict != "pending":
        versions.set_verdict(session.lock, NAME, version, verdict)
    if written:
        session.written[spec.qualified] = version
    return version


def checked_pair(session: Session, written: bool = True) -> dict[str, int]:
    gold = register(session, GOLD, "passed", written=written)
    platinum = register(session, PLATINUM, "passed", {GOLD.qualified: gold.version}, written=written)
    return {GOLD.qualified: gold.version, PLATINUM.qualified: platinum.version}


def test_a_checked_pair_goes_live_and_the_one_before_is_remembered(session: Session) -> None:
    first = checked_pair(session)
    number, shown = publish(session, "greenit", TABLES)
    assert number is not None
    assert shown == versions.live(session.lock, NAME) == first
    second = checked_pair(session)
    assert publish(session, "greenit", TABLES)[0] > number
    rows = session.lock.execute("SELECT table_name, version, previous_version FROM platform.live_version").fetchall()
    assert {name: (live, previous) for name, live, previous in rows} == {name: (second[name], first[name]) for name in TABLES}


@pytest.mark.parametrize("verdict", ["pending", "failed"])
@pytest.mark.parametrize("layer", [GOLD, PLATINUM])
def test_a_version_of_this_run_that_did_not_pass_is_refused(session: Session, verdict: str, layer: Any) -> None:
    good = checked_pair(session)
    publish(session, "greenit", TABLES)
    checked_pair(session)
    register(session, layer, verdict, {GOLD.qualified: session.written[GOLD.qualified].version} if layer is PLATINUM else None)
    with pytest.raises(PublicationError, match=f"customer {NAME}, table {layer.qualified}.*verdict .* is {verdict}"):
        publish(session, "greenit", TABLES)
    assert versions.live(session.lock, NAME) == good


def test_what_an_earlier_run_left_unchecked_is_passed_over(session: Session) -> None:
    good = checked_pair(session, written=False)
    register(session, GOLD, "pending", written=False)
    register(session, PLATINUM, "failed", written=False)
    assert publish(session, "greenit", TABLES)[1] == good


def test_a_table_that_never_passed_is_refused(session: Session) -> None:
    register(session, GOLD, "passed")
    register(session, PLATINUM, "failed", written=False)
    with pytest.raises(PublicationError, match="no version of this table has passed"):
        publish(session, "greenit", TABLES)
    assert versions.live(session.lock, NAME) == {}


def test_platinum_that_was_computed_from_another_gold_is_refused(session: Session) -> None:
    good = checked_pair(session)
    publish(session, "greenit", TABLES)
    newer = register(session, GOLD, "passed")
    words = f"computed from version {good[GOLD.qualified]} of {GOLD.qualified}, not from version {newer.version}"
    with pytest.raises(PublicationError, match=words):
        publish(session, "greenit", TABLES)
    assert versions.live(session.lock, NAME) == good


def test_publishing_what_is_live_already_moves_nothing(session: Session) -> None:
    good = checked_pair(session)
    publish(session, "greenit", TABLES)
    before = session.lock.execute("SELECT * FROM platform.live_version ORDER BY table_name").fetchall()
    assert publish(session, "greenit", TABLES) == (None, good)
    assert session.lock.execute("SELECT * FROM platform.live_version ORDER BY table_name").fetchall() == before
    assert session.lock.execute("SELECT count(*) FROM platform.publication").fetchone() == (1,)


def test_all_pointers_move_or_none(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    good = checked_pair(session)
    publish(session, "greenit", TABLES)
    checked_pair(session)
    monkeypatch.setenv("FAILPOINT", "publication.before_commit:raise")
    with pytest.raises(RuntimeError, match="fail point"):
        publish(session, "greenit", TABLES)
    assert versions.live(session.lock, NAME) == good


# collection


@pytest.fixture(scope="module")
def collected(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Four published states of one customer (10, 20, 30, 40 laptops), then collection while a reader's transaction is open.

    A snapshot is the whole catalog's, so the one that a kept version names also keeps what the other tables had at that moment: sources that
    nobody delivers are empty from the first state on, and keep what that one had. The second state is what can go.
    """
    folder = tmp_path_factory.mktemp("collection")
    installation.declare(COLLECTED, reporting={"months": 1})
    for quantity in (10, 20, 30, 40):
        row = {"quantity": quantity, "site": f"Site {quantity}"}
        installation.land(COLLECTED, "equipment_inventory", [inventory(folder / f"{quantity}.csv", row)])
        installation.land(COLLECTED, "cloud_billing", [billing(folder / f"b{quantity}.csv", f"account-{COLLECTED}", {"ConsumedQuantity": str(quantity)})])
        assert installation.run(COLLECTED).success
    lake = Path(installation.settings.lake_path(COLLECTED))
    files = set(lake.rglob("*.parquet"))
    young, old = lake / "young.parquet", lake / "old.parquet"
    for path in (young, old):
        path.write_bytes(b"an orphan")
    os.utime(old, (time.time() - 3 * 86400,) * 2)
    found = {"versions": installation.versions(COLLECTED), "kpis": installation.kpis(COLLECTED), "files": files, "young": young, "old": old}
    query = "SELECT version, value FROM greenit_platinum.kpi_monthly_live ORDER BY 1, 2"
    with installation.postgres.connect(READER, customer=COLLECTED) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found["read_before"] = reader.execute(query).fetchall()
        found["result"] = collect_customer(session_for(installation, COLLECTED))
        found["read_after"] = reader.execute(query).fetchall()
    return found


def test_live_and_previous_versions_stay_and_older_ones_go(collected, installation: Installation) -> None:
    after = installation.versions(COLLECTED)
    for name in (GOLD.qualified, PLATINUM.qualified):
        assert len(collected["versions"][name]) == 4
        assert after[name] == collected["versions"][name][2:]
    removed = sum(map(len, collected["versions"].values())) - sum(map(len, after.values()))
    assert collected["result"].versions == removed > 0
    left = installation.query("SELECT DISTINCT version FROM greenit_gold.impact ORDER BY 1", customer=COLLECTED, role=WRITER)
    assert [row["version"] for row in left] == [version for version, *_ in after[GOLD.qualified]]


def test_what_a_kept_version_read_is_kept_too(collected, installation: Installation) -> None:
    """The previous state had 30 laptops: its inventory is still there to be looked at."""
    registry = installation.query("SELECT table_name, version, inputs, snapshot_id FROM platform.table_version", customer=COLLECTED, role=WRITER)
    known = {(row["table_name"], row["version"]): row for row in registry}
    assert all((name, version) in known for row in registry for name, version in row["inputs"].items())
    activity = sorted(version for name, version in known if name == "greenit_gold.activity")
    equipment = [known["greenit_silver.equipment", known["greenit_gold.activity", version]["inputs"]["greenit_silver.equipment"]] for version in activity]
    session = session_for(installation, COLLECTED)
    try:
        read = [session.con.execute(f"SELECT quantity FROM lake.greenit_silver.equipment AT (VERSION => {row['snapshot_id']})").fetchall() for row in equipment]
    finally:
        session.close()
    assert read == [[(30,)], [(40,)]]


def test_readers_notice_nothing(collected, installation: Installation) -> None:
    assert collected["read_before"] == collected["read_after"] != []
    assert installation.kpis(COLLECTED) == collected["kpis"]


def test_files_that_nothing_names_are_released_and_every_kept_version_can_be_read(collected, installation: Installation) -> None:
    gone = collected["files"] - set(Path(installation.settings.lake_path(COLLECTED)).rglob("*.parquet"))
    assert gone
    assert collected["result"].files == len(gone) + 1  # and the old orphan
    kept = installation.query("SELECT table_name, snapshot_id, row_count FROM platform.table_version WHERE snapshot_id IS NOT NULL", customer=COLLECTED, role=WRITER)
    states = Counter(row["table_name"] for row in kept)
    read = {f"greenit_{name}" for name in ("bronze.equipment_inventory", "bronze.cloud_billing", "silver.equipment", "silver.cloud_usage")}
    assert states == {name: 2 if name in read else 1 for name in states}  # what the figures of two states read; of what did not change the newest stays
    assert read < set(states)
    session = session_for(installation, COLLECTED)
    try:
        read = [session.con.execute(f"SELECT count(*) FROM lake.{row['table_name']} AT (VERSION => {row['snapshot_id']})").fetchone()[0] for row in kept]
    finally:
        session.close()
    assert read == [row["row_count"] for row in kept]


def test_an_orphan_is_removed_only_when_it_is_old(collected) -> None:
    assert collected["young"].exists()
    assert not collected["old"].exists()


def test_a_run_after_collection_finds_everything_and_makes_nothing_new(collected, installation: Installation) -> None:
    collected["young"].unlink()
    before = installation.versions(COLLECTED)
    done = installation.run(COLLECTED)
    assert done.success, done.failures
    assert installation.versions(COLLECTED) == before


def test_collecting_twice_removes_nothing_more(collected, installation: Installation) -> None:
    again = collect_customer(session_for(installation, COLLECTED))
    assert (again.versions, again.rows, again.files) == (0, 0, 0)


def test_newest_versions_are_kept_on_request(session: Session, installation: Installation) -> None:
    """Three unpublished pairs and `keep` two: the oldest pair goes."""
    pairs = [checked_pair(session, written=False) for _ in range(3)]
    session.close()
    assert collect_customer(session_for(installation, NAME), keep=2).versions == 2
    assert [version for version, *_ in installation.versions(NAME)[GOLD.qualified]] == [pair[GOLD.qualified] for pair in pairs[1:]]
