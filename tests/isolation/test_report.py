"""The report on isolation: it looks at everything, finds what is wrong, tells it by name, and Dagster keeps no customer's id of it."""
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from cli.main import strata
from partitions.customers import customer
from platform_assets.isolation import KEY, Line, isolation_report, report, without_customers
from resources import sandbox
from resources.orchestrator import instance
from resources.probes import READS, neighbour_of, try_rows, try_session
from resources.safeguards import SAFEGUARDS
from tests.installation import Installation, inventory
from tests.isolation.canaries import RELATIONS
from tests.lake import session_for

NAMES = ("rep_a", "rep_b", "rep_a2")


@pytest.fixture(scope="module")
def prepared(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Three customers with catalogs; the last is of another kind, so that two sessions are opened."""
    folder = tmp_path_factory.mktemp("report")
    for name in NAMES:
        installation.declare(name, size_class="medium" if name == "rep_a2" else "small")
        installation.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {"equipment_id": f"CANARY-{name}"})])
        session = session_for(installation, name)
        session.con.execute("CREATE SCHEMA IF NOT EXISTS lake.mine")
        session.close()
    return installation


def lines_of(prepared: Installation, *chosen: str) -> dict[str, Line]:
    declared = {name: customer(name, prepared.settings.customers) for name in NAMES}
    return {line.name: line for line in report(prepared.postgres, declared, chosen)}


def command(*words: str) -> Result:
    return CliRunner().invoke(strata, ["isolation", *words])


def test_everything_is_looked_at_and_nothing_is_found(prepared: Installation) -> None:
    found = lines_of(prepared)
    assert [line.problems for line in found.values() if line.problems] == []
    assert all(line.looked_at for line in found.values())
    assert found["sessions"].looked_at == 2 * len(READS)  # a small and a medium customer
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        tables, views = (connection.execute(RELATIONS, [list(kinds)]).fetchall() for kinds in ("rp", "v"))
    assert (found["row_security"].looked_at, found["views"].looked_at) == (len(tables), len(views))
    assert set(found) == {guard.name for guard in SAFEGUARDS} | {"release", "sessions", "rows", "folders", "secrets"}


def test_the_rows_question_asks_every_relation_that_a_run_or_the_front_end_may_read(prepared: Installation) -> None:
    tried = try_rows(prepared.postgres, "rep_a", "rep_b")
    assert [one for one in tried if one.problem] == []
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        readable = connection.execute("""SELECT count(*) FROM pg_class c WHERE relkind IN ('r', 'v') AND relnamespace::regnamespace::text ~ '^(platform|greenit)'
            AND has_table_privilege('strata_writer', oid, 'SELECT')""").fetchone()[0]
    assert len([one for one in tried if one.subject.startswith("lake_rep_a:")]) == readable > 30


def test_a_session_without_its_lock_is_found_by_nearly_every_probe(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report is no better than its probes: here the last step of opening a session is left out."""
    monkeypatch.setattr(sandbox, "_lock_down", lambda *_: None)
    tried = {one.subject.removeprefix("rep_a2: "): one.problem for one in
             try_session(prepared.postgres, customer("rep_a2", prepared.settings.customers), neighbour_of("rep_a2", NAMES))}
    assert set(tried) == set(READS)
    open_now = {what for what, problem in tried.items() if problem == "was not refused"}
    assert {"another customer's landing", "listing the lake", "listing the machine", "text of the machine", "a secret file", "threads", "directories"} <= open_now
    still = {what for what, problem in tried.items() if problem is None}  # what PostgreSQL refuses by itself
    assert still == {"another catalog's schema", "a file of the server", "verifiers of passwords", "logging in as the superuser", "logging in as another lake",
                     "attaching as the superuser", "attaching as another lake"}


def test_a_policy_that_lets_all_rows_through_is_found_by_the_rows(prepared: Installation) -> None:
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        connection.execute("ALTER POLICY own_customer ON platform.delivery USING (true)")
        try:
            found = [one for one in try_rows(prepared.postgres, "rep_a", "rep_b") if one.problem]
        finally:
            connection.execute("ALTER POLICY own_customer ON platform.delivery USING (customer_id = (SELECT platform.customer()))")
    assert [(one.subject, one.problem) for one in found] == [("lake_rep_a: platform.delivery", "shows rows of another customer")]
    assert [one for one in try_rows(prepared.postgres, "rep_a", "rep_b") if one.problem] == []


def test_whose_id_begins_alike_is_tried_first() -> None:
    assert [neighbour_of(name, NAMES) for name in ("rep_a", "rep_a2", "rep_b", "alone")] == ["rep_a2", "rep_a", "rep_a", "rep_a"]
    assert neighbour_of("alone", ["alone"]) == "nobody"


@pytest.fixture
def broken(prepared: Installation) -> Iterator[Path]:
    """An unsafe role, a view that reads as its owner, a link in a landing folder, a password that others may read."""
    landing, secret = prepared.settings.landing_root / "rep_a" / "link", prepared.settings.secrets / "lake_rep_b"
    os.symlink(prepared.settings.landing_root / "rep_b", landing)
    secret.chmod(0o644)
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        connection.execute("CREATE ROLE lake_rep_c BYPASSRLS; ALTER VIEW greenit_platinum.trend_live SET (security_invoker = false)")
        yield landing
        connection.execute("DROP ROLE lake_rep_c; ALTER VIEW greenit_platinum.trend_live SET (security_invoker = true)")
    landing.unlink()
    secret.chmod(0o600)


def test_the_command_tells_findings_by_name_with_a_fix_and_ends_with_1(prepared: Installation, broken: Path) -> None:
    done = command()
    assert done.exit_code == 1, done.output
    for words in ("lake_rep_c by-passes row-level security", "greenit_platinum.trend_live reads as its owner", "landing of rep_a holds 1 symbolic links",
                  "secret lake_rep_b may be read by others", "Fix: remove the link", "Fix: CREATE VIEW … WITH (security_invoker = true)"):
        assert words in done.output
    assert "CANARY" not in done.output
    found = {line["name"]: line["problems"] for line in json.loads(command("--format", "json").output)}
    assert {name for name, problems in found.items() if problems} == {"roles", "views", "folders", "secrets"}


def test_without_findings_the_command_ends_with_0_and_an_unknown_customer_is_refused(prepared: Installation) -> None:
    done = command("rep_a", "rep_b")
    assert done.exit_code == 0, done.output
    assert "0 findings" in done.output
    assert command("rep_zz").exit_code == 1
    assert command("../rep_b").exit_code == 1


def test_dagster_shows_the_report_as_an_asset_with_a_check_for_each_question(prepared: Installation, broken: Path) -> None:
    """Also what the command leaves there. Its findings have no customer's id: the log outlives a customer."""
    with dg.DagsterInstance.ephemeral() as own:
        done = dg.materialize([isolation_report()], instance=own)
        assert done.success
        checks = {one.check_name: one for one in done.get_asset_check_evaluations()}
        kept = "".join(str(entry) for entry in own.all_logs(done.run_id))
    assert {name for name, one in checks.items() if not one.passed} == {"roles", "views", "folders", "secrets"}
    assert checks["views"].metadata["found"].value == "greenit_platinum.trend_live reads as its owner: security_invoker is not set"
    assert checks["roles"].metadata["found"].value == "lake_… by-passes row-level security"
    assert [name for name in (*NAMES, "rep_c", "CANARY") if name in kept] == []
    command()
    held = instance(prepared.postgres)
    event = held.get_latest_materialization_event(KEY)
    assert event.asset_materialization.metadata["findings"].value == 4
    assert not any(name in str(event) for name in NAMES)


def test_a_finding_is_told_to_dagster_without_whose_it_is() -> None:
    assert without_customers("lake_acme in strata_writer is a membership") == "lake_… in strata_writer is a membership"
    assert without_customers("strata_reader of acme: greenit_gold.impact shows rows") == "strata_reader of …: greenit_gold.impact shows rows"
    assert without_customers("acme: unlocking was not refused") == "…: unlocking was not refused"
    assert without_customers("landing of acme holds 1 symbolic links") == "landing of … holds 1 symbolic links"
    assert without_customers("secret cust_acme may be read by others") == "secret cust_… may be read by others"


def test_the_report_takes_no_lock_and_no_fence(prepared: Installation) -> None:
    """A run that is under way goes on, and nobody waits."""
    session = session_for(prepared, "rep_a")
    try:
        fence = session.fence
        assert lines_of(prepared, "rep_a")["sessions"].problems == ()
        session.assert_fence()
        assert session.lock.execute("SELECT fence FROM platform.fence").fetchone() == (fence,)
    finally:
        session.close()


def test_the_report_is_made_every_night_after_the_upkeep() -> None:
    from platform_assets.greenit.definitions import defs

    night, after = defs.resolve_schedule_def("upkeep"), defs.resolve_schedule_def("isolation")
    assert after.default_status == dg.DefaultScheduleStatus.RUNNING
    minutes = [int(hour) * 60 + int(minute) for minute, hour in (found.cron_schedule.split()[:2] for found in (night, after))]
    assert (minutes[0] < minutes[1], night.execution_timezone, after.execution_timezone) == (True, "UTC", "UTC")
    assert set(defs.resolve_job_def(after.job_name).asset_layer.executable_asset_keys) == {KEY}
