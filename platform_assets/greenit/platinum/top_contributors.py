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
    """Rank, name, value and share of the month's total; equipment by item, cloud by instance type, else by service. Ties: by name."""
    named = activity.select("activity_id", period="month_start", contributor=ibis.coalesce(_.item_key, _.instance_type, _.service_name, "unmapped"))
    cells = impact.select("activity_id", "criterion", "unit", "domain", "value", period="month_start", view="accounting_view")
    summed = cells.join(named, ["activity_id", "period"]).group_by(*RANKED, "domain", "contributor", "unit").agg(value=_.value.sum())
    totals = cells.group_by(*RANKED).agg(total=_.value.sum())
    order = ibis.window(group_by=list(RANKED), order_by=[_.value.desc(), _.domain, _.contributor])
    ranked = summed.mutate(rank=(ibis.row_number().over(order) + 1).cast("int64")).filter(_.rank <= PLACES)
    return ranked.join(totals, list(RANKED)).select(
        *RANKED, "rank", "domain", "contributor", "value", "unit", share_pct=_.value.cast("float64") * 100.0 / _.total.cast("float64").nullif(0.0)
    )
