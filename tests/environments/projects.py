"""A checkout of the project of its own, at any commit and tag that a test wants, and processes in it.

What belongs here: making and calling it. What does not: expectations.
"""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from resources.settings import PROJECT

CODE = ("cli", "partitions", "resources", "platform_assets", "samples", "parameters", "vocabularies", "customers", "migrations")
FILES = ("environments.yaml", "pyproject.toml", "workspace.yaml", "dagster.yaml", ".gitignore")


@dataclass
class Project:
    """A copy of what runs, as a git repository with one commit on `work`."""

    folder: Path

    def git(self, *words: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(["git", "-C", str(self.folder), *identity, *words], check=True, capture_output=True, text=True).stdout.strip()

    def python(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A fresh interpreter in the copy, with nothing of ours in its environment but what is given."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("STRATA_", "DAGSTER_"))}
        return subprocess.run([sys.executable, "-B", *words], cwd=self.folder, capture_output=True, text=True, timeout=240,
                              env={**clean, "PYTHONPATH": str(self.folder), **environment})

    def strata(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "cli.main", *words, **environment)


def make_project(folder: Path) -> Project:
    folder.mkdir(parents=True)
    for name in CODE:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(PROJECT / name, folder / name)
    made = Project(folder)
    made.git("init", "-q", "-b", "work")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "as it is")
    return made
