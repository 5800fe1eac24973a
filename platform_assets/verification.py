"""The invariants of RELIABILITY 3.3, of one customer or all, looked at now: what `strata verify` shows and the nightly upkeep checks.

What belongs here: which questions make up the report, and what the contracts say for them. What does not: the questions (resources/*invariants.py).
I2, I4 and I10 can only be seen while something happens: tests hold them (tests/faults). I11 speaks of events, which no source delivers yet.
"""
from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

import platform_assets
from partitions.customers import Customer
from platform_assets.contracts import Contract, contract
from platform_assets.tables import LAYERS
from resources.invariants import Looked, ask_registry
from resources.postgres import Postgres
from resources.run_invariants import ask_runs
from resources.store_invariants import ask_stores

AGREEMENT = "agreement"


def verify(postgres: Postgres, customers: Mapping[str, Customer], contents: bool = False) -> Looked:
    """Look at every invariant that can be seen at rest. `contents`: read every file of lake and landing through, too.

    Changes nothing. A run that starts meanwhile waits for its customer's look, a second or two.
    """
    contracts = all_contracts()
    specs, names = [made.spec for made in contracts], sorted(customers)
    looked = ask_registry(postgres, names, specs, agreements(contracts))
    for part in (ask_runs(postgres, names, [spec.qualified for spec in specs]),
                 *(ask_stores(postgres, customers[name], specs, contents) for name in names)):
        for invariant, count in part.counts.items():
            looked.add(invariant, count)
        looked.findings += part.findings
        looked.unseen |= part.unseen
    return looked


def all_contracts() -> list[Contract]:
    """Every table of every domain: a package of platform_assets that has layers."""
    found = []
    for info in pkgutil.iter_modules(platform_assets.__path__):
        if info.ispkg:
            domain = Path(importlib.import_module(f"{platform_assets.__name__}.{info.name}").__path__[0])
            found += [contract(path) for layer in LAYERS for path in sorted((domain / layer).glob("*.odcs.yaml"))]
    return found


def agreements(contracts: list[Contract]) -> dict[str, str]:
    """Of every warehouse table whose contract says that sums must agree, the condition by which a row does not."""
    found: dict[str, str] = {}
    for made in contracts:
        rules = [rule for rule in made.checked_rules if rule.expectation == AGREEMENT and rule.severity == "error"]
        if rules and not made.spec.in_lake:
            found[made.spec.qualified] = " OR ".join(f"({rule.kwargs.get('where', 'true')}) AND abs(difference) > tolerance * abs(expected)" for rule in rules)
    return found
