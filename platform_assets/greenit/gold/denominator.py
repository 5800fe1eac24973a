"""What impacts are related to: staff, revenue, spend on IT, users of applications, month by month.

What belongs here: the amounts below the line of an intensity. What does not: the ratios (platinum/intensity.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.in_force import month_of, with_figures
from platform_assets.tables import table

TOTAL = "(all)"
MONEY = "decimal(38, 18)"
MILLION = 1_000_000.0


@table(__file__)
def denominator(org_unit: ir.Table, application: ir.Table, equipment: ir.Table, activity: ir.Table, months: ir.Table, exchange_rate: ir.Table) -> ir.Table:
    """One row per month, kind and member: FTE and revenue (million EUR) by organisational unit, IT spend (EUR) by unit, users by application and
    environment, and by application alone; member `(all)` is the customer. A currency without a rate is left out of the sum, never taken as another.
    """
    parts = [*staffed(org_unit, months, exchange_rate), *spent(activity, equipment, months, exchange_rate), users(application, months)]
    rows = ibis.union(*(part.select("month_start", "kind", "member", value=_.value.cast(MONEY)) for part in parts)).filter(_.value.notnull())
    named = rows.group_by("month_start", "kind", "member").agg(value=_.value.sum().cast(MONEY))
    total = named.group_by("month_start", "kind").agg(value=_.value.sum().cast(MONEY)).mutate(member=ibis.literal(TOTAL))
    whole = users_of_whole(application, months).filter(_.value.notnull()).mutate(value=_.value.cast(MONEY))
    return ibis.union(named, *(rows.select(named.columns) for rows in (total, whole)))


def in_euro(rows: ir.Table, amount: str, at: str, exchange_rate: ir.Table) -> ir.FloatingValue:
    """An amount in `currency` as euro of its time; NULL for a currency without a rate."""
    rated = with_figures(rows.mutate(euro=ibis.literal("EUR")), exchange_rate, ("currency",), at, {"usd": "value"})
    rated = with_figures(rated, exchange_rate.rename(euro="currency"), ("euro",), at, {"usd_per_eur": "value"})
    return rated.mutate(value=rated[amount].cast("float64") * rated.usd / rated.usd_per_eur)


def staffed(org_unit: ir.Table, months: ir.Table, exchange_rate: ir.Table) -> list[ir.Table]:
    """FTE and revenue of each unit: in each month what was said last."""
    known = org_unit.join(months, org_unit.valid_from < months.month_end)
    newest = ibis.row_number().over(ibis.window(group_by=["org_unit", "month_start"], order_by=_.valid_from.desc()))
    now = known.mutate(place=newest).filter(_.place == 0).mutate(member=_.org_unit)
    revenue = in_euro(now, "revenue_per_month", "month_start", exchange_rate)
    return [now.mutate(kind=ibis.literal("fte"), value=_.fte), revenue.mutate(kind=ibis.literal("revenue_meur"), value=_.value / MILLION)]


def spent(activity: ir.Table, equipment: ir.Table, months: ir.Table, exchange_rate: ir.Table) -> list[ir.Table]:
    """Bills, contracts, and equipment in the month of its purchase; employees' own devices are not the customer's spend."""
    billed = in_euro(activity.filter(_.cost.notnull()), "cost", "month_start", exchange_rate)
    own = equipment.filter(_.unit_price.notnull(), _.ownership.fill_null("owned") != "byod")
    bought = own.mutate(month_start=month_of(_.purchase_date), paid=_.unit_price.cast("float64") * _.quantity)
    priced = in_euro(bought.join(months, "month_start"), "paid", "month_start", exchange_rate)
    unit = {"kind": ibis.literal("it_spend_eur"), "member": ibis.coalesce(_.org_unit, "(none)")}
    return [rows.mutate(**unit) for rows in (billed, priced)]


def users(application: ir.Table, months: ir.Table) -> ir.Table:
    """Users of each application and environment, in all months: the newest list is the one that is known."""
    named = application.mutate(member=_.application_id + ibis.coalesce(" " + _.environment, ""))
    return in_all_months(named, months)


def users_of_whole(application: ir.Table, months: ir.Table) -> ir.Table:
    """Users of each application that has environments, by its own name: services bought for it (pages, models, software) name no environment. Its
    largest environment's, for who tests it may use it as well.
    """
    whole = application.group_by("application_id").agg(users=_.users.max(), unnamed=_.environment.isnull().any())
    return in_all_months(whole.filter(~_.unnamed).rename(member="application_id"), months)


def in_all_months(counted: ir.Table, months: ir.Table) -> ir.Table:
    most = counted.group_by("member").agg(value=_.users.max().cast("float64"))
    return most.cross_join(months.select("month_start")).mutate(kind=ibis.literal("app_user"))
