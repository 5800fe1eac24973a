"""What a checkout computes by: of every table its fingerprint, its expression, its contract and what it reads; parameters; libraries.

What belongs here: describing one checkout in plain values. What does not: comparing two (plan.py). Another checkout is described by running
this very file in it (cli/recomputation.py), so it uses no more of the project than it must: the tables, their contracts, their expressions.
"""
from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from platform_assets.compilation import express_all
from platform_assets.composition import tables_of
from platform_assets.contracts import Contract
from platform_assets.tables import reference_files
from resources.compiled import digest
from resources.releases import libraries_of
from resources.settings import PROJECT

PASSED_THROUGH = tuple(f"resources/{name}.py" for name in ("lake", "warehouse", "reference", "landing", "expressions", "recipes"))
IMPORTED = re.compile(r"^\s*from ((?:resources|partitions)\.\w+) import", re.MULTILINE)


def census(domain: str) -> dict[str, Any]:
    """The checkout that this process runs: `tables`, `parameters` (file -> hash), `libraries` (package -> version), `shared` (file -> hash)."""
    module = importlib.import_module(f"platform_assets.{domain}")
    expressed = express_all(module)
    tables = {}
    for asset, made in tables_of(module):
        reads = ["/".join(key.path) for key in sorted(asset.keys_by_input_name.values())]
        dialect = "postgres" if made.layer == "platinum" else "duckdb"
        tables[made.spec.qualified] = {
            "key": list(asset.key.path), "layer": made.layer, "fingerprint": made.fingerprint, "expression": digest(expressed[made.table][1].op(), dialect),
            "sources": {path.relative_to(PROJECT).as_posix(): _hash(path) for path in made.sources}, "reads": reads, "contract": _said(made),
        }
    named = {file for table in tables.values() for file in table["sources"]}
    shared = {name: _hash(PROJECT / name) for name in shared_files()}
    return {"tables": tables, "parameters": reference_files(), "libraries": libraries_of(PROJECT),
            "shared": {name: found for name, found in shared.items() if name not in named}}


def shared_files() -> list[str]:
    """What every table is read, computed and written through, which no fingerprint holds: the stores' modules and what they import."""
    found: set[str] = set()
    waiting = list(PASSED_THROUGH)
    while waiting:
        name = waiting.pop()
        if name not in found and (PROJECT / name).is_file():
            found.add(name)
            waiting += [f"{module.replace('.', '/')}.py" for module in IMPORTED.findall((PROJECT / name).read_text(encoding="utf-8"))]
    return sorted(found)


def _said(made: Contract) -> dict[str, Any]:
    """What a contract promises to who reads the table."""
    return {
        "file": made.path.relative_to(PROJECT).as_posix(), "key": list(made.key),
        "columns": {c.name: {"type": c.type, "required": c.required, "classification": c.classification, "unit": c.unit} for c in made.columns},
        "rules": {rule.name: {"severity": rule.severity, "expectation": rule.expectation, "kwargs": rule.kwargs} for rule in made.rules},
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(census(sys.argv[1]), default=str))
