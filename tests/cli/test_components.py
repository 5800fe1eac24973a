"""Components that are started apart, and what an operator may set in Dagster's instance: wrong settings are refused before anything is started."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.components import _declared, _remote_workspace, serve
from partitions.errors import SettingsError
from resources.orchestrator import instance_settings, storage_url
from resources.postgres import Postgres
from resources.run_launcher import LauncherBySize, size_of
from resources.settings import PROJECT
from tests.installation import Installation


@pytest.mark.parametrize("said", ["", "greenit", "greenit=host", "greenit=host:4000;x=y:1", "greenit=ho st:4000", "../x=host:4000"])
def test_where_the_code_servers_are_is_written_one_way(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_CODE_SERVERS", said)
    with pytest.raises(SettingsError, match="location=host:port"):
        _remote_workspace(str(tmp_path))


def test_several_code_servers_make_one_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_CODE_SERVERS", "greenit=strata-code-greenit:4000, other=10.0.0.7:4001")
    made = yaml.safe_load(Path(_remote_workspace(str(tmp_path))).read_text())
    assert [one["grpc_server"] for one in made["load_from"]] == [
        {"location_name": "greenit", "host": "strata-code-greenit", "port": 4000}, {"location_name": "other", "host": "10.0.0.7", "port": 4001}]


def test_a_location_that_is_not_declared_is_refused_by_name() -> None:
    assert _declared("greenit") == ("platform_assets.greenit.definitions", "defs")
    with pytest.raises(SettingsError, match="nowhere.*one of greenit"):
        _declared("nowhere")


def test_a_pod_of_a_run_runs_nothing_but_dagster() -> None:
    done = CliRunner().invoke(serve, ["run", "/bin/sh", "-c", "id"])
    assert isinstance(done.exception, SettingsError)


def test_an_operator_may_set_how_runs_are_launched_and_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    assert instance_settings() == shipped
    file = tmp_path / "instance.yaml"
    file.write_text("concurrency: {runs: {max_concurrent_runs: 7}}")
    monkeypatch.setenv("STRATA_INSTANCE", str(file))
    assert instance_settings() == {**shipped, "concurrency": {"runs": {"max_concurrent_runs": 7}}}


@pytest.mark.parametrize("text", ["storage: {}", "run_monitoring: {enabled: false}", "- a list", "a: [", "just words"])
def test_an_operator_may_set_nothing_else_of_the_instance(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "instance.yaml"
    file.write_text(text)
    monkeypatch.setenv("STRATA_INSTANCE", str(file))
    with pytest.raises(SettingsError, match="STRATA_INSTANCE"):
        instance_settings()


def test_a_server_address_carries_its_encryption_into_every_address_made_of_it(installation: Installation) -> None:
    dsn = "host=db.example.org port=5433 sslmode=verify-full sslrootcert='/etc/a b/ca.crt'"
    service = Postgres(replace(installation.settings, dsn=dsn))
    assert service.tls == {"sslmode": "verify-full", "sslrootcert": "/etc/a b/ca.crt"}
    assert storage_url(service).endswith(f"@db.example.org:5433/{service.names.dagster}?sslmode=verify-full&sslrootcert=%2Fetc%2Fa+b%2Fca.crt")
    assert not service.administers
    assert Postgres(replace(installation.settings, dsn=f"{dsn} user=postgres")).administers
    assert installation.postgres.administers


def test_a_launch_without_a_size_takes_the_class_of_the_customers_file(installation: Installation) -> None:
    from dagster import DagsterRun

    installation.declare("huge_co", size_class="giant")
    installation.declare("tiny_co")
    run = {name: DagsterRun(job_name="greenit_customer", tags={"dagster/partition": name}) for name in ("huge_co", "tiny_co", "nobody")}
    assert {name: size_of(one) for name, one in run.items()} == {"huge_co": "giant", "tiny_co": "small", "nobody": "small"}
    assert size_of(DagsterRun(job_name="greenit_customer", tags={"dagster/partition": "tiny_co", "strata/size_class": "giant"})) == "giant"


def test_only_giants_leave_the_code_server() -> None:
    from dagster import DagsterRun
    from dagster._core.launcher import DefaultRunLauncher

    launcher = LauncherBySize({"job_namespace": "x"})
    for tags in ({"strata/size_class": "small"}, {"strata/size_class": "medium"}, {"strata/size_class": "giant", ".dagster/grpc_info": "{}"}):
        assert isinstance(launcher._of(DagsterRun(job_name="x", tags=tags)), DefaultRunLauncher)
    with pytest.raises(ModuleNotFoundError, match="dagster_k8s"):  # in images alone
        launcher._of(DagsterRun(job_name="x", tags={"strata/size_class": "giant"}))
