"""The code server from which runs are forked: each run is a process of its own that finds everything imported and compiled.

What belongs here: standing in for Dagster's `python -m dagster` where a code location is served. What does not: what is loaded before the
fork (preloaded.py) and runs themselves. Dagster's server asks for `spawn` and no setting changes it; a run then pays 15 CPU seconds before
its first table. One private name is replaced (tests/characterization/test_code_server.py).
"""
from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from pathlib import Path
from types import SimpleNamespace

import yaml

from resources.settings import PROJECT

PRELOADED = "cli.preloaded"
SCRIPT, WORKSPACE = "code-server", "workspace.yaml"


def workspace(home: Path) -> Path:
    """The project's workspace with this code server in it, as a file in Dagster's home folder, and the script that it names."""
    script, file = home / SCRIPT, home / WORKSPACE
    script.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(PROJECT)!r})\nfrom cli.code_server import main\n"
                      "if __name__ == '__main__':  # a fork runs this file under another name\n    main()\n")
    script.chmod(0o700)
    declared = yaml.safe_load((PROJECT / WORKSPACE).read_text())
    for entry in declared["load_from"]:
        entry["python_module"] |= {"executable_path": str(script), "working_directory": str(PROJECT)}
    file.write_text(yaml.safe_dump(declared))
    return file


def main() -> None:
    """`code-server -m dagster <arguments>`: Dagster's command, whose code server forks."""
    if sys.argv[1:3] != ["-m", "dagster"]:
        sys.exit("this stands in for python in a Dagster workspace: code-server -m dagster ...")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would not live on in a fork
    fork_runs()
    sys.executable = sys.argv[0]  # `dagster dev` has a server between, which starts the one that forks by its own python
    from dagster._cli import main as dagster_main

    sys.argv = ["dagster", *sys.argv[3:]]
    dagster_main()


def fork_runs() -> None:
    """Hand Dagster's code server a fork server that has loaded PRELOADED in place of `spawn`."""
    from dagster._grpc import server

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    context.set_executable(sys.executable)
    forkserver.ensure_running()  # it loads while the code server does; the first run would else wait for it
    server.multiprocessing = SimpleNamespace(get_context=lambda _method: context)  # type: ignore[assignment]
