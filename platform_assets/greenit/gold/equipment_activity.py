"""Drivers of equipment: what each inventory line did in each month.

What belongs here: the equipment half of `activity`. What does not: impacts (impact.py), formulas (embodied.py, use_phase.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.data_quality import INVENTORY, METERED, TYPE_AVERAGE
from platform_assets.greenit.gold.embodied import amortised_share, months_in_service, once
from platform_assets.greenit.gold.in_force import join_grid, with_figures
from platform_assets.greenit.gold.use_phase import device_kwh


def mapped_items(equipment: ir.Table, item_map: ir.Table) -> ir.Table:
    """Per distinct (item_type, model) the item of the first pattern that fits: `item_key`, `item_map_id`, `dq_technology`."""
    named = equipment.select("item_type", model=_.model.fill_null("")).distinct()
    fits = named.join(item_map, "item_type").filter(_.model_pattern.isnull() | _.model.lower().re_search(_.model_pattern))
    first = ibis.window(group_by=["item_type", "model"], order_by=["priority", "item_map_id"])
    chosen = fits.mutate(place=ibis.row_number().over(first)).filter(_.place == 0)
    return chosen.select(item_type_mapped="item_type", model_mapped="model", item_key="item_key", item_map_id="item_map_id", dq_technology="dq_tech")


def in_service(equipment: ir.Table, months: ir.Table, item_map: ir.Table, status_rule: ir.Table) -> ir.Table:
    """Lines × months in service with item and status rule; a line retired on an unknown day was in no month."""
    known = equipment.filter((_.status != "retired") | _.retired_date.notnull())
    lived = months_in_service(known, months)
    items = mapped_items(known, item_map)
    lived = lived.left_join(items, [lived.item_type == items.item_type_mapped, lived.model.fill_null("") == items.model_mapped])
    return with_figures(lived, status_rule, ("status",), "month_start", {"has_use": "has_use", "has_embodied": "has_embodied"})


def with_device_figures(lived: ir.Table, energy: ir.Table, lifetime: ir.Table, rate: ir.Table, pue: ir.Table) -> ir.Table:
    """Adds energy, lifetime, usage rate and PUE. Lifetime is the one in force at the purchase, so that a new one never reopens an old life."""
    dated = lived.mutate(known_since=ibis.coalesce(_.purchase_date, _.month_start), everywhere=ibis.literal("*"))
    dated = with_figures(
        dated, energy, ("item_key",), "month_start", {"energy_id": "energy_id", "kwh_type": "value", "kwh_type_min": "value_min", "kwh_type_max": "value_max"}
    )
    dated = with_figures(dated, lifetime, ("item_key",), "known_since", {"lifetime_id": "lifetime_id", "lifetime_years": "value"})
    dated = with_figures(dated, rate, ("ownership",), "month_start", {"usage_rate": "value"})
    hosted = pue.filter(_.provider == "*", _.region_id == "*").rename(everywhere="provider")
    return with_figures(dated, hosted, ("everywhere",), "month_start", {"pue_id_hosted": "pue_id", "pue_hosted": "value"})


def equipment_drivers(lived: ir.Table, grid_factor: ir.Table, device_factor: ir.Table) -> ir.Table:
    """The columns of `activity` for equipment. Declared kWh are per unit and go before the type's average."""
    metered = _.energy_kwh_per_year.notnull()

    def kwh(average: ir.Value) -> ir.Value:
        per_year = ibis.coalesce(lived.energy_kwh_per_year, average, lived.kwh_type)
        return lived.has_use.ifelse(device_kwh(lived.quantity, per_year, lived.days_in_month, lived.usage_rate), ibis.null("float64"))

    share = amortised_share(lived.days_in_month, lived.age_days, lived.lifetime_years, lived.is_last_month)
    drivers = lived.mutate(
        activity_id=ibis.literal("equipment-") + lived.equipment_id, source=ibis.literal("equipment"), domain=_.is_datacentre.ifelse("datacentre", "equipment"),
        quantity=_.quantity.cast("decimal(38, 18)"), quantity_unit=ibis.literal("items"), lines=ibis.literal(1, "int64"),
        energy_kwh=kwh(lived.kwh_type), energy_kwh_min=kwh(lived.kwh_type_min), energy_kwh_max=kwh(lived.kwh_type_max),
        pue=_.is_datacentre.ifelse(_.pue_hosted, 1.0), pue_id=_.is_datacentre.ifelse(_.pue_id_hosted, ibis.null("string")),
        embodied_share=_.has_embodied.ifelse(share, ibis.null("float64")),
        purchase_share=_.has_embodied.ifelse(once(_.is_first_month), ibis.null("float64")),
        disposal_share=_.has_embodied.ifelse(once(_.is_last_month), ibis.null("float64")),
        energy_id=metered.ifelse(ibis.null("string"), _.energy_id),
        dq_reliability=metered.ifelse(METERED, ibis.ifelse(_.energy_id.notnull(), TYPE_AVERAGE, INVENTORY)),
        dq_technology=ibis.coalesce(_.dq_technology, 5),
    )  # fmt: skip
    weighed = device_factor.select(item_weighed="item_key").distinct()
    drivers = drivers.left_join(weighed, drivers.item_key == weighed.item_weighed)
    gridded = join_grid(drivers, grid_factor.filter(_.criterion == "GWP"), how="left")
    return gridded.mutate(is_covered=(_.energy_kwh.notnull() & _.grid_id.notnull()) | (_.item_weighed.notnull() & _.embodied_share.notnull()))
