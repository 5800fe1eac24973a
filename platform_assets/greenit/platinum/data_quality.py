"""How good the figures of a month are: coverage, score, uncertainty, and what they rest on.

What belongs here: shares and weighted means of gold. What does not: scores of single rows (gold/data_quality.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.flags import INCLUDES_UPSTREAM
from platform_assets.greenit.sums import exact_sum
from platform_assets.tables import table

CELL = ("period", "domain", "criterion", "method", "view")
BASES = ("metered", "estimated", "spend", "supplier")


@table(__file__)
def data_quality(impact: ir.Table, activity: ir.Table, coverage: ir.Table) -> ir.Table:
    """Per cell: coverage, score weighted by impact, the impact by what it rests on (metered or billed, estimated, spend, supplier's own
    figure), flagged share, and uncertainty: the relative standard deviation (%) by the pedigree, added linearly inside one factor (its error is
    the same for all) and in quadrature across factors.
    """
    said = activity.select("activity_id", "dq_reliability", period="month_start")
    met = impact.rename(period="month_start", method="ghg_method", view="accounting_view").join(said, ["activity_id", "period"])
    size = met.value.abs().cast("float64")
    basis = ibis.cases(
        (met.flags == "known_by_cost", "spend"), (met.flags == "supplier_figure", "supplier"),
        ((met.dq_reliability <= 2) & (met.phase == "use"), "metered"), else_="estimated"
    )
    factor = ibis.coalesce(met.grid_id, met.factor_id, met.method_id)
    met = met.mutate(size=size, weighted=size * met.dq_score, basis=basis, error=size * met.gsd.ln(), factor=factor)
    by_factor = met.group_by(*CELL, "factor").agg(error=exact_sum(_.error))
    errors = by_factor.group_by(*CELL).agg(squares=exact_sum(_.error * _.error))
    shares = {f"{name}_size": exact_sum(met["size"], met.basis == name) for name in BASES}
    is_flagged = met.flags.notnull() & (met.flags != INCLUDES_UPSTREAM)
    sums = {"whole": exact_sum(met["size"]), "weighted": exact_sum(met.weighted), "flagged": exact_sum(met["size"], is_flagged)}
    summed = met.group_by(*CELL).agg(**sums, rows=_.count(), **shares)
    covered = coverage.select("domain", "criterion", "coverage_pct", period="month_start")
    joined = summed.left_join(errors, list(CELL)).left_join(covered, ["period", "domain", "criterion"])
    whole = joined.whole.nullif(0.0)
    rests = {f"{name}_value": ibis.coalesce(joined[f"{name}_size"], 0.0) for name in BASES}
    return joined.select(
        *CELL, "coverage_pct", size="whole", **rests, flagged_pct=ibis.coalesce(joined.flagged, 0.0) / whole * 100.0, dq_score=joined.weighted / whole,
        uncertainty_pct=joined.squares.sqrt() / whole * 100.0, impacts=joined.rows,
    )  # fmt: skip
