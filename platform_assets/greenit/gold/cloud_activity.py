"""Drivers of cloud: billing lines grouped by month and by everything an impact depends on.

What belongs here: the cloud half of `activity` and the id that leads from a billing line to it. What does not: impacts (impact.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.cloud_meters import meter_kwh, meter_method, with_meters
from platform_assets.greenit.gold.data_quality import INVOICE
from platform_assets.greenit.gold.in_force import join_grid, with_figures
from platform_assets.greenit.gold.per_amount import KWH
from platform_assets.greenit.gold.spend import in_dollars_of_2022
from platform_assets.greenit.gold.use_phase import instance_kwh_per_hour, watts_at

DIMENSIONS = (
    "provider", "billing_account_id", "sub_account_id", "region_id", "service_category", "service_name", "sku_id", "consumed_unit", "usage_kind",
    "meter", "instance_type", "charge_category", "charge_class", "commitment_discount_status", "currency",
)  # fmt: skip
SEPARATOR, ABSENT = "\x1f", "\x1e"
HOSTING = "518210"  # NAICS: what cloud usage is bought from, where only its cost is known


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
    billed: ir.Table, cloud_instance: ir.Table, cloud_instance_component: ir.Table, cloud_region: ir.Table, pue: ir.Table, wue: ir.Table,
    meter: ir.Table, charge: ir.Table, *meters: ir.Table,
) -> ir.Table:  # fmt: skip
    """Adds country, PUE (region, else provider, else any datacentre), WUE (region, else provider), instance, the shares that the rules leave of the
    hours, and the meter.

    An instance computed from its parts goes before one of Cloud Carbon Footprint's. `meters`: cloud_meter_map, cloud_meter_energy, cloud_meter_unit.
    """
    rows = billed.mutate(any_region=ibis.literal("*"), any_provider=ibis.literal("*"), commitment=ibis.coalesce(_.commitment_discount_status, "none"))
    rows = with_figures(rows, cloud_region, ("provider", "region_id"), "month_start", {"country_code": "country_code"})
    rows = with_figures(rows, pue, ("provider", "region_id"), "month_start", {"pue_id_0": "pue_id", "pue_0": "value"})
    rows = with_figures(
        rows, pue.filter(_.region_id == "*").rename(any_region="region_id"), ("provider", "any_region"), "month_start", {"pue_id_1": "pue_id", "pue_1": "value"}
    )
    hosted = pue.filter(_.provider == "*", _.region_id == "*").rename(any_provider="provider")
    rows = with_figures(rows, hosted, ("any_provider",), "month_start", {"pue_id_2": "pue_id", "pue_2": "value"})
    rows = with_figures(rows, wue, ("provider", "region_id"), "month_start", {"wue_0": "value"})
    rows = with_figures(rows, wue.filter(_.region_id == "*").rename(any_region="region_id"), ("provider", "any_region"), "month_start", {"wue_1": "value"})
    rows = with_figures(rows, meter, ("usage_kind",), "month_start", {"meter_share": "value"})
    rows = with_figures(
        rows, charge.rename(commitment="commitment_discount_status"), ("charge_category", "commitment"), "month_start", {"charge_share": "value"}
    )
    specs = ("instance_id", "vcpu", "min_watts_per_vcpu", "max_watts_per_vcpu", "gpu_count", "gpu_min_watts", "gpu_max_watts", "load", "dq_tech")
    rows = with_figures(rows, cloud_instance, ("provider", "instance_type"), "month_start", {name: name for name in specs})
    hourly = cloud_instance_component.filter(_.criterion == KWH)
    parts = {"component_id": "instance_id", "component_kwh": "value", "component_min": "value_min", "component_max": "value_max", "component_tech": "dq_tech"}
    rows = with_figures(rows, hourly, ("provider", "instance_type"), "month_start", parts)
    return with_meters(rows, *meters)


def cloud_drivers(rows: ir.Table, grid_factor: ir.Table, exchange_rate: ir.Table, price_index: ir.Table) -> ir.Table:
    """The columns of `activity` for cloud. `meter_amount` of an instance are the hours that carry an impact: 0 for a surcharge on hours billed elsewhere."""
    is_instance = (rows.component_id.notnull() | rows.instance_id.notnull()) & (rows.consumed_unit == "hours")
    hours = is_instance.ifelse(rows.quantity.cast("float64") * rows.meter_share * rows.charge_share, ibis.null("float64"))
    energies = {name: instance_energy(rows, hours, name) for name in ("", "_min", "_max")}
    metered = {name: meter_kwh(rows.meter_amount, rows.copies, ibis.coalesce(rows[f"kwh{name}"], rows.kwh)) for name in energies}
    ends = {name: ibis.coalesce(energies[name], metered[name]) for name in energies}
    is_outside = (~rows.is_hosted).fill_null(False)
    null = ibis.null("string")
    drivers = rows.mutate(
        activity_id=cloud_activity_id(rows), source=ibis.literal("cloud"), domain=ibis.literal("cloud"), ownership=ibis.literal("service"),
        quantity_unit=_.consumed_unit, days_in_month=_.month_end.delta(_.month_start, unit="day"), meter_amount=ibis.coalesce(hours, rows.meter_amount),
        energy_kwh=ends[""], energy_kwh_min=ibis.least(ends["_min"], ends["_max"]), energy_kwh_max=ibis.greatest(ends["_min"], ends["_max"]),
        pue=is_outside.ifelse(1.0, ibis.coalesce(rows.pue_0, rows.pue_1, rows.pue_2)), wue=is_outside.ifelse(0.0, ibis.coalesce(rows.wue_0, rows.wue_1)),
        pue_id=is_outside.ifelse(null, ibis.coalesce(rows.pue_id_0, rows.pue_id_1, rows.pue_id_2)),
        instance_id=is_instance.ifelse(ibis.coalesce(rows.component_id, rows.instance_id), null),
        method_id=is_instance.ifelse("A5", ibis.coalesce(meter_method(rows.meter_key), "A5-spend")), spend_sector=ibis.literal(HOSTING),
        dq_reliability=ibis.literal(INVOICE), dq_technology=ibis.coalesce(_.component_tech, _.dq_tech, _.meter_dq_tech, 5),
        spend=_.cost.cast("float64") * _.charge_share,
    )  # fmt: skip
    priced = in_dollars_of_2022(drivers, "spend", "month_start", exchange_rate, price_index)
    known = join_grid(priced, grid_factor.filter(_.criterion == "GWP"), how="left")
    has_energy = known.energy_kwh.notnull() & known.grid_id.notnull()
    return known.mutate(usd_2022=has_energy.ifelse(ibis.null("float64"), known.usd_2022))


def instance_energy(rows: ir.Table, hours: ir.Value, end: str) -> ir.Value:
    """kWh of an instance's hours: from its parts where these are known, else watts per vCPU at the usual load; idle and full are its ends."""
    load = {"": rows.load, "_min": ibis.literal(0.0), "_max": ibis.literal(1.0)}[end]
    cpu_watts, gpu_watts = watts_at(load, rows.min_watts_per_vcpu, rows.max_watts_per_vcpu), watts_at(load, rows.gpu_min_watts, rows.gpu_max_watts)
    by_vcpu = instance_kwh_per_hour(rows.vcpu, cpu_watts, rows.gpu_count, gpu_watts)
    by_parts = ibis.coalesce(rows[f"component{end or '_kwh'}"], rows.component_kwh)
    return hours * rows.component_id.notnull().ifelse(by_parts, by_vcpu)
