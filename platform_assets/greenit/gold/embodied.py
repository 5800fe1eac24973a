"""Embodied impacts over a lifetime (formula A1 of docs/method.md).

What belongs here: shares of manufacturing, distribution and end of life that a month carries. What does not: factor values.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.limits import at_least, at_most

DAYS_PER_YEAR = 365.25


def months_in_service(equipment: ir.Table, months: ir.Table) -> ir.Table:
    """One row per line and month with a day in service; adds `days_in_month`, `age_days` (first day there) and `is_last_month`.

    The day of retirement does not count; a device retired on the day of its purchase was in service that one day. Without a purchase date
    a device counts as always there. The month of the last day of service is the last month, also when the device leaves on the 1st after.
    """
    day_after_purchase = (_.purchase_date.cast("timestamp") + ibis.interval(days=1)).date()
    lines = equipment.mutate(service_end=ibis.ifelse(_.retired_date <= _.purchase_date, day_after_purchase, _.retired_date))
    met = lines.cross_join(months).mutate(
        first_day=ibis.greatest(ibis.coalesce(_.purchase_date, _.month_start), _.month_start),
        day_after=ibis.least(ibis.coalesce(_.service_end, _.month_end), _.month_end),
    )
    counted = met.filter(_.first_day < _.day_after).mutate(
        days_in_month=_.day_after.delta(_.first_day, unit="day"),
        age_days=_.first_day.delta(_.purchase_date, unit="day"),
        is_last_month=(_.service_end <= _.month_end).fill_null(False),
        is_first_month=(_.purchase_date >= _.month_start).fill_null(False),
    )
    return counted.drop("first_day", "day_after", "service_end")


def amortised_share(days: ir.Value, age_days: ir.Value, lifetime_years: ir.Value, is_last_month: ir.BooleanValue) -> ir.Value:
    """Share (0 to 1) of the embodied impact that a month carries: straight line, nothing after the lifetime, the remainder at retirement.

    Over the months of a life the shares sum to 1. Of an unknown age or lifetime it is NULL.
    """
    lifetime_days = lifetime_years * DAYS_PER_YEAR
    left_days = at_least(lifetime_days - age_days, 0.0)
    return is_last_month.ifelse(left_days, at_most(left_days, days.cast("float64"))) / lifetime_days


def once(is_month: ir.BooleanValue) -> ir.Value:
    """Share that a single month carries whole: purchase or disposal."""
    return is_month.ifelse(1.0, 0.0)


def items_carried(quantity: ir.Value, usage_rate: ir.Value, share: ir.Value) -> ir.Value:
    """q × r × share of the life: the items whose embodied impact a month carries."""
    return quantity * usage_rate * share


def hourly_share(hours: ir.Value, lifetime_hours: ir.Value) -> ir.Value:
    """Share (0 to 1) of an embodied impact that `hours` of a machine billed by the hour carry; never more than the whole."""
    return at_most(hours / lifetime_hours, 1.0)
