"""Drivers of cloud: billing lines grouped by month and by everything an impact depends on.

What belongs here: the cloud half of `activity` and the id that leads from a billing line to it. What does not: impacts (impact.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.cloud_meters import meter_kwh, with_meters
from platform_assets.greenit.gold.data_quality import INVOICE
from platform_assets.greenit.gold.in_force import join_grid, with_figures
from platform_assets.greenit.gold.use_phase import instance_kwh_per_hour, watts_at

DIMENSIONS = (
    "provider", "billing_account_id", "sub_account_id", "region_id", "service_category", "service_name", "sku_id", "consumed_unit", "usage_kind",
    "meter", "instance_type", "charge_category", "charge_class", "commitment_discount_status", "currency",
)  # fmt: skip
SEPARATOR, ABSENT = "\x1f", "\x1e"


def cloud_activity_id(cloud_usage: ir.Table) -> ir.StringValue:
    """`cloud-` and the md5 of the line's dimensions: the activity that a billing line is counted in (with the month it starts in)."""
    spelled = [ibis.coalesce(cloud_usage[name], ABSENT) for name in DIMENSIONS]
    return ibis.literal("cloud-") + ibis.literal(SEPARATOR).join(spelled).hexdigest("md5")


def billed_by_month(cloud_usage: ir.Table, months: ir.Table) -> ir.Table:
    """Sums per dimensions and month in which the charge period starts (UTC); lines outside the window are not in it. Sums are exact."""
    dated = cloud_usage.mutate(month_start=_.charge_period_start_at.truncate("M").date())
    met = dated.join(months, "month_start").filter(_.charge_period_start_at < _.month_end.cast("timestamp"))
    return met.group_by(*DIMENSIONS, "month_start", "month_end").agg(lines=_.count(), quantity=_.consumed_quantity.sum(), cost=_.billed_cost.sum())


def with_cloud_figures(
    billed: ir.Table, cloud_instance: ir.Table, cloud_region: ir.Table, pue: ir.Table, meter: ir.Table, charge: ir.Table, *meters: ir.Table
) -> ir.Table:
    """Adds country, PUE (region, else provider, else any datacentre), instance, the shares that the rules leave of the hours, and the meter.

    `meters`: cloud_meter_map, cloud_meter_energy, cloud_meter_unit.
    """
    rows = billed.mutate(any_region=ibis.literal("*"), any_provider=ibis.literal("*"), commitment=ibis.coalesce(_.commitment_discount_status, "none"))
    rows = with_figures(rows, cloud_region, ("provider", "region_id"), "month_start", {"country_code": "country_code"})
    rows = with_figures(rows, pue, ("provider", "region_id"), "month_start", {"pue_id_0": "pue_id", "pue_0": "value"})
    rows = with_figures(
        rows, pue.filter(_.region_id == "*").rename(any_region="region_id"), ("provider", "any_region"), "month_start", {"pue_id_1": "pue_id", "pue_1": "value"}
    )
    hosted = pue.filter(_.provider == "*", _.region_id == "*").rename(any_provider="provider")
    rows = with_figures(rows, hosted, ("any_provider",), "month_start", {"pue_id_2": "pue_id", "pue_2": "value"})
    rows = with_figures(rows, meter, ("usage_kind",), "month_start", {"meter_share": "value"})
    rows = with_figures(
        rows, charge.rename(commitment="commitment_discount_status"), ("charge_category", "commitment"), "month_start", {"charge_share": "value"}
    )
    specs = ("instance_id", "vcpu", "min_watts_per_vcpu", "max_watts_per_vcpu", "gpu_count", "gpu_min_watts", "gpu_max_watts", "load", "dq_tech")
    rows = with_figures(rows, cloud_instance, ("provider", "instance_type"), "month_start", {name: name for name in specs})
    return with_meters(rows, *meters)


def cloud_drivers(rows: ir.Table, grid_factor: ir.Table) -> ir.Table:
    """The columns of `activity` for cloud. `instance_hours` are the hours that carry an impact: 0 for a surcharge on hours billed elsewhere."""
    hours = ibis.ifelse(
        rows.instance_id.notnull() & (rows.consumed_unit == "hours"), rows.quantity.cast("float64") * rows.meter_share * rows.charge_share, ibis.null("float64")
    )

    def kwh(load: ir.Value) -> ir.Value:
        cpu_watts, gpu_watts = watts_at(load, rows.min_watts_per_vcpu, rows.max_watts_per_vcpu), watts_at(load, rows.gpu_min_watts, rows.gpu_max_watts)
        return hours * instance_kwh_per_hour(rows.vcpu, cpu_watts, rows.gpu_count, gpu_watts)

    def metered(figure: ir.Value) -> ir.Value:
        return meter_kwh(rows.meter_amount, rows.copies, ibis.coalesce(figure, rows.kwh))

    idle, full = kwh(ibis.literal(0.0)), kwh(ibis.literal(1.0))
    is_outside = (~rows.is_hosted).fill_null(False)
    drivers = rows.mutate(
        activity_id=cloud_activity_id(rows), source=ibis.literal("cloud"), domain=ibis.literal("cloud"), ownership=ibis.literal("service"),
        quantity_unit=_.consumed_unit, days_in_month=_.month_end.delta(_.month_start, unit="day"), instance_hours=hours,
        energy_kwh=ibis.coalesce(kwh(rows.load), metered(rows.kwh)),
        energy_kwh_min=ibis.coalesce(ibis.least(idle, full), ibis.least(metered(rows.kwh_min), metered(rows.kwh_max))),
        energy_kwh_max=ibis.coalesce(ibis.greatest(idle, full), ibis.greatest(metered(rows.kwh_min), metered(rows.kwh_max))),
        pue=is_outside.ifelse(1.0, ibis.coalesce(rows.pue_0, rows.pue_1, rows.pue_2)),
        pue_id=is_outside.ifelse(ibis.null("string"), ibis.coalesce(rows.pue_id_0, rows.pue_id_1, rows.pue_id_2)),
        dq_reliability=ibis.literal(INVOICE), dq_technology=ibis.coalesce(_.dq_tech, _.meter_dq_tech, 5),
    )  # fmt: skip
    known = join_grid(drivers, grid_factor.filter(_.criterion == "GWP"), how="left").mutate(has_energy=_.energy_kwh.notnull() & _.grid_id.notnull())
    by_cost = known.has_energy.ifelse(ibis.null("float64"), known.usd_2022)
    return known.mutate(usd_2022=by_cost, is_covered=known.has_energy | by_cost.notnull())
