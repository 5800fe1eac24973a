"""What is lost is made anew from what is left: rows of the warehouse (R1), a file of the lake (R4); and a bad publication is taken back (R5)."""
from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import customer
from platform_assets.collection import collect_customer
from platform_assets.greenit.definitions import defs
from platform_assets.selection import downstream_of, tables_among
from platform_assets.verification import all_contracts, verify
from resources import lake_objects
from resources.settings import PROJECT
from tests.faults.reading import polling
from tests.installation import LIVE, Installation, Run, billing, inventory
from tests.lake import quarantine, session_for
from tests.parameters.places import overlay

NAME = "rebuilt"
PLATINUM = sorted(made.spec.qualified for made in all_contracts() if made.layer == "platinum")
EQUIPMENT = next(made.spec for made in all_contracts() if made.spec.qualified == "greenit_silver.equipment")


@pytest.fixture(scope="module")
def ready(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """A customer that was computed whole, with a row in silver's quarantine."""
    folder = tmp_path_factory.mktemp(NAME)
    installation.declare(NAME)
    installation.land(NAME, "equipment_inventory", [inventory(folder / "1.csv", {"quantity": 2}, {"country": "Atlantis"})])
    installation.land(NAME, "cloud_billing", [billing(folder / "b.csv", f"account-{NAME}", {}, {"BilledCost": "0.1x"})])
    succeeded(installation.run(NAME))
    return installation


def succeeded(run: Run) -> Run:
    assert run.success, run.failures
    return run


def figures(installation: Installation) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "version"} for row in installation.kpis(NAME)]


def newest(installation: Installation) -> dict[str, tuple[int, str]]:
    """table -> its newest version with its content."""
    return {name: (found[-1][0], found[-1][2]) for name, found in installation.versions(NAME).items()}


def broken(installation: Installation) -> list[tuple[str, str | None]]:
    found = verify(installation.postgres, {NAME: customer(NAME, installation.settings.customers)}, contents=True)
    assert found.unseen == {}
    return [(one.invariant, one.table) for one in found.broken]


def made_anew(installation: Installation, before: dict[str, tuple[int, str]]) -> set[str]:
    """Tables with a new version; each has the content that it had."""
    now = newest(installation)
    assert {name: content for name, (_, content) in now.items()} == {name: content for name, (_, content) in before.items()}
    return {name for name, (version, _) in now.items() if version != before[name][0]}


def test_r1_rows_of_the_warehouse_that_are_gone_are_made_anew_and_are_equal(ready: Installation) -> None:
    """All of platinum, and one row of gold."""
    before, shown = newest(ready), figures(ready)
    assert broken(ready) == []
    with ready.superuser(ready.postgres.names.warehouse) as connection:
        for table in PLATINUM:
            connection.execute(f"DELETE FROM {table} WHERE customer_id = '{NAME}'")
        connection.execute("DELETE FROM greenit_gold.impact WHERE ctid = (SELECT t.ctid FROM greenit_gold.impact t JOIN platform.live_version l USING "
                           f"(customer_id, version) WHERE l.table_name = 'greenit_gold.impact' AND customer_id = '{NAME}' LIMIT 1)")
    assert figures(ready) == []
    filled = {table for _, table in broken(ready)}  # a version without rows has lost none
    assert {"greenit_gold.impact", "greenit_platinum.kpi_monthly", "greenit_platinum.top_contributors"} <= filled <= {"greenit_gold.impact", *PLATINUM}
    succeeded(ready.run(NAME))
    assert figures(ready) == shown
    again = made_anew(ready, before)
    assert filled <= again
    assert not any(name.startswith(("greenit_bronze", "greenit_silver")) for name in again)
    assert broken(ready) == []


def files_of(installation: Installation, table: str) -> list[Path]:
    session = session_for(installation, NAME)
    try:
        head = session.con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0]
        return [Path(path) for path in lake_objects.files_of(session, EQUIPMENT.schema, table, head)]
    finally:
        session.close()


def test_r4_a_file_of_the_lake_that_is_gone_is_named_and_only_its_table_is_made_anew(ready: Installation) -> None:
    before, shown = newest(ready), figures(ready)
    [path] = files_of(ready, EQUIPMENT.name)
    path.unlink()
    assert broken(ready) == [("I5", EQUIPMENT.qualified)]
    succeeded(ready.run(NAME))
    assert made_anew(ready, before) == {EQUIPMENT.qualified}
    assert (figures(ready), broken(ready)) == (shown, [])


def test_r4_a_broken_file_stops_the_run_by_name_and_is_made_anew_once_it_is_removed(ready: Installation) -> None:
    before, shown = newest(ready), figures(ready)
    [path] = files_of(ready, EQUIPMENT.name)
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"laptop")] ^= 1
    path.write_bytes(whole)
    assert broken(ready) == [("I1", EQUIPMENT.qualified)]
    stopped = ready.run(NAME, ["greenit/gold/activity"])
    assert not stopped.success
    assert any(path.name in why and "no longer what was written" in why for why in stopped.failures.values())
    assert figures(ready) == shown
    path.unlink()  # what the error says
    succeeded(ready.run(NAME))
    assert made_anew(ready, before) == {EQUIPMENT.qualified}
    assert (figures(ready), broken(ready)) == (shown, [])


