"""Monthly indicators that the front end and the reports read.

What belongs here: group-bys of gold with portable operations (PostgreSQL computes them). What does not: formulas, factors.
"""

import ibis.expr.types as ir
from ibis import _
from ibis import selectors as s

from platform_assets.tables import table

SOURCES = {"equipment": "equipment_inventory", "datacentre": "equipment_inventory", "cloud": "cloud_billing"}  # domain -> what is delivered for it
CELL = ("period", "scope", "category", "domain", "criterion", "method", "view", "unit")


@table(__file__)
def kpi_monthly(impact: ir.Table, activity: ir.Table, quarantined_share: ir.Table) -> ir.Table:
    """One row per cell with its value, interval, impact-weighted data quality, coverage of its domain and the silver rows behind it.

    `quarantined_pct` is of the whole source that the domain's rows come from, not of the month: the date of a bad row may be what is bad.
    """
    cells = impact.rename(period="month_start", method="ghg_method", view="accounting_view")
    weighed = activity.select("activity_id", "lines", period="month_start")
    by_activity = cells.group_by(*CELL, "activity_id").agg(
        value=_.value.sum(), value_min=_.value_min.sum(), value_max=_.value_max.sum(), weight=_.value.abs().sum(), weighted=_.dq_weighted.sum()
    )
    summed = by_activity.join(weighed, ["activity_id", "period"]).group_by(*CELL).agg(
        value=_.value.sum(), value_min=_.value_min.sum(), value_max=_.value_max.sum(),
        weight=_.weight.sum(), weighted=_.weighted.sum(), source_rows=_.lines.sum().cast("decimal(38, 0)").cast("int64"),
    )  # fmt: skip
    covered = summed.left_join(coverage(cells, activity), ["period", "domain", "criterion"]).drop(s.endswith("_right"))
    waiting = quarantined_share.select("source_table", "quarantined_pct")
    return covered.mutate(source_table=_.domain.cases(*SOURCES.items())).left_join(waiting, "source_table").select(
        *CELL[:-1], "value", "value_min", "value_max", "unit", "coverage_pct", "quarantined_pct", "source_rows",
        dq_score=_.weighted.cast("float64") / _.weight.cast("float64").nullif(0.0),
    )  # fmt: skip


def coverage(cells: ir.Table, activity: ir.Table) -> ir.Table:
    """Per month, domain and criterion the share of activity with an impact, in per cent: units of equipment, net billed cost of cloud.

    Net, because that is what the customer pays; credits can push the share out of 0 to 100, where it is cut.
    """
    amounts = activity.select(
        "activity_id", "domain", period="month_start",
        amount=(_.source == "cloud").ifelse(_.cost.cast("decimal(38, 12)"), _.quantity.cast("decimal(38, 12)")),
    )  # fmt: skip
    reached = cells.select("period", "activity_id", "domain", "criterion").distinct().join(amounts.drop("domain"), ["period", "activity_id"])
    totals = amounts.group_by("period", "domain").agg(total=_.amount.sum())
    share = _.reached.cast("float64") / _.total.cast("float64").nullif(0.0)
    return (
        reached.group_by("period", "domain", "criterion").agg(reached=_.amount.sum())
        .join(totals, ["period", "domain"])
        .select("period", "domain", "criterion", coverage_pct=share.clip(0.0, 1.0) * 100.0)
    )  # fmt: skip
