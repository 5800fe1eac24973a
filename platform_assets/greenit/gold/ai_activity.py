"""Drivers of language models: generated tokens of each model and month (formula A6 of docs/method.md).

What belongs here: tokens to energy. What does not: the formula behind a model's figures (language_model.py), the figures (parameters/language_model.csv).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.data_quality import METERED
from platform_assets.greenit.gold.in_force import join_grid, with_figures
from platform_assets.greenit.gold.service_activity import days_in_window, in_months, service, service_kwh
from platform_assets.greenit.sums import exact_sum

TOKENS = 1000.0
DIMENSIONS = ("provider", "model", "country_code", "application_id", "org_unit")
ABSENT, SEPARATOR = "\x1e", "\x1f"


def ai_activity_id(ai_usage: ir.Table) -> ir.StringValue:
    """`ai-` and the md5 of the dimensions: the activity that a row of usage is counted in (with the month of its day)."""
    return ibis.literal("ai-") + ibis.literal(SEPARATOR).join([ibis.coalesce(ai_usage[name], ABSENT) for name in DIMENSIONS]).hexdigest("md5")


def ai_drivers(ai_usage: ir.Table, months: ir.Table, language_model: ir.Table, grid_factor: ir.Table) -> ir.Table:
    """One row per model, place, application, unit and month. A model that nobody has a figure for stays, without an impact.

    A model's figure holds the PUE of its datacentre; the water of its cooling is not known.
    """
    dated = days_in_window(ai_usage, months)
    by_month = dated.group_by(*DIMENSIONS, "month_start").agg(tokens=exact_sum(_.tokens_out), requests=exact_sum(_.requests), lines=_.count())
    take = {"model_id": "model_id", "kwh": "kwh_per_1k_tokens_out", "tech": "dq_tech"}
    met = with_figures(in_months(by_month, months), language_model, ("provider", "model"), "month_start", take)
    amount = met.tokens / TOKENS
    rows = service(
        met, "ai", "A6-ai", activity_id=ai_activity_id(met), service_name=met.model, meter_key=met.model_id, meter_amount=amount,
        **{f"energy_kwh{end}": service_kwh(amount, met.kwh) for end in ("", "_min", "_max")}, energy_id=met.model_id,
        quantity=met.tokens.cast("decimal(38, 18)"), quantity_unit=ibis.literal("tokens"), lines=met.lines,
        pue=ibis.literal(1.0), pue_id=met.model_id, wue=ibis.null("float64"), dq_reliability=ibis.literal(METERED), dq_technology=ibis.coalesce(met.tech, 5),
    )  # fmt: skip
    return join_grid(rows, grid_factor.filter(_.criterion == "GWP"), how="left")
