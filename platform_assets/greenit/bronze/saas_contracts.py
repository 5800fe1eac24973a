"""SaaS contracts as delivered: the newest list, one row per contract, nested usage as JSON text.

What belongs here: nothing but the landing rows. What does not: types, cleaning, duplicates (silver).
"""
import ibis.expr.types as ir

from platform_assets.contracts import contract
from platform_assets.tables import table

CONVENTIONS = {name: format.convention for name, format in contract(__file__).formats.items()}


@table(__file__)
def saas_contracts(landing: ir.Table) -> ir.Table:
    """The landing rows as they are: contract columns as text, then `_extra, _file, _row, _sha256, _format`."""
    return landing
