"""How much of what a customer has and pays for has an impact, by month, domain and criterion.

What belongs here: counting activities with and without a row in `impact`. What does not: why one has none (its ids in `activity`).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.impact import CRITERIA
from platform_assets.tables import table

BY_COST = ("cloud", "saas")  # domains whose share is of money; others' is of units, or of rows where units cannot be added
BY_UNITS = ("equipment", "datacentre")
MONEY = "decimal(38, 12)"


@table(__file__)
def coverage(activity: ir.Table, impact: ir.Table) -> ir.Table:
    """Rows, silver lines and cost in all and with an impact, for every criterion also where nothing has one.

    `coverage_pct` is by units of equipment, by net cost of cloud and software (dollars, or the billing currency where no rate is known), else by
    rows. Net, because that is what the customer pays; credits can push the share out of 0 to 100, where it is cut.
    """
    amounts = {"cost": ibis.coalesce(activity.cost_usd, activity.cost).cast(MONEY), "measure": measure(activity).cast(MONEY)}
    weighed = activity.select("activity_id", "month_start", "domain", "lines", **amounts)
    asked = weighed.mutate(criterion=ibis.array(list(CRITERIA)).unnest())
    reached = impact.select("activity_id", "month_start", "criterion", is_reached=True).distinct()
    met = asked.left_join(reached, ["activity_id", "month_start", "criterion"])
    met = met.mutate(is_reached=met.is_reached.fill_null(False))
    summed = met.group_by("month_start", "domain", "criterion").agg(
        activities=_.count(), activities_covered=_.is_reached.cast("int64").sum().cast("int64"), lines=_.lines.sum().cast("int64"),
        lines_covered=_.lines.sum(where=_.is_reached).fill_null(0).cast("int64"), cost=_.cost.sum(), cost_covered=_.cost.sum(where=_.is_reached),
        whole=_.measure.sum(), part=_.measure.sum(where=_.is_reached),
    )  # fmt: skip
    share = ibis.coalesce(summed.part, 0).cast("float64") / summed.whole.cast("float64").nullif(0.0)
    columns = ("month_start", "domain", "criterion", "activities", "activities_covered", "lines", "lines_covered")
    return summed.select(*columns, cost=_.cost.cast(MONEY), cost_covered=_.cost_covered.cast(MONEY), coverage_pct=share.clip(0.0, 1.0) * 100.0)


def measure(activity: ir.Table) -> ir.Value:
    """What a row weighs in its domain."""
    by_cost = ibis.coalesce(activity.cost_usd, activity.cost, 0).cast(MONEY)
    return ibis.cases(
        (activity.domain.isin(BY_COST), by_cost), (activity.domain.isin(BY_UNITS), activity.quantity.cast(MONEY)), else_=ibis.literal(1).cast(MONEY)
    )
