"""The newest trial of a release as an asset of the platform: its report, and the suites that gate its approval as checks.

What belongs here: what Dagster shows of a trial, and where the parts of a report are kept that are about no customer. What does not: trials
(cli/trial.py). Figures of customers stay in the warehouse; Dagster keeps counts and names of KPIs, and no customer's.
"""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from partitions.errors import ReleaseError
from platform_assets.releases.plan import Plan
from platform_assets.releases.report import Check, Told, checks, in_rows
from resources.postgres import BACKUP, Postgres
from resources.releases import movements, trials
from resources.settings import Settings, settings

KEY = dg.AssetKey(["platform", "release_impact"])
SAID = {
    "functional": "Every customer's tables come out and keep their blocking rules.",
    "non_regression": "The base computed twice is equal to the last digit, and nothing moves without a cause.",
    "contracts": "What breaks readers of a table raises its contract's version.",
    "performance": "The candidate costs hardly more than its base.",
}


def file_of(configured: Settings, release: str) -> Path:
    """What is kept of a trial that is about no customer."""
    return configured.home / "releases" / configured.environment / f"{release}.json"


def keep_told(configured: Settings, release: str, base: str, candidate: str, plan: Plan, reasons: dict[str, list[str]]) -> None:
    path = file_of(configured, release)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"base": base, "candidate": candidate, "plan": asdict(plan), "reasons": reasons}, indent=1), encoding="utf-8")


def recorded(postgres: Postgres, release: str, names: Sequence[str] = ()) -> Told:
    """The newest trial of a release; raises ReleaseError where there is none. `names`: of these customers alone."""
    path = file_of(postgres.settings, release)
    if not path.is_file():
        raise ReleaseError(f"{release} was not tried here", fix=f"`strata release impact {release} --base <commit>`")
    kept = json.loads(path.read_text(encoding="utf-8"))
    with postgres.connect(BACKUP) as connection:
        tried = {name: trial for name, trial in trials(connection, release).items() if trial.candidate == kept["candidate"] and (not names or name in names)}
        moved = {name: found for name, found in movements(connection, release).items() if name in tried}
    return Told(release, kept["base"], kept["candidate"], _plan(kept["plan"]), kept["reasons"], tried, moved)


def _plan(said: dict[str, Any]) -> Plan:
    """The plan as it was: JSON knows no tuples."""
    made: dict[str, Any] = {name: {key: tuple(one) for key, one in value.items()} if isinstance(value, dict) else tuple(value) for name, value in said.items()}
    return Plan(**made)


def newest_release(configured: Settings) -> str | None:
    found = sorted(file_of(configured, "x").parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
    return found[-1].stem if found else None


def release_impact() -> dg.AssetsDefinition:
    """The asset, with a check for each suite."""
    specs = [dg.AssetCheckSpec(name, asset=KEY, description=says) for name, says in SAID.items()]

    @dg.asset(key=KEY, check_specs=specs, group_name="platform", kinds={"postgres"}, owners=["team:platform"],
              description="What the newest release that was tried would change: `strata release impact` computes it in staging, and shows it here. "
                          "Its checks are the suites that have to pass before a release may be approved.")
    def release_impact():  # Dagster takes no annotation of one value where checks are outputs too
        configured = settings()
        release = newest_release(configured)
        if release is None:
            raise dg.Failure("no release was tried here: `strata release impact <release> --base <commit>`", allow_retries=False)
        told = recorded(Postgres(configured), release)
        return dg.MaterializeResult(metadata=_metadata(told), check_results=[
            dg.AssetCheckResult(passed=one.passed, check_name=one.name, severity=dg.AssetCheckSeverity.ERROR, metadata=_facts(told, one))
            for one in checks(told)])

    return release_impact


def show(instance: dg.DagsterInstance, told: Told) -> None:
    """Show in Dagster what a command has found."""
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, metadata=_metadata(told)))
    for one in checks(told):
        instance.report_runless_asset_event(dg.AssetCheckEvaluation(asset_key=KEY, check_name=one.name, passed=one.passed,
                                                                    severity=dg.AssetCheckSeverity.ERROR, metadata=_facts(told, one)))


def _metadata(told: Told) -> dict:
    moving: dict[str, int] = {}
    for found in told.movements.values():
        for row in in_rows(found):
            moving[row["kpi"]] = moving.get(row["kpi"], 0) + 1
    table = "\n".join(["| KPI | customers whose figure moves |", "| --- | ---: |", *(f"| {kpi} | {number} |" for kpi, number in sorted(moving.items()))])
    changed = "\n".join(["| table | why |", "| --- | --- |", *(f"| {name} | {', '.join(causes)} |" for name, causes in told.plan.changed.items())])
    return {"release": told.release, "base": told.base, "candidate": told.candidate, "customers": len(told.trials),
            "figures_that_move": sum(one.before != one.after for found in told.movements.values() for one in found),
            "moving": dg.MetadataValue.md(table), "changed": dg.MetadataValue.md(changed), "causes": ", ".join(told.plan.causes()) or "none"}


def _facts(told: Told, check: Check) -> dict:
    """A check's finding without names of customers: Dagster's log outlives a customer."""
    found = check.found
    for name in told.trials:
        found = found.replace(name, "…")
    return {"release": told.release, "found": found}
