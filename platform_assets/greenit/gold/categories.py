"""Which category of the GHG Protocol each phase of an activity is in (formula A7 of docs/method.md).

What belongs here: looking the rule up. What does not: the rules (parameters/scope_rule.csv).
"""

import ibis.expr.types as ir

from platform_assets.greenit.gold.in_force import with_figures

PHASES = ("use", "manufacturing", "distribution", "end_of_life")
GRID_LOSS = "grid_loss"  # the rule for electricity lost on the way to the meter: a line of its own, in the phase of use
PURCHASED_ELECTRICITY = "2"


def with_categories(rows: ir.Table, scope_rule: ir.Table) -> ir.Table:
    """Rows with `<phase>_category` for every phase, and `grid_loss_category`: NULL where no rule says anything."""
    for phase in (*PHASES, GRID_LOSS):
        rules = scope_rule.filter(scope_rule.phase == phase)
        rows = with_figures(rows, rules, ("domain", "ownership"), "month_start", {f"{phase}_category": "category"})
    return rows
