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
USAGE = "Usage"  # FOCUS: the charge category that something was used for


@table(__file__)
def coverage(activity: ir.Table, impact: ir.Table) -> ir.Table:
    """Rows, silver lines and cost in all and with an impact, for every criterion also where nothing has one.

    `coverage_pct` is by units of equipment, by the cost of usage of cloud and software (dollars, or the billing currency where no rate is known),
    else by rows. Usage alone, without its signs: a credit, a tax or a commitment can never have an impact, and made a share of 111 %.
    """
    amounts = {"cost": cost_of_usage(activity), "measure": measure(activity).cast(MONEY)}
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
    return summed.select(*columns, cost=_.cost.cast(MONEY), cost_covered=_.cost_covered.cast(MONEY), coverage_pct=share * 100.0)


def cost_of_usage(activity: ir.Table) -> ir.Value:
    """Size of what is paid for usage, NULL for other charges: a reversal is as much in need of an impact as what it takes back."""
    paid = ibis.coalesce(activity.cost_usd, activity.cost).cast(MONEY).abs()
    return (activity.charge_category.fill_null(USAGE) == USAGE).ifelse(paid, ibis.null(MONEY))


def measure(activity: ir.Table) -> ir.Value:
    """What a row weighs in its domain."""
    by_cost = ibis.coalesce(cost_of_usage(activity), ibis.literal(0).cast(MONEY))
    return ibis.cases(
        (activity.domain.isin(BY_COST), by_cost), (activity.domain.isin(BY_UNITS), activity.quantity.cast(MONEY)), else_=ibis.literal(1).cast(MONEY)
    )
