"""Attack cases 29, 30, 32, 36, 37, 39, 52 and 62: ids, file names, partition keys and addresses that mean something else than they say."""
from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import CUSTOMERS
from partitions.errors import CustomerError, DeliveryError
from platform_assets.landing import source_contract
from resources.deliveries import check_object_name, safe_name
from resources.sessions import Sessions, session_of_step
from resources.settings import settings
from tests.installation import JOB, Installation, inventory

HOSTILE = ["../path_b", "..%2fpath_b", "..", ".", "", "/etc/passwd", "path_a/../path_b", "path_a\\..\\path_b", "path_a\0", "p" * 300, "раth_a", "path_a\u200b", "PATH_A", "path_a ",
           "customer=path_b", "__HIVE_DEFAULT_PARTITION__", "path_a|path_b", "path_a...path_b", "path_a,path_b", "path_a\n", "path_a\x1b[31m", "'; DROP TABLE x;--", "$(id)", "`id`", "*", "~", "{{7*7}}"]
NAMES = ("path_a", "path_b")
ADDRESSES = ["http://169.254.169.254/latest/meta-data/", "https://127.0.0.1:1/x.csv", "file:///etc/passwd", "s3://bucket/x.csv", "ftp://127.0.0.1/x.csv", "gopher://127.0.0.1/"]


@pytest.fixture(scope="module")
def prepared(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("paths")
    for name in NAMES:
        installation.declare(name)
        installation.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {"equipment_id": f"CANARY-{name}-1"})])
    return installation


def everything_below(home: Path) -> set[str]:
    """Every path of the installation but PostgreSQL's own and Dagster's."""
    return {str(path) for folder in ("landing", "lake", "secrets", "tmp", "exports") for path in (home / folder).rglob("*")}


