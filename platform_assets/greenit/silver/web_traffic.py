"""Views of web pages, one clean typed row per page, day and country of the visitors.

What belongs here: typed reading, names of pages, countries. What does not: bytes of a page that was recorded (web_page) and what they weigh (gold).
"""

import ibis.expr.types as ir

from platform_assets.conform import parsed
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.web_analytics import CONVENTIONS
from platform_assets.greenit.silver.service_words import page_name, refused, worded
from platform_assets.tables import table
from resources.storage import PLACE

MADE = contract(__file__)
WORLD = "WLD"


@table(__file__)
def web_traffic(web_analytics: ir.Table, country: ir.Table) -> ir.Table:
    """Views; visitors without a country are the world's (`WLD`), those of a country that nobody knows are refused."""
    read = parsed(web_analytics, MADE, CONVENTIONS)
    paged = read.mutate(page_id=page_name(read.page))
    paged = refused(paged, (paged.page_id.isnull(), "MISSING_KEY", "page", paged.page))
    visitors = worded(paged, "country_code", "country", country, "country_code", default=WORLD)
    named = worded(visitors, "hosting_country_code", "hosting_country", country, "country_code")
    return named.select(*(column.name for column in MADE.columns if column.name not in PLACE), *PLACE, "_rejects")
