"""Why a month differs from the one before and from the same month a year before: a bridge of four effects.

What belongs here: the bridge over activities of gold, with portable operations (PostgreSQL computes it). What does not: targets (trajectory.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.sums import exact_sum
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
    rows = cells.select(*LINK, "period", "value", "amount", formula=_.method_id + " " + _.method_version)
    window = impact.aggregate(first=_.month_start.min(), last=_.month_start.max())
    return ibis.union(*(bridge(rows, window, name, back) for name, back in COMPARED.items()))


def bridge(rows: ir.Table, window: ir.Table, name: str, back: int) -> ir.Table:
    """One comparison: each activity's month beside the month `back` before, brought together by grouping (a full join took PostgreSQL minutes)."""
    later = rows.mutate(period=(_.period.cast("timestamp") + ibis.interval(months=back)).date())
    now = rows.mutate(is_now=True).select(*LINK, "period", "value", "amount", "formula", "is_now")
    both = now.union(later.mutate(is_now=False).select(now.columns)).cross_join(window)
    both = both.filter(_.period <= _.last, _.period >= (_.first.cast("timestamp") + ibis.interval(months=back)).date())
    halves = (("", both.is_now), ("_before", ~both.is_now))
    sides = {f"value{suffix}": both.value.sum(where=side) for suffix, side in halves}
    sides |= {f"amount{suffix}": exact_sum(both.amount, side) for suffix, side in halves}
    formulas = {"formula": both.formula.max(where=both.is_now), "formula_before": both.formula.max(where=~both.is_now)}
    met = both.group_by(*LINK, "period").agg(**sides, **formulas)
    is_both = met.formula.notnull() & met.formula_before.notnull()
    changed = is_both & (met.formula != met.formula_before)
    delta = (ibis.coalesce(met.value, NOTHING) - ibis.coalesce(met.value_before, NOTHING)).cast(EFFECT)
    by_amount = (met.value_before.cast("float64") * (met.amount - met.amount_before) / met.amount_before.nullif(0.0)).cast(EFFECT)
    parted = met.mutate(
        delta=delta, activity_effect=ibis.cases((changed | ~is_both, NOTHING), else_=ibis.coalesce(by_amount, delta)),
        method_effect=changed.ifelse(delta, NOTHING), perimeter_effect=is_both.ifelse(NOTHING, delta),
    )  # fmt: skip
    parted = parted.mutate(factor_effect=(_.delta - _.activity_effect - _.method_effect - _.perimeter_effect).cast(EFFECT))
    columns = ("value", "value_before", "activity_effect", "factor_effect", "perimeter_effect", "method_effect")
    summed = parted.group_by("period", *CELL).agg(**{column: parted[column].sum() for column in columns})
    sums = {column: ibis.coalesce(summed[column], NOTHING).cast(EFFECT) for column in columns}
    return summed.select("period", compared_with=ibis.literal(name), **{column: summed[column] for column in CELL}, **sums)
