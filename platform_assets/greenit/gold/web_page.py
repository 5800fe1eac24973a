"""Impacts of visits to web pages by transferred bytes: Sustainable Web Design, version 4 (formula A6 of docs/method.md).

What belongs here: visits to bytes and GB. What does not: kWh and kg per GB of a segment (parameters/service_*.csv, of web_coefficient.csv).
"""
import ibis.expr.types as ir

BYTES_PER_GB = 1_000_000_000.0


def gigabytes(transferred_bytes: ir.NumericValue) -> ir.NumericValue:
    """GB of 10^9 bytes, as the model counts them."""
    return transferred_bytes / BYTES_PER_GB


def bytes_of_visits(
    page_bytes: ir.NumericValue, first_visit_share: ir.NumericValue, return_visit_share: ir.NumericValue, reload_share: ir.NumericValue
) -> ir.NumericValue:
    """Mean bytes of a visit: first visits load the page, returning ones `reload_share` of it (the rest is cached)."""
    return page_bytes * (first_visit_share + return_visit_share * reload_share)
