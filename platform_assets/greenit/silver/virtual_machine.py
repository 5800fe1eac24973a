"""Virtual machines and their hosts, one clean row per machine.

What belongs here: typed sizes, the conformed kind, the host as a line of the inventory. What does not: how a host is shared (gold).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import conformed, parsed, referring, unrepeated
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.virtual_machines import CONVENTIONS
from platform_assets.tables import table


@table(__file__)
def virtual_machine(virtual_machines: ir.Table, vm_kind: ir.Table, equipment: ir.Table) -> ir.Table:
    """Machines on hosts of the inventory; a row with trouble carries `_rejects`.

    NumEcoEval calls an unknown host an error of coherence and refuses the machine; so do we, since a share of nothing reaches no figure. When
    the host comes into the inventory, the next run takes the machine.
    """
    read = unrepeated(parsed(virtual_machines, contract(__file__), CONVENTIONS), "vm_id")
    read = referring(conformed(read, "kind", vm_kind, "vm_kind", is_required=True), "equipment_id", equipment, "equipment_id")
    key_as_share = _.allocation_key.between(0, 1).ifelse(_.allocation_key, ibis.null("float64"))
    return read.select(
        "vm_id", "equipment_id", kind="kind__known", vcpu="vcpu", ram_gb="ram_gb", storage_gb="storage_gb",
        explicit_share=ibis.coalesce(_.explicit_share, key_as_share), allocation_key="allocation_key", energy_kwh_per_year="energy_kwh_per_year",
        org_unit="org_unit", _file="_file", _row="_row", _sha256="_sha256", _rejects="_rejects",
    )  # fmt: skip
