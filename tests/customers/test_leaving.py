"""Leaving: shown first, then exported, erased and certified; whoever stays is untouched, and whoever comes back with a backup goes again.

Two customers with the same kinds of data, each with canaries; `leaves` goes and `stays` stays.
"""
from __future__ import annotations

import ast
import csv
import hashlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from partitions.errors import BusyError, ErasureError
from platform_assets.upkeep import cost
from resources.audit import head_file
from resources.erasure import held, remove
from resources.erasure_ledger import Erasure, ledger_file, synchronized
from resources.erasure_places import survey
from resources.orchestrator import instance
from resources.postgres import SUPERUSER, EmbeddedServer
from resources.settings import PROJECT
from tests.customers.conftest import Place
from tests.installation import inventory

LEAVES, STAYS = "leaves", "stays"
SELECTION = 'key:"greenit/bronze/equipment_inventory" or key:"greenit/bronze/cloud_billing" or key:"greenit/silver/equipment" or key:"greenit/silver/cloud_usage"'
# written by hand: what a publication of a platinum table leaves behind, which a launch of these four tables does not
PUBLISHED = """
    INSERT INTO platform.publication (customer_id, domain, run_id, versions) VALUES (%(name)s, 'greenit', 'r', '{}');
    INSERT INTO platform.table_version (customer_id, table_name, version, run_id, code_version, parameter_version, contract_version, inputs, row_count,
        quarantined_count, content_hash, fence) VALUES (%(name)s, 'greenit_platinum.equivalence', 1, 'r', '', '', '', '{}', 1, 0, '', 1);
    INSERT INTO platform.live_version (customer_id, table_name, version, publication_id)
        SELECT customer_id, 'greenit_platinum.equivalence', 1, publication_id FROM platform.publication WHERE customer_id = %(name)s;
    INSERT INTO greenit_platinum.equivalence VALUES (%(name)s, 1, '2024-09-01', 'GWP', 'location', 'CANARY-' || %(name)s, 'car_km', 'all', 12.5)"""


def fail_points() -> list[str]:
    """Those of a removal, in the order in which it meets them."""
    nodes = ast.walk(ast.parse((PROJECT / "resources" / "erasure.py").read_text(encoding="utf-8")))
    calls = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint"]
    return [call.args[0].value for call in sorted(calls, key=lambda call: call.lineno)]


@pytest.fixture(scope="module")
def two(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    files = tmp_path_factory.mktemp("leaving")
    for name in (LEAVES, STAYS):
        place.declare(name, direct_readers=True, encrypted=name == LEAVES)
    place.done("customers", "apply")
    for name in (LEAVES, STAYS):
        place.fill(name, files)
        refused = files / "refused.csv"
        refused.write_text(f"CANARY-{name}\n", encoding="utf-8")
        assert place.strata("land", name, "equipment_inventory", refused, "--period", "2024-10").exit_code == 1  # a refusal and a notice, told
    place.done("launch", STAYS, LEAVES, "--select", SELECTION)
    cost(place.made.postgres)
    for name in (LEAVES, STAYS):
        place.done("kpis", name, "--reason", f"CANARY-{name} asked")  # a row of the audit log, and a file with its head
    with place.made.superuser(place.made.postgres.names.warehouse) as connection:
        for name in (LEAVES, STAYS):
            for statement in PUBLISHED.split(";"):
                connection.execute(statement, {"name": name})
    return place


def everything_of(place: Place, name: str) -> dict[str, Any]:
    """Counts of every place, the bytes of every file, every row of the warehouse."""
    made = place.made
    roots = (made.settings.landing_root / name, Path(made.settings.lake_path(name)))
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for root in roots for path in sorted(root.rglob("*")) if path.is_file()}
    found = survey(made.postgres, instance(made.postgres), name)
    with made.superuser(made.postgres.names.warehouse) as connection:
        rows = {table: sorted(map(str, connection.execute(f"SELECT * FROM {table} WHERE customer_id = %s", [name]).fetchall())) for table in found.rows}
    return {"places": {key: value for key, value in vars(found).items() if key != "history"}, "files": files, "rows": rows}


def test_status_of_all_customers_is_one_line_each(two: Place) -> None:
    found = {one["customer"]: one for one in two.json("customers", "status", LEAVES, STAYS)}
    one = found[STAYS]
    assert (one["run_state"], one["freshness"], one["live_rows"], one["publication"] is not None) == ("SUCCESS", "untracked", 1, True)
    assert one["quarantine_open"] == 1  # the line whose ChargeCategory FOCUS does not know
    files = [path for path in Path(two.made.settings.lake_path(STAYS)).rglob("*.parquet")]
    with two.made.postgres.connect("strata_writer", customer=STAYS) as connection:
        assert one["lake_bytes"] == connection.execute("SELECT sum(bytes) FROM platform.lake_object").fetchone()[0]
    assert one["lake_bytes"] == sum(path.stat().st_size for path in files)
    assert STAYS in two.done("customers", "status")


