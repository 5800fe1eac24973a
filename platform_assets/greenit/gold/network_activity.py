"""Drivers of networks: lines and traffic of each link and month (formula A6 of docs/method.md).

What belongs here: which amount a kind of link counts by. What does not: figures (parameters/service_*.csv).
"""

import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.data_quality import INVOICE
from platform_assets.greenit.gold.service_activity import in_months, service, with_service_energy

METERS = {"fixed_line": "network_fixed_line", "mobile": "network_mobile_gb", "wan": "network_wan_gb"}


def network_drivers(network_link: ir.Table, months: ir.Table, service_energy: ir.Table, pue: ir.Table, grid_factor: ir.Table) -> ir.Table:
    """One row per link and month. A fixed line counts by the line, for it hardly reacts to traffic; mobile and wide-area links by the GB."""
    met = in_months(network_link, months)
    by_line = met.kind == "fixed_line"
    lines = met.lines.cast("float64") * met.days_in_month.cast("float64") / days_of_month(met.month_start)
    rows = service(
        met, "network", "A6-network", activity_id=ibis.literal("network-") + met.link_id, service_name=met.kind, meter_key=met.kind.cases(*METERS.items()),
        meter_amount=by_line.ifelse(lines, met.gb), quantity=by_line.ifelse(met.lines.cast("float64"), met.gb).cast("decimal(38, 18)"),
        quantity_unit=by_line.ifelse("lines", "GB"), dq_reliability=ibis.literal(INVOICE),
    )  # fmt: skip
    return with_service_energy(rows, service_energy, pue, grid_factor)


def days_of_month(month_start: ir.DateValue) -> ir.FloatingValue:
    """Days of the whole calendar month, also where the window ends in it."""
    return (month_start.cast("timestamp") + ibis.interval(months=1)).date().delta(month_start, unit="day").cast("float64")
