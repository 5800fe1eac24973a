"""Servers over TCP, each with an installation of its own, as environments have them; commands as an operator starts them.

Both are of `dev`, which alone may run a checkout under work: what keeps environments apart here is that servers and passwords are each one's own.
Production itself is started from an image (test_image.py)."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from resources.settings import PROJECT
from tests.tcp.server import Authority, Server, running


@dataclass(frozen=True)
class Site:
    """One environment: its server, and the variables that its commands are started with."""

    server: Server
    home: Path
    variables: dict[str, str]

    def strata(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "cli.main", *words], cwd=PROJECT, env={**self.variables, **changes}, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "strata-test")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that signed no server's certificate."""
    return Authority(tmp_path_factory.mktemp("stranger"), "somebody-else")


@pytest.fixture(scope="session")
def site(authority: Authority) -> Iterator[Site]:
    yield from _site(authority)


@pytest.fixture(scope="session")
def other_site(authority: Authority) -> Iterator[Site]:
    yield from _site(authority)


def _site(authority: Authority) -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="strata-tcp-"))
    try:
        with running(folder, authority) as server:
            clean = {name: value for name, value in os.environ.items() if not name.startswith(("STRATA_", "DAGSTER_", "PG"))}
            yield Site(server, folder / "home", {**clean, "STRATA_HOME": str(folder / "home"), "STRATA_ENVIRONMENT": "dev", "STRATA_DSN": server.dsn()})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
