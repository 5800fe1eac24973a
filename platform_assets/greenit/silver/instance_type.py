"""The instance type that a charge description names.

What belongs here: matching descriptions with the patterns of `vocabularies/instance_pattern.csv`. What does not: what an instance uses.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import slug

HOURS = "resource_hours"
SAID = ("ProviderName", "ConsumedUnit", "ChargeDescription")


def named_instances(billing: ir.Table, provider: ir.Table, unit: ir.Table, instance_pattern: ir.Table) -> ir.Table:
    """One row per distinct wording (SAID) of hour lines that names an instance: `instance_type` (lower case) and `named_kind`.

    Works on the distinct wordings: 1,000 real lines have 226 descriptions, and a pattern from a column is compiled again for each row.
    """
    hours = unit.filter(_.usage_kind == HOURS).select(unit_alias="alias")
    wordings = billing.select(*SAID).distinct().mutate(provider_alias=slug(_.ProviderName), unit_alias=slug(_.ConsumedUnit))
    offered = instance_pattern.join(provider.rename(provider_alias="alias"), "provider").select(
        "provider_alias", "pattern", "priority", named_kind="usage_kind"
    )
    found = (
        wordings.semi_join(hours, "unit_alias").join(offered, "provider_alias")
        .mutate(instance_type=_.ChargeDescription.strip().lower().re_extract(_.pattern, 1).nullif(""))
        .filter(_.instance_type.notnull())
    )  # fmt: skip
    first = ibis.window(group_by=list(SAID), order_by="priority")
    return found.mutate(place=ibis.row_number().over(first)).filter(_.place == 0).select(*SAID, "instance_type", "named_kind")
