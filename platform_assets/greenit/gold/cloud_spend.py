"""Cloud usage of which only the cost is known (A5, last step): requests, gateways, platform services without a meter of ours.

What belongs here: which lines of the bill go by spend, and their impact. What does not: the formula (spend.py), rates and factors (parameters/).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.data_quality import dq_score
from platform_assets.greenit.gold.in_force import with_figures
from platform_assets.greenit.gold.spend import spend_in_factor_money, spend_kgco2e

METHOD = "A5-spend"


def with_spend(rows: ir.Table, exchange_rate: ir.Table, price_index: ir.Table) -> ir.Table:
    """Adds `usd_2022`: NULL for a currency without a rate, and where the charge is no usage. Newer years than the last figure take that."""
    rows = with_figures(rows, exchange_rate, ("currency",), "month_start", {"usd_per_unit": "value"})
    rows = with_figures(rows, price_index, (), "month_start", {"price_level": "value", "price_level_2022": "base_value"})
    cost = rows.cost.cast("float64") * rows.charge_share
    spent = spend_in_factor_money(cost, rows.usd_per_unit, rows.price_level_2022, rows.price_level)
    return rows.mutate(usd_2022=spent.nullif(0.0))  # a cost of 0 tells nothing


def spend_impacts(activity: ir.Table, cloud_spend_factor: ir.Table) -> ir.Table:
    """GWP of usage known by its cost alone, in the phase of use: the factor holds the whole supply chain and cannot be split. Other criteria have no row."""
    spent = activity.filter(_.usd_2022.notnull()).drop("grid_id").mutate(any_service=ibis.literal("*"))
    take = {"embodied_id": "factor_id", "figure": "value", "figure_year": "factor_year", "figure_criterion": "criterion", "figure_unit": "unit",
            "rel": "dq_rel", "comp": "dq_comp", "geo": "dq_geo", "tech": "dq_tech"}  # fmt: skip
    met = with_figures(spent, cloud_spend_factor.rename(any_service="service_category"), ("any_service",), "month_start", take).filter(_.figure.notnull())
    value = spend_kgco2e(met.usd_2022, met.figure)
    return met.mutate(
        value=value, value_min=value, value_max=value, phase=ibis.literal("use"), criterion=met.figure_criterion, unit=met.figure_unit,
        ghg_method=ibis.literal("none"), method_id=ibis.literal(METHOD), factor_id=met.embodied_id,
        dq_score=dq_score(met.rel, met.comp, met.month_start.year() - met.figure_year, met.geo, met.tech),
    )  # fmt: skip
