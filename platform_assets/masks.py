"""What a masked column may not be: the driver of an impact, a dimension or figure of a report, a number, or a key that meets an unmasked one.

What belongs here: walking the expressions of all tables from the confidential columns of bronze. What does not: masking (resources/masking.py).

A mask keeps equality and nothing else. So masked text may be carried along, joined and grouped with itself, counted, and be part of a digest that
names a row; whatever reads more of it (an order, a prefix, a word of a vocabulary) would give other figures outside of production than in it.
"""
from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import ibis.expr.operations as ops
import ibis.expr.types as ir

from platform_assets.compilation import express_all
from resources.production_lake import masked_columns
from resources.storage import REJECTS, TableSpec

Leaf = tuple[str, str]
Masks = dict[Leaf, frozenset[str]]  # column of a table -> the confidential columns of bronze that its values are made of
NOT_READ = (ops.IsNull, ops.NotNull, ops.Count, ops.CountDistinct, ops.HexDigest)
COMPARISONS = (ops.Equals, ops.NotEquals, ops.IdenticalTo)


def misused(domain: ModuleType) -> list[str]:
    """Each confidential column of bronze that may not be masked, and why; empty where every mask is harmless."""
    masks: Masks = {}
    found: set[str] = set()
    for name, (spec, expression) in express_all(domain).items():
        if spec.layer == "bronze":
            masks |= {(name, column): frozenset({f"{name}.{column}"}) for column in masked_columns(spec)}
            found |= {f"{name}.{column.name} is a {column.type}: a mask is text" for column in spec.columns
                      if column.name in masked_columns(spec) and column.type != "varchar"}
            continue
        walked = _Walk(masks)
        columns = {column: walked.of(expression.op(), column) for column in expression.columns if column != REJECTS}
        found |= {f"{source} is {what} in {spec.qualified}.{column}" for column, sources in columns.items() for what in _wrong(spec, column, sources)
                  for source in sources}
        found |= {f"{source} meets what is not masked in a join or filter of {spec.qualified}" for source in walked.uneven(expression)}
        masks |= {(name, column): sources for column, sources in columns.items() if sources}
    return sorted(found)


def _wrong(spec: TableSpec, column: str, sources: frozenset[str]) -> Iterator[str]:
    if not sources:
        return
    declared = next((one for one in spec.columns if one.name == column), None)
    if spec.layer == "platinum":
        yield "reported"
    elif declared is not None and declared.type != "varchar":
        yield "a driver"


class _Walk:
    """Masks of the columns of one expression's relations."""

    def __init__(self, masks: Masks) -> None:
        self.masks = masks
        self.known: dict[tuple[ops.Relation, str], frozenset[str]] = {}

    def of(self, relation: ops.Relation, name: str) -> frozenset[str]:
        key = (relation, name)
        if key not in self.known:
            self.known[key] = frozenset()  # a relation never reads itself; this only guards the recursion
            if isinstance(relation, ops.DatabaseTable | ops.UnboundTable):
                self.known[key] = self.masks.get((relation.name, name), frozenset())
            elif isinstance(relation, ops.Set):
                self.known[key] = self.of(relation.left, name) | self.of(relation.right, name)
            elif name in relation.values:
                self.known[key] = self.value(relation.values[name])
            else:
                self.known[key] = self.of(relation.parent, name)
        return self.known[key]

    def value(self, value: ops.Node) -> frozenset[str]:
        """Of what masked text a value is made. NOT_READ, equality of two masks and grouping read nothing of it."""
        if isinstance(value, ops.Field):
            return self.of(value.rel, value.name)
        if isinstance(value, NOT_READ):
            return frozenset()
        if isinstance(value, COMPARISONS) and self.value(value.left) and self.value(value.right):
            return frozenset()
        parts = value.args if not isinstance(value, ops.WindowFunction) else (value.func, value.order_by)
        return frozenset().union(*(self.value(part) for part in _flat(parts)))

    def uneven(self, expression: ir.Table) -> frozenset[str]:
        """Masked columns that a join or a filter compares with something else than masked ones."""
        found: set[str] = set()
        for node in expression.op().find((ops.JoinLink, ops.Filter)):
            for predicate in node.predicates:
                found |= self.value(predicate)
        return frozenset(found)


def _flat(parts: tuple) -> Iterator[ops.Node]:
    for part in parts:
        if isinstance(part, ops.Relation):
            continue
        if isinstance(part, ops.Node):
            yield part
        elif isinstance(part, tuple):
            yield from _flat(part)
