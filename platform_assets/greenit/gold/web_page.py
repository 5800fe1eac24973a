"""Impacts of visits to web pages by transferred bytes: Sustainable Web Design, version 4 (formula A6 of docs/method.md).

What belongs here: bytes and visits to kWh and kg per segment. What does not: coefficients (parameters/web_model.csv).
"""
import ibis.expr.types as ir

BYTES_PER_GB = 1_000_000_000.0


def gigabytes(transferred_bytes: ir.NumericValue) -> ir.NumericValue:
    """GB of 10^9 bytes, as the model counts them."""
    return transferred_bytes / BYTES_PER_GB


def operational_impact(gb: ir.NumericValue, kwh_per_gb: ir.NumericValue, grid_per_kwh: ir.NumericValue) -> ir.NumericValue:
    """Use of one segment (datacentre, network or device): GB × kWh/GB × grid factor of the place of that segment, in the grid factor's unit."""
    return gb * kwh_per_gb * grid_per_kwh


def green_share(impact: ir.NumericValue, green_hosting_share: ir.NumericValue) -> ir.NumericValue:
    """What is left of a datacentre's use when a share of its electricity is green. Market-based by nature: never in a location-based total."""
    return impact * (1.0 - green_hosting_share)


def embodied_impact_of_bytes(gb: ir.NumericValue, kwh_per_gb: ir.NumericValue, global_grid_per_kwh: ir.NumericValue) -> ir.NumericValue:
    """Manufacture of one segment's machines, which the model states as electricity of the world's mix (494 gCO2e/kWh): never a local grid."""
    return gb * kwh_per_gb * global_grid_per_kwh


def bytes_of_visits(
    page_bytes: ir.NumericValue, first_visit_share: ir.NumericValue, return_visit_share: ir.NumericValue, reload_share: ir.NumericValue
) -> ir.NumericValue:
    """Mean bytes of a visit: first visits load the page, returning ones `reload_share` of it (the rest is cached)."""
    return page_bytes * (first_visit_share + return_visit_share * reload_share)
