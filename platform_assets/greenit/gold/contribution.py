"""What every row of `impact` is: an amount × a factor (docs/method.md).

What belongs here: that product. What does not: amounts (activity.py, impact_phases.py), factors (parameters/).
"""

import ibis.expr.types as ir


def impact_of(amount: ir.Value, factor: ir.Value) -> ir.Value:
    """Impact of an amount in the factor's unit; `factor` is per unit of the amount."""
    return amount * factor
