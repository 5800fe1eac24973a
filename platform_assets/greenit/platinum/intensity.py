"""Emissions per FTE, revenue, euro of IT spend and user of an application.

What belongs here: ratios of gold's impacts and denominators. What does not: the amounts below the line (gold/denominator.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.tables import table

TOTAL = "(all)"
MEMBERS = {"fte": "org_unit", "revenue_meur": "org_unit", "it_spend_eur": "org_unit", "app_user": "application"}  # kind -> the dimension of its members
METHODS = {"location": ["location", "none"], "market": ["market", "none"]}  # a total takes one method of purchased electricity


@table(__file__)
def intensity(kpi_dimension: ir.Table, denominator: ir.Table) -> ir.Table:
    """GWP by month, kind of denominator, member, method and view; the member `(all)` is the customer, except of users: they are of one application.
    Per user of an application are two figures that add up: of its machines by environment (`crm prod`), and of the services that are bought for it,
    which name no environment (`crm`).

    A member without a denominator has no row: a ratio to nothing is none.
    """
    gwp = kpi_dimension.filter(_.criterion == "GWP")
    totals = [gwp.filter(_.method.isin(taken)).mutate(total_method=ibis.literal(name)) for name, taken in METHODS.items()]
    cells = ibis.union(*(rows.select("period", "dimension", "member", "view", "value", method="total_method") for rows in totals))
    members = cells.group_by("period", "dimension", "member", "method", "view").agg(value=_.value.sum())
    whole = cells.filter(_.dimension == "org_unit").group_by("period", "method", "view").agg(value=_.value.sum())
    parts = [members.filter(_.dimension == dimension).mutate(kind=ibis.literal(kind)) for kind, dimension in MEMBERS.items()]
    parts += [whole.mutate(kind=ibis.literal(kind), member=ibis.literal(TOTAL)) for kind in MEMBERS if kind != "app_user"]
    rows = ibis.union(*(part.select("period", "kind", "member", "method", "view", value=_.value.cast("decimal(38, 18)")) for part in parts))
    below = denominator.rename(period="month_start", amount="value")
    met = rows.join(below, ["period", "kind", "member"]).filter(_.amount != 0)
    ratio = met.value.cast("float64") / met.amount.cast("float64")
    return met.select("period", "kind", "member", "method", "view", numerator_kgco2e="value", denominator="amount", kgco2e_per_unit=ratio)
