"""The ways an activity becomes impacts: electricity, devices, amounts with a figure, a supplier's own figure, money.

What belongs here: contributions to `impact`, all with the columns of SHAPE, each an amount and the factor it is multiplied by. What does not:
formulas (embodied.py, use_phase.py, water.py), rounding and views (impact.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.categories import PHASES, PURCHASED_ELECTRICITY
from platform_assets.greenit.gold.electricity_scope2 import lost_kwh
from platform_assets.greenit.gold.embodied import items_carried
from platform_assets.greenit.gold.flags import INCLUDES_UPSTREAM, LIFECYCLE, with_flag
from platform_assets.greenit.gold.in_force import WORLD, join_grid, with_figures
from platform_assets.greenit.gold.use_phase import electricity_kwh
from platform_assets.greenit.gold.water import datacentre_litres

AMORTISED, PURCHASE_YEAR = "amortised", "purchase_year"
BOTH = [AMORTISED, PURCHASE_YEAR]
SHAPE = {
    "activity_id": "string", "month_start": "date", "source": "string", "domain": "string", "phase": "string", "criterion": "string", "category": "string",
    "ghg_method": "string", "views": "array<string>", "amount": "float64", "amount_min": "float64", "amount_max": "float64", "amount_unit": "string",
    "factor_value": "float64", "factor_min": "float64", "factor_max": "float64", "unit": "string", "factor_id": "string", "grid_id": "string",
    "flags": "string", "dq_rel": "int64", "dq_comp": "int64", "years_off": "int64", "dq_geo": "int64", "dq_tech": "int64", "method_id": "string",
}  # fmt: skip
ENDS = ("", "_min", "_max")
KEPT = ("market_factor", "market_id", "market_flags", "grid_loss_category", "grid_flags", "country_code")  # for what is made from the electricity
WATER = "WU"


def shaped(rows: ir.Table, keep: tuple[str, ...] = (), **columns: ir.Value) -> ir.Table:
    """Rows in SHAPE and the columns to `keep`; what is neither given nor there is NULL. In both views and without a choice of method, unless said."""
    usual = {"views": ibis.array(BOTH), "ghg_method": ibis.literal("none"), "dq_tech": rows.dq_technology}
    given = rows.mutate(**{**usual, **columns})
    made = {name: given[name].cast(kind) if name in given.columns else ibis.null(kind) for name, kind in SHAPE.items()}
    return given.select(**made, **{name: given[name] for name in keep})


def use_phase(activity: ir.Table, grid: ir.Table) -> ir.Table:
    """Electricity in every criterion that the grid has (A2; A5 for cloud), kWh with PUE × the grid's factor; location-based where it is scope 2.

    Water (A4) is IT energy × (WUE + PUE × the grid's water); no row where the water of the cooling is not known. The column `market_factor` and
    others of the activity stay, for those that are made from these rows.
    """
    met = join_grid(activity.filter(_.energy_kwh.notnull()).drop("grid_id"), grid)
    is_water = met.criterion == WATER
    met = met.filter(~is_water | met.wue.notnull())
    amounts = {f"amount{end}": is_water.ifelse(met[f"energy_kwh{end}"], electricity_kwh(met[f"energy_kwh{end}"], met.pue)) for end in ENDS}
    one = ibis.literal(1.0)
    factors = {
        f"factor{end or '_value'}": is_water.ifelse(datacentre_litres(one, met.pue, met.wue, met[grid_end]), met[grid_end])
        for end, grid_end in zip(ENDS, ("grid_factor", "grid_min", "grid_max"), strict=True)
    }
    is_bought = met.use_category == PURCHASED_ELECTRICITY
    flags = with_flag(met.grid_flags, is_bought & (met.criterion == "GWP") & (met.grid_boundary == LIFECYCLE), INCLUDES_UPSTREAM)
    return shaped(
        met, keep=KEPT, **amounts, **factors, phase=ibis.literal("use"), category=_.use_category, ghg_method=is_bought.ifelse("location", "none"),
        amount_unit=ibis.literal("kWh"), unit=_.grid_unit, factor_id=ibis.coalesce(_.instance_id, _.energy_id), flags=flags, dq_rel=_.dq_reliability,
        dq_comp=_.grid_dq_comp, years_off=_.grid_years_off, dq_geo=_.grid_dq_geo, method_id=is_water.ifelse("A4", met.method_id),
    )  # fmt: skip


def market_based_use(electricity: ir.Table) -> ir.Table:
    """Purchased electricity by what was contracted for it (A7): the same kWh × the market's factor, which activity.py has mixed. GWP only."""
    bought = electricity.filter(_.category == PURCHASED_ELECTRICITY, _.criterion == "GWP", _.market_factor.notnull())
    factor = _.market_factor
    market = {"ghg_method": ibis.literal("market"), "grid_id": _.market_id, "flags": _.market_flags, "method_id": ibis.literal("A7")}
    return bought.mutate(**market, factor_value=factor, factor_min=factor, factor_max=factor).select(*SHAPE)


def grid_losses(electricity: ir.Table, grid_loss: ir.Table) -> ir.Table:
    """Electricity lost on the way to the own meter (A7): category 3.3, a line of its own and never inside scope 2. GWP only."""
    lost = electricity.filter(_.grid_loss_category.notnull(), _.criterion == "GWP").mutate(anywhere=ibis.literal(WORLD))
    lost = with_figures(lost, grid_loss, ("country_code",), "month_start", {"loss_here": "value", "loss_id_here": "grid_loss_id"})
    lost = with_figures(lost, grid_loss.rename(anywhere="country_code"), ("anywhere",), "month_start", {"loss_world": "value", "loss_id_world": "grid_loss_id"})
    share = ibis.coalesce(lost.loss_here, lost.loss_world)
    ids = {"factor_id": ibis.coalesce(lost.loss_id_here, lost.loss_id_world), "category": lost.grid_loss_category}
    said = {"ghg_method": ibis.literal("none"), "method_id": ibis.literal("A7-losses"), "flags": _.grid_flags}
    return lost.mutate(**{f"amount{end}": lost_kwh(lost[f"amount{end}"], share) for end in ENDS}, **ids, **said).filter(_.amount.notnull()).select(*SHAPE)


def device_embodied(activity: ir.Table, device_factor: ir.Table, servers: ir.Table) -> ir.Table:
    """Manufacturing, distribution, end of life of devices in both views (A1); the factor in force at the purchase, so a life has one factor.

    A server of a known configuration (`servers`: configuration_id, criterion, value, …) is manufactured from its parts, another by its type.
    """
    weighed = activity.filter(_.embodied_share.notnull()).drop("grid_id", "energy_id")
    offered = device_factor.select(
        "phase", "criterion", "factor_id", "unit", "factor_year", "valid_from", "valid_to", item="item_key", factor_value="value",
        factor_min=ibis.coalesce(_.value_min, _.value), factor_max=ibis.coalesce(_.value_max, _.value), rel="dq_rel", comp="dq_comp", geo="dq_geo",
    )  # fmt: skip
    bought = weighed.purchase_date
    by_type = weighed.join(offered, [weighed.item_key == offered.item, bought >= offered.valid_from, offered.valid_to.isnull() | (bought <= offered.valid_to)])
    by_type = by_type.filter(_.configuration_id.isnull() | (_.phase != "manufacturing")).drop("item", "valid_from", "valid_to")
    by_parts = weighed.join(servers, "configuration_id").mutate(phase=ibis.literal("manufacturing"), dq_technology=ibis.literal(2, "int64"))
    met = by_type.union(by_parts.select(by_type.columns))
    once = (met.phase == "end_of_life").ifelse(met.disposal_share, met.purchase_share)
    return ibis.union(*(
        booked(met, view, share) for view, share in ((AMORTISED, met.embodied_share), (PURCHASE_YEAR, once))
    ))  # fmt: skip


def booked(met: ir.Table, view: str, share: ir.Value) -> ir.Table:
    """Devices with their factors in one view: the amount is quantity × rate × share, in items. A month of no purchase has no row."""
    rate = (met.phase == "manufacturing").ifelse(met.condition_rate, 1.0)
    low, high = ((met.phase == "manufacturing").ifelse(met[name], 1.0) for name in ("condition_rate_min", "condition_rate_max"))
    items = items_carried(met.quantity.cast("float64"), met.usage_rate, share)
    category = met.phase.cases(*((phase, met[f"{phase}_category"]) for phase in PHASES))
    made = met.mutate(amount=items * rate, amount_min=items * low, amount_max=items * high, is_booked=(share > 0) if view == PURCHASE_YEAR else True)
    return shaped(
        made.filter(_.is_booked), views=ibis.array([view]), category=category, amount_unit=ibis.literal("item"), method_id=ibis.literal("A1"),
        dq_rel=_.rel, dq_comp=_.comp, years_off=_.factor_year - _.purchase_date.year(), dq_geo=_.geo,
    )  # fmt: skip


def metered(activity: ir.Table, per_amount: ir.Table) -> ir.Table:
    """What stands behind an amount of a service (A5, A6): hours of an instance, meters of a bill, GB, lines, tokens."""
    used = activity.filter(_.meter_amount.notnull()).drop("grid_id")
    key, month = ibis.coalesce(used.instance_id, used.meter_key), used.month_start
    asked = used.mutate(figure_key=key).drop("meter_key")
    in_force = [month >= per_amount.valid_from, per_amount.valid_to.isnull() | (month <= per_amount.valid_to)]
    met = asked.join(per_amount, [asked.figure_key == per_amount.meter_key, *in_force])
    amount = met.meter_amount * ibis.coalesce(met.copies, 1.0)
    category = met.phase.cases(*((phase, met[f"{phase}_category"]) for phase in PHASES))
    return shaped(
        met, amount=amount, amount_min=amount, amount_max=amount, category=category, method_id=_.method_id, dq_rel=_.rel, dq_comp=_.comp,
        years_off=_.factor_year - _.month_start.year(), dq_geo=_.geo,
    )  # fmt: skip


def declared(activity: ir.Table) -> ir.Table:
    """A supplier's own figure (A6, first of the hierarchy): users and years × kg per user and year. GWP only."""
    said = activity.filter(_.declared_factor.notnull() & _.meter_amount.notnull())
    factor, amount = _.declared_factor, _.meter_amount
    return shaped(
        said, phase=ibis.literal("use"), criterion=ibis.literal("GWP"), category=_.use_category, unit=ibis.literal("kgCO2e"),
        amount_unit=ibis.literal("user-year"), amount=amount, amount_min=amount, amount_max=amount,
        factor_value=factor, factor_min=factor, factor_max=factor, method_id=ibis.literal("A6-vendor"),
        flags=ibis.literal("supplier_figure"), dq_rel=ibis.literal(2), dq_comp=ibis.literal(2), years_off=ibis.literal(0), dq_geo=ibis.literal(2),
    )  # fmt: skip


def spent(activity: ir.Table, spend_factor: ir.Table) -> ir.Table:
    """What is known by its cost alone (A6, last of the hierarchy): dollars of 2022 × the sector's factor, which holds the whole supply chain.

    A service is in the phase of use, a device in manufacturing, spread or booked as its other impacts would be. GWP only: other criteria have no row.
    """
    take = {"factor_id": "factor_id", "factor_value": "value", "factor_year": "factor_year", "criterion": "criterion", "unit": "unit",
            "rel": "dq_rel", "comp": "dq_comp", "geo": "dq_geo", "tech": "dq_tech"}  # fmt: skip
    known = activity.filter(_.usd_2022.notnull()).drop("grid_id").rename(sector="spend_sector")
    met = with_figures(known, spend_factor, ("sector",), "month_start", take).filter(_.factor_value.notnull())
    devices = met.filter(_.source == "equipment", _.embodied_share.notnull())
    return ibis.union(
        booked_spend(met.filter(_.source != "equipment"), BOTH, "use", ibis.literal(1.0)),
        booked_spend(devices, [AMORTISED], "manufacturing", _.embodied_share),
        booked_spend(devices.filter(_.purchase_share > 0), [PURCHASE_YEAR], "manufacturing", _.purchase_share),
    )  # fmt: skip


def booked_spend(met: ir.Table, views: list[str], phase: str, share: ir.Value) -> ir.Table:
    """Money with its factor; `share` of it is booked in the month."""
    paid = met.mutate(amount=_.usd_2022 * share)
    return shaped(
        paid, phase=ibis.literal(phase), category=paid[f"{phase}_category"], views=ibis.array(views), amount_min=_.amount, amount_max=_.amount,
        amount_unit=ibis.literal("USD of 2022"), factor_min=_.factor_value, factor_max=_.factor_value, flags=ibis.literal("known_by_cost"), dq_rel=_.rel,
        dq_comp=_.comp, years_off=_.month_start.year() - _.factor_year, dq_geo=_.geo, dq_tech=_.tech,
        method_id=ibis.ifelse(_.source == "cloud", "A5-spend", "A6-spend"),
    )  # fmt: skip
