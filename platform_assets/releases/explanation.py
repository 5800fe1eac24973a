"""Why figures move: the commits behind changed code, the rows of changed parameters, the libraries with other versions.

What belongs here: naming what a plan found. What does not: finding it (plan.py).
"""
from __future__ import annotations

from pathlib import Path

from platform_assets.parameter_history import Change, changes
from platform_assets.releases.plan import Plan
from resources.parameter_state import ParameterState
from resources.revision import git, text
from resources.settings import PROJECT

CELL = 60


def explained(plan: Plan, base_root: Path, base: str) -> dict[str, list[str]]:
    """Cause -> lines that name it, of the moving causes that there are."""
    files = sorted({file for name, found in plan.files.items() for file in found if "code" in plan.changed[name]} | set(plan.shared))
    wanted = set(plan.parameters)
    before, after = (ParameterState(root, (), "") for root in (base_root, PROJECT))
    rows = [said for change in changes(before, after) if change.file.removesuffix(".csv") in wanted and (said := in_words(change))]
    return {
        "code": [*commits(base, files), *(f"{name} is a new table" for name, causes in plan.changed.items() if "new" in causes)],
        "libraries": [f"{name} {was or 'not there'} → {now or 'gone'}" for name, (was, now) in plan.libraries.items()],
        "parameters": [*rows, *(commits(base, [f"{name}.csv" for name in plan.parameters]))],
    }


def commits(base: str, files: list[str]) -> list[str]:
    """The commits since the base that touched files, the newest first; what is not committed yet is told too."""
    if not files:
        return []
    found = text(git(PROJECT, "log", "--no-merges", "--format=%h %s", f"{base}..HEAD", "--", *files)).splitlines()
    changed = [line[3:] for line in (git(PROJECT, "status", "--porcelain", "--", *files) or b"").decode().splitlines()]
    return [*found, *(f"not committed: {name}" for name in changed)]


def in_words(change: Change) -> str:
    """A row of a parameter file that differs, in one line."""
    key = " ".join(filter(None, change.key))
    if change.kind == "changed":
        cells = "; ".join(f"{name} {was[:CELL] or 'empty'} → {now[:CELL] or 'empty'}" for name, (was, now) in change.cells.items())
        return f"{change.file}: {key}: {cells}"
    return f"{change.file}: {key} is {'new' if change.kind == 'added' else 'gone'}"
