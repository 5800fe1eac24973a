"""A backfill through the living daemon and its queue, while the code location is killed; then only what failed once more."""
from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.serving import RETRY_VARIABLE
from tests.installation import inventory
from tests.ui.conftest import Served

pytestmark = pytest.mark.ui
DELIVERED, LATE = "stark", "wayne"
SELECTION = 'key:"greenit/bronze/equipment_inventory"'


def said(served: Served, *words: str, code: int = 0) -> str:
    shell = served.strata(*words)
    output, _ = shell.communicate(timeout=240)
    assert shell.returncode == code, output
    return output


def test_a_backfill_outlives_its_code_server_and_a_retry_runs_the_failed_customer_alone(served: Served, tmp_path: Path) -> None:
    folder = Path(served.environment["STRATA_CUSTOMERS"])
    declared = yaml.safe_load((folder / "acme.yaml").read_text(encoding="utf-8"))
    for name in (DELIVERED, LATE):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**declared, "name": f"{name} (fictional)"}), encoding="utf-8")
    file = inventory(tmp_path / "inventory.csv", {"equipment_id": "e1"})
    said(served, "land", DELIVERED, "equipment_inventory", str(file), "--period", "2024-09")
    servers = code_servers(served)
    assert servers
    assert all(variables.get(RETRY_VARIABLE) == "1" for _, variables in servers)
    for number, _ in servers:
        os.kill(number, signal.SIGKILL)
    output = said(served, "backfill", "start", DELIVERED, LATE, "--select", SELECTION, "--wait", code=1)
    order = output.partition(":")[0]
    assert states(served, order) == {DELIVERED: "succeeded", LATE: "failed"}
    said(served, "land", LATE, "equipment_inventory", str(file), "--period", "2024-09")
    said(served, "backfill", "retry", order, "--wait")
    assert states(served, order) == {DELIVERED: "succeeded", LATE: "succeeded"}
    assert (len(served.runs(DELIVERED)), len(served.runs(LATE))) == (1, 2)


def states(served: Served, order: str) -> dict[str, str]:
    [found] = json.loads(said(served, "backfill", "status", order, "--format", "json"))
    return found["customers"]


def code_servers(served: Served) -> list[tuple[int, dict[str, Any]]]:
    """Process id and environment of every code server of this home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            variables = dict(line.partition("=")[::2] for line in (entry / "environ").read_text(errors="replace").split("\0"))
            words = (entry / "cmdline").read_text(errors="replace").split("\0")
            if variables.get("STRATA_HOME") == served.environment["STRATA_HOME"] and {"api", "grpc"} <= set(words):
                found.append((int(entry.name), variables))
    return found
