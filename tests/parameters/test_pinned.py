"""A state of parameters has a name that can be read again: a run pinned to it gives the old figures."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import strata
from cli.parameters import pinned_for
from partitions.errors import ParameterError
from platform_assets.parameters import limits_of, rules_of
from platform_assets.tables import reference_contracts
from resources.parameter_state import read_state, state_of
from resources.postgres import WRITER
from resources.sessions import PARAMETERS_TAG
from tests.installation import Installation, inventory
from tests.parameters.places import change, commit, git, header_of, overlay, project, rows_of, settings_of, write

ACME, NAME = "acme", "pinned"
OWN = {"source": "measured by the customer", "source_version": "2024", "licence": "the customer's own"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


def lifetimes(root: Path, customer: str | None = None, pin: str | None = None) -> dict[str, float]:
    made = next(made for made in reference_contracts() if made.table == "device_lifetime")
    state = state_of(settings_of(root), customer, pin)
    return {row["item_key"]: row["value"] for row in read_state(state, made.layer, made.spec, limits_of(made), rules_of(made)).to_pylist()}


def test_a_state_is_named_by_its_content_and_its_commit(root: Path) -> None:
    assert state_of(settings_of(root), None).name.endswith("@unknown")  # no git
    first = commit(root)
    clean = state_of(settings_of(root), ACME).name
    assert clean.partition("@")[2] == first[:12]
    change(root, "device_lifetime", 2, value=2.75)
    dirty = state_of(settings_of(root), ACME).name
    assert dirty.partition("@")[2] == f"{first[:12]}+dirty"
    assert dirty.partition("@")[0] != clean.partition("@")[0]
    change(root, "device_lifetime", 2, value=2.5)
    assert state_of(settings_of(root), ACME).name == clean


def test_an_overlay_that_is_not_committed_makes_that_customers_state_dirty(root: Path) -> None:
    commit(root)
    overlay(root, ACME, "usage_rate", {"like": "byod", "value": 0.4, **OWN})
    assert state_of(settings_of(root), ACME).name.endswith("+dirty")
    assert not state_of(settings_of(root), "beta").name.endswith("+dirty")


def test_an_earlier_commit_is_read_with_the_overlays_that_it_had(root: Path) -> None:
    shipped = commit(root)
    overlay(root, ACME, "device_lifetime", {"like": "ademe-smartphone-lifetime", "value": 3, **OWN})
    overlaid = commit(root)
    change(root, "device_lifetime", 3, value=6.5, value_max=7)
    overlay(root, ACME, "device_lifetime", {"like": "ademe-smartphone-lifetime", "value": 2.9, **OWN})
    assert [lifetimes(root, ACME, pin)["smartphone"] for pin in (shipped, overlaid, None)] == [2.5, 3.0, 2.9]
    assert [lifetimes(root, ACME, pin)["desktop"] for pin in (shipped, overlaid, None)] == [6.0, 6.0, 6.5]
    assert lifetimes(root, "beta", overlaid)["smartphone"] == 2.5


def test_a_state_is_had_again_by_the_name_that_a_version_keeps(root: Path) -> None:
    commit(root)
    named = state_of(settings_of(root), ACME).name
    change(root, "device_lifetime", 2, value=2.75)
    commit(root)
    assert state_of(settings_of(root), ACME, named).name == named
    assert lifetimes(root, ACME, named)["smartphone"] == 2.5


def test_a_state_whose_fetched_files_are_gone_is_refused_and_its_commit_alone_is_not(root: Path) -> None:
    commit(root)
    header = header_of(root / "parameters" / "device_lifetime.csv")
    fetched = write(root / "home" / "parameters" / "device_lifetime.csv", header, [{**rows_of(root / "parameters" / "device_lifetime.csv")[0], "value": 3}])
    named = state_of(settings_of(root), ACME).name
    assert state_of(settings_of(root), ACME, named).name == named
    fetched.unlink()
    with pytest.raises(ParameterError, match=f"the state {named[:12]} cannot be made again: commit {named[13:]}"):
        state_of(settings_of(root), ACME, named)
    assert lifetimes(root, ACME, named[13:])["smartphone"] == 2.5


def test_commits_that_cannot_be_read_are_refused_with_the_reason(root: Path) -> None:
    with pytest.raises(ParameterError, match="their folder is in no git repository"):
        state_of(settings_of(root), ACME, "HEAD")
    path = root / "parameters" / "device_lifetime.csv"
    content = path.read_text(encoding="utf-8")
    path.write_text(content.replace("lifetime_id,", "life_id,", 1), encoding="utf-8")
    renamed = commit(root)
    path.unlink()
    absent = commit(root)
    path.write_text(content, encoding="utf-8")
    commit(root)
    for pin in ("0123456789ab", "no-such-branch", "--all", "HEAD:parameters"):
        with pytest.raises(ParameterError, match="git knows no commit"):
            state_of(settings_of(root), ACME, pin)
    with pytest.raises(ParameterError, match=f"as commit {renamed[:12]} has it: header and contract differ: life_id, lifetime_id.*the code of then"):
        lifetimes(root, ACME, renamed)
    with pytest.raises(ParameterError, match=f"commit {absent[:12]} has no such file, and the code of today needs it"):
        lifetimes(root, ACME, absent)
    for never in (f"0123456789ab@{absent[:12]}+dirty", "0123456789ab@unknown"):
        with pytest.raises(ParameterError, match="was never committed"):
            state_of(settings_of(root), ACME, never)


def test_an_overlay_outside_of_the_repository_cannot_be_pinned(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from dataclasses import replace

    first = commit(root)
    elsewhere = tmp_path_factory.mktemp("customers")
    overlay(root, ACME, "usage_rate", {"like": "byod", "value": 0.4, **OWN}).parent.parent.rename(elsewhere / ACME)
    configured = replace(settings_of(root), customers=elsewhere)
    assert state_of(configured, ACME).name.endswith("+dirty")
    with pytest.raises(ParameterError, match="the customer's parameters lie outside of the repository"):
        state_of(configured, ACME, first)
    assert state_of(configured, "beta", first).commit == first


def test_a_branch_that_moves_while_a_run_waits_does_not_move_the_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = commit(root)
    settings_of(root)
    for variable, place in (("STRATA_REFERENCES", root), ("STRATA_CUSTOMERS", root / "customers"), ("STRATA_HOME", root / "home")):
        monkeypatch.setenv(variable, str(place))
    named = state_of(settings_of(root), ACME).name
    assert pinned_for({ACME: None}, "main") == first
    assert pinned_for({ACME: None}, named) == f"{named[:12]}@{first}"
    assert pinned_for({ACME: None}, None) is None


def test_a_pinned_run_gives_the_old_figures_to_the_last_digit(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "project")
    monkeypatch.setenv("STRATA_REFERENCES", str(root))
    first = commit(root)
    installation.declare(NAME, reporting={"months": 1})
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "i.csv", {"equipment_id": "a", "quantity": 7, "item_type": "smartphone"})])

    def figures(**tags: str) -> tuple[list[dict], set[str]]:
        run = installation.run(NAME, **tags)
        assert run.failures == {}
        of_gold = installation.query("SELECT v.parameter_version FROM platform.table_version v JOIN platform.live_version l USING (customer_id, table_name, version) "
                                     "WHERE v.customer_id = %s AND v.table_name LIKE 'greenit_gold.%%'", NAME, customer=NAME, role=WRITER)
        return [{**row, "version": None} for row in installation.kpis(NAME)], {row["parameter_version"] for row in of_gold}

    before, states = figures()
    assert {state.partition("@")[2] for state in states} == {first[:12]}
    smartphone = next(place for place, row in enumerate(rows_of(root / "parameters" / "device_lifetime.csv"), 2) if row["item_key"] == "smartphone")
    change(root, "device_lifetime", smartphone, value=5, value_max=5)  # 2.5 years before: manufacture spreads over twice the time
    second = commit(root)
    after, states_after = figures()
    assert after != before
    assert f"@{second[:12]}" in "".join(states_after)
    again, states_again = figures(**{PARAMETERS_TAG: first})
    assert again == before
    assert {state.partition("@")[2] for state in states_again} == {first[:12]}
    unknown = installation.run(NAME, **{PARAMETERS_TAG: "no-such-branch"})
    assert not unknown.success
    assert any("git knows no commit 'no-such-branch'" in failure for failure in unknown.failures.values())
    assert [{**row, "version": None} for row in installation.kpis(NAME)] == before  # readers keep what they had


def test_the_command_refuses_an_unknown_commit_before_anything_runs(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "project")
    monkeypatch.setenv("STRATA_REFERENCES", str(root))
    commit(root)
    installation.declare("unlaunched")
    done = CliRunner().invoke(strata, ["launch", "unlaunched", "--parameters", "nowhere"], env=dict(os.environ))
    assert done.exit_code == 1
    assert "git knows no commit 'nowhere'" in done.output
    assert git(root, "status", "--porcelain") == ""
