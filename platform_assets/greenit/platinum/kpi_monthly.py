"""Monthly indicators that the front end and the reports read.

What belongs here: group-bys of gold with portable operations (PostgreSQL computes them). What does not: formulas, factors.
"""

import ibis.expr.types as ir
from ibis import _
from ibis import selectors as s

from platform_assets.tables import table

SOURCES = {  # domain -> what is delivered for it
    "equipment": "equipment_inventory", "datacentre": "equipment_inventory", "cloud": "cloud_billing", "saas": "saas_contracts",
    "network": "network_traffic", "web": "web_analytics", "ai": "ai_usage_log",
}  # fmt: skip
CELL = ("period", "scope", "category", "domain", "phase", "criterion", "method", "view", "unit")


@table(__file__)
def kpi_monthly(impact: ir.Table, activity: ir.Table, coverage: ir.Table, quarantined_share: ir.Table) -> ir.Table:
    """One row per cell with its value, interval, impact-weighted data quality, coverage of its domain and the silver rows behind it.

    `quarantined_pct` is of the whole source that the domain's rows come from, not of the month: the date of a bad row may be what is bad.
    """
    cells = impact.rename(period="month_start", method="ghg_method", view="accounting_view")
    weighed = activity.select("activity_id", "lines", period="month_start")
    by_activity = cells.group_by(*CELL, "activity_id").agg(
        value=_.value.sum(), value_min=_.value_min.sum(), value_max=_.value_max.sum(), value_abs=_.value.abs().sum(), dq_weighted=_.dq_weighted.sum()
    )
    summed = by_activity.join(weighed, ["activity_id", "period"]).group_by(*CELL).agg(
        value=_.value.sum(), value_min=_.value_min.sum(), value_max=_.value_max.sum(),
        value_abs=_.value_abs.sum(), dq_weighted=_.dq_weighted.sum(), source_rows=_.lines.sum().cast("decimal(38, 0)").cast("int64"),
    )  # fmt: skip
    covered = coverage.select("domain", "criterion", "coverage_pct", period="month_start")
    met = summed.left_join(covered, ["period", "domain", "criterion"]).drop(s.endswith("_right"))
    waiting = quarantined_share.select("source_table", "quarantined_pct")
    return met.mutate(source_table=_.domain.cases(*SOURCES.items())).left_join(waiting, "source_table").select(
        *CELL[:-1], "value", "value_min", "value_max", "unit", "coverage_pct", "quarantined_pct", "source_rows", "value_abs", "dq_weighted",
        dq_score=_.dq_weighted.cast("float64") / _.value_abs.cast("float64").nullif(0.0),
    )  # fmt: skip
