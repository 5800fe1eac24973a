"""Data quality of an impact by five pedigree indicators, 1 (best) to 5 (A9 of docs/method.md).

What belongs here: turning indicators into a score and an uncertainty. What does not: the indicators of a figure (its row in parameters/).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

INDICATORS = ("reliability", "completeness", "temporal", "geography", "technology")
METERED, INVOICE, INVENTORY, TYPE_AVERAGE = 1, 2, 3, 4  # reliability


def temporal(years_off: ir.Value) -> ir.Value:
    """Indicator of the distance between a figure's year and the activity's: 0-1 → 1, 2-3 → 2, 4-6 → 3, 7-10 → 4, more → 5."""
    distance = years_off.abs()
    return ibis.cases((distance <= 1, 1), (distance <= 3, 2), (distance <= 6, 3), (distance <= 10, 4), else_=5)


def dq_score(reliability: ir.Value, completeness: ir.Value, years_off: ir.Value, geography: ir.Value, technology: ir.Value) -> ir.Value:
    """Mean of the five indicators; one that is not known counts 5."""
    known = [ibis.coalesce(indicator, 5) for indicator in (reliability, completeness, geography, technology)]
    return (known[0] + known[1] + known[2] + known[3] + temporal(ibis.coalesce(years_off, 99))) / 5.0


def with_uncertainties(rows: ir.Table, pedigree_uncertainty: ir.Table) -> ir.Table:
    """Rows with `u_<indicator>`: ln² of the uncertainty factor of each score, the first for score 1; empty lists where the parameter has no row."""
    squares = pedigree_uncertainty.mutate(square=_.value.ln() ** 2)
    lists = {f"u_{name}": squares.square.collect(where=squares.indicator == name, order_by=squares.score) for name in INDICATORS}
    return rows.cross_join(squares.agg(**lists))


def gsd(rows: ir.Table) -> ir.FloatingValue:
    """Geometric standard deviation of an impact: exp √Σ ln² U over the five indicators; NULL where an uncertainty is not known."""
    scores = (rows.dq_rel, rows.dq_comp, temporal(ibis.coalesce(rows.years_off, 99)), rows.dq_geo, rows.dq_tech)
    squares = [rows[f"u_{name}"][ibis.coalesce(score, 5) - 1] for name, score in zip(INDICATORS, scores, strict=True)]
    return (squares[0] + squares[1] + squares[2] + squares[3] + squares[4]).sqrt().exp()
