"""The instance type that a line's texts name.

What belongs here: matching descriptions and meters with the patterns of `vocabularies/instance_pattern.csv`. What does not: what an instance uses.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import slug

HOURS = "resource_hours"
SKU_TYPE = r'"InstanceType"\s*:\s*"([^"]+)"'


def named_instances(billing: ir.Table, provider: ir.Table, unit: ir.Table, instance_pattern: ir.Table, text: str) -> ir.Table:
    """One row per distinct (ProviderName, ConsumedUnit, `text`) of hour lines that names an instance: `instance_type` (lower case), `named_kind`.

    Works on the distinct wordings: 1,000 real lines have 226 descriptions, and a pattern from a column is compiled again for each row.
    """
    said = ("ProviderName", "ConsumedUnit", text)
    hours = unit.filter(_.usage_kind == HOURS).select(unit_alias="alias")
    wordings = billing.filter(_[text].notnull()).select(*said).distinct().mutate(provider_alias=slug(_.ProviderName), unit_alias=slug(_.ConsumedUnit))
    offered = instance_pattern.join(provider.rename(provider_alias="alias"), "provider").select(
        "provider_alias", "pattern", "priority", named_kind="usage_kind"
    )
    found = (
        wordings.semi_join(hours, "unit_alias").join(offered, "provider_alias")
        .mutate(instance_type=_[text].strip().lower().re_extract(_.pattern, 1).nullif(""))
        .filter(_.instance_type.notnull())
    )  # fmt: skip
    first = ibis.window(group_by=list(said), order_by="priority")
    return found.mutate(place=ibis.row_number().over(first)).filter(_.place == 0).select(*said, "instance_type", "named_kind")


def offered_type(sku_price_details: ir.StringValue, unit_kind: ir.StringValue) -> ir.StringValue:
    """InstanceType of FOCUS 1.1's SkuPriceDetails, lower case and without the service's prefix, for lines in hours."""
    named = sku_price_details.re_extract(SKU_TYPE, 1).lower().re_replace("^(db|cache|ml|standard)[._]", "").replace("_", " ").nullif("")
    return (unit_kind == HOURS).ifelse(named, ibis.null("string"))
