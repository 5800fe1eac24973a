"""What the forking code server relies on: Dagster's server asks `multiprocessing` for its context by this name, and a workspace may name a python."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._grpc import server

from cli import code_server
from platform_assets import greenit
from platform_assets.composition import tables_of


def test_dagsters_server_takes_the_context_it_is_handed(monkeypatch) -> None:
    monkeypatch.setattr(server, "multiprocessing", server.multiprocessing)  # put back afterwards
    monkeypatch.setattr(code_server.forkserver, "ensure_running", lambda: None)
    assert server.multiprocessing.get_context("spawn").get_start_method() == "spawn"
    code_server.fork_runs()
    assert server.multiprocessing.get_context("spawn").get_start_method() == "forkserver"


def test_the_workspace_names_a_script_that_is_dagsters_command(tmp_path: Path) -> None:
    [origin] = WorkspaceFileTarget(paths=[str(code_server.workspace(tmp_path))]).create_origins()
    script = origin.loadable_target_origin.executable_path
    assert origin.location_name == "greenit"
    said = subprocess.run([script, "-m", "dagster", "--version"], capture_output=True, text=True, timeout=120, check=True).stdout
    assert "version 1.13" in said
    assert subprocess.run([script, "-c", "pass"], capture_output=True, timeout=60, check=False).returncode != 0  # it is no python
    [entry] = yaml.safe_load((tmp_path / "workspace.yaml").read_text())["load_from"]
    assert entry["python_module"]["module_name"] == "platform_assets.greenit.definitions"


def test_a_preloading_process_has_no_thread_and_knows_all_sql() -> None:
    """Threads do not live on in a fork, and what they held stays locked. Two of pyarrow's and its allocator's are there: they hold nothing of ours, and
    a soak of forks has shown no harm (tests/soak)."""
    told = ("import os, threading, cli.preloaded; from resources import expressions;"
            "print(threading.active_count(), len(os.listdir('/proc/self/task')), len(expressions._sql))")
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=300, check=True, env=environment)
    ours, native, statements = map(int, done.stdout.split()[-3:])
    assert (ours, native <= 3) == (1, True)
    assert statements == len(tables_of(greenit))
