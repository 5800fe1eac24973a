"""Every KPI of a customer, month by month, as the list of metrics defines it.

What belongs here: computing the list. What does not: what a KPI is (metrics.py), its dimensions (kpi_monthly.py, kpi_dimension.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.metrics import METRICS, Metric, Sum
from platform_assets.greenit.sums import exact_sum
from platform_assets.tables import table


@table(__file__)
def metric_monthly(
    kpi_monthly: ir.Table, kpi_dimension: ir.Table, data_quality: ir.Table, fleet: ir.Table, equivalence: ir.Table, denominator: ir.Table, coverage: ir.Table
) -> ir.Table:
    """One row per month and KPI that has something to add up; a ratio to nothing has no row."""
    tables = {"kpi_monthly": kpi_monthly, "kpi_dimension": kpi_dimension, "data_quality": data_quality, "fleet": fleet, "equivalence": equivalence,
              "denominator": denominator.rename(period="month_start"), "coverage": coverage.rename(period="month_start")}  # fmt: skip
    return ibis.union(*(computed(one, tables) for one in METRICS))


def computed(one: Metric, tables: dict[str, ir.Table]) -> ir.Table:
    """A metric's months: its sum, or the ratio of its sums, in its unit."""
    rows = summed(one.of, tables).rename(amount="total")
    if one.over:
        below = summed(one.over, tables)
        met = rows.join(below, "period").filter(_.total != 0.0)
        rows = met.select("period", amount=met.amount / met.total)
    value = rows.amount * one.scale
    return rows.filter(rows.amount.notnull()).select("period", metric_id=ibis.literal(one.id), value=value, unit=ibis.literal(one.unit))


def summed(what: Sum, tables: dict[str, ir.Table]) -> ir.Table:
    """`period` and `total` of one sum."""
    rows = tables[what.table]
    for column, wanted in what.where.items():
        rows = rows.filter(rows[column].isin(wanted) if isinstance(wanted, list) else rows[column] == wanted)
    return rows.group_by("period").agg(total=exact_sum(rows[what.column]))
