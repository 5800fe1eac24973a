"""Whether what went in came out: sums that must agree between a customer's tables, side by side.

What belongs here: one row per control with both sides. What does not: refusing (the contract's rules do), row accounting (the write transaction does).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.impact_phases import AMORTISED
from platform_assets.greenit.gold.in_force import month_of
from platform_assets.tables import table

SUM = "decimal(38, 18)"
RELATIVE = 1e-9  # of doubles that were multiplied in another order; sums of decimals agree exactly


@table(__file__)
def reconciliation(
    equipment: ir.Table, metered_usage: ir.Table, cloud_usage: ir.Table, saas_usage: ir.Table, activity: ir.Table, impact: ir.Table,
    allocation: ir.Table, months: ir.Table,
) -> ir.Table:  # fmt: skip
    """One row per control and subject: `expected`, `actual`, `difference`, and the relative `tolerance` within which they agree.

    - billed_cost: the bills of a month in a currency = the cost of its cloud activities
    - billing_lines: their number
    - metered_energy: kWh of a month's meters = those taken up by equipment in service (a difference is metering of unknown or retired lines)
    - service_usage: rows of a month's usage of software = those of a contract in force then (a difference is usage outside of its contract)
    - host_shares: children + unallocated = the host, for each host and key
    - whole_lives: shares of the embodied impact of devices bought and retired in the window = 1 each
    - factor_times_amount: by domain, Σ amount × factor = Σ value
    """
    parts = [bills(cloud_usage, activity, months), lines(cloud_usage, activity, months), meters(metered_usage, activity, months),
             used(saas_usage, activity, months), hosts(allocation), lives(equipment, activity, months), products(impact)]  # fmt: skip
    rows = ibis.union(*(part.select("control", "subject", "expected", "actual", "tolerance") for part in parts))
    return rows.mutate(difference=(_.actual - _.expected).cast(SUM))


def control(rows: ir.Table, name: str, subject: ir.Value, expected: ir.Value, actual: ir.Value, tolerance: float = 0.0) -> ir.Table:
    """A control's rows; a side without anything is 0."""
    sides = {"expected": ibis.coalesce(expected, 0).cast(SUM), "actual": ibis.coalesce(actual, 0).cast(SUM)}
    return rows.select(control=ibis.literal(name), subject=subject.cast("string"), **sides, tolerance=ibis.literal(tolerance, "float64"))


def billed(cloud_usage: ir.Table, months: ir.Table) -> ir.Table:
    dated = cloud_usage.mutate(month_start=_.charge_period_start_at.truncate("M").date())
    return dated.join(months, "month_start").filter(_.charge_period_start_at < _.month_end.cast("timestamp"))


def bills(cloud_usage: ir.Table, activity: ir.Table, months: ir.Table) -> ir.Table:
    money = {"currency": ibis.coalesce(_.currency, "no currency")}  # NULL would meet no NULL, and be two rows
    expected = billed(cloud_usage, months).mutate(**money).group_by("month_start", "currency").agg(expected=_.billed_cost.sum().cast(SUM))
    actual = activity.filter(_.source == "cloud").mutate(**money).group_by("month_start", "currency").agg(actual=_.cost.sum().cast(SUM))
    met = expected.outer_join(actual, ["month_start", "currency"])
    subject = ibis.coalesce(met.month_start, met.month_start_right).cast("string") + " " + ibis.coalesce(met.currency, met.currency_right)
    return control(met, "billed_cost", subject, met.expected, met.actual)


def lines(cloud_usage: ir.Table, activity: ir.Table, months: ir.Table) -> ir.Table:
    expected = billed(cloud_usage, months).agg(expected=_.count())
    actual = activity.filter(_.source == "cloud").agg(actual=_.lines.sum())
    met = expected.cross_join(actual)
    return control(met, "billing_lines", ibis.literal("all months"), met.expected, met.actual)


def meters(metered_usage: ir.Table, activity: ir.Table, months: ir.Table) -> ir.Table:
    read = metered_usage.mutate(month_start=month_of(_.start_date)).join(months, "month_start").filter(_.energy_kwh.notnull())
    expected = read.group_by("month_start").agg(expected=_.energy_kwh.cast(SUM).sum().cast(SUM))
    named = read.mutate(activity_id="equipment-" + _.equipment_id)
    taken = named.semi_join(activity.filter(_.energy_kwh.notnull()), ["activity_id", "month_start"])
    actual = taken.group_by("month_start").agg(actual=_.energy_kwh.cast(SUM).sum().cast(SUM))
    met = expected.left_join(actual, "month_start")
    return control(met, "metered_energy", met.month_start, met.expected, met.actual)


def used(saas_usage: ir.Table, activity: ir.Table, months: ir.Table) -> ir.Table:
    """A contract's month is one activity, or one for each kind of usage."""
    read = saas_usage.join(months.select("month_start"), "month_start")
    named = [read.mutate(activity_id="saas-" + _.contract_id), read.mutate(activity_id="saas-" + _.contract_id + "-" + _.activity_key)]
    known = activity.filter(_.source == "saas")
    taken = ibis.union(*(rows.semi_join(known, ["activity_id", "month_start"]) for rows in named))
    met = read.group_by("month_start").agg(expected=_.count()).left_join(taken.group_by("month_start").agg(actual=_.count()), "month_start")
    return control(met, "service_usage", met.month_start, met.expected, met.actual)


def hosts(allocation: ir.Table) -> ir.Table:
    summed = allocation.group_by("parent_id", "allocation_key").agg(actual=_.share.sum().cast(SUM))
    return control(summed, "host_shares", summed.parent_id + " " + summed.allocation_key, ibis.literal(1), summed.actual)


def lives(equipment: ir.Table, activity: ir.Table, months: ir.Table) -> ir.Table:
    """Only devices that were bought in the window and left it before its end have their whole life in it."""
    window = months.agg(first=_.month_start.min(), after=_.month_end.max())
    whole = equipment.cross_join(window).filter(_.status == "retired", _.purchase_date >= _.first, _.retired_date > _.purchase_date, _.retired_date < _.after)
    named = whole.select(activity_id="equipment-" + _.equipment_id)
    carried = activity.filter(_.embodied_share.notnull()).semi_join(named, "activity_id").group_by("activity_id").agg(share=_.embodied_share.cast(SUM).sum())
    summed = carried.agg(expected=_.count(), actual=_.share.sum().cast(SUM))
    return control(summed, "whole_lives", ibis.literal("devices bought and retired in the window"), summed.expected, summed.actual, RELATIVE)


def products(impact: ir.Table) -> ir.Table:
    one_view = impact.filter(_.accounting_view == AMORTISED)
    summed = one_view.group_by("domain", "criterion").agg(
        expected=(_.amount * _.factor_value).cast(SUM).sum().cast(SUM), actual=_.value.sum().cast(SUM)
    )
    return control(summed, "factor_times_amount", summed.domain + " " + summed.criterion, summed.expected, summed.actual, RELATIVE)