def commands(group: click.Command = strata, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that takes customers."""
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))
    elif any(parameter.name in ("customer_id", "customer_ids") for parameter in group.params):
        yield path, group


TAKES_CUSTOMERS = dict(commands())


def words_for(command: click.Command, hostile: str, file: Path) -> list[str]:
    """The command line with a hostile customer, and something that fits for all else that it needs."""
    options, arguments = [], []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            arguments.append(hostile if parameter.name.startswith("customer_id") else str(file) if isinstance(parameter.type, click.Path) else "equipment")
        elif parameter.name in ("confirm", "customer_id"):
            options += [parameter.opts[0], hostile]
        elif parameter.required:
            options += [parameter.opts[0], str(file.parent / "out") if isinstance(parameter.type, click.Path) else "x"]
    return [*options, "--", *arguments]


def test_there_are_commands_that_take_customers() -> None:
    assert len(TAKES_CUSTOMERS) >= 15


@pytest.mark.parametrize("path", TAKES_CUSTOMERS, ids=" ".join)
def test_case_29_every_command_refuses_a_hostile_customer_and_touches_nothing(prepared: Installation, tmp_path: Path, path: tuple[str, ...]) -> None:
    file = inventory(tmp_path / "i.csv", {"equipment_id": "e"})
    before, told = everything_below(prepared.settings.home), []
    for hostile in HOSTILE:
        done = CliRunner().invoke(strata, [*path, *words_for(TAKES_CUSTOMERS[path], hostile, file)])
        assert done.exit_code != 0, (hostile, done.output)
        assert isinstance(done.exception, SystemExit), (hostile, done.exception)
        told.append(done.output)
    assert everything_below(prepared.settings.home) == before
    assert "CANARY" not in "".join(told)
    assert all("\x1b" not in text and "\0" not in text for text in told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("hostile", [*HOSTILE, "cloud_billing.odcs", "../silver/equipment"], ids=ascii)
def test_case_29_a_hostile_source_names_no_contract(hostile: str) -> None:
    with pytest.raises(DeliveryError, match="no bronze table has this name"):
        source_contract(hostile)


@pytest.mark.parametrize("name", [f"{hostile}.csv" for hostile in HOSTILE], ids=ascii)
def test_cases_29_32_62_a_hostile_file_name_is_refused_as_an_object_and_harmless_as_a_copy(name: str) -> None:
    if name not in ("p" * 300 + ".csv",):
        with pytest.raises(DeliveryError, match="an object's name is not allowed") as refused:
            check_object_name(name)
        assert str(refused.value).isprintable()
    kept = safe_name(name)
    assert kept.isascii()
    assert kept.isprintable()
    assert not set("/\\=|*'`$;\n\x1b ") & set(kept)
    assert kept not in ("", ".", "..")
    assert len(kept) <= 80


def test_case_30_a_link_to_another_customers_delivery_is_refused(prepared: Installation, tmp_path: Path) -> None:
    other = next(path for path in (prepared.settings.landing_root / "path_b").rglob("*.csv") if path.is_file())
    link = tmp_path / "mine.csv"
    os.symlink(other, link)
    done = CliRunner().invoke(strata, ["land", "path_a", "equipment_inventory", str(link), "--period", "2024-10"])
    assert done.exit_code == 1
    assert "symbolic link" in done.output
    assert "CANARY" not in done.output


def test_case_32_a_hive_key_in_a_path_makes_nobody_another_customer(prepared: Installation, tmp_path: Path) -> None:
    """Neither in the folder nor in the name of the file does `customer=…` reach a path or a row."""
    folder = tmp_path / "customer=path_b" / "customer_id=path_b"
    folder.mkdir(parents=True)
    file = inventory(folder / "customer_id=path_b.csv", {"equipment_id": "hive"})
    landed = prepared.land("path_a", "equipment_inventory", [file], "2024-11")
    assert landed.files[0].customer == "path_a"
    assert "=" not in landed.files[0].path
    rows = prepared.query("SELECT DISTINCT customer_id, path FROM platform.delivery WHERE period = '2024-11-01'", customer="path_a", role="strata_writer")
    assert [(row["customer_id"], row["path"].split("/")[0]) for row in rows] == [("path_a", "path_a")]


@pytest.mark.parametrize("key", [*HOSTILE, "path_zz"], ids=ascii)
def test_case_36_a_hostile_partition_key_reaches_no_session(prepared: Installation, key: str) -> None:
    """Dagster takes such keys; a run with one ends before a path or a connection is made of it."""
    held = Sessions(_identity(), settings(), "greenit")
    with pytest.raises(CustomerError):
        held.of(key)
    assert held._session is None


def _identity() -> Any:
    from resources.session import RunIdentity

    return RunIdentity("test", None, "test", "test")


def execute(prepared: Installation, **given: Any) -> tuple[bool, str]:
    from platform_assets.greenit.definitions import defs

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    given = {"asset_selection": [dg.AssetKey(["greenit", "bronze", "equipment_inventory"])], **given, "run_config": {**quiet, **given.get("run_config", {})}}
    done = defs.resolve_job_def(JOB).execute_in_process(instance=prepared.instance, raise_on_error=False, **given)
    told = " ".join(str(event.step_failure_data.user_failure_data or event.step_failure_data.error) for event in done.all_events if event.is_step_failure)
    return done.success, told


def test_case_36_a_run_of_a_range_or_of_a_key_that_is_no_id_fails_without_a_row(prepared: Installation) -> None:
    key = "path_a...path_b"
    prepared.instance.add_dynamic_partitions(CUSTOMERS.name, [key])
    try:
        success, told = execute(prepared, partition_key=key)
    finally:
        prepared.instance.delete_dynamic_partition(CUSTOMERS.name, key)
    assert not success
    assert "this is not a customer id" in told
    assert "CANARY" not in told


def test_case_37_another_customer_in_the_run_config_or_the_tags_changes_nothing(prepared: Installation) -> None:
    """Nothing reads a customer from there: Dagster takes any config for what declares none."""
    wrong = {"ops": {"greenit__bronze__equipment_inventory": {"config": {"customer": "path_b"}}}, "resources": {"sessions": {"config": {"customer": "path_b"}}}}
    tags = {"customer": "path_b", "strata/customer": "path_b", "customer_id": "path_b"}
    success, told = execute(prepared, partition_key="path_a", run_config=wrong, tags=tags)
    assert success, told
    assert prepared.versions("path_b") == {}
    assert list(prepared.versions("path_a")) == ["greenit_bronze.equipment_inventory"]


def test_case_37_a_run_that_asks_for_a_second_customer_is_refused(prepared: Installation) -> None:
    held = Sessions(_identity(), settings(), "greenit")
    held.of("path_a")
    with pytest.raises(CustomerError, match="already belongs to another customer"):
        held.of("path_b")
    held.close()


def test_case_39_a_run_without_a_partition_key_is_refused_and_is_never_all_customers(prepared: Installation) -> None:
    before = (prepared.versions("path_a"), prepared.versions("path_b"))
    success, told = execute(prepared, asset_selection=None)
    assert not success
    assert "exactly one customer" in told or "non-partitioned run" in told
    with pytest.raises(dg.Failure, match="exactly one customer"):  # what Dagster lets through
        session_of_step(dg.build_asset_context(resources={"sessions": Sessions(_identity(), settings(), "greenit")}))
    assert (prepared.versions("path_a"), prepared.versions("path_b")) == before


@pytest.mark.parametrize("address", ADDRESSES)
def test_case_52_an_address_is_no_file_and_nothing_is_asked_of_it(prepared: Installation, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, place: asked.append(place))
    with pytest.raises(DeliveryError):
        prepared.land("path_a", "equipment_inventory", [Path(address)], "2024-12")
    assert asked == []


def test_case_62_a_file_name_forges_no_line_and_no_colour_in_what_is_told_or_kept(prepared: Installation, tmp_path: Path) -> None:
    hostile = "ok.csv\n[customer path_b] done\x1b[31m\r\x07.csv"
    bad = tmp_path / hostile
    bad.write_text("nothing,of,this\n1,2,3\n")
    done = CliRunner().invoke(strata, ["land", "path_a", "equipment_inventory", str(bad), "--period", "2024-12"], color=True)
    assert done.exit_code == 1
    told = done.output.removeprefix("\x1b[31m").replace("\x1b[0m", "").rstrip("\n")
    assert told.isprintable(), told
    kept = prepared.query("SELECT file_name, problem, fix FROM platform.refusal", customer="path_a", role="strata_writer")
    assert kept
    assert all(value.isprintable() for row in kept for value in row.values()), kept
