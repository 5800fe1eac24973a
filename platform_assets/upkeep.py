"""What is done every night for the platform itself: old versions and old history go, and what everybody cost is computed.

What belongs here: the assets of it, their job and schedule. What does not: the work (collection.py, run_retention.py, platform_cost.py), which
`strata upkeep` does at once. Nothing here names a customer in Dagster's events: they would outlive one that leaves.
"""
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from partitions.customers import load_customers
from partitions.errors import BusyError, StrataError
from platform_assets.platform_cost import CONTRACT, Costs, computed
from platform_assets.tables import TRANSIENT, owners_of
from resources.invariants import CONTENTS
from resources.postgres import Postgres
from resources.run_retention import Forgotten, forget_runs
from resources.settings import settings
from resources.storage import COLUMN_SCHEMA

GROUP = "upkeep"
NIGHTLY = "30 2 * * *"  # UTC
PRICED = "everything_metered_is_priced"
COST, VERSIONS, HISTORY, VERIFIED = (dg.AssetKey(["platform", name]) for name in (
    "platform_cost", "collected_versions", "forgotten_history", "verified_customers"))


def cost(postgres: Postgres) -> Costs:
    """Costs of all declared customers, as of today."""
    return computed(postgres, load_customers(postgres.settings.customers), datetime.now(UTC).date())


def history(postgres: Postgres) -> Forgotten:
    """Runs that ended more than the setting's days ago."""
    return forget_runs(postgres, datetime.now(UTC) - timedelta(days=postgres.settings.history_days))


def upkeep_assets() -> list[dg.AssetsDefinition]:
    """Four assets of the platform without partitions; costs and verification come after the clean-up, so that they see what is left."""
    said: dict[str, Any] = {"group_name": GROUP, "owners": owners_of(CONTRACT), "retry_policy": TRANSIENT}

    @dg.asset(key=VERSIONS, kinds={"postgres", "duckdb"}, description="Versions that nobody can reach any more are removed, as `strata gc` does.", **said)
    def collected_versions() -> dg.MaterializeResult:
        from platform_assets.collection import Collected, collect  # pyarrow comes with it, which the definitions do without

        found = collect(Postgres(settings()), settings()).values()
        done = [one for one in found if isinstance(one, Collected)]
        busy = sum(isinstance(one, BusyError) for one in found)
        failed = sum(isinstance(one, StrataError) for one in found) - busy
        counted = {name: sum(getattr(one, name) for one in done) for name in ("versions", "rows", "files")}
        return dg.MaterializeResult(metadata={"customers": len(done), **counted, "busy": busy, "failed": failed})

    @dg.asset(key=HISTORY, kinds={"postgres"}, description="Dagster's runs, events, checks and logs of long ago are forgotten; what is the newest of something "
              "stays. `STRATA_HISTORY_DAYS` says how long.", **said)
    def forgotten_history() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={**vars(history(Postgres(settings()))), "days": settings().history_days})

    priced = dg.AssetCheckSpec(PRICED, asset=COST, description="The CPU hours of the costs are those of the metered runs, month by month.")
    columns = [dg.TableColumn(c.name, c.type, description=c.description) for c in CONTRACT.columns]

    @dg.asset(key=COST, deps=[VERSIONS], kinds={"postgres"}, description=CONTRACT.odcs.description.purpose,
              code_version=CONTRACT.fingerprint, metadata={COLUMN_SCHEMA: dg.TableSchema(columns=columns)}, check_specs=[priced], **said)
    def platform_cost() -> Iterator[dg.MaterializeResult]:
        found = cost(Postgres(settings()))
        check = dg.AssetCheckResult(check_name=PRICED, passed=not found.unpriced, severity=dg.AssetCheckSeverity.ERROR, metadata={"months": found.unpriced})
        yield dg.MaterializeResult(metadata={"customers": found.customers, "months": found.months, "usd": float(found.cost_usd)}, check_results=[check])

    return [collected_versions, forgotten_history, platform_cost, _verified_customers(said)]


def _verified_customers(said: dict[str, Any]) -> dg.AssetsDefinition:
    """The invariants of all customers, a check each."""
    checks = [dg.AssetCheckSpec(name, asset=VERIFIED, description=f"{text.capitalize()}.") for name, text in CONTENTS.items()]

    @dg.asset(key=VERIFIED, deps=[VERSIONS], kinds={"postgres", "duckdb"}, check_specs=checks, description="Looks at every customer for what must always "
              "hold: `strata verify` shows the same with names.", **said)
    def verified_customers():  # Dagster takes no annotation of one value where checks are outputs too
        from platform_assets.verification import verify

        found = verify(Postgres(settings()), load_customers(settings().customers))
        results = [dg.AssetCheckResult(check_name=name, passed=not sum(one.invariant == name for one in found.broken), severity=dg.AssetCheckSeverity.ERROR,
                                       metadata={"looked_at": found.counts.get(name, 0), "findings": sum(one.invariant == name for one in found.broken),
                                                 "tables": ", ".join(sorted({one.table or "-" for one in found.broken if one.invariant == name}))})
                   for name in CONTENTS]
        notes = len(found.findings) - len(found.broken)
        return dg.MaterializeResult(metadata={"findings": len(found.broken), "notes": notes, "not_looked_at": len(found.unseen)}, check_results=results)

    return verified_customers


def upkeep_schedule() -> dg.ScheduleDefinition:
    """Every night, while a daemon lives."""
    job = dg.define_asset_job(GROUP, dg.AssetSelection.groups(GROUP), description="What is done for the platform itself: `strata upkeep`.")
    return dg.ScheduleDefinition(name=GROUP, job=job, cron_schedule=NIGHTLY, execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING)
