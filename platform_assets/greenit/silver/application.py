"""Which application runs in which environment on which virtual machine, one clean row for each.

What belongs here: typed rows that name a machine of silver. What does not: how a machine is shared by its applications (gold).
"""

import ibis.expr.types as ir

from platform_assets.conform import parsed, referring, unrepeated
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.applications import CONVENTIONS
from platform_assets.tables import table


@table(__file__)
def application(applications: ir.Table, virtual_machine: ir.Table) -> ir.Table:
    """Applications on known machines; a row with trouble carries `_rejects`, also one whose machine was kept back itself."""
    made = contract(__file__)
    read = unrepeated(parsed(applications, made, CONVENTIONS), "application_id", "environment", "vm_id")
    return referring(read, "vm_id", virtual_machine, "vm_id").select(*(column.name for column in made.columns), "_rejects")
