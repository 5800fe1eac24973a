"""Landing a file under the contract of its bronze table, and what Dagster's pages and the steward hear of it.

What belongs here: one delivery from the files to its event. What does not: judging and registering files (resources/deliveries.py).
"""
from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, cast

import dagster as dg
import psycopg

from partitions.customers import Customer
from partitions.errors import DeliveryError, EnvironmentPolicyError, printable
from platform_assets import notices
from platform_assets.contracts import Contract, contract
from resources.deliveries import Landing, Mode, SourceContract, land
from resources.environment import policy_here
from resources.expressions import unbound
from resources.object_store import ObjectStore, is_remote
from resources.settings import PROJECT, settings

SHOWN_COLUMNS = 50  # of a file with thousands of unexpected ones


def source_contract(source: str, customer: str | None = None) -> SourceContract:
    """What the bronze contract called `source` says of deliveries; raises DeliveryError for an unknown source."""
    known = {path.name.removesuffix(".odcs.yaml"): path for path in (PROJECT / "platform_assets").glob("*/bronze/*.odcs.yaml")}
    if source not in known:
        raise DeliveryError("no bronze table has this name", customer=customer, table=ascii(source)[:64], fix=f"known sources: {', '.join(sorted(known))}")
    made: Contract = contract(known[source])
    types = {str(p.name): str(p.logicalType) for p in made.properties if not str(p.name).startswith("_")}
    return SourceContract(name=source, mode=cast(Mode, made.spec.mode), columns=tuple(types), formats=made.formats, owner_column=made.spec.owner_column,
                          types=types, drift=made.spec.drift, typed_counts=typed_counts(made))


def typed_counts(made: Contract) -> str | None:
    """SQL that counts how many values of a bronze contract's typed columns can be read; None where it declares none."""
    import ibis

    from platform_assets.conform import TYPED, retyped

    types = {str(p.name): str(p.logicalType) for p in made.properties if p.logicalType in TYPED and not str(p.name).startswith("_")}
    if not types:
        return None
    candidate = unbound("candidate", [(name, "varchar") for name in (*types, "_format")])
    return str(ibis.to_sql(retyped(candidate, types, {name: found.convention for name, found in made.formats.items()}), dialect="duckdb"))


def land_files(connection: psycopg.Connection[Any], root: Path, customer: Customer, source: str, files: list[Path],
               period: str | date | None, sequence: int | None, instance: dg.DagsterInstance | None = None) -> Landing:
    """Accept files as one delivery of a customer's source; raises DeliveryError, and then the source keeps what it had.

    What the files themselves are refused for (the error names a rule) is kept in `platform.refusal` and opens a notice; a wrong call is not.
    With an `instance` Dagster hears of both: a materialization of `landing/<source>`, or an observation that says why not.
    """
    refuse_landing(customer.id, source)
    declared = source_contract(source, customer.id)
    subject = f"{source} {period:%Y-%m}" if isinstance(period, date) else f"{source} {period}"
    subject = subject if declared.mode == "period" else source
    try:
        made = land(connection, root, customer, declared, files, period, sequence, landing_store(customer.id))
    except DeliveryError as error:
        if "rule" in error.place and all(Path(file).exists() for file in files):
            notices.refused(connection, customer, source, error, subject)
            if instance:
                instance.report_runless_asset_event(_refusal(customer.id, source, error))
        raise
    if made.result == "new":
        notices.accepted(connection, customer, source, subject)
    if instance and made.result == "new":
        instance.report_runless_asset_event(_acceptance(connection, customer.id, source, made))
    return made


def refuse_landing(customer: str, source: str) -> None:
    """Raises EnvironmentPolicyError where bronze is a copy of production's: a delivery would count for nothing here."""
    policy = policy_here()
    if policy.bronze_from == "production":
        raise EnvironmentPolicyError(f"{policy.environment} takes no deliveries: its bronze is copied from production", customer=customer, table=source,
                                     fix="land the file in production; a run here then copies it")


def landing_store(customer: str) -> ObjectStore | None:
    """Where this installation keeps a customer's accepted files, if not in its landing folder."""
    configured = settings()
    return ObjectStore(configured, customer) if is_remote(configured.landing_store or "") else None


def _acceptance(connection: psycopg.Connection[Any], customer: str, source: str, made: Landing) -> dg.AssetMaterialization:
    """A delivery as an event: counts, what was repaired, and columns that the contract does not declare. No values."""
    with connection.transaction():
        rows = connection.execute("""SELECT unexpected, repairs FROM platform.delivery
            WHERE customer_id = %s AND source = %s AND period IS NOT DISTINCT FROM %s AND sequence = %s""",
                                  [customer, source, made.period, made.sequence]).fetchall()
    unexpected, repairs = (sorted({word for row in rows for word in row[place]}) for place in (0, 1))
    metadata: dict[str, Any] = {
        "dagster/row_count": made.rows - made.faulty, "faulty": made.faulty, "files": len(made.files), "sequence": made.sequence,
        "repairs": ", ".join(repairs) or "none", "drift": bool(unexpected), "unexpected_columns": _names(unexpected),
    }
    if made.period:
        metadata["period"] = f"{made.period:%Y-%m}"
    return dg.AssetMaterialization(dg.AssetKey(["landing", source]), description=f"delivery {made.sequence}", metadata=metadata, partition=customer)


def _refusal(customer: str, source: str, error: DeliveryError) -> dg.AssetObservation:
    """A refused delivery as an event: the rule, the place and what to do."""
    place = {name: printable(value) for name, value in error.place.items() if name not in ("customer", "table")}
    metadata: dict[str, Any] = {"refused": True, **place, "fix": error.fix or "-"}
    return dg.AssetObservation(dg.AssetKey(["landing", source]), description=f"refused: {error}", metadata=metadata, partition=customer)


def _names(columns: list[str]) -> str:
    shown = [printable(name) for name in columns[:SHOWN_COLUMNS]]
    return ", ".join(shown) + (f" and {len(columns) - SHOWN_COLUMNS} more" if len(columns) > SHOWN_COLUMNS else "") or "none"
