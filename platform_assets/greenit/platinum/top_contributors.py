"""The ten items or services with the largest impact of each month.

What belongs here: a ranking of gold with portable operations (PostgreSQL computes it). What does not: formulas, factors.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.tables import table

PLACES = 10
RANKED = ("period", "criterion", "view")


@table(__file__)
def top_contributors(impact: ir.Table, activity: ir.Table) -> ir.Table:
    """Rank, name, value, share of the month's location-based total, and the share of all ranks so far (Pareto). Equipment by item, cloud by
    instance type, else by service. Ties: by name.
    """
    named = activity.select("activity_id", period="month_start", contributor=ibis.coalesce(_.item_key, _.instance_type, _.service_name, "unmapped"))
    cells = impact.filter(_.ghg_method != "market")
    cells = cells.select("activity_id", "criterion", "unit", "domain", "value", period="month_start", view="accounting_view")
    summed = cells.join(named, ["activity_id", "period"]).group_by(*RANKED, "domain", "contributor", "unit").agg(value=_.value.sum())
    totals = cells.group_by(*RANKED).agg(total=_.value.sum())
    order = ibis.window(group_by=list(RANKED), order_by=[_.value.desc(), _.domain, _.contributor])
    upto = ibis.window(group_by=list(RANKED), order_by=[_.value.desc(), _.domain, _.contributor], preceding=None, following=0)
    ranked = summed.mutate(rank=(ibis.row_number().over(order) + 1).cast("int64"), so_far=_.value.sum().over(upto)).filter(_.rank <= PLACES)
    met = ranked.join(totals, list(RANKED))
    whole = met.total.cast("float64").nullif(0.0)
    shares = {"share_pct": met.value.cast("float64") * 100.0 / whole, "cumulative_pct": met.so_far.cast("float64") * 100.0 / whole}
    return met.select(*RANKED, "rank", "domain", "contributor", "value", "unit", **shares)
