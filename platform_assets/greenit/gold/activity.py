"""All drivers of all impacts, once: what was in service or billed, month by month, with the ids of the figures that apply.

What belongs here: putting the two halves together. What does not: impacts (impact.py), cleaning (silver).
"""

import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.cloud_activity import billed_by_month, cloud_drivers, with_cloud_figures
from platform_assets.greenit.gold.cloud_spend import with_spend
from platform_assets.greenit.gold.equipment_activity import equipment_drivers, in_service, with_device_figures
from platform_assets.tables import table

COLUMNS = {
    "activity_id": "string", "month_start": "date", "source": "string", "domain": "string", "item_key": "string", "site_id": "string",
    "org_unit": "string", "provider": "string", "billing_account_id": "string", "sub_account_id": "string", "region_id": "string",
    "service_category": "string", "service_name": "string", "sku_id": "string", "instance_type": "string", "usage_kind": "string", "meter": "string",
    "charge_category": "string", "charge_class": "string", "commitment_discount_status": "string", "country_code": "string", "ownership": "string",
    "status": "string", "purchase_date": "date", "quantity": "decimal(38, 18)", "quantity_unit": "string", "lines": "int64", "days_in_month": "int64",
    "instance_hours": "float64", "meter_key": "string", "meter_amount": "float64", "copies": "float64", "energy_kwh": "float64",
    "energy_kwh_min": "float64", "energy_kwh_max": "float64", "pue": "float64", "embodied_share": "float64", "purchase_share": "float64",
    "disposal_share": "float64", "lifetime_years": "float64", "usage_rate": "float64", "usd_2022": "float64", "cost": "decimal(38, 18)", "currency": "string",
    "item_map_id": "string", "energy_id": "string", "lifetime_id": "string", "instance_id": "string", "map_id": "string", "pue_id": "string",
    "grid_id": "string", "dq_reliability": "int64", "dq_technology": "int64", "is_covered": "boolean",
}  # fmt: skip


@table(__file__)
def activity(
    equipment: ir.Table, cloud_usage: ir.Table, months: ir.Table, item_map: ir.Table, status_rule: ir.Table, device_energy: ir.Table,
    device_lifetime: ir.Table, device_factor: ir.Table, usage_rate: ir.Table, pue: ir.Table, grid_factor: ir.Table, cloud_instance: ir.Table,
    cloud_region: ir.Table, cloud_meter_rule: ir.Table, cloud_charge_rule: ir.Table, cloud_meter_map: ir.Table, cloud_meter_energy: ir.Table,
    cloud_meter_unit: ir.Table, exchange_rate: ir.Table, price_index: ir.Table,
) -> ir.Table:  # fmt: skip
    """One row per equipment line and month in service, and per month and dimensions of cloud billing; rows without an impact stay, for coverage.

    Billing lines are summed because hourly bills have millions; `cloud_activity_id` leads from a line to its row.
    """
    lived = with_device_figures(in_service(equipment, months, item_map, status_rule), device_energy, device_lifetime, usage_rate, pue)
    meters = (cloud_meter_map, cloud_meter_energy, cloud_meter_unit)
    billed = with_cloud_figures(billed_by_month(cloud_usage, months), cloud_instance, cloud_region, pue, cloud_meter_rule, cloud_charge_rule, *meters)
    spent = with_spend(billed, exchange_rate, price_index)
    return shaped(equipment_drivers(lived, grid_factor, device_factor)).union(shaped(cloud_drivers(spent, grid_factor)))


def shaped(drivers: ir.Table) -> ir.Table:
    """The table's columns in order and type; NULL for those that the source does not have. Equipment is not priced here: no cost."""
    priced = drivers if "cost" in drivers.columns else drivers.drop("currency")
    return priced.select(**{name: priced[name].cast(kind) if name in priced.columns else ibis.null(kind) for name, kind in COLUMNS.items()})
