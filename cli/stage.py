"""One stage of a trial: some tables of some customers computed by the checkout that this process runs, published to nobody.

What belongs here: what has to run in the process of another checkout (cli/recomputation.py starts this very file there), so it uses no more of
the project than a job, a session's tags and errors' words. What does not: choosing tables, comparing results.

It reads from standard input {"module", "job", "keys", "customers": {id: {tag: value}}} and prints a line of JSON per customer when it is done. Dagster's
memory of these runs is gone with the process: they refresh nobody's data.
"""
from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import dagster as dg

from partitions.customers import CUSTOMERS
from platform_assets.compilation import compile_all
from resources.facts import without_values

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def carried_out(job: dg.JobDefinition, instance: dg.DagsterInstance, customer: str, keys: list[dg.AssetKey], tags: dict[str, str]) -> dict[str, Any]:
    """The customer's run: its id, failed tables with their reasons, and broken blocking rules."""
    instance.add_dynamic_partitions(CUSTOMERS.name or "customer", [customer])
    try:
        result = job.execute_in_process(partition_key=customer, instance=instance, raise_on_error=False, asset_selection=keys, tags=tags, run_config=QUIET)
    except Exception as error:  # noqa: BLE001  a checkout of then may fail in any way before its run begins; that is the stage's result
        return {"customer": customer, "run": "", "problems": {"(run)": f"{type(error).__name__}: {without_values(str(error))}"}}
    problems = {event.step_key: _reason(event.step_failure_data) for event in result.all_events if event.is_step_failure}
    for found in result.get_asset_check_evaluations():
        if not found.passed and found.severity == dg.AssetCheckSeverity.ERROR:
            problems[f"{found.asset_key.path[-1]} rule {found.check_name}"] = "broken"
    return {"customer": customer, "run": result.run_id, "problems": problems}


def _reason(data: Any) -> str:
    if own := getattr(data, "user_failure_data", None):
        return own.description
    error = data.error
    while error.cause:
        error = error.cause
    return without_values(error.message)


def main() -> None:
    asked = json.loads(sys.stdin.read())
    job = importlib.import_module(asked["module"]).defs.resolve_job_def(asked["job"])
    known = job.asset_layer.asset_graph.executable_asset_keys
    compile_all(importlib.import_module(asked["module"].rpartition(".")[0]))  # once, so that no customer's run pays for it
    keys = [key for path in asked["keys"] if (key := dg.AssetKey(path)) in known]
    with dg.DagsterInstance.ephemeral() as instance:
        for customer, tags in asked["customers"].items():
            sys.stdout.write(json.dumps(carried_out(job, instance, customer, keys, tags)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
