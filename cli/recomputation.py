"""Other checkouts of this project, and computing by them: the base of a release, and what lies between it and the candidate.

What belongs here: worktrees, environments of another lock file, and the processes that run in them. What does not: what they compute
(stage.py, platform_assets/releases/census.py) and what is made of it (platform_assets/releases).
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from partitions.errors import ReleaseError
from resources.facts import without_values
from resources.releases import LOCK, digest, libraries_of
from resources.revision import COMMIT_DIGITS, UNKNOWN, git, repository_of, text
from resources.settings import PROJECT, Settings

HERE = Path(__file__).resolve().parent
CENSUS, STAGE = PROJECT / "platform_assets" / "releases" / "census.py", HERE / "stage.py"
SECONDS = 24 * 3600
TOLD_CHARACTERS = 400


@dataclass(frozen=True)
class Worktree:
    """A root folder whose code runs by `python`. `commit` is what git calls it."""

    root: Path
    python: str
    commit: str


@dataclass(frozen=True)
class Computed:
    """What a stage made of a customer: its run, and the tables that did not come out, with reasons."""

    run: str
    problems: dict[str, str] = field(default_factory=dict)


def here() -> Worktree:
    """This checkout; a commit with `+dirty` where files differ from it."""
    head = text(git(PROJECT, "rev-parse", f"--short={COMMIT_DIGITS}", "HEAD")) or os.environ.get("STRATA_COMMIT") or UNKNOWN
    changed = text(git(PROJECT, "status", "--porcelain"))
    return Worktree(PROJECT, sys.executable, head + ("+dirty" if changed else ""))


@contextmanager
def worktree(reference: str, configured: Settings) -> Iterator[Worktree]:
    """The project as a commit, tag or branch has it, in a folder that goes afterwards. Raises ReleaseError where git does not know it."""
    if repository_of(PROJECT) is None:
        raise ReleaseError("the base of a release is read from git, and this installation is in no git repository", fix="run it from a git checkout")
    commit = None if reference.startswith("-") else text(git(PROJECT, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}"))
    if not commit:
        raise ReleaseError(f"git knows no commit {reference!r}", fix="name the commit, tag or branch that is live")
    within = text(git(PROJECT, "rev-parse", "--show-prefix"))
    folder = Path(tempfile.mkdtemp(prefix="strata-base-"))
    try:
        if git(PROJECT, "worktree", "add", "--detach", "--force", str(folder / "base"), commit) is None:
            raise ReleaseError(f"git cannot check {reference} out", fix="see `git worktree list`, and `git worktree prune`")
        root = folder / "base" / within
        yield Worktree(root, interpreter(root, configured), commit[:COMMIT_DIGITS])
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # scratch: what is left of it changes no result, and hides none that the work raised
        git(PROJECT, "worktree", "prune")


def interpreter(root: Path, configured: Settings) -> str:
    """This interpreter where a checkout pins the same libraries, else that of an environment made from its lock file (kept for the next time)."""
    pins = libraries_of(root)
    if pins == libraries_of(PROJECT):
        return sys.executable
    folder = configured.home / "environments" / digest(pins)
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        if folder.exists():  # half made by one that was interrupted
            shutil.rmtree(folder)
        for command in ([sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(root / LOCK)]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            if done.returncode:
                raise ReleaseError(f"the base's libraries cannot be installed: {done.stderr.strip()[-TOLD_CHARACTERS:]}",
                                   fix="make its requirements.lock installable, or release the libraries apart")
        (folder / ".ready").touch()
    return str(python)


def census_of(made: Worktree, domain: str, configured: Settings) -> dict[str, Any]:
    """What a checkout computes by (platform_assets/releases/census.py). Raises ReleaseError for one that today's question cannot be put to."""
    done = _run(made, CENSUS, [domain], "", configured, {})
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["it gives no reason"])[-1]
        raise ReleaseError(f"commit {made.commit} cannot be compared: {why[-TOLD_CHARACTERS:]}",
                           fix="see that its definitions load; a base from before `strata release` cannot be compared")
    return json.loads(done.stdout)


def computed(made: Worktree, references: Path, module: str, job: str, keys: Sequence[Sequence[str]], customers: Mapping[str, Mapping[str, str]],
             configured: Settings) -> dict[str, Computed]:
    """Tables of customers by a checkout's code and libraries, by the parameters below `references`. Customer -> what came of it."""
    asked = json.dumps({"module": module, "job": job, "keys": list(map(list, keys)), "customers": {name: dict(tags) for name, tags in customers.items()}})
    folder = _customers_of(references, configured)
    done = _run(made, STAGE, [], asked, configured, {"STRATA_REFERENCES": str(references), "STRATA_CUSTOMERS": str(folder)})
    found = {said["customer"]: Computed(said["run"], said["problems"]) for said in map(json.loads, _lines(done.stdout))}
    why = without_values((done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"])[-1])[:TOLD_CHARACTERS]
    return {name: found.get(name, Computed("", {"(run)": why})) for name in customers}


def _lines(text: str) -> Iterable[str]:
    return (line for line in text.splitlines() if line.startswith("{"))


def _customers_of(references: Path, configured: Settings) -> Path:
    """The folder of customers that belongs to a checkout's parameters, where it lies in the repository; else the installation's."""
    if not configured.customers.is_relative_to(PROJECT):
        return configured.customers
    folder = references / configured.customers.relative_to(PROJECT)
    return folder if folder.is_dir() else configured.customers


def _run(made: Worktree, script: Path, arguments: list[str], given: str, configured: Settings, more: dict[str, str]) -> subprocess.CompletedProcess:
    """A script of this checkout in the process of another one: `-c` puts the working folder first among the modules."""
    environment = {**os.environ, "STRATA_HOME": str(configured.home), "STRATA_CUSTOMERS": str(configured.customers), **more}
    environment.pop("PYTHONPATH", None)
    return subprocess.run([made.python, "-c", script.read_text(encoding="utf-8"), *arguments], cwd=made.root, input=given, env=environment,
                          capture_output=True, text=True, timeout=SECONDS, check=False)
