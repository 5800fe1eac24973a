"""Behaviours of Ibis on which one compilation per process rests."""
from __future__ import annotations

import ibis
import pytest

from resources.expressions import leaf_names, remembered, sql_of, unbound

COLUMNS = [("id", "varchar"), ("quantity", "bigint"), ("value", "decimal(38,18)")]


def double(table: ibis.expr.types.Table) -> ibis.expr.types.Table:
    return table.group_by("id").agg(value=table.value.sum() * 2)


def test_unbound_tables_of_equal_name_and_columns_are_one_table() -> None:
    one, other = unbound("t", COLUMNS), unbound("t", COLUMNS)
    assert one is not other
    assert (one.op(), hash(one.op())) == (other.op(), hash(other.op()))
    assert double(one).op() == double(other).op()
    assert len({one.op(), other.op()}) == 1


@pytest.mark.parametrize("other", [unbound("u", COLUMNS), unbound("t", COLUMNS[:2]), unbound("t", [*COLUMNS[:2], ("value", "double")]), unbound("t", COLUMNS[::-1])])
def test_another_name_type_or_order_is_another_table(other) -> None:
    assert unbound("t", COLUMNS).op() != other.op()


@pytest.mark.parametrize("dialect", ["duckdb", "postgres"])
def test_two_calls_compile_to_the_same_text(dialect: str) -> None:
    texts = {str(ibis.to_sql(double(unbound("t", COLUMNS)), dialect=dialect, pretty=False)) for _ in range(3)}
    assert len(texts) == 1
    assert sql_of(double(unbound("t", COLUMNS)), dialect) in texts


def test_a_remembered_function_runs_once_for_equal_inputs() -> None:
    calls = []

    @remembered
    def counted(t):
        calls.append(t)
        return double(t)

    assert counted(unbound("t", COLUMNS)) is counted(unbound("t", COLUMNS))
    assert counted(t=unbound("t", COLUMNS)) is not counted(unbound("u", COLUMNS))
    assert len(calls) == 3


def test_an_expression_names_the_tables_it_reads() -> None:
    joined = unbound("t", COLUMNS).join(unbound("u", COLUMNS[:2]), "id")
    assert leaf_names(joined) == {"t", "u"}

