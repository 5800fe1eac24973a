"""The path of emissions that a target asks for (E of docs/method.md).

What belongs here: the target of a year. What does not: targets (parameters/), what was emitted (kpi_monthly.py).
"""
import ibis.expr.types as ir

from platform_assets.greenit.gold.limits import at_least


def linear_target(base: ir.NumericValue, base_year: ir.NumericValue, year: ir.NumericValue, annual_rate: ir.NumericValue) -> ir.NumericValue:
    """Absolute contraction (SBTi): base × (1 - rate × years since the base year), never below 0, in the base's unit.

    The rate is a share of the base year each year (4.2 % for 1.5 °C), not of the year before.
    """
    return at_least(base * (1.0 - annual_rate * (year - base_year)), 0.0)
