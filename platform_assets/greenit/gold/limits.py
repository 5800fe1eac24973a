"""Limits of a figure that keep the unknown unknown.

What belongs here: at least, at most. What does not: formulas. GREATEST and LEAST of DuckDB and PostgreSQL leave NULL out: the larger of an unknown load
and 0 is 0 there, and unknown must never become 0.
"""

import ibis
import ibis.expr.types as ir


def at_least(figure: ir.NumericValue, floor: ir.NumericValue | float) -> ir.NumericValue:
    """The figure, or the floor where it is below; NULL stays NULL, and a floor of NULL is none."""
    return ibis.ifelse(figure < floor, floor, figure)


def at_most(figure: ir.NumericValue, ceiling: ir.NumericValue | float) -> ir.NumericValue:
    """The figure, or the ceiling where it is above; NULL stays NULL, and a ceiling of NULL is none."""
    return ibis.ifelse(figure > ceiling, ceiling, figure)
