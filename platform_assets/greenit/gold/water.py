"""Water of datacentres: evaporated in cooling, and consumed in making the electricity (formula A4 of docs/method.md).

What belongs here: litres from IT energy. What does not: WUE, PUE and water factors of grids (parameters/).
"""
import ibis.expr.types as ir


def cooling_litres(it_kwh: ir.NumericValue, wue_l_per_kwh: ir.NumericValue) -> ir.NumericValue:
    """E_IT × WUE. WUE is litres per kWh of IT energy (ISO/IEC 30134-9), so PUE has no place here."""
    return it_kwh * wue_l_per_kwh


def electricity_litres(it_kwh: ir.NumericValue, pue: ir.NumericValue, grid_l_per_kwh: ir.NumericValue) -> ir.NumericValue:
    """E_IT × PUE × litres per kWh of the grid: all electricity that the site takes was made somewhere."""
    return it_kwh * pue * grid_l_per_kwh


def datacentre_litres(it_kwh: ir.NumericValue, pue: ir.NumericValue, wue_l_per_kwh: ir.NumericValue, grid_l_per_kwh: ir.NumericValue) -> ir.NumericValue:
    """E_IT × (WUE + PUE × EWIF)."""
    return cooling_litres(it_kwh, wue_l_per_kwh) + electricity_litres(it_kwh, pue, grid_l_per_kwh)
