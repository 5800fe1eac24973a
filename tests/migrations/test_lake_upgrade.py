"""A catalog that an older DuckLake wrote (0.3, by duckdb 1.4.4: ducklake_0_3/) is refused by runs and upgraded by `strata lake upgrade`, by customer."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.errors import MigrationError
from resources.lake_upgrade import catalog_versions, number_of, upgrade, written_version
from resources.postgres import lake_role
from tests.installation import Installation
from tests.lake import lake_rows

OLD = Path(__file__).with_name("ducklake_0_3")
ROWS = [{"equipment_id": "e2", "quantity": 2}, {"equipment_id": "e3", "quantity": 3}]


def old_catalog(installation: Installation, name: str) -> None:
    """The catalog and files of then, as a customer's; the dump's customer is elder."""
    installation.declare(name)
    data = Path(installation.settings.lake_path(name))
    shutil.copytree(OLD / "data", data)
    text = (OLD / "catalog.sql").read_text(encoding="utf-8").replace("@DATA@", str(data)).replace("lake_elder", lake_role(name))
    with installation.postgres.connect(lake_role(name), installation.postgres.names.lake) as connection:
        connection.execute(text)


@pytest.fixture
def two(installation: Installation) -> Iterator[tuple[str, str]]:
    names = ("elder", "eldest")
    for name in names:
        old_catalog(installation, name)
    yield names
    for name in names:
        (installation.settings.customers / f"{name}.yaml").unlink(missing_ok=True)
        installation.postgres.drop_role(lake_role(name))
        shutil.rmtree(installation.settings.lake_path(name), ignore_errors=True)


def read(installation: Installation, name: str, at: str = "") -> list[dict]:
    return lake_rows(installation, name, f"SELECT * FROM lake.greenit_bronze.equipment {at} ORDER BY 1")


def test_a_run_refuses_an_old_catalog_and_after_the_upgrade_every_snapshot_is_there(installation: Installation, two: tuple[str, str]) -> None:
    with pytest.raises(MigrationError, match="customer elder.*written by an older DuckLake.*strata lake upgrade"):
        read(installation, "elder")
    assert {catalog_versions(installation.postgres)[name] for name in two} == {"0.3"}
    done = CliRunner().invoke(strata, ["lake", "upgrade"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [f"{name}: catalog 0.3 -> {written_version()}" for name in two]
    assert read(installation, "elder") == read(installation, "eldest") == ROWS
    assert read(installation, "elder", "AT (VERSION => 4)") == [{"equipment_id": "e1", "quantity": 1}, ROWS[0]]
    again = CliRunner().invoke(strata, ["lake", "upgrade"])
    assert (again.exit_code, again.output) == (0, f"every lake's catalog is at version {written_version()}\n")


def test_one_that_fails_holds_up_no_other_and_is_done_by_the_next_upgrade(installation: Installation, two: tuple[str, str]) -> None:
    (installation.settings.customers / "elder.yaml").rename(installation.settings.customers / "elder.away")
    done = CliRunner().invoke(strata, ["up"])
    assert done.exit_code == 1
    assert "elder: CustomerError" in done.output
    assert f"eldest: catalog 0.3 -> {written_version()}" in done.output
    assert catalog_versions(installation.postgres)["elder"] == "0.3"
    (installation.settings.customers / "elder.away").rename(installation.settings.customers / "elder.yaml")
    assert upgrade(installation.postgres) == {"elder": f"0.3 -> {written_version()}"}
    assert read(installation, "elder") == ROWS


def test_a_catalog_that_is_ahead_stays_and_is_told(installation: Installation, two: tuple[str, str]) -> None:
    upgrade(installation.postgres)
    with installation.postgres.connect(lake_role("elder"), installation.postgres.names.lake) as connection:
        connection.execute("UPDATE lake_elder.ducklake_metadata SET value = '9.0' WHERE key = 'version'")
    found = upgrade(installation.postgres)
    assert isinstance(found["elder"], MigrationError)
    assert "version 9.0, and this release writes" in str(found["elder"])


def test_versions_are_compared_as_numbers() -> None:
    assert number_of("0.4-dev1") == (0, 4)
    assert number_of("1.10") > number_of("1.9")