def test_status_says_when_a_customer_is_due_next_and_whether_its_figures_are_held(two: Place) -> None:
    def status() -> dict[str, Any]:
        return two.json("customers", "status", STAYS)[0]

    assert (status()["next_due_at"], status()["is_held"]) == (None, False)
    try:
        two.declare(STAYS, direct_readers=True, schedule="30 5 1 1 *", time_zone="Asia/Kathmandu")  # UTC+5:45, without summer time
        due = datetime.fromisoformat(status()["next_due_at"])
        assert (due.month, due.day, due.hour, due.minute) == (12, 31, 23, 45)
        assert timedelta() < due - datetime.now(UTC) <= timedelta(days=366)
        assert f"{due:%Y-%m-%d %H:%M}" in two.done("customers", "status", STAYS)
        two.declare(STAYS, direct_readers=True, schedule="30 5 1 1 *", status="paused")
        assert status()["next_due_at"] is None
    finally:
        two.declare(STAYS, direct_readers=True)
    with two.made.superuser(two.made.postgres.names.warehouse) as connection:
        connection.execute("UPDATE platform.live_version SET is_pinned = true WHERE customer_id = %s", [STAYS])
        held, told = status()["is_held"], two.done("customers", "status", STAYS)
        connection.execute("UPDATE platform.live_version SET is_pinned = false WHERE customer_id = %s", [STAYS])
    assert held
    assert f"{status()['publication']}, held" in told


def test_encryption_is_decided_before_the_first_run(two: Place) -> None:
    """Parquet's mark of an encrypted footer is PARE; a plain file begins and ends with PAR1."""
    marks = {name: {path.read_bytes()[:4] for path in Path(two.made.settings.lake_path(name)).rglob("*.parquet")} for name in (LEAVES, STAYS)}
    assert marks == {LEAVES: {b"PARE"}, STAYS: {b"PAR1"}}
    two.declare(LEAVES, direct_readers=True, encrypted=False)
    refused = two.strata("customers", "plan")
    launched = two.strata("launch", LEAVES, "--select", 'key:"greenit/bronze/equipment_inventory"')
    two.declare(LEAVES, direct_readers=True, encrypted=True)
    assert (refused.exit_code, launched.exit_code) == (1, 1)
    assert "its lake is encrypted, which is decided before the first run" in refused.output
    assert "encryption of a lake is decided before its first run" in launched.output
    assert two.strata("customers", "plan").exit_code == 0


def test_a_dry_run_lists_every_place_and_changes_nothing(two: Place) -> None:
    before = everything_of(two, LEAVES), everything_of(two, STAYS)
    shown = two.json("customers", "remove", LEAVES)
    assert shown["partitions"] == [LEAVES]
    assert shown["roles"] == ["cust_leaves", "lake_leaves"]
    assert len(shown["landed"]) == 2
    assert shown["objects"] == [path for path in before[0]["files"] if "/lake/" in path]
    assert {"platform.delivery": 2, "platform.refusal": 1, "greenit_platinum.equivalence": 1, "platform.storage": 1, "platform.platform_cost": 4, "platform.audit": 1}.items() <= \
        shown["rows"].items()
    assert shown["rows"]["platform.usage"] > 2
    assert shown["history"]["runs"] == len(shown["runs"]) == 2  # the one that worked, and the one whose encryption was wrong
    assert shown["own_files"] == [str(head_file(two.made.settings, LEAVES))]
    assert shown["told"] == 3  # of the refused delivery, the row in quarantine, the run that failed
    assert "nothing was changed" in two.done("customers", "remove", LEAVES)
    assert (everything_of(two, LEAVES), everything_of(two, STAYS)) == before


@pytest.mark.parametrize(("words", "said"), [
    (["remove", LEAVES, "--confirm", LEAVES], "this customer is not leaving"), (["remove", LEAVES, "--confirm", STAYS], "does not repeat"),
    (["remove", "nobody_here", "--confirm", "nobody_here"], "nothing of this customer is here"), (["remove", "%", "--confirm", "%"], "not a customer id"),
    (["remove", "leave", "--confirm", "leave"], "nothing of this customer is here"),
])
def test_a_removal_that_may_not_be_touches_nothing(two: Place, words: list[str], said: str) -> None:
    before = everything_of(two, LEAVES), everything_of(two, STAYS)
    refused = two.strata("customers", *words)
    assert refused.exit_code != 0
    assert said in refused.output
    assert (everything_of(two, LEAVES), everything_of(two, STAYS)) == before
    assert synchronized(two.made.postgres) == []


