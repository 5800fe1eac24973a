"""The checker of invariants: each is broken on purpose on a customer made for it and found by name; whoever is whole has no finding."""
from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import customer
from platform_assets.verification import verify
from resources import lake_objects, versions
from resources.invariants import CONTENTS, Looked
from resources.orchestrator import instance
from resources.postgres import ORCHESTRATOR
from tests.faults.writing import IMPACT, INVENTORY, TOP, write_all, write_bronze
from tests.installation import Installation, billing, inventory
from tests.lake import session_for

DAYS = 3 * 86_400
numbers = iter(range(1, 1000))


@pytest.fixture
def whole(installation: Installation, tmp_path: Path) -> Iterator[str]:
    """A customer with one version in bronze, gold and platinum, published."""
    name = f"held{next(numbers)}"
    installation.declare(name)
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "1.csv", {}, {})])
    session = session_for(installation, name)
    write_all(session)
    session.close()
    yield name
    (installation.settings.customers / f"{name}.yaml").unlink()  # tests of all customers need not meet this one


def look(installation: Installation, name: str, contents: bool = False) -> Looked:
    return verify(installation.postgres, {name: customer(name, installation.settings.customers)}, contents)


def told(looked: Looked) -> list[tuple[str, str | None, str]]:
    return [(one.invariant, one.table, one.problem) for one in looked.broken]


def sql(installation: Installation, *statements: str) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        for statement in statements:
            connection.execute(statement)


def lake_file(installation: Installation, name: str) -> Path:
    [path] = Path(installation.settings.lake_path(name)).rglob("equipment_inventory/*.parquet")
    return path


def age(path: Path) -> None:
    os.utime(path, (time.time() - DAYS, time.time() - DAYS))


# the breaks: what each does to a whole customer


def rows_deleted(installation: Installation, name: str) -> None:
    sql(installation, f"DELETE FROM greenit_platinum.top_contributors WHERE customer_id = '{name}' AND rank = (SELECT min(rank) FROM "
        f"greenit_platinum.top_contributors WHERE customer_id = '{name}')")


