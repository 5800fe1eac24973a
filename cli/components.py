"""One component of a served installation, each a process that a container or a service unit starts: webserver, daemon, code server, a run.

What belongs here: becoming Dagster's own program with this installation's instance, and whether the daemon lives. What does not: `strata ui`,
which serves all of them on one machine (serving.py). No component needs the administrator's login of PostgreSQL.
"""
from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click
import yaml

from cli.code_server import SCRIPT, workspace
from cli.serving import RETRY_VARIABLE, daemon_lives
from partitions.errors import SettingsError
from resources.orchestrator import instance, prepare
from resources.postgres import Postgres
from resources.settings import PROJECT, settings

CODE_SERVERS = "STRATA_CODE_SERVERS"
ADDRESS = re.compile(r"([a-z][a-z0-9_]*)=([A-Za-z0-9.-]+):([0-9]{1,5})")
CODE_SERVER_PORT, WEB_PORT = 4000, 3000


@click.group()
def serve() -> None:
    """One component as a process of its own: webserver, daemon, code-server. On one machine `strata ui` serves all."""


@serve.command()
@click.option("--host", default="127.0.0.1", help="Loopback by default: Dagster knows no login, so a proxy that asks for one stands before it.")
@click.option("--port", type=click.IntRange(1, 65535), default=WEB_PORT)
@click.option("--read-only", is_flag=True, help="For viewers: every mutation is refused.")
def webserver(host: str, port: int, read_only: bool) -> None:
    """Dagster's pages, for the code servers of STRATA_CODE_SERVERS."""
    home = _prepared()
    _become("dagster_webserver", "-w", _remote_workspace(home), "-h", host, "-p", str(port), *(["--read-only"] if read_only else []))


@serve.command()
def daemon() -> None:
    """Dagster's daemon: the queue, schedules, sensors, backfills. One per installation."""
    home = _prepared()
    os.environ[RETRY_VARIABLE] = "1"
    _become("dagster._daemon", "run", "-w", _remote_workspace(home))


@serve.command("code-server")
@click.option("--location", envvar="STRATA_LOCATION", default="greenit", help="Which domain; default: STRATA_LOCATION, which an image sets.")
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=click.IntRange(1, 65535), default=CODE_SERVER_PORT)
def code_server(location: str, host: str, port: int) -> None:
    """One domain's code, by gRPC, and the server from which its runs are forked."""
    home = _prepared()
    module, attribute = _declared(location)
    workspace(Path(home))
    script = f"{home}/{SCRIPT}"
    os.execv(script, [script, "-m", "dagster", "api", "grpc", "--module-name", module, "--attribute", attribute,  # noqa: S606  no shell wanted
                      "--location-name", location, "--working-directory", str(PROJECT), "--host", host, "--port", str(port)])


@serve.command("run", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
def run(words: tuple[str, ...]) -> None:
    """Dagster's command WORDS (such as `dagster api execute_run …`) with this installation's instance: what a pod of a single run does."""
    if words[0] != "dagster":
        raise SettingsError("a pod of a run runs Dagster's own command", fix="begin it with `dagster`")
    _prepared()
    _become(*words)


@serve.command()
@click.argument("component", type=click.Choice(["daemon"]))
def health(component: str) -> None:
    """Exit code 1 where the daemon has not beat for 90 s. (A webserver answers /server_info, a code server gRPC's own health check.)"""
    if not daemon_lives(instance(Postgres(settings()))):
        click.echo(f"the {component} has not beat lately", err=True)
        sys.exit(1)


def _prepared() -> str:
    """Dagster's home of this process, with the instance and the address of its database in the environment."""
    postgres = Postgres(settings())
    prepare(postgres)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return str(postgres.settings.dagster_home)


def _become(module: str, *words: str) -> None:
    os.execv(sys.executable, [sys.executable, "-m", module, *words])  # noqa: S606  no shell wanted


def _remote_workspace(home: str) -> str:
    """A workspace of the code servers that run elsewhere. Raises SettingsError."""
    said = [part.strip() for part in os.environ.get(CODE_SERVERS, "").split(",") if part.strip()]
    found = [ADDRESS.fullmatch(part) for part in said]
    if not said or not all(found):
        raise SettingsError(f"{CODE_SERVERS} does not say where the code servers are", fix="write it as location=host:port, several with commas between")
    servers = [{"grpc_server": {"location_name": one[1], "host": one[2], "port": int(one[3])}} for one in found if one]
    path = f"{home}/code_servers.yaml"
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump({"load_from": servers}, file)
    return path


def _declared(location: str) -> tuple[str, str]:
    """Module and attribute of a location of workspace.yaml. Raises SettingsError."""
    declared = [entry["python_module"] for entry in yaml.safe_load((PROJECT / "workspace.yaml").read_text())["load_from"]]
    for entry in declared:
        if entry["location_name"] == location:
            return entry["module_name"], entry["attribute"]
    raise SettingsError(f"there is no code location {ascii(location)[:40]}", fix=f"one of {', '.join(entry['location_name'] for entry in declared)}")
