"""Purchased electricity in both methods of the GHG Protocol Scope 2 Guidance (formula A7 of docs/method.md).

What belongs here: the market-based figure of some kWh (location-based: kWh × the grid's factor), kWh lost on the way. What does
not: contracts and factors (parameters/, silver).
"""
import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.limits import at_most


def market_based(
    kwh: ir.NumericValue, covered_kwh: ir.NumericValue, contract_factor: ir.NumericValue, residual_factor: ir.NumericValue, grid_factor: ir.NumericValue
) -> ir.NumericValue:
    """Covered kWh at the contract's factor, the rest at the residual mix; without a residual mix at the grid's factor (to be flagged).

    Certificates for more than was used cover what was used: the excess never makes a credit.
    """
    covered = at_most(ibis.coalesce(covered_kwh, 0.0), kwh)
    rest = (kwh - covered) * ibis.coalesce(residual_factor, grid_factor)
    return rest + ibis.ifelse(covered > 0, covered * contract_factor, 0.0)


def lost_kwh(kwh: ir.NumericValue, loss_share: ir.NumericValue) -> ir.NumericValue:
    """Electricity lost on the way to the meter (category 3.3, a line of its own; 0.08 worldwide): never inside scope 2."""
    return kwh * loss_share
