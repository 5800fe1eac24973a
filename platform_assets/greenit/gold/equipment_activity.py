"""Drivers of equipment: what each inventory line did in each month.

What belongs here: the equipment half of `activity`. What does not: impacts (impact.py), formulas (embodied.py, use_phase.py, server_power.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.categories import PURCHASED_ELECTRICITY
from platform_assets.greenit.gold.data_quality import INVENTORY, METERED, TYPE_AVERAGE
from platform_assets.greenit.gold.embodied import amortised_share, months_in_service, once
from platform_assets.greenit.gold.in_force import join_grid, month_of, with_figures
from platform_assets.greenit.gold.server_configuration import SERVER, configuration_id
from platform_assets.greenit.gold.server_power import HOURS_PER_YEAR, with_server_power
from platform_assets.greenit.gold.spend import in_dollars_of_2022
from platform_assets.greenit.gold.use_phase import WATTS_PER_KILOWATT, device_kwh

COMPUTER_MANUFACTURING = "334111"  # NAICS: what a device is bought from, where only its price is known
KWH = "decimal(38, 12)"
ENDS = ("", "_min", "_max")


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
    lived = lived.mutate(configuration_id=(lived.item_key == SERVER).ifelse(configuration_id(lived), ibis.null("string")))
    return with_figures(lived, status_rule, ("status",), "month_start", {"has_use": "has_use", "has_embodied": "has_embodied"})


def metered_by_month(metered_usage: ir.Table) -> ir.Table:
    """Per line and month: kWh of the days that have a meter, these days, and the mean load in % over the days that say one."""
    days = (metered_usage.end_date.delta(metered_usage.start_date, unit="day") + 1).cast("int64")
    read = metered_usage.mutate(month_start=month_of(_.start_date), days=days, loaded=(_.cpu_pct * days).cast(KWH))
    return read.group_by("equipment_id", "month_start").agg(
        metered_kwh=_.energy_kwh.cast(KWH).sum().cast("float64"), metered_days=_.days.sum(where=_.energy_kwh.notnull()).cast("float64"),
        cpu_pct=_.loaded.sum().cast("float64") / _.days.sum(where=_.cpu_pct.notnull()).cast("float64").nullif(0.0),
    )  # fmt: skip


def measured(lived: ir.Table, metered_usage: ir.Table, site: ir.Table) -> ir.Table:
    """Adds what meters and the register of sites say: metered kWh (of the line, extrapolated to its days in service) and load; PUE, WUE, country."""
    read = metered_by_month(metered_usage).rename(metered_id="equipment_id")
    rows = lived.left_join(read, [lived.equipment_id == read.metered_id, lived.month_start == read.month_start]).drop("metered_id", "month_start_right")
    places = site.select(place_id="site_id", site_pue="pue", site_wue="wue_l_per_kwh", site_country="country_code")
    rows = rows.left_join(places, rows.site_id == places.place_id).drop("place_id")
    whole = rows.metered_kwh * rows.days_in_month.cast("float64") / rows.metered_days.nullif(0.0)
    return rows.mutate(metered_kwh=whole, country_code=ibis.coalesce(rows.country_code, rows.site_country)).drop("site_country")


def with_device_figures(
    lived: ir.Table, energy: ir.Table, lifetime: ir.Table, rate: ir.Table, condition: ir.Table, pue: ir.Table, server_coefficient: ir.Table
) -> ir.Table:
    """Adds energy, lifetime, rates and PUE. Lifetime is the one in force at the purchase, so that a new one never reopens an old life."""
    dated = lived.mutate(known_since=ibis.coalesce(_.purchase_date, _.month_start), everywhere=ibis.literal("*"), condition=ibis.coalesce(_.condition, "new"))
    take = {"energy_id": "energy_id", "kwh_type": "value", "kwh_type_min": "value_min", "kwh_type_max": "value_max"}
    dated = with_figures(dated, energy, ("item_key",), "month_start", take)
    dated = with_figures(dated, lifetime, ("item_key",), "known_since", {"lifetime_id": "lifetime_id", "lifetime_years": "value"})
    dated = with_figures(dated, rate, ("ownership",), "month_start", {"usage_rate": "value"})
    rates = {f"condition_rate{end}": f"value{end}" for end in ENDS}
    dated = with_figures(dated, condition, ("condition",), "known_since", rates)
    hosted = pue.filter(_.provider == "*", _.region_id == "*").rename(everywhere="provider")
    dated = with_figures(dated, hosted, ("everywhere",), "month_start", {"pue_id_hosted": "pue_id", "pue_hosted": "value"})
    is_declared = dated.expected_lifetime_years.notnull()
    dated = dated.mutate(
        lifetime_years=ibis.coalesce(_.expected_lifetime_years, _.lifetime_years), lifetime_id=is_declared.ifelse("declared", dated.lifetime_id),
        **{f"condition_rate{end}": ibis.coalesce(_[f"condition_rate{end}"], _.condition_rate) for end in ENDS},
    )  # fmt: skip
    return with_server_power(dated, server_coefficient)


def kwh_of(lived: ir.Table) -> dict[str, ir.Value]:
    """Energy of a line in a month by the first of: its meter, what the inventory declares, its processors, its type. NULL: not in use, or unknown.

    With it the reliability of the answer, and the row of the parameter where it is an average.
    """
    declared = ibis.coalesce(lived.energy_kwh_per_year, lived.power_watts * HOURS_PER_YEAR / WATTS_PER_KILOWATT)

    def kwh(end: str) -> ir.Value:
        average = ibis.coalesce(lived[f"kwh_type{end}"], lived.kwh_type)
        per_year = ibis.coalesce(declared, lived[f"kwh_server{end}"], average)
        counted = ibis.coalesce(lived.metered_kwh * lived.usage_rate, device_kwh(lived.quantity, per_year, lived.days_in_month, lived.usage_rate))
        return lived.has_use.ifelse(counted, ibis.null("float64"))

    said = lived.metered_kwh.notnull() | lived.energy_kwh_per_year.notnull()
    modelled = lived.power_watts.notnull() | lived.kwh_server.notnull()
    energy_id = ibis.cases((said, ibis.null("string")), (lived.power_watts.notnull(), "power_watts"), (modelled, "server power by load"), else_=lived.energy_id)
    reliability = ibis.cases((said, METERED), (modelled, INVENTORY), (lived.energy_id.notnull(), TYPE_AVERAGE), else_=INVENTORY)
    return {**{f"energy_kwh{end}": kwh(end) for end in ENDS}, "energy_id": energy_id, "dq_reliability": reliability}


def equipment_drivers(
    lived: ir.Table, grid_factor: ir.Table, device_factor: ir.Table, scope_rule: ir.Table, exchange_rate: ir.Table, price_index: ir.Table
) -> ir.Table:
    """The columns of `activity` for equipment, and those that market.py asks for. Priced only where nothing but the price of a line is known."""
    share = amortised_share(lived.days_in_month, lived.age_days, lived.lifetime_years, lived.is_last_month)
    carried = {"embodied_share": share, "purchase_share": once(lived.is_first_month), "disposal_share": once(lived.is_last_month)}
    here = lived.is_datacentre
    drivers = lived.mutate(
        activity_id="equipment-" + _.equipment_id, source=ibis.literal("equipment"), domain=here.ifelse("datacentre", "equipment"),
        quantity=_.quantity.cast("decimal(38, 18)"), quantity_unit=ibis.literal("items"), lines=ibis.literal(1, "int64"), method_id=ibis.literal("A2"),
        pue=here.ifelse(ibis.coalesce(lived.site_pue, lived.pue_hosted), 1.0), wue=here.ifelse(lived.site_wue, 0.0),
        pue_id=here.ifelse(lived.site_pue.notnull().ifelse(ibis.literal("site:") + lived.site_id, lived.pue_id_hosted), ibis.null("string")),
        **{name: lived.has_embodied.ifelse(value, ibis.null("float64")) for name, value in carried.items()}, **kwh_of(lived),
        dq_technology=ibis.coalesce(_.dq_technology, 5), spend_sector=ibis.literal(COMPUTER_MANUFACTURING),
    )  # fmt: skip
    use = scope_rule.filter(_.phase == "use")
    drivers = with_figures(drivers, use, ("domain", "ownership"), "month_start", {"use_category": "category"})
    drivers = drivers.mutate(is_purchased=(_.use_category == PURCHASED_ELECTRICITY).fill_null(False))
    gridded = join_grid(drivers, grid_factor.filter(_.criterion == "GWP"), how="left").rename(grid_value="grid_factor")
    weighed = device_factor.select(item_weighed="item_key").distinct()
    gridded = gridded.left_join(weighed, gridded.item_key == weighed.item_weighed)
    price = gridded.unit_price.cast("float64") * gridded.quantity.cast("float64") * gridded.usage_rate
    only_price = gridded.item_weighed.isnull() & gridded.configuration_id.isnull() & gridded.embodied_share.notnull()
    priced = in_dollars_of_2022(gridded.mutate(spend=price), "spend", "known_since", exchange_rate, price_index)
    return priced.mutate(usd_2022=only_price.ifelse(priced.usd_2022, ibis.null("float64")))
