"""A project's parameters and vocabularies copied to a folder of their own, under git if a test asks, with rows changed by hand.

What belongs here: making and changing files. What does not: expectations.
"""
from __future__ import annotations

import csv
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from resources.revision import REFERENCES
from resources.settings import PROJECT, Settings, settings

AUTHOR = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]


def project(root: Path) -> Path:
    """`root` with the repository's parameter and vocabulary files."""
    for kind in REFERENCES:
        shutil.copytree(PROJECT / kind, root / kind, ignore=shutil.ignore_patterns("*.yaml"))
    return root


def settings_of(root: Path) -> Settings:
    """Settings of an installation that lies wholly under `root`."""
    (root / "customers").mkdir(exist_ok=True)
    return replace(settings(), references=root, home=root / "home", customers=root / "customers")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def header_of(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


def write(path: Path, header: list[str], rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def change(root: Path, table: str, line: int, **cells: Any) -> Path:
    """One row of a shipped file, by its line, with other cells."""
    path = root / "parameters" / f"{table}.csv"
    rows = rows_of(path)
    rows[line - 2].update({name: str(value) for name, value in cells.items()})
    return write(path, header_of(path), rows)


def overlay(root: Path, customer: str, table: str, *rows: dict[str, Any], to: Path | None = None) -> Path:
    """A customer's file; each row is a row of the shipped file (by `like`, its key) with other cells. `to`: another folder of customers than the root's."""
    shipped = root / "parameters" / f"{table}.csv"
    header = header_of(shipped)
    known = {row[header[0]]: row for row in rows_of(shipped)}
    made = [{**known[row["like"]], **{name: str(value) for name, value in row.items() if name != "like"}} for row in rows]
    return write((to or root / "customers") / customer / "parameters" / f"{table}.csv", header, made)


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *AUTHOR, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path, message: str = "state") -> str:
    """Everything as one commit of the repository at `root`, which is made; the commit's full name."""
    if not (root / ".git").exists():
        git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A", "--", "parameters", "vocabularies", *(["customers"] if any((root / "customers").glob("*/*")) else []))
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")
