"""Units of the organisation, one clean row per unit and day from which it holds.

What belongs here: typed figures of a unit (people, revenue). What does not: which of its rows holds in a month, intensities (gold, platinum).
"""

import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import parsed, refusing, trimmed, unrepeated
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.organisation import CONVENTIONS
from platform_assets.tables import table


@table(__file__)
def org_unit(organisation: ir.Table) -> ir.Table:
    """Units as the register writes them; a row with trouble carries `_rejects`. A revenue without a currency is no amount."""
    read = unrepeated(parsed(organisation, contract(__file__), CONVENTIONS), "org_unit", "valid_from")
    read = refusing(read, (read.revenue_per_month.notnull() & trimmed(read.currency).isnull(), "MISSING_VALUE", "currency", read.currency))
    return read.select(
        "org_unit", "valid_from", "parent", "name", "fte", "revenue_per_month", currency=trimmed(_.currency).upper(), _file="_file", _row="_row",
        _sha256="_sha256", _rejects="_rejects",
    )  # fmt: skip
