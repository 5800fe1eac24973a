"""The places equipment stands in, one clean row per line of the site register.

What belongs here: what the register says of a site, and how many inventory lines stand there. What does not: PUE and WUE where the register
says none, grid factors (parameters/).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import conformed, parsed, unrepeated
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.site_register import CONVENTIONS
from platform_assets.tables import table

DATACENTRES = ("datacentre", "colocation")


@table(__file__)
def site(site_register: ir.Table, country: ir.Table, site_kind: ir.Table, equipment: ir.Table) -> ir.Table:
    """Sites with conformed kind and country; a row with trouble carries `_rejects`. Of a repeated site every row is refused."""
    read = unrepeated(parsed(site_register, contract(__file__), CONVENTIONS), "site_id")
    read = conformed(read, "kind", site_kind, "site_kind", is_required=True)
    read = conformed(read, "country", country, "country_code", is_required=True)
    lines = equipment.group_by(standing_at="site_id").agg(lines=_.count())
    return read.left_join(lines, [("site_id", "standing_at")]).select(
        "site_id", "name", kind="kind__known", is_datacentre=_.kind__known.isin(DATACENTRES), country_code="country__known", pue="pue",
        wue_l_per_kwh="wue_l_per_kwh", org_unit="org_unit", equipment_lines=ibis.coalesce(_.lines, 0), _file="_file", _row="_row", _sha256="_sha256",
        _rejects="_rejects",
    )  # fmt: skip
