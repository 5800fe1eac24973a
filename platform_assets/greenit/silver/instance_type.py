"""The instance type that a charge description names.

What belongs here: matching descriptions with the patterns of `vocabularies/instance_pattern.csv`. What does not: what an instance uses.
"""
import ibis
import ibis.expr.types as ir
from ibis import _

HOURS = "resource_hours"


def named_instances(lines: ir.Table, instance_pattern: ir.Table) -> ir.Table:
    """One row per (provider, description) of hour lines that names an instance: `instance_type` (lower case) and `named_kind`.

    Works on the distinct descriptions: 1,000 real lines have 226, and a pattern from a column is compiled again for each row.
    """
    described = lines.filter(_.unit_kind == HOURS, _.ChargeDescription.notnull()).select("provider_read", "unit_kind", "ChargeDescription").distinct()
    found = (
        described.join(instance_pattern, described.provider_read == instance_pattern.provider)
        .mutate(instance_type=_.ChargeDescription.strip().lower().re_extract(_.pattern, 1).nullif(""))
        .filter(_.instance_type.notnull())
    )
    first = ibis.window(group_by=["provider_read", "ChargeDescription"], order_by="priority")
    return found.mutate(place=ibis.row_number().over(first)).filter(_.place == 0).select("provider_read", "unit_kind", "ChargeDescription", "instance_type", named_kind="usage_kind")
