"""Network links by month, one clean typed row per line delivered.

What belongs here: typed reading, kind and country by vocabularies. What does not: what a line or a gigabyte weighs (parameters/).
"""

import ibis.expr.types as ir

from platform_assets.conform import parsed
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.network_traffic import CONVENTIONS
from platform_assets.greenit.silver.service_words import refused, worded
from platform_assets.tables import table
from resources.storage import PLACE

MADE = contract(__file__)


@table(__file__)
def network_link(network_traffic: ir.Table, network_kind: ir.Table, country: ir.Table) -> ir.Table:
    """Links; one that says neither lines nor traffic is refused, for it would weigh nothing."""
    read = parsed(network_traffic, MADE, CONVENTIONS)
    is_blank = read.lines.isnull() & read.gb.isnull() & read["_rejects"].isnull()  # what was refused for its text is not told twice
    said = refused(read, (is_blank, "MISSING_VALUE", "gb", read.gb))
    kinds = worded(said, "kind", "kind", network_kind, "kind", missing="MISSING_VALUE")
    named = worded(kinds, "country_code", "country", country, "country_code")
    return named.select(*(column.name for column in MADE.columns if column.name not in PLACE), *PLACE, "_rejects")
