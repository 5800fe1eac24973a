"""The places equipment stands in, one row per site.

What belongs here: what the inventory says of a site. What does not: PUE and grid factors (parameters/).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.tables import table


@table(__file__)
def site(equipment: ir.Table) -> ir.Table:
    """Distinct sites; a site that the inventory puts into several countries gets the one with most lines (ties: the first by code)."""
    lines = equipment.filter(_.site_id.notnull()).group_by("site_id", "country_code").agg(lines=_.count(), datacentre_lines=_.is_datacentre.cast("int64").sum())
    by_share = ibis.window(group_by="site_id", order_by=[_.country_code.isnull(), _.lines.desc(), _.country_code])
    ranked = lines.mutate(place=ibis.row_number().over(by_share))
    main = ranked.filter(_.place == 0).select("site_id", "country_code")
    return (
        ranked.group_by("site_id")
        .agg(is_datacentre=_.datacentre_lines.sum() > 0, equipment_lines=_.lines.sum().cast("decimal(38, 0)").cast("int64"))
        .join(main, "site_id")
        .select("site_id", "is_datacentre", "country_code", "equipment_lines")
    )
