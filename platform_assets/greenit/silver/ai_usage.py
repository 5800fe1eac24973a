"""Requests to language models, one clean typed row per line of the log.

What belongs here: typed reading, names of providers and models as they are looked up. What does not: what a model uses (parameters/language_model.csv).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import parsed, slug
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.ai_usage_log import CONVENTIONS
from platform_assets.greenit.silver.service_words import refused, worded
from platform_assets.tables import table
from resources.storage import PLACE

MADE = contract(__file__)


@table(__file__)
def ai_usage(ai_usage_log: ir.Table, ai_provider: ir.Table, country: ir.Table) -> ir.Table:
    """Lines of the log; `usage_id` is the file's sha256 (16 hex) and the row in it. A provider that nobody knows keeps its own word."""
    known = ai_provider.select(provider_alias="alias", provider_known="provider")
    read = parsed(ai_usage_log, MADE, CONVENTIONS).mutate(provider_alias=slug(_.provider), model_name=slug(_.model))
    said = refused(read, *((read[name].isnull(), "MISSING_VALUE", raw, read[raw]) for name, raw in (("provider_alias", "provider"), ("model_name", "model"))))
    named = worded(said, "country_code", "country", country, "country_code").left_join(known, "provider_alias")
    made = named.mutate(
        usage_id=named["_sha256"].substr(0, 16) + "-" + named["_row"].cast("string"), model=named.model_name,
        provider=ibis.coalesce(named.provider_known, named.provider_alias),
    )  # fmt: skip
    return made.select(*(column.name for column in MADE.columns if column.name not in PLACE), *PLACE, "_rejects")
