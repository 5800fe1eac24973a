"""Sums of doubles that are the same whatever the order of their rows: both engines add in parallel, and doubles added in another order differ.

What belongs here: the sum. What does not: what is summed. `tests/greenit/test_sums.py` finds sums of doubles without it.
"""

import ibis.expr.types as ir

EXACT = "decimal(38, 18)"


def exact_sum(column: ir.Value, where: ir.BooleanValue | None = None) -> ir.FloatingValue:
    """The sum of a column of doubles, each taken to 18 decimals, as a double; NULL of no row."""
    return column.cast(EXACT).sum(where=where).cast("float64")
