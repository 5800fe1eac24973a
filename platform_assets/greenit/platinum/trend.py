"""Why a month differs from the one before and from the same month a year before: a bridge of four effects.

What belongs here: the bridge over activities of gold, with portable operations (PostgreSQL computes it). What does not: targets (trajectory.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.tables import table

COMPARED = {"previous_month": 1, "previous_year": 12}  # -> months back
CELL = ("domain", "criterion", "method", "view", "unit")
LINK = ("activity_id", "phase", "category", *CELL)
EFFECT = "decimal(38, 18)"
NOTHING = ibis.literal(0).cast(EFFECT)


@table(__file__)
def trend(impact: ir.Table) -> ir.Table:
    """Per month, comparison and cell: the values of both months and the effects that make their difference, to the last digit.

    An activity in both months changed by its amount (at the factor of before) and by its factor (at the amount of now); where the formula changed,
    the whole difference is method. An activity in one of them only is perimeter. The first months of the window have nothing to compare with.
    """
    cells = impact.rename(period="month_start", method="ghg_method", view="accounting_view")
    rows = cells.group_by(*LINK, "period").agg(value=_.value.sum(), amount=_.amount.sum(), formula=_.method_id.min(), version=_.method_version.min())
    first = impact.aggregate(first=_.month_start.min())
    return ibis.union(*(bridge(rows, first, name, back) for name, back in COMPARED.items()))


def bridge(rows: ir.Table, first: ir.Table, name: str, back: int) -> ir.Table:
    """One comparison, over a full outer join of the two months."""
    before = rows.mutate(period=(_.period.cast("timestamp") + ibis.interval(months=back)).date())
    before = before.select(**{f"b_{column}": column for column in before.columns})
    same = [rows[column] == before[f"b_{column}"] for column in (*LINK, "period")]
    met = rows.outer_join(before, same)
    keys = {column: ibis.coalesce(met[column], met[f"b_{column}"]) for column in (*CELL, "period")}
    is_now, was = met.value.notnull(), met.b_value.notnull()
    met = met.mutate(**keys, is_both=is_now & was, delta=(ibis.coalesce(met.value, NOTHING) - ibis.coalesce(met.b_value, NOTHING)).cast(EFFECT))
    changed = met.is_both & ((met.formula != met.b_formula) | (met.version != met.b_version))
    by_amount = (met.b_value.cast("float64") * (met.amount - met.b_amount) / met.b_amount.nullif(0.0)).cast(EFFECT)
    activity = ibis.cases((changed | ~met.is_both, NOTHING), else_=ibis.coalesce(by_amount, met.delta))
    met = met.mutate(
        activity_effect=activity, method_effect=changed.ifelse(met.delta, NOTHING),
        perimeter_effect=met.is_both.ifelse(NOTHING, met.delta),
    )  # fmt: skip
    met = met.mutate(factor_effect=(_.delta - _.activity_effect - _.method_effect - _.perimeter_effect).cast(EFFECT))
    window = met.cross_join(first)
    inside = window.filter(window.period >= (window.first.cast("timestamp") + ibis.interval(months=back)).date())
    last = rows.aggregate(last=_.period.max())
    inside = inside.cross_join(last).filter(_.period <= _.last)
    effects = ("activity_effect", "factor_effect", "perimeter_effect", "method_effect")
    summed = inside.group_by("period", *CELL).agg(
        value=_.value.sum().fill_null(0), value_before=_.b_value.sum().fill_null(0), **{effect: inside[effect].sum() for effect in effects}
    )
    sums = {name: summed[name].cast(EFFECT) for name in ("value", "value_before", *effects)}
    return summed.select("period", compared_with=ibis.literal(name), **{column: summed[column] for column in CELL}, **sums)
