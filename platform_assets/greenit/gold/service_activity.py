"""What every service brings to `activity`: its months, the energy of its amounts, its money.

What belongs here: steps that software, networks, web pages and language models share. What does not: one kind of service (saas_activity.py,
network_activity.py, web_activity.py, ai_activity.py), figures (parameters/service_*.csv).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.data_quality import INVENTORY
from platform_assets.greenit.gold.in_force import join_grid, month_of, with_figures

ENDS = ("", "_min", "_max")


def service_kwh(amount: ir.NumericValue, kwh_per_amount: ir.NumericValue) -> ir.NumericValue:
    """IT energy of an amount of a service (GB, tokens, hours), kWh."""
    return amount * kwh_per_amount


def months_in_force(contracts: ir.Table, months: ir.Table) -> ir.Table:
    """Contracts × months between start_date and end_date (its last day; NULL: open); adds `days_in_month` and `month_days`."""
    met = contracts.cross_join(months)
    after = (met.end_date.cast("timestamp") + ibis.interval(days=1)).date()
    first, last = ibis.greatest(met.start_date, met.month_start), ibis.least(ibis.coalesce(after, met.month_end), met.month_end)
    following = (met.month_start.cast("timestamp") + ibis.interval(months=1)).date()
    days = met.mutate(days_in_month=last.delta(first, unit="day"), month_days=following.delta(met.month_start, unit="day"))
    return days.filter(_.days_in_month > 0)


def days_in_window(rows: ir.Table, months: ir.Table) -> ir.Table:
    """Rows whose `day` is in the window, which can end inside a month, with their `month_start`."""
    met = rows.mutate(month_start=month_of(_.day)).join(months, "month_start")
    return met.filter(_.day < _.month_end).drop("month_end")


def in_months(rows: ir.Table, months: ir.Table) -> ir.Table:
    """Rows whose `month_start` is in the window, with `month_end` and `days_in_month`."""
    return rows.join(months, "month_start").mutate(days_in_month=_.month_end.delta(_.month_start, unit="day"))


def with_service_energy(rows: ir.Table, service_energy: ir.Table, pue: ir.Table, grid_factor: ir.Table) -> ir.Table:
    """Adds energy_kwh of `meter_amount` by `meter_key` with its ends, PUE where it is used in a datacentre, and the grid; NULL where no figure is."""
    take = {"energy_id": "energy_id", "is_hosted": "is_hosted", **{f"kwh{end}": f"value{end}" for end in ENDS}}
    keyed = with_figures(rows, service_energy.rename(meter_key="service_key"), ("meter_key",), "month_start", take)
    hosted = pue.filter(_.provider == "*", _.region_id == "*").rename(everywhere="provider")
    keyed = with_figures(keyed.mutate(everywhere=ibis.literal("*")), hosted, ("everywhere",), "month_start", {"pue_hosted": "value", "pue_id_hosted": "pue_id"})
    is_hosted = keyed.is_hosted.fill_null(False)
    powered = keyed.mutate(
        **{f"energy_kwh{end}": service_kwh(keyed.meter_amount, ibis.coalesce(keyed[f"kwh{end}"], keyed.kwh)) for end in ENDS},
        pue=is_hosted.ifelse(keyed.pue_hosted, 1.0), pue_id=is_hosted.ifelse(keyed.pue_id_hosted, ibis.null("string")),
        wue=is_hosted.ifelse(ibis.null("float64"), 0.0),
    )  # fmt: skip
    return join_grid(powered, grid_factor.filter(_.criterion == "GWP"), how="left")


def service(rows: ir.Table, domain: str, method: str, **columns: ir.Value) -> ir.Table:
    """What is the same for all rows of one kind of service; `columns` replace it."""
    said = {
        "source": ibis.literal(domain), "domain": ibis.literal(domain), "ownership": ibis.literal("service"), "method_id": ibis.literal(method),
        "lines": ibis.literal(1, "int64"), "dq_reliability": ibis.literal(INVENTORY), "dq_technology": ibis.literal(4),
    }  # fmt: skip
    return rows.mutate(**{**said, **columns})
