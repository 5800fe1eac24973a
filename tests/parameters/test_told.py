"""What people are told about parameters: the catalogue, the list, and what changed between two commits."""
from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import strata
from platform_assets.parameter_catalogue import REGENERATE, catalogue, entries
from platform_assets.parameter_history import Change, changes
from platform_assets.tables import reference_contracts
from resources.parameter_state import state_of
from resources.settings import PROJECT
from tests.parameters.places import change, commit, header_of, overlay, project, rows_of, settings_of, write

OWN = {"source": "measured by the customer", "source_version": "2024", "licence": "the customer's own"}


def test_the_catalogue_is_what_the_files_say() -> None:
    page = (PROJECT / "docs" / "parameters.md").read_text(encoding="utf-8")
    assert page == catalogue(), f"run: {REGENERATE}"


def test_every_row_of_every_figure_is_counted_under_its_source() -> None:
    found = {(entry.made.layer, entry.made.table): entry for entry in entries()}
    assert len(found) == len(reference_contracts())
    for (layer, table), entry in found.items():
        rows = rows_of(PROJECT / layer / f"{table}.csv")
        assert sum(count for *_, count in entry.sources) == entry.rows == len(rows), table
        assert set(entry.licences) == {row["licence"] for row in rows}, table
    assert found["parameters", "residual_mix"].units == ("kgCO2e/kWh",)


def test_added_removed_and_changed_rows_are_told_by_file_and_key(tmp_path: Path) -> None:
    root = project(tmp_path)
    first = commit(root)
    change(root, "usage_rate", 4, value=0.6)
    path = root / "parameters" / "device_lifetime.csv"
    rows = rows_of(path)
    write(path, header_of(path), [*rows[1:], {**rows[0], "lifetime_id": "new"}])
    overlay(root, "acme", "usage_rate", {"like": "byod", "value": 0.4, **OWN})
    second = commit(root)
    (root / "parameters" / "usage_rate.csv").unlink()
    configured = settings_of(root)
    found = list(changes(state_of(configured, "acme", first), state_of(configured, "acme", second)))
    assert [(made.file, made.key, made.kind) for made in found] == [
        ("parameters/device_lifetime.csv", ("ademe-smartphone-lifetime",), "removed"), ("parameters/device_lifetime.csv", ("new",), "added"),
        ("parameters/usage_rate.csv", ("byod",), "changed"), ("customer's usage_rate.csv", ("byod",), "added"),
    ]  # fmt: skip
    assert found[2] == Change("parameters/usage_rate.csv", ("byod",), "changed", {"value": ("0.57", "0.6")})
    others = list(changes(state_of(configured, "beta", first), state_of(configured, "beta", second)))
    assert {made.file for made in others} == {"parameters/device_lifetime.csv", "parameters/usage_rate.csv"}


def test_the_command_tells_what_changed_up_to_the_files_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path)
    commit(root)
    for variable, place in (("STRATA_REFERENCES", root), ("STRATA_CUSTOMERS", root), ("STRATA_HOME", root / "home")):
        monkeypatch.setenv(variable, str(place))
    change(root, "usage_rate", 4, value=0.6)
    done = CliRunner().invoke(strata, ["parameters", "diff", "HEAD"])
    assert done.output == "parameters/usage_rate.csv: changed byod: value 0.57 -> 0.6\n1 rows differ\n"
    unknown = CliRunner().invoke(strata, ["parameters", "diff", "nowhere"])
    assert (unknown.exit_code, "git knows no commit 'nowhere'" in unknown.output) == (1, True)


def test_the_list_names_every_file_whole() -> None:
    told = CliRunner().invoke(strata, ["parameters", "list"]).output
    assert [made.table for made in reference_contracts() if f"{made.layer}/{made.table} " not in told] == []
