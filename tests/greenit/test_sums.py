"""No table adds doubles: their sum would hang on the order in which an engine's threads meet the rows."""
from __future__ import annotations

import ibis
import ibis.expr.operations as ops
import pytest

from platform_assets import greenit
from platform_assets.compilation import express_all
from platform_assets.greenit.sums import exact_sum

EXPRESSED = express_all(greenit)


@pytest.mark.parametrize("table", EXPRESSED)
def test_sums_and_means_are_over_decimals_and_integers(table: str) -> None:
    _, expression = EXPRESSED[table]
    assert {str(found.arg.name) for found in expression.op().find((ops.Sum, ops.Mean)) if found.arg.dtype.is_floating()} == set()


def test_an_exact_sum_is_the_same_in_every_order() -> None:
    values = [1e9, 0.1, -1e9, 0.3, 1e-12]  # doubles from the left: 0.40000000000
    sums = {ibis.duckdb.connect().execute(exact_sum(ibis.memtable({"a": order}).a)) for order in (values, values[::-1], sorted(values))}
    assert sums == {0.400000000001}
