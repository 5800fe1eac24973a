"""P2: one small customer in a warm process, run several times on changed inputs; prints one JSON line."""
from __future__ import annotations

import json
import statistics
import tempfile
import time
from pathlib import Path

import dagster as dg

from benchmarks.chain import postgres_seconds, usage_seconds
from platform_assets import expectations, greenit  # noqa: F401
from platform_assets.compilation import compile_all
from platform_assets.greenit.definitions import defs
from resources.orchestrator import instance
from resources.postgres import Postgres
from resources.settings import settings
from tests.installation import Installation, billing, inventory

RUNS, EQUIPMENT_LINES, BILLING_LINES = 5, 300, 500
KINDS = ("laptop", "monitor", "smartphone")


def main() -> None:
    configured = settings()
    postgres = Postgres(configured)
    dagster = instance(postgres)
    installation = Installation(configured, postgres, dagster)
    installation.declare("small")
    tables = compile_all(greenit)
    job = defs.resolve_job_def("greenit_customer")
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(RUNS + 1):  # the first one warms
            devices = [{"equipment_id": f"e{i}", "quantity": 1 + (i + number) % 7, "item_type": KINDS[i % 3]} for i in range(EQUIPMENT_LINES)]
            hours = [{"ConsumedQuantity": f"{1 + (i + number) % 24}", "ChargePeriodStart": f"2024-09-{1 + i % 28:02d}T00:00:00Z"} for i in range(BILLING_LINES)]
            installation.land("small", "equipment_inventory", [inventory(Path(folder) / "inventory.csv", *devices)])
            installation.land("small", "cloud_billing", [billing(Path(folder) / "bill.csv", "account-small", *hours)])
            before = usage_seconds(), postgres_seconds(), time.monotonic()
            done = job.execute_in_process(partition_key="small", instance=dagster, raise_on_error=False,
                                          run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}})
            assert done.success
            time.sleep(0.3)  # PostgreSQL's processes of the run end and are counted
            measured.append((usage_seconds() - before[0], postgres_seconds() - before[1], time.monotonic() - before[2] - 0.3))
    cpu, postgres_cpu, wall = (statistics.median(values) for values in zip(*measured[1:], strict=True))
    dg.DagsterInstance.dispose(dagster)
    print(json.dumps({"cpu": cpu, "postgres_cpu": postgres_cpu, "wall": wall, "tables": len(tables), "cpu_per_table": (cpu + postgres_cpu) / len(tables),
                      "rows": EQUIPMENT_LINES + BILLING_LINES, "runs": RUNS}))


if __name__ == "__main__":
    main()