def verdict_taken_back(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.table_version SET verdict = 'failed' WHERE customer_id = '{name}' AND table_name = '{IMPACT.spec.qualified}'")


def computed_from_other_gold(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.table_version SET inputs = '{{\"{IMPACT.spec.qualified}\": 1}}' WHERE customer_id = '{name}' "
        f"AND table_name = '{TOP.spec.qualified}'")


def pointer_moved_alone(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.publication SET versions = jsonb_set(versions, '{{{IMPACT.spec.qualified}}}', '1') WHERE customer_id = '{name}'")


def lake_file_cut(installation: Installation, name: str) -> None:
    path = lake_file(installation, name)
    path.write_bytes(path.read_bytes()[:-1])


def rows_not_accounted(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.table_version SET rows_in = rows_in + 1 WHERE customer_id = '{name}' AND rows_in IS NOT NULL")


def delivered_file_gone(installation: Installation, name: str) -> None:
    [path] = (installation.settings.landing_root / name).rglob("*.csv")
    path.unlink()


def delivered_rows_differ(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.delivery SET rows = 7 WHERE customer_id = '{name}'")


def delivered_file_never_loaded(installation: Installation, name: str) -> None:
    installation.land(name, "equipment_inventory", [inventory(installation.settings.home / f"{name}.csv", {"site": "Paris"})])
    sql(installation, f"UPDATE platform.delivery SET landed_at = landed_at - interval '3 days' WHERE customer_id = '{name}' AND sequence = 2")


def rows_without_version(installation: Installation, name: str) -> None:
    sql(installation, *(f"DELETE FROM platform.{table} WHERE customer_id = '{name}'" for table in ("live_version", "release", "publication")),
        f"DELETE FROM platform.table_version WHERE customer_id = '{name}' AND table_name = '{TOP.spec.qualified}'")


def landing_draft_left(installation: Installation, name: str) -> None:
    folder = installation.settings.landing_root / name / ".incoming" / "cut-off"
    folder.mkdir(parents=True)
    age(folder)


def lake_file_of_nobody(installation: Installation, name: str) -> None:
    path = lake_file(installation, name)
    age(Path(shutil.copy(path, path.with_name("ducklake-of-nobody.parquet"))))


def lake_file_gone(installation: Installation, name: str) -> None:
    lake_file(installation, name).unlink()


def scratch_left(installation: Installation, name: str) -> None:
    folder = installation.settings.temp_root / f"{name}-deadbeef"
    folder.mkdir(parents=True)
    age(folder)


def fences_out_of_order(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.fence SET fence = 9 WHERE customer_id = '{name}'",
        f"UPDATE platform.table_version SET fence = 5 WHERE customer_id = '{name}' AND table_name = '{IMPACT.spec.qualified}'")


def fence_of_nobody(installation: Installation, name: str) -> None:
    sql(installation, f"UPDATE platform.table_version SET fence = 70 WHERE customer_id = '{name}'")


def sums_that_differ(installation: Installation, name: str) -> None:
    table = "greenit_gold.reconciliation"
    sql(installation, f"""INSERT INTO {table} (customer_id, version, control, subject, expected, actual, tolerance, difference)
            SELECT '{name}', 1, control, 'x', 10, actual, 0.01, actual - 10 FROM (VALUES ('billed_cost', 10.2), ('host_shares', 10.05), ('metered_energy', 1)) v
            (control, actual)""",
        f"""INSERT INTO platform.table_version (customer_id, table_name, version, run_id, code_version, parameter_version, contract_version, inputs, row_count,
            quarantined_count, content_hash, verdict, fence) VALUES ('{name}', '{table}', 1, 'r', 'c', 'p', '1', '{{}}', 3, 0, 'h', 'passed', 1)""",
        f"UPDATE platform.publication SET versions = versions || '{{\"{table}\": 1}}' WHERE customer_id = '{name}'",
        f"INSERT INTO platform.live_version SELECT '{name}', '{table}', 1, NULL, false, max(publication_id) FROM platform.publication WHERE customer_id = '{name}'")


Break = Callable[[Installation, str], None]
BREAKS: list[tuple[Break, str, str | None, str]] = [
    (rows_deleted, "I1", TOP.spec.qualified, "has 2 rows where 3 were written"),
    (verdict_taken_back, "I1", IMPACT.spec.qualified, "its verdict is failed"),
    (computed_from_other_gold, "I1", TOP.spec.qualified, f"was computed from version 1 of {IMPACT.spec.qualified}"),
    (pointer_moved_alone, "I1", IMPACT.spec.qualified, "the newest publication shows 1"),
    (lake_file_cut, "I1", INVENTORY.spec.qualified, "has another size than was written"),
    (rows_not_accounted, "I3", INVENTORY.spec.qualified, "has 3 rows in, but 2 loaded and 0 quarantined"),
    (delivered_file_gone, "I3", "equipment_inventory", "is gone"),
    (delivered_rows_differ, "I3", INVENTORY.spec.qualified, "2 rows are loaded or quarantined of the file"),
    (delivered_file_never_loaded, "I3", INVENTORY.spec.qualified, "none of its rows is loaded or quarantined"),
    (rows_without_version, "I5", TOP.spec.qualified, "3 rows belong to no version"),
    (landing_draft_left, "I5", None, "a landing that was cut off"),
    (lake_file_of_nobody, "I5", None, "1 files of the lake are named by no snapshot"),
    (lake_file_gone, "I5", INVENTORY.spec.qualified, "is gone"),
    (scratch_left, "I5", None, "1 scratch folders of runs that died"),
    (fences_out_of_order, "I7", TOP.spec.qualified, "has fence 1, and an older version has 5"),
    (fence_of_nobody, "I7", INVENTORY.spec.qualified, "has fence 70, and the newest that was taken is 1"),
    (sums_that_differ, "I8", "greenit_gold.reconciliation", "1 sums that were published do not agree"),
]


@pytest.mark.parametrize(("broken", "invariant", "table", "problem"), BREAKS, ids=[one[0].__name__ for one in BREAKS])
def test_what_is_broken_is_found_and_named(installation: Installation, whole: str, broken: Break, invariant: str, table: str | None, problem: str) -> None:
    broken(installation, whole)
    found = look(installation, whole)
    named = [one for one in found.broken if one.invariant == invariant and one.table == table and problem in one.problem]
    assert named, told(found)
    assert {one.customer for one in found.broken} == {whole}
    assert all(one.fix for one in named)
    assert {one.invariant for one in found.broken} == {invariant}


def test_bytes_that_changed_are_found_where_contents_are_read(installation: Installation, whole: str) -> None:
    """Sizes and counts stay as they were: only the hashes tell."""
    assert told(look(installation, whole, contents=True)) == []
    path = lake_file(installation, whole)
    bytes_ = bytearray(path.read_bytes())
    bytes_[bytes_.index(b"laptop")] ^= 1
    path.write_bytes(bytes_)
    sql(installation, f"UPDATE {IMPACT.spec.qualified} SET value = value + 1 WHERE customer_id = '{whole}'",
        f"UPDATE {TOP.spec.qualified} SET rank = rank + 10 WHERE customer_id = '{whole}'")
    assert told(look(installation, whole)) == []
    found = look(installation, whole, contents=True)
    assert [(one.invariant, one.table) for one in found.broken] == [("I1", INVENTORY.spec.qualified), ("I1", IMPACT.spec.qualified), ("I1", TOP.spec.qualified)]


def test_rows_of_an_owner_that_the_customer_does_not_list_are_found(installation: Installation, whole: str, tmp_path: Path) -> None:
    installation.land(whole, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{whole}", {}, {})])
    assert installation.run(whole, ["greenit/bronze/cloud_billing"]).success
    assert told(look(installation, whole)) == []
    installation.declare(whole, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["another"]}})
    assert told(look(installation, whole)) == [("I9", "greenit_bronze.cloud_billing", "2 rows belong to an owner that this customer does not list")]


def test_looking_takes_no_fence_and_passes_over_who_is_busy_or_was_never_applied(installation: Installation, whole: str) -> None:
    before = installation.query("SELECT fence, taken_at FROM platform.fence", customer=whole, role="strata_writer")
    look(installation, whole)
    assert installation.query("SELECT fence, taken_at FROM platform.fence", customer=whole, role="strata_writer") == before
    holder = session_for(installation, whole)
    try:
        assert holder.fence
        found = look(installation, whole)
    finally:
        holder.close()
    assert (found.unseen, found.broken) == ({whole: "a run is under way"}, [])
    path = installation.settings.customers / "nobody.yaml"
    shutil.copy(installation.settings.customers / f"{whole}.yaml", path)
    assert look(installation, "nobody").unseen == {"nobody": "never applied"}
    path.unlink()


def test_a_look_makes_no_catalog_where_there_is_none(installation: Installation) -> None:
    installation.declare("held_empty")
    assert look(installation, "held_empty").findings == []
    with installation.superuser(installation.postgres.names.lake) as connection:
        assert connection.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'lake_held_empty'::regnamespace").fetchone() == (0,)


# Dagster's memory


@pytest.fixture
def dagster_instance(installation: Installation) -> Iterator[dg.DagsterInstance]:
    before = dict(os.environ)
    opened = instance(installation.postgres)
    yield opened
    opened.dispose()
    os.environ.clear()
    os.environ.update(before)


def materialized(opened: dg.DagsterInstance, name: str, table: str, version: int) -> None:
    opened.report_runless_asset_event(dg.AssetMaterialization(table.replace("_", "/", 1).replace(".", "/").split("/"), partition=name,
                                                              metadata={"version": version}))


def test_a_materialization_without_its_version_is_found_and_a_version_without_one_is_noted(
    installation: Installation, whole: str, dagster_instance: dg.DagsterInstance,
) -> None:
    known = {name: found[-1][0] for name, found in installation.versions(whole).items()}
    assert {(one.invariant, one.table) for one in look(installation, whole).findings} == {("I12", name) for name in known}  # notes: Dagster has seen none
    for name, version in known.items():
        materialized(dagster_instance, whole, name, version)
    assert look(installation, whole).findings == []
    materialized(dagster_instance, whole, TOP.spec.qualified, 10**9)
    found = look(installation, whole)
    assert told(found) == [("I12", TOP.spec.qualified, f"Dagster's newest materialization names version {10**9}, which is not registered")]


def test_a_run_that_nobody_works_on_is_found_and_one_whose_lock_is_held_is_not(
    installation: Installation, whole: str, dagster_instance: dg.DagsterInstance,
) -> None:
    run = dg.DagsterRun(job_name="greenit_customer", run_id=f"{whole}-0000", status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": whole})
    dagster_instance.add_run(run)
    assert told(look(installation, whole)) == []  # it began a moment ago
    with installation.postgres.connect(ORCHESTRATOR, installation.postgres.names.dagster) as connection:
        connection.execute("UPDATE runs SET update_timestamp = update_timestamp - interval '10 minutes' WHERE run_id = %s", [run.run_id])
    [(invariant, table, problem)] = told(look(installation, whole))
    assert (invariant, table) == ("I6", None)
    assert "is STARTED since 10 minutes and nobody holds the customer's lock" in problem
    holder = session_for(installation, whole)
    try:
        assert holder.fence
        assert told(look(installation, whole)) == []
    finally:
        holder.close()
    dagster_instance.delete_run(run.run_id)


# the command


def test_the_command_names_what_it_finds_and_ends_with_1(installation: Installation, whole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = CliRunner()
    whole_said = runner.invoke(strata, ["verify", whole])
    assert whole_said.exit_code == 0, whole_said.output
    assert "1 of 1 customers looked at, 0 findings" in whole_said.output
    lake_file_gone(installation, whole)
    said = runner.invoke(strata, ["verify", whole, "--format", "json"])
    assert said.exit_code == 1
    document = json.loads(said.output)
    assert [(one["invariant"], one["customer"], one["table"]) for one in document["findings"] if not one["is_note"]] == [("I5", whole, INVENTORY.spec.qualified)]
    assert set(document["looked_at"]) <= set(CONTENTS)
    text = runner.invoke(strata, ["verify", whole])
    assert "equipment_inventory/ducklake-" in text.output
    assert "Fix: restore the file from a backup; or remove it and launch the customer" in text.output


# made anew (recovery R4 of one table, without a whole run)


def test_a_bronze_table_whose_file_is_gone_is_made_anew_although_its_deliveries_are_known(installation: Installation, whole: str) -> None:
    lake_file_gone(installation, whole)
    session = session_for(installation, whole)
    try:
        before = versions.newest(session.lock, whole, INVENTORY.spec.qualified)
        assert not lake_objects.stands(session, INVENTORY.spec, before)
        after = write_bronze(session)
        versions.set_verdict(session.lock, whole, after, "passed")
        assert (after.version > before.version, after.content_hash, after.row_count) == (True, before.content_hash, before.row_count)
        assert write_bronze(session) == versions.newest(session.lock, whole, INVENTORY.spec.qualified)  # and is known from then on
        assert session.con.execute(f"SELECT count(equipment_id) FROM lake.{INVENTORY.spec.qualified}").fetchone() == (2,)
    finally:
        session.close()
    found = look(installation, whole)
    assert found.broken == []
    assert [one.problem.partition(" of version ")[2] for one in found.findings if one.invariant == "I5"] == [f"{before.version} is gone"]  # a note