def test_a_customer_at_work_is_not_removed(two: Place) -> None:
    """An unfinished run in Dagster's eyes, and a lock that somebody holds, each refuse by themselves."""
    postgres = two.made.postgres
    dagster = instance(postgres)
    run = dagster.create_run_for_job(dg.GraphDefinition("nothing").to_job(), tags={"dagster/partition": LEAVES}, status=dg.DagsterRunStatus.STARTED)
    with pytest.raises(ErasureError, match="customer leaves.*a run that is not finished"):
        remove(postgres, dagster, LEAVES, None)
    dagster.delete_run(run.run_id)
    with held(postgres, LEAVES), pytest.raises(BusyError, match="customer leaves.*under way"):
        remove(postgres, dagster, LEAVES, None)


def test_a_second_launch_is_refused_with_a_clear_word_while_another_is_under_way(two: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.session.LOCK_SECONDS", 0.2)
    with held(two.made.postgres, STAYS):
        refused = two.strata("launch", STAYS, "--select", 'key:"greenit/bronze/equipment_inventory"')
    assert refused.exit_code == 1
    assert f"BusyError: [customer {STAYS}] another run of this customer is under way" in refused.output
    assert "0 of 1 customers succeeded" in refused.output
    assert "starts here" not in refused.output


def test_who_leaves_is_exported_erased_and_certified_and_who_stays_is_untouched(two: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A removal that dies at every one of its fail points, the last time by kill -9, is the same removal in the end."""
    made, before, stays = two.made, survey(two.made.postgres, instance(two.made.postgres), LEAVES), everything_of(two, STAYS)
    two.declare(LEAVES, status="leaving", encrypted=True)
    assert {"public.event_logs", "public.asset_keys", "public.runs", "public.dynamic_partitions", "platform.delivery", "platform.notice",
            "pg_catalog.pg_authid", "pg_catalog.pg_namespace", str(made.settings.home / "notices" / "dev.jsonl")} <= set(_found_by_hand(two))
    backup = _backup(two)
    points = fail_points()
    assert len(points) == 10
    for point in points[:-1]:
        monkeypatch.setenv("FAILPOINT", f"{point}:raise")
        died = two.strata("customers", "remove", LEAVES, "--confirm", LEAVES, "--who", "sam")
        assert str(died.exception) == f"fail point {point}"
        assert everything_of(two, STAYS) == stays
    monkeypatch.delenv("FAILPOINT")
    killed = subprocess.run([sys.executable, "-m", "cli.main", "customers", "remove", LEAVES, "--confirm", LEAVES], cwd=PROJECT, check=False,
                            capture_output=True, env={**os.environ, "PYTHONPATH": str(PROJECT), "FAILPOINT": f"{points[-1]}:kill9"})
    assert killed.returncode == -signal.SIGKILL

    facts = two.json("customers", "remove", LEAVES, "--confirm", LEAVES, "--who", "somebody else")
    assert facts["clean"]
    assert facts["operator"] == "sam"  # who began it
    assert {one["place"]: one["before"] for one in facts["places"]} == before.counts  # as it was before the first of the ten tries
    assert {one["after"] for one in facts["places"]} == {0}
    assert {one["place"]: one["hits"] for one in facts["scan"]} == dict.fromkeys(
        ["lake", "landing", "warehouse dump", "lake catalog dump", "dagster dump with its event log", "logs of runs", "log of the server", "notices", "scratch",
         "kept parameters", "exports of others"], 0)
    assert all(one["bytes"] for one in facts["scan"] if one["place"] in ("lake", "landing", "warehouse dump", "lake catalog dump", "notices"))
    assert everything_of(two, STAYS) == stays
    assert _found_by_hand(two) == []
    newest = instance(made.postgres).get_latest_materialization_event(dg.AssetKey(["greenit", "silver", "equipment"]))
    assert newest.dagster_event.partition == STAYS  # who left had run last
    _check_bundle(Path(facts["bundle"]))
    assert "0 found" in Path(facts["bundle"]).with_suffix(".certificate.txt").read_text()

    _a_restored_backup_goes_again(two, backup, stays)
    assert LEAVES not in {change["customer"] for change in two.json("customers", "plan")}
    two.declare(LEAVES)
    plan = two.strata("customers", "plan")
    assert plan.exit_code == 1
    assert "this id was erased on" in plan.output
    landed = two.strata("land", LEAVES, "equipment_inventory", inventory(backup / "again.csv", {}), "--period", "2024-09")
    assert "this id was erased on" in landed.output
    assert survey(made.postgres, instance(made.postgres), LEAVES).is_empty
    (two.folder / f"{LEAVES}.yaml").unlink()


def _found_by_hand(place: Place) -> list[str]:
    """Where the customer still stands, by a search of the test's own: every file of the home but the server's and the exports, every row of every table."""
    words = re.compile(rb"CANARY-leaves|account-leaves|(?<![a-z])leaves(?![a-z])")
    home = place.made.settings.home
    files = [path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(home / "postgres") and not path.is_relative_to(home / "exports")]
    found = [str(path) for path in files if words.search(path.read_bytes()) or words.search(str(path.relative_to(home)).encode())]
    names = place.made.postgres.names
    for database in (names.warehouse, names.lake, names.dagster):
        with place.made.superuser(database) as connection:
            tables = connection.execute("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname <> 'information_schema'").fetchall()
            for (table,) in tables:
                if table != "pg_catalog.pg_statistic":
                    with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                        found += [table for block in copy if words.search(block)]
    return sorted(set(found))


def _check_bundle(bundle: Path) -> None:
    """Two deliveries, four tables of silver's two with its quarantine, the published table; counts and sums as the manifest says."""
    with zipfile.ZipFile(bundle) as archive:
        manifest = {entry["name"]: entry for entry in json.loads(archive.read("manifest.json"))["files"]}
        assert set(archive.namelist()) == {*manifest, "manifest.json"}
        assert all(hashlib.sha256(archive.read(name)).hexdigest() == entry["sha256"] for name, entry in manifest.items())
        assert sum(name.startswith("deliveries/") for name in manifest) == 2
        archive.extract("silver/greenit_silver.equipment.parquet", bundle.parent / "look")
        rows = duckdb.sql(f"SELECT equipment_id FROM '{bundle.parent}/look/silver/greenit_silver.equipment.parquet'").fetchall()
        assert rows == [("CANARY-leaves",)]
        kept = list(csv.DictReader(io.StringIO(archive.read("platinum/greenit_platinum.equivalence.csv").decode())))
        assert [(row["customer_id"], row["count"]) for row in kept] == [(LEAVES, "12.5")]
        assert manifest["platinum/greenit_platinum.equivalence.csv"]["rows"] == 1
        assert manifest["silver/greenit_silver.cloud_usage.parquet"]["rows"] == 1
    shutil.rmtree(bundle.parent / "look")


def _server(place: Place, program: str, *words: str | Path) -> None:
    login = place.made.postgres.parameters(SUPERUSER, place.made.postgres.names.warehouse)
    subprocess.run([EmbeddedServer.binaries() / program, "-h", login["host"], "-U", SUPERUSER, "-d", login["dbname"], *words], check=True,
                   env={**os.environ, "PGPASSWORD": login["password"]}, capture_output=True, timeout=60)


def _backup(place: Place) -> Path:
    """Taken before the removal: a dump of the warehouse and a copy of the landing folder."""
    folder = place.made.settings.home.parent / "backup"
    folder.mkdir()
    _server(place, "pg_dump", "-Fc", "-f", folder / "warehouse.dump")
    shutil.copytree(place.made.settings.landing_root / LEAVES, folder / "landed")
    return folder


def _a_restored_backup_goes_again(place: Place, backup: Path, stays: dict[str, Any]) -> None:
    """The restored warehouse knows of no erasure; the ledger's file does."""
    _server(place, "pg_restore", "--clean", "--if-exists", "--single-transaction", backup / "warehouse.dump")
    shutil.copytree(backup / "landed", place.made.settings.landing_root / LEAVES)
    with place.made.superuser(place.made.postgres.names.warehouse) as connection:
        assert connection.execute("SELECT count(*) FROM platform.erasure").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM platform.delivery WHERE customer_id = %s", [LEAVES]).fetchone() == (2,)
    said = place.done("up")
    assert "Customer leaves was removed" in said
    assert "No export bundle was made" in said
    assert _found_by_hand(place) == []
    assert everything_of(place, STAYS) == stays
    assert place.done("customers", "replay-erasures") == "nobody who was erased is here\n"


def test_the_ledger_names_nobody_and_is_never_changed(two: Place) -> None:
    assert [entry.is_of(LEAVES) for entry in synchronized(two.made.postgres)] == [True]
    assert LEAVES not in ledger_file(two.made.settings).read_text()
    with two.made.superuser(two.made.postgres.names.warehouse) as connection:
        for statement in ("DELETE FROM platform.erasure", "UPDATE platform.erasure SET erased_at = now()", "TRUNCATE platform.erasure"):
            with pytest.raises(Exception, match="STRATA_APPEND_ONLY"):
                connection.execute(statement)


def test_an_entry_is_of_one_id_alone() -> None:
    entry = Erasure(hashlib.sha256(b"00acme").hexdigest(), "00", "2024-09-01T00:00:00+00:00")
    assert entry.is_of("acme")
    assert not entry.is_of("acme2")
