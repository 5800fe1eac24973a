"""The three ways an activity becomes impacts: electricity, embodied devices, embodied cloud servers.

What belongs here: rows of `impact` before scope and rounding, all with the columns of `SHAPE`. What does not: formulas.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.cloud_meters import meter_method
from platform_assets.greenit.gold.data_quality import dq_score
from platform_assets.greenit.gold.embodied import embodied_impact
from platform_assets.greenit.gold.in_force import join_grid
from platform_assets.greenit.gold.use_phase import electricity_impact, instance_embodied_kgco2e_per_hour

AMORTISED, PURCHASE_YEAR = "amortised", "purchase_year"
SHAPE = {
    "activity_id": "string", "month_start": "date", "phase": "string", "criterion": "string", "accounting_view": "string", "source": "string",
    "domain": "string", "ownership": "string", "ghg_method": "string", "value": "float64", "value_min": "float64", "value_max": "float64",
    "unit": "string", "factor_id": "string", "grid_id": "string", "grid_factor": "float64", "dq_score": "float64", "method_id": "string",
}  # fmt: skip


def shaped(rows: ir.Table, **columns: ir.Value) -> ir.Table:
    """Rows in SHAPE; a column neither given nor there is NULL."""
    given = rows.mutate(**columns)
    return given.select(**{name: given[name].cast(kind) if name in given.columns else ibis.null(kind) for name, kind in SHAPE.items()})


def in_both_views(rows: ir.Table) -> ir.Table:
    """What happens in a month happens in it in either view."""
    return rows.mutate(accounting_view=ibis.literal(AMORTISED)).union(rows.mutate(accounting_view=ibis.literal(PURCHASE_YEAR)))


def use_phase(activity: ir.Table, grid: ir.Table) -> ir.Table:
    """Electricity, location-based, in every criterion that the grid has (A2; A5 for cloud)."""
    powered = activity.filter(_.energy_kwh.notnull()).drop("grid_id")
    met = join_grid(powered, grid)
    return shaped(
        met, phase=ibis.literal("use"), ghg_method=ibis.literal("location"), unit=_.grid_unit, factor_id=ibis.coalesce(_.instance_id, _.energy_id),
        method_id=ibis.ifelse(_.source == "cloud", ibis.coalesce(meter_method(met.meter_key), "A5"), "A2"),
        value=electricity_impact(_.energy_kwh, _.pue, _.grid_factor),
        value_min=electricity_impact(_.energy_kwh_min, _.pue, _.grid_min),
        value_max=electricity_impact(_.energy_kwh_max, _.pue, _.grid_max),
        dq_score=dq_score(_.dq_reliability, _.grid_dq_comp, _.grid_years_off, _.grid_dq_geo, _.dq_technology),
    )  # fmt: skip


def device_embodied(activity: ir.Table, device_factor: ir.Table) -> ir.Table:
    """Manufacturing, distribution, end of life of devices in both views (A1); the factor in force at the purchase, so a life has one factor."""
    weighed = activity.filter(_.embodied_share.notnull()).drop("grid_id")
    offered = device_factor.select(
        "phase", "criterion", "factor_id", "unit", "factor_year", "valid_from", "valid_to", item="item_key", factor="value",
        factor_min=ibis.coalesce(_.value_min, _.value), factor_max=ibis.coalesce(_.value_max, _.value), rel="dq_rel", comp="dq_comp", geo="dq_geo",
    )  # fmt: skip
    met = weighed.join(
        offered,
        [
            weighed.item_key == offered.item,
            weighed.purchase_date >= offered.valid_from,
            offered.valid_to.isnull() | (weighed.purchase_date <= offered.valid_to),
        ],
    )
    once = (met.phase == "end_of_life").ifelse(met.disposal_share, met.purchase_share)

    def viewed(rows: ir.Table, view: str, share: ir.Value) -> ir.Table:
        units = rows.quantity.cast("float64")
        return shaped(
            rows, accounting_view=ibis.literal(view), ghg_method=ibis.literal("none"), method_id=ibis.literal("A1"),
            value=embodied_impact(units, rows.usage_rate, rows.factor, share),
            value_min=embodied_impact(units, rows.usage_rate, rows.factor_min, share),
            value_max=embodied_impact(units, rows.usage_rate, rows.factor_max, share),
            dq_score=dq_score(_.rel, _.comp, _.factor_year - _.purchase_date.year(), _.geo, _.dq_technology),
        )  # fmt: skip

    booked = met.mutate(once=once).filter(_.once > 0)
    return viewed(met, AMORTISED, met.embodied_share).union(viewed(booked, PURCHASE_YEAR, booked.once))


def cloud_embodied(activity: ir.Table, cloud_instance: ir.Table) -> ir.Table:
    """The share of the server behind an instance's hours (A5); GWP only, as its source."""
    servers = cloud_instance.select(
        "instance_id", server_kgco2e="platform_embodied_kgco2e", vcpu="vcpu", server_vcpu="platform_vcpu", hours="lifetime_hours", rel="dq_rel", comp="dq_comp"
    )
    met = activity.filter(_.instance_hours.notnull()).drop("grid_id").join(servers, "instance_id")
    value = met.instance_hours * instance_embodied_kgco2e_per_hour(met.server_kgco2e, met.vcpu, met.server_vcpu, met.hours)
    return shaped(
        met, phase=ibis.literal("manufacturing"), criterion=ibis.literal("GWP"), unit=ibis.literal("kgCO2e"), ghg_method=ibis.literal("none"),
        method_id=ibis.literal("A5"), factor_id=_.instance_id, value=value, value_min=value, value_max=value,
        dq_score=dq_score(_.rel, _.comp, ibis.literal(4), ibis.literal(4), _.dq_technology),
    )  # fmt: skip
