"""The names of all fail points, read from the source, so that a new one is driven without a new test.

What belongs here: which test module drives which place (what stands before the dot). What does not: driving them.
"""
from __future__ import annotations

import ast

from resources.settings import PROJECT

DRIVEN = {
    "tests/faults/test_kill.py": ("lake", "warehouse", "platinum", "publication"),  # in a run
    "tests/launches/test_killed_at_points.py": ("refreshes", "joining", "backfills", "event_log"),  # in code server, daemon and commands
    "tests/customers/test_leaving.py": ("erasure",),  # in the command that removes a customer
}


def fail_points(*places: str) -> list[str]:
    """Every name of these places; without one all."""
    names = set()
    for folder in ("resources", "platform_assets", "cli"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint" and isinstance(node.args[0], ast.Constant):
                    names.add(node.args[0].value)
    return sorted(name for name in names if not places or name.partition(".")[0] in places)
