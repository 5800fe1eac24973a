"""Impacts by what they belong to: unit, site, provider, region, service, item, country, phase, application.

What belongs here: one row per dimension and member; the members of a dimension add up to the whole. What does not: totals (kpi_monthly.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.tables import table

NONE = "(none)"
DIMENSIONS = {  # dimension -> column of activity
    "org_unit": "org_unit", "site": "site_id", "provider": "provider", "region": "region_id", "service": "service_name", "item": "item_key",
    "country": "country_code", "ownership": "ownership",
}  # fmt: skip
CELL = ("period", "dimension", "member", "domain", "criterion", "method", "view", "unit")
PLACES = 18
HOST_KEY = "capacity"  # what nobody uses stands as a member of its own


@table(__file__)
def kpi_dimension(impact: ir.Table, activity: ir.Table, allocation: ir.Table) -> ir.Table:
    """Sums of impacts in every dimension; rows that have no member are `(none)`.

    Application: a service's own tag, and each host by the capacity that the machines of an application take, with `(unallocated)` for what is idle.
    The last member of a host carries what rounding leaves, so that members add up to the last digit.
    """
    labels = activity.select("activity_id", *DIMENSIONS.values(), "application_id", period="month_start")
    met = impact.rename(period="month_start", method="ghg_method", view="accounting_view").join(labels, ["activity_id", "period"])
    whole = ("period", *DIMENSIONS.values(), "domain", "criterion", "method", "view", "unit")
    labelled = met.group_by(*whole).agg(value=_.value.sum())  # far fewer rows, of which every dimension is made
    plain = [labelled.mutate(dimension=ibis.literal(name), member=ibis.coalesce(labelled[column], NONE)) for name, column in DIMENSIONS.items()]
    parts = [*plain, by_application(met, allocation)]
    rows = ibis.union(*(part.select(*CELL, "value") for part in parts))
    return rows.group_by(*CELL).agg(value=_.value.sum())


def by_application(met: ir.Table, allocation: ir.Table) -> ir.Table:
    """Impacts of hosts shared by their capacity, others whole; a host's largest member takes the rest of the rounding."""
    shares = allocation.filter(_.allocation_key == HOST_KEY).group_by("parent_id", "application_id").agg(share=_.share.sum())
    order = ibis.window(group_by="parent_id", order_by=[_.share.desc(), _.application_id])
    ranked = shares.mutate(place=ibis.row_number().over(order)).rename(child="application_id")
    joined = met.left_join(ranked, met.activity_id == ranked.parent_id)
    part = (joined.value * joined.share).round(PLACES)  # a cast would be left out: to Ibis the product has 18 places already
    cell = ibis.window(group_by=["activity_id", "period", "phase", "criterion", "method", "view", "category"])
    counted = joined.mutate(part=part).mutate(rest=_.value - _.part.sum().over(cell))
    value = ibis.cases((counted.share.isnull(), counted.value), (counted.place == 0, counted.part + counted.rest), else_=counted.part)
    return counted.mutate(value=value, dimension=ibis.literal("application"), member=ibis.coalesce(counted.child, counted.application_id, NONE))
