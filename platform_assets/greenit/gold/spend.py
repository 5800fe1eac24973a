"""Impacts by spend, where nothing better is known (formula A6 of docs/method.md, GHG Protocol category 3.1 and 3.2).

What belongs here: money of a year in a currency to dollars of the factors' year. What does not: rates, price indices and factors (parameters/).
"""
import ibis.expr.types as ir

from platform_assets.greenit.gold.in_force import with_figures


def spend_in_factor_money(
    spend: ir.NumericValue, usd_per_currency: ir.NumericValue, cpi_factor_year: ir.NumericValue, cpi_spend_year: ir.NumericValue
) -> ir.NumericValue:
    """Spend without VAT in the money of the factor (2022 US dollars): × exchange rate of the year of spend × price index 2022 / of that year.

    First to dollars, then to the price level: the other order would need the price index of the other currency.
    """
    return spend * usd_per_currency * cpi_factor_year / cpi_spend_year


def in_dollars_of_2022(rows: ir.Table, spend: str, at: str, exchange_rate: ir.Table, price_index: ir.Table) -> ir.Table:
    """Adds `usd_per_unit` and `usd_2022` of the column `spend` in `currency` on the day `at`: NULL for a currency without a rate, and for money of 0,
    which tells nothing. Newer years than the last figure take that.
    """
    rows = with_figures(rows, exchange_rate, ("currency",), at, {"usd_per_unit": "value"})
    rows = with_figures(rows, price_index, (), at, {"price_level": "value", "price_level_2022": "base_value"})
    dollars = spend_in_factor_money(rows[spend], rows.usd_per_unit, rows.price_level_2022, rows.price_level)
    return rows.mutate(usd_2022=dollars.nullif(0.0)).drop("price_level", "price_level_2022")
