"""All drivers of all impacts, once: what was in service, billed or used, month by month, with the ids of the figures that apply.

What belongs here: putting the sources together. What does not: one source (equipment_activity.py, cloud_activity.py, saas_activity.py, …),
impacts (impact.py), cleaning (silver).
"""

import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.ai_activity import ai_drivers
from platform_assets.greenit.gold.cloud_activity import billed_by_month, cloud_drivers, with_cloud_figures
from platform_assets.greenit.gold.equipment_activity import equipment_drivers, in_service, measured, with_device_figures
from platform_assets.greenit.gold.in_force import with_figures
from platform_assets.greenit.gold.market import with_market
from platform_assets.greenit.gold.network_activity import network_drivers
from platform_assets.greenit.gold.saas_activity import saas_drivers
from platform_assets.greenit.gold.web_activity import web_drivers
from platform_assets.tables import table

COLUMNS = {
    "activity_id": "string", "month_start": "date", "source": "string", "domain": "string", "item_key": "string", "site_id": "string",
    "org_unit": "string", "application_id": "string", "provider": "string", "billing_account_id": "string", "sub_account_id": "string",
    "region_id": "string", "service_category": "string", "service_name": "string", "sku_id": "string", "instance_type": "string",
    "usage_kind": "string", "meter": "string", "charge_category": "string", "charge_class": "string", "commitment_discount_status": "string",
    "country_code": "string", "ownership": "string", "status": "string", "condition": "string", "purchase_date": "date",
    "quantity": "decimal(38, 18)", "quantity_unit": "string", "lines": "int64", "days_in_month": "int64", "meter_key": "string",
    "meter_amount": "float64", "copies": "float64", "declared_factor": "float64", "energy_kwh": "float64", "energy_kwh_min": "float64",
    "energy_kwh_max": "float64", "pue": "float64", "wue": "float64", "market_factor": "float64", "embodied_share": "float64",
    "purchase_share": "float64", "disposal_share": "float64", "lifetime_years": "float64", "usage_rate": "float64", "condition_rate": "float64",
    "condition_rate_min": "float64", "condition_rate_max": "float64", "usd_2022": "float64", "spend_sector": "string", "cost": "decimal(38, 18)",
    "currency": "string", "cost_usd": "decimal(38, 18)", "configuration_id": "string", "item_map_id": "string", "energy_id": "string",
    "lifetime_id": "string", "instance_id": "string", "map_id": "string", "pue_id": "string", "grid_id": "string", "market_id": "string",
    "market_flags": "string", "method_id": "string", "dq_reliability": "int64", "dq_technology": "int64",
}  # fmt: skip


@table(__file__)
def activity(
    equipment: ir.Table, metered_usage: ir.Table, site: ir.Table, energy_contract: ir.Table, cloud_usage: ir.Table, saas_contract: ir.Table,
    saas_usage: ir.Table, network_link: ir.Table, web_traffic: ir.Table, web_page: ir.Table, ai_usage: ir.Table, months: ir.Table,
    item_map: ir.Table, status_rule: ir.Table, device_energy: ir.Table, device_lifetime: ir.Table, device_factor: ir.Table, usage_rate: ir.Table,
    condition_rate: ir.Table, server_coefficient: ir.Table, pue: ir.Table, wue: ir.Table, grid_factor: ir.Table, residual_mix: ir.Table,
    cloud_instance: ir.Table, cloud_instance_component: ir.Table, cloud_region: ir.Table, cloud_meter_rule: ir.Table, cloud_charge_rule: ir.Table,
    cloud_meter_map: ir.Table, cloud_meter_energy: ir.Table, cloud_meter_unit: ir.Table, service_energy: ir.Table, language_model: ir.Table,
    scope_rule: ir.Table, exchange_rate: ir.Table, price_index: ir.Table,
) -> ir.Table:  # fmt: skip
    """One row per equipment line and month in service, per month and dimensions of billing, per contract, link, page, model and month. Rows
    without an impact stay, for coverage.

    Billing lines are summed because hourly bills have millions; `cloud_activity_id` leads from a line to its row.
    """
    money = (exchange_rate, price_index)
    lived = measured(in_service(equipment, months, item_map, status_rule), metered_usage, site)
    lived = with_device_figures(lived, device_energy, device_lifetime, usage_rate, condition_rate, pue, server_coefficient)
    devices = with_market(equipment_drivers(lived, grid_factor, device_factor, scope_rule, *money), energy_contract, months, residual_mix)
    meters = (cloud_meter_map, cloud_meter_energy, cloud_meter_unit)
    places = (cloud_region, pue, wue)
    billed = billed_by_month(cloud_usage, months)
    billed = with_cloud_figures(billed, cloud_instance, cloud_instance_component, *places, cloud_meter_rule, cloud_charge_rule, *meters)
    powered = (service_energy, pue, grid_factor)
    sources = [
        devices, cloud_drivers(billed, grid_factor, *money), saas_drivers(saas_contract, saas_usage, months, *powered, *money),
        network_drivers(network_link, months, *powered), web_drivers(web_traffic, web_page, months, *powered),
        ai_drivers(ai_usage, months, language_model, grid_factor),
    ]  # fmt: skip
    return ibis.union(*(shaped(rows, exchange_rate) for rows in sources))


def shaped(drivers: ir.Table, exchange_rate: ir.Table) -> ir.Table:
    """The table's columns in order and type; NULL for those that the source does not have. Equipment is not billed here: no cost."""
    if "cost" not in drivers.columns:
        drivers = drivers.drop("currency") if "currency" in drivers.columns else drivers
        return in_columns(drivers)
    paid = with_figures(drivers.drop("usd_per_unit"), exchange_rate, ("currency",), "month_start", {"usd_per_unit": "value"})
    return in_columns(paid.mutate(cost_usd=(paid.cost.cast("float64") * paid.usd_per_unit).cast("decimal(38, 18)")))


def in_columns(rows: ir.Table) -> ir.Table:
    return rows.select(**{name: rows[name].cast(kind) if name in rows.columns else ibis.null(kind) for name, kind in COLUMNS.items()})
