"""The decorator that makes a pure function a Dagster asset of one table, from the contract beside it.

What belongs here: turning contract + signature into an asset, and finding the asset behind an argument's name. What does not: anything a
table says about itself (its contract) or a policy over all assets (definitions.py of the domain).
"""
from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path

import dagster as dg
import ibis.expr.types as ir

from partitions.customers import CUSTOMERS
from partitions.errors import ContractError
from platform_assets.contracts import Contract, contract
from resources.expressions import remembered
from resources.settings import PROJECT

LAYERS = ("bronze", "silver", "gold", "platinum")
KINDS = {"bronze": {"duckdb", "parquet"}, "silver": {"duckdb", "parquet"}, "gold": {"duckdb", "postgres"}, "platinum": {"postgres"}}
JUDGED_LAYERS = ("silver", "gold")
STORES = {"bronze": "lake", "silver": "lake", "gold": "warehouse", "platinum": "warehouse"}
REFERENCES = ("parameters", "vocabularies")
TRANSIENT = dg.RetryPolicy(max_retries=1, delay=2)  # on each step: a job's op_retry_policy does not reach a run outside of that job
MONTHS = dg.AssetKey(["calendar", "months"])
QUARANTINED_SHARE = dg.AssetKey(["accounting", "quarantined_share"])


def table(file: str) -> Callable[[Callable], dg.AssetsDefinition]:
    """`@table(__file__)` over `def <table>(<inputs>) -> ir.Table`; raises ContractError for an input that no table answers to."""
    made = contract(file)

    def decorate(function: Callable) -> dg.AssetsDefinition:
        if function.__name__ != made.table:
            raise ContractError(f"the function is called {function.__name__}", table=made.table, fix="path = key = function = table")
        names = list(inspect.signature(function).parameters)
        ins = {name: dg.AssetIn(key=input_key(made, name), metadata={"strata/consumer": made.layer}) for name in names}
        return dg.asset(
            key=asset_key(made),
            ins=ins,
            partitions_def=CUSTOMERS,
            io_manager_key=STORES[made.layer],
            metadata={**made.spec.as_metadata(), "strata/contract": dg.MetadataValue.path(str(made.path.relative_to(PROJECT)))},
            description=made.odcs.description.purpose if made.odcs.description else None,
            owners=owners_of(made),
            tags={"layer": made.layer, "domain": made.domain, "steward": made.member("steward") or "none"},
            kinds=KINDS[made.layer],
            group_name=made.layer,
            code_version=made.fingerprint,
            retry_policy=TRANSIENT,
        )(remembered(_judged(function, made)))

    return decorate


def _judged(function: Callable, made: Contract) -> Callable:
    """The function with its contract's `quarantine` rules applied to what it returns."""
    if not any(rule.severity == "quarantine" for rule in made.rules):
        return function
    if made.layer not in JUDGED_LAYERS:
        raise ContractError(f"{made.layer} keeps no rows back", table=made.table, fix=f"write severity quarantine in {' and '.join(JUDGED_LAYERS)} only")
    from platform_assets.rules import kept_back

    @wraps(function)
    def judged(*tables: ir.Table, **named: ir.Table) -> ir.Table:
        return kept_back(function(*tables, **named), made)

    return judged


def asset_key(made: Contract) -> dg.AssetKey:
    return dg.AssetKey([made.domain, made.layer, made.table])


def owners_of(made: Contract) -> list[str]:
    """The contract's team, as Dagster names owners."""
    return [f"team:{made.odcs.team.name}"] if made.odcs.team and made.odcs.team.name else []


def input_key(made: Contract, name: str) -> dg.AssetKey:
    """The asset behind an argument: landing, months, quarantined_share, a table of this or an earlier layer, a vocabulary, a parameter."""
    if name == "landing":
        return dg.AssetKey(["landing", made.table])
    if name in (MONTHS.path[-1], QUARANTINED_SHARE.path[-1]):
        return MONTHS if name == MONTHS.path[-1] else QUARANTINED_SHARE
    domain_folder = made.path.parent.parent
    for layer in LAYERS[: LAYERS.index(made.layer) + 1]:
        if (domain_folder / layer / f"{name}.odcs.yaml").exists():
            if made.layer == "platinum" and layer in ("bronze", "silver"):
                raise ContractError(f"platinum computes in PostgreSQL and cannot read {layer}", table=made.table, column=name)
            return dg.AssetKey([made.domain, layer, name])
    for kind in REFERENCES:
        if (PROJECT / kind / f"{name}.csv").exists():
            if kind == "parameters" and made.layer in ("bronze", "silver"):
                raise ContractError(f"{made.layer} knows no business rule and reads nothing from parameters/", table=made.table, column=name)
            return dg.AssetKey([kind, name])
    raise ContractError(f"no table, vocabulary or parameter is called {name}", table=made.table, fix="rename the argument")


def reference_contracts() -> list[Contract]:
    """The contracts of all parameters and vocabularies."""
    return [contract(path) for kind in REFERENCES for path in sorted(Path(PROJECT / kind).glob("*.odcs.yaml"))]


def reference_files() -> dict[str, str]:
    """Every shipped parameter and vocabulary by its key, with a hash of its file."""
    files = [path for kind in REFERENCES for path in sorted((PROJECT / kind).glob("*.csv"))]
    return {path.relative_to(PROJECT).with_suffix("").as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}
