"""Impacts by spend, where nothing better is known (formula A6 of docs/method.md, GHG Protocol category 3.1 and 3.2).

What belongs here: money of a year in a currency to kgCO2e. What does not: rates, price indices and factors (parameters/), the order of methods.
"""
import ibis.expr.types as ir


def spend_in_factor_money(
    spend: ir.NumericValue, usd_per_currency: ir.NumericValue, cpi_factor_year: ir.NumericValue, cpi_spend_year: ir.NumericValue
) -> ir.NumericValue:
    """Spend without VAT in the money of the factor (2022 US dollars): × exchange rate of the year of spend × price index 2022 / of that year.

    First to dollars, then to the price level: the other order would need the price index of the other currency.
    """
    return spend * usd_per_currency * cpi_factor_year / cpi_spend_year


def spend_kgco2e(usd_2022: ir.NumericValue, kgco2e_per_usd_2022: ir.NumericValue) -> ir.NumericValue:
    """Spend × EEIO factor with margins (US EPA v1.3, purchaser price). GWP only: other criteria have no row."""
    return usd_2022 * kgco2e_per_usd_2022