def test_r4_rows_in_quarantine_whose_file_is_gone_come_back(ready: Installation) -> None:
    before, kept = newest(ready), quarantine(ready, NAME, "silver")
    keeping = {row["table_name"] for row in kept}
    assert {"equipment", "cloud_usage"} <= keeping
    for path in files_of(ready, "quarantine"):
        path.unlink()
    assert set(broken(ready)) == {("I5", "greenit_silver.quarantine")}
    succeeded(ready.run(NAME, sorted(f"greenit/silver/{table}" for table in keeping)))
    assert made_anew(ready, before) == {f"greenit_silver.{table}" for table in keeping}
    assert quarantine(ready, NAME, "silver") == kept
    assert broken(ready) == []


# R5


def live(installation: Installation) -> dict[str, int]:
    rows = installation.query("SELECT table_name, version FROM platform.live_version", customer=NAME)
    return {row["table_name"]: row["version"] for row in rows}


def test_r5_a_bad_publication_is_taken_back_by_one_command_and_held(ready: Installation, tmp_path: Path) -> None:
    collect_customer(session_for(ready, NAME))
    good, pointers = figures(ready), live(ready)
    ready.land(NAME, "equipment_inventory", [inventory(tmp_path / "bad.csv", {"quantity": 2000})])
    succeeded(ready.run(NAME))
    bad, worse = figures(ready), live(ready)
    assert bad != good
    collect_customer(session_for(ready, NAME))  # gc keeps what was live before
    with polling(ready, NAME) as seen:
        started = time.monotonic()
        said = CliRunner().invoke(strata, ["rollback", NAME])
        assert time.monotonic() - started < 60
    assert said.exit_code == 0, said.output
    assert "It is held" in said.output
    assert (seen.empty, seen.mixed, seen.unanswered) == (0, 0, 0)
    assert seen.looks > 0
    assert (figures(ready), live(ready), len(pointers)) == (good, pointers, LIVE)
    assert broken(ready) == []
    recorded = ready.query("SELECT run_id, versions FROM platform.publication ORDER BY publication_id DESC LIMIT 1", customer=NAME, role="strata_writer")
    assert recorded == [{"run_id": "rollback", "versions": pointers}]

    held = ready.run(NAME, ["greenit/publication"])  # the same code would publish the same figures again
    assert set(held.failures) == {"greenit__publication"}
    assert "were rolled back and are held" in held.failures["greenit__publication"]
    assert figures(ready) == good
    assert "released" in CliRunner().invoke(strata, ["rollback", NAME, "--release"]).output
    succeeded(ready.run(NAME, ["greenit/publication"]))
    assert (figures(ready), live(ready)) == (bad, worse)


def test_r5_a_second_roll_back_takes_the_first_one_back(ready: Installation) -> None:
    shown = live(ready)
    for _ in range(2):
        assert CliRunner().invoke(strata, ["rollback", NAME]).exit_code == 0
    assert live(ready) == shown
    assert CliRunner().invoke(strata, ["rollback", NAME, "--release"]).exit_code == 0


@pytest.mark.soak
def test_r6_a_bad_parameter_is_taken_back_by_one_command_and_what_reads_it_alone_is_computed_again(ready: Installation) -> None:
    """A factor ten times too high, in the customer's own file; rolled back at once, repaired, and only what hangs on that file is made anew."""
    good, pointers, folder = figures(ready), live(ready), ready.settings.customers
    made = overlay(PROJECT, NAME, "grid_factor", {"like": "owid-fra-2024-gwp", "grid_id": "own-fra-2024", "value": 0.9}, to=folder)
    try:
        succeeded(ready.run(NAME))
        assert figures(ready) != good
        assert CliRunner().invoke(strata, ["rollback", NAME]).exit_code == 0
        assert (figures(ready), live(ready)) == (good, pointers)
        assert broken(ready) == []
    finally:
        made.unlink()
    assert CliRunner().invoke(strata, ["rollback", NAME, "--release"]).exit_code == 0
    before = newest(ready)
    succeeded(ready.run(NAME))
    again = {table for table, (version, _) in newest(ready).items() if version != before[table][0]}
    graph = defs.resolve_asset_graph()
    reached = tables_among(downstream_of(graph, {dg.AssetKey(["parameters", "grid_factor"])}, frozenset(graph.executable_asset_keys)))
    assert "greenit_gold.impact" in again
    assert again <= set(reached)
    assert len(reached) < len(before)  # bronze, silver and what shares hosts out are not
    assert figures(ready) == good
    assert broken(ready) == []


def test_r5_what_was_never_published_or_is_gone_is_refused(ready: Installation) -> None:
    shown = live(ready)
    ready.declare("rebuilt_never")
    for name, more, why in (("rebuilt_never", [], "nothing else was ever published"), (NAME, ["--to", "1000000"], "there is no publication 1000000"),
                            (NAME, ["--to", str(first_publication(ready))], "is gone")):
        said = CliRunner().invoke(strata, ["rollback", name, *more])
        assert said.exit_code == 1
        assert why in said.output
    assert live(ready) == shown


def first_publication(installation: Installation) -> int:
    return installation.query("SELECT min(publication_id) AS first FROM platform.publication", customer=NAME, role="strata_writer")[0]["first"]
