"""Figures per amount of what somebody else runs for us: instances by the hour, meters of a bill, services, language models.

What belongs here: one shape for all parameters that say an impact per unit of an activity's `meter_amount`. What does not: their values
(parameters/), the amounts (activity.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.use_phase import instance_embodied_kgco2e_per_hour

SHAPE = {
    "meter_key": "string", "phase": "string", "criterion": "string", "factor_value": "float64", "factor_min": "float64", "factor_max": "float64",
    "unit": "string", "amount_unit": "string", "factor_id": "string", "factor_year": "int64", "valid_from": "date", "valid_to": "date",
    "rel": "int64", "comp": "int64", "geo": "int64",
}  # fmt: skip
SERVERS_YEAR, ANYWHERE = 2021, 4  # figures of servers and drives are of Texte 94/2021 and of its peers' reading of it, and of no place in particular
KWH = "kWh"


def figures_per_amount(
    cloud_instance: ir.Table, cloud_instance_component: ir.Table, cloud_meter_embodied: ir.Table, service_factor: ir.Table, language_model: ir.Table
) -> ir.Table:
    """One row per meter, phase and criterion. Instances from their parts are rows of their own, so that no instance has two."""
    hourly = instance_embodied_kgco2e_per_hour(_.platform_embodied_kgco2e, _.vcpu, _.platform_vcpu, _.lifetime_hours)
    instances = cloud_instance.mutate(
        meter_key=_.instance_id, phase=ibis.literal("manufacturing"), criterion=ibis.literal("GWP"), value=hourly, unit=ibis.literal("kgCO2e"),
        amount_unit=ibis.literal("h"), factor_id=_.instance_id, factor_year=ibis.literal(SERVERS_YEAR), dq_geo=ibis.literal(ANYWHERE),
    )  # fmt: skip
    parts = cloud_instance_component.filter(_.criterion != KWH).mutate(
        meter_key=_.instance_id, phase=ibis.literal("manufacturing"), amount_unit=ibis.literal("h"), factor_id=_.instance_id,
        factor_year=ibis.literal(SERVERS_YEAR), dq_geo=ibis.literal(ANYWHERE),
    )  # fmt: skip
    meters = cloud_meter_embodied.mutate(
        phase=ibis.literal("manufacturing"), amount_unit=_.per, factor_year=ibis.literal(SERVERS_YEAR), dq_geo=ibis.literal(ANYWHERE)
    )
    services = service_factor.mutate(meter_key=_.service_key, amount_unit=_.per)
    return ibis.union(*(shaped(rows) for rows in (instances, parts, meters, services, *of_models(language_model))))


def of_models(language_model: ir.Table) -> list[ir.Table]:
    """Manufacture of the servers behind a thousand generated tokens, in every criterion that has a figure."""
    columns = {"GWP": ("embodied_kgco2e_per_1k", "kgCO2e"), "ADPe": ("embodied_kgsbeq_per_1k", "kgSbeq"), "PE": ("embodied_mj_per_1k", "MJ")}
    return [
        language_model.mutate(
            meter_key=_.model_id, phase=ibis.literal("manufacturing"), criterion=ibis.literal(criterion), value=_[column], unit=ibis.literal(unit),
            amount_unit=ibis.literal("1k tokens"), factor_id=_.model_id, factor_year=_.valid_from.year(),
            value_min=ibis.null("float64"), value_max=ibis.null("float64"),
        ).filter(_.value.notnull())
        for criterion, (column, unit) in columns.items()
    ]  # fmt: skip


def shaped(rows: ir.Table) -> ir.Table:
    """The columns of SHAPE; a figure without an interval is its own ends."""
    has = rows.columns
    low, high = (rows[name] if name in has else ibis.null("float64") for name in ("value_min", "value_max"))
    given = rows.mutate(factor_value=rows["value"], factor_min=ibis.coalesce(low, rows["value"]), factor_max=ibis.coalesce(high, rows["value"]),
                        rel=rows.dq_rel, comp=rows.dq_comp, geo=rows.dq_geo)  # fmt: skip
    return given.select(**{name: given[name].cast(kind) for name, kind in SHAPE.items()})
