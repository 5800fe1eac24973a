"""Data-quality score of an impact: the mean of five pedigree indicators, 1 (best) to 5 (A9 of docs/method.md).

What belongs here: turning indicators into a score. What does not: the indicators of a figure (its row in parameters/).
"""

import ibis
import ibis.expr.types as ir

METERED, INVOICE, INVENTORY, TYPE_AVERAGE = 1, 2, 3, 4  # reliability


def temporal(years_off: ir.Value) -> ir.Value:
    """Indicator of the distance between a figure's year and the activity's: 0-1 → 1, 2-3 → 2, 4-6 → 3, 7-10 → 4, more → 5."""
    distance = years_off.abs()
    return ibis.cases((distance <= 1, 1), (distance <= 3, 2), (distance <= 6, 3), (distance <= 10, 4), else_=5)


def dq_score(reliability: ir.Value, completeness: ir.Value, years_off: ir.Value, geography: ir.Value, technology: ir.Value) -> ir.Value:
    """Mean of the five indicators; one that is not known counts 5."""
    known = [ibis.coalesce(indicator, 5) for indicator in (reliability, completeness, geography, technology)]
    return (known[0] + known[1] + known[2] + known[3] + temporal(ibis.coalesce(years_off, 99))) / 5.0
