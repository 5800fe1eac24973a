"""The equipment in service each month: how many, how old, past their lifetime, renewed, refurbished.

What belongs here: counts over gold's activities of equipment. What does not: impacts.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.sums import exact_sum
from platform_assets.tables import table

DAYS_PER_YEAR = 365.25
UNMAPPED = "unmapped"


@table(__file__)
def fleet(activity: ir.Table) -> ir.Table:
    """Per month, domain and item: units in service, mean age at the end of the month, units past their expected lifetime, bought and retired in the
    month, refurbished, and units that a meter or the inventory gives energy for. Age is of units whose purchase is known.
    """
    owned = activity.filter(_.source == "equipment").mutate(period=_.month_start, units=_.quantity.cast("float64"), item=ibis.coalesce(_.item_key, UNMAPPED))
    month_end = (owned.period.cast("timestamp") + ibis.interval(months=1)).date()
    age = month_end.delta(owned.purchase_date, unit="day").cast("float64") / DAYS_PER_YEAR
    aged = owned.mutate(age_years=age, dated=owned.purchase_date.notnull().ifelse(owned.units, 0.0))
    aged = aged.mutate(unit_years=_.age_years * _.units)
    sums = {
        "units": exact_sum(aged.units), "dated_units": exact_sum(aged.dated), "unit_years": exact_sum(aged.unit_years),
        "past_lifetime_units": exact_sum(aged.units, aged.age_years > aged.lifetime_years), "bought_units": exact_sum(aged.units, aged.purchase_share == 1),
        "retired_units": exact_sum(aged.units, aged.disposal_share == 1), "refurbished_units": exact_sum(aged.units, aged.condition == "refurbished"),
        "metered_units": exact_sum(aged.units, aged.dq_reliability == 1),
    }  # fmt: skip
    summed = aged.group_by("period", "domain", "item").agg(**sums)
    known = {name: ibis.coalesce(summed[name], 0.0) for name in sums}
    return summed.select("period", "domain", "item", **known, mean_age_years=summed.unit_years / summed.dated_units.nullif(0.0))
