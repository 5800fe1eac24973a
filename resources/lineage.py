"""Column lineage read from an ibis expression: which input columns an output column is made of.

Walks the expression itself, so it costs milliseconds and cannot drift from the code.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg
import ibis.expr.operations as ops
import ibis.expr.types as ir

from resources.storage import REJECTS

Leaf = tuple[str, str]


def column_lineage(expression: ir.Table, sources: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of an output: `dagster/column_lineage`, and the same as a table, because the open-source UI does not show the first.

    `sources` maps a table's name in SQL to what has an asset `key`.
    """
    made = {
        name: [dg.TableColumnDep(asset_key=sources[table].key, column_name=column) for table, column in sorted(leaves) if table in sources]
        for name, leaves in leaves_of(expression.op()).items()
    }
    return {"columns_from": _as_table(made), "dagster/column_lineage": dg.TableColumnLineage(deps_by_column=made)}


def _as_table(made: Mapping[str, list[dg.TableColumnDep]]) -> dg.MarkdownMetadataValue:
    lines = [f"| {name} | {', '.join(f'{dep.asset_key.path[-1]}.{dep.column_name}' for dep in deps)} |" for name, deps in made.items()]
    return dg.MetadataValue.md("\n".join(["| column | computed from |", "| --- | --- |", *lines]))


@lru_cache(maxsize=256)
def leaves_of(relation: Any) -> dict[str, frozenset[Leaf]]:
    """Output column -> leaf columns; kept per process, as expressions are."""
    known: dict[tuple[Any, str], frozenset[Leaf]] = {}
    return {name: _leaves(relation, name, known) for name in relation.schema.names if name != REJECTS}


def _leaves(relation: Any, name: str, known: dict) -> frozenset[Leaf]:
    """Columns of leaf tables that column `name` of a relation is computed from."""
    key = (relation, name)
    if key not in known:
        known[key] = frozenset()  # a relation never reads itself; this only guards the recursion
        if isinstance(relation, ops.DatabaseTable | ops.UnboundTable):
            known[key] = frozenset({(relation.name, name)})
        elif isinstance(relation, ops.Set):
            known[key] = _leaves(relation.left, name, known) | _leaves(relation.right, name, known)
        elif name in relation.values:
            value = relation.values[name]
            fields = [value] if isinstance(value, ops.Field) else value.find(ops.Field, filter=ops.Value)
            known[key] = frozenset().union(*(_leaves(f.rel, f.name, known) for f in fields)) if fields else frozenset()
        else:
            known[key] = _leaves(relation.parent, name, known)
    return known[key]
