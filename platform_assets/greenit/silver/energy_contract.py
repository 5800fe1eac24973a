"""Contracts for electricity, one clean typed row per contract.

What belongs here: typed reading, instrument and country by vocabularies. What does not: which kWh a contract covers (gold).
"""

import ibis.expr.types as ir

from platform_assets.conform import parsed, trimmed
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.energy_contracts import CONVENTIONS
from platform_assets.greenit.silver.service_words import refused, worded
from platform_assets.tables import table
from resources.storage import PLACE

MADE = contract(__file__)


@table(__file__)
def energy_contract(energy_contracts: ir.Table, energy_instrument: ir.Table, country: ir.Table) -> ir.Table:
    """Contracts; one that names no place, or says not how much it covers, covers nothing that anybody could find and is refused."""
    read = parsed(energy_contracts, MADE, CONVENTIONS)
    nowhere = read.site_id.isnull() & trimmed(read.country).isnull()
    blank = read.covered_kwh_per_month.isnull() & read.covered_share.isnull() & read["_rejects"].isnull()
    said = refused(read, (nowhere, "MISSING_VALUE", "site", read.site), (blank, "MISSING_VALUE", "covered_share", read.covered_share))
    kinds = worded(said, "instrument", "instrument", energy_instrument, "instrument", missing="MISSING_VALUE")
    named = worded(kinds, "country_code", "country", country, "country_code")
    return named.select(*(column.name for column in MADE.columns if column.name not in PLACE), *PLACE, "_rejects")
