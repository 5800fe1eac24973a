"""Which code and which parameters this installation runs, for the record of every version."""
from __future__ import annotations

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

from resources.settings import PROJECT

REFERENCES = ("parameters", "vocabularies")


@cache
def code_commit() -> str:
    """`$STRATA_COMMIT` (set by images), else git's HEAD, else "unknown"."""
    if named := os.environ.get("STRATA_COMMIT"):
        return named
    try:
        found = subprocess.run(["git", "-C", str(PROJECT), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"


def reference_version(root: Path = PROJECT) -> str:
    """A hash of all parameter and vocabulary files: the state that every version names."""
    digest = hashlib.sha256()
    for kind in REFERENCES:
        for path in sorted((root / kind).glob("*")):
            if path.suffix in (".csv", ".yaml"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
