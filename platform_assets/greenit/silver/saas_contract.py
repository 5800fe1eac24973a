"""Contracts for software as a service, one clean typed row per contract.

What belongs here: typed reading, country and currency. What does not: the nested usage (saas_usage) and which figure of a contract counts (gold).
"""

import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import parsed, trimmed
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.saas_contracts import CONVENTIONS
from platform_assets.greenit.silver.service_words import refused, worded
from platform_assets.tables import table
from resources.storage import PLACE

MADE = contract(__file__)


@table(__file__)
def saas_contract(saas_contracts: ir.Table, country: ir.Table) -> ir.Table:
    """Contracts; a price without a currency is refused. `spend` is a month's, exact."""
    read = parsed(saas_contracts, MADE, CONVENTIONS).mutate(currency=trimmed(_.currency).upper())
    priced = refused(read, (read.spend.notnull() & read.currency.isnull(), "MISSING_VALUE", "currency", read.currency))
    named = worded(priced, "country_code", "country", country, "country_code")
    return named.select(*(column.name for column in MADE.columns if column.name not in PLACE), *PLACE, "_rejects")
