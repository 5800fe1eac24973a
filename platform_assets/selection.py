"""Which assets: everything of a customer, and what depends on some of it.

What belongs here: walking the asset graph. What does not: when to compute (refreshes.py), what is out of date (outdated.py).
"""
from __future__ import annotations

from typing import Any

import dagster as dg

from partitions.customers import CUSTOMERS
from platform_assets.tables import LAYERS


def everything_of(graph: Any, selection: dg.AssetSelection) -> frozenset[dg.AssetKey]:
    """The assets of a selection that a run computes for a customer."""
    return frozenset(key for key in selection.resolve(graph) if graph.get(key).is_executable and graph.get(key).partitions_def == CUSTOMERS)


def downstream_of(graph: Any, keys: set[dg.AssetKey], everything: frozenset[dg.AssetKey]) -> frozenset[dg.AssetKey]:
    """Whatever of `everything` is computed from some assets, directly or not."""
    found: set[dg.AssetKey] = set()
    waiting = list(keys)
    while waiting:
        new = graph.get(waiting.pop()).child_keys - found
        found |= new
        waiting += new
    return frozenset(found) & everything


def tables_among(keys: frozenset[dg.AssetKey]) -> dict[str, dg.AssetKey]:
    """`<domain>_<layer>.<table>` -> asset key, of the assets that are tables."""
    return {f"{key.path[0]}_{key.path[1]}.{key.path[2]}": key for key in keys if len(key.path) == 3 and key.path[1] in LAYERS}
