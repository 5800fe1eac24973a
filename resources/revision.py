"""Which code and which parameters this installation runs, for the record of every version; and files as a commit had them.

What belongs here: asking git. What does not: reading the files (parameter_files.py) or choosing among folders (parameter_state.py).
"""
from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from partitions.errors import ParameterError
from resources.settings import PROJECT

REFERENCES = ("parameters", "vocabularies")
UNKNOWN, DIRTY = "unknown", "+dirty"
COMMIT_DIGITS = 12


def git(folder: Path, *arguments: str) -> bytes | None:
    """What git answers in a folder; None where there is no git, no repository or no such thing."""
    try:
        found = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout if found.returncode == 0 else None


def text(answer: bytes | None) -> str:
    return (answer or b"").decode("utf-8", "surrogateescape").strip()


@cache
def code_commit() -> str:
    """`$STRATA_COMMIT` (set by images), else git's HEAD, else "unknown"."""
    return os.environ.get("STRATA_COMMIT") or text(git(PROJECT, "rev-parse", f"--short={COMMIT_DIGITS}", "HEAD")) or UNKNOWN


def release_name() -> str | None:
    """The tag or branch that an image was built from, as its build stamped it in `$STRATA_REF`; None outside of images."""
    return re.sub(r"^refs/(tags|heads)/", "", os.environ.get("STRATA_REF", "")) or None


def repository_of(folder: Path) -> Path | None:
    """The top folder of the git repository that a folder is in."""
    found = text(git(folder, "rev-parse", "--show-toplevel"))
    return Path(found) if found else None


def inside(folder: Path, repository: Path | None) -> bool:
    return repository is not None and folder.resolve().is_relative_to(repository.resolve())


def commit_of(root: Path, files: Iterable[Path]) -> str:
    """The commit that holds the files as they are, with `+dirty` where one differs from it or is not in it; `unknown` without git."""
    if named := os.environ.get("STRATA_COMMIT"):
        return named
    repository = repository_of(root)
    head = text(git(root, "rev-parse", f"--short={COMMIT_DIGITS}", "HEAD"))
    if repository is None or not head:
        return UNKNOWN
    asked = list(files)
    outside = [path for path in asked if not inside(path, repository)]
    folders = sorted({str(path.parent.resolve()) for path in asked if path not in outside})
    changed = git(repository, "status", "--porcelain", "--ignored", "--untracked-files=all", "--", *folders) if folders else b""
    return head + (DIRTY if outside or changed is None or changed.strip() else "")


def resolved(root: Path, commit: str) -> str:
    """The full name of a commit. ParameterError where git does not know it or is not there."""
    if repository_of(root) is None:
        raise ParameterError("parameters of an earlier commit are read from git, and their folder is in no git repository", file=str(root),
                             fix="run from a git checkout")
    found = None if commit.startswith("-") else text(git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"))
    if not found or not re.fullmatch(r"[0-9a-f]{40,64}", found):
        raise ParameterError(f"git knows no commit {commit!r}", fix="name a commit, tag or branch of the repository that holds parameters/")
    return found


def as_committed(repository: Path, commit: str, folder: Path, into: Path) -> Path:
    """`into`, holding what the commit had under `folder` (within the repository); empty where it had nothing. A commit never changes, so it is
    extracted once."""
    if into.is_dir():
        return into
    into.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=into.parent))
    within = folder.relative_to(repository.resolve()).as_posix()
    if text(git(repository, "ls-tree", commit, "--", within)):
        packed = git(repository, "archive", "--format=tar", f"{commit}:{within}")
        if packed is None:
            raise ParameterError(f"git cannot read {within} of commit {commit[:COMMIT_DIGITS]}", fix="check the repository with git fsck")
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(made, filter="data")
    try:
        made.rename(into)
    except OSError:  # another run was faster; its files are the same
        shutil.rmtree(made, ignore_errors=True)
    return into


def hash_of(files: Iterable[tuple[str, Path]]) -> str:
    """One hash of named files."""
    digest = hashlib.sha256()
    for name, path in files:
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
