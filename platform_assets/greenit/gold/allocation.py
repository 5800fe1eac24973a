"""Who a host's impacts are for: virtual machines, the applications on them, and what nobody uses (formula A3 of docs/method.md).

What belongs here: one share per host, machine and application, under both keys. What does not: the formulas (sharing.py), impacts (a reader
multiplies: impact × share).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.in_force import NEWEST, coefficients_of
from platform_assets.greenit.gold.limits import at_least
from platform_assets.greenit.gold.sharing import allocated, equal_share, share_of, unallocated
from platform_assets.tables import table

KEYS = ("capacity", "allocated")
NOBODY = "(unallocated)"  # a share of a host that no machine has, or of a machine that no application has
SHARE = "decimal(38, 18)"
DUST = 1e-9  # a remainder below it is rounding, not capacity, and goes to the largest child
SUM = "decimal(38, 12)"


@table(__file__)
def allocation(equipment: ir.Table, virtual_machine: ir.Table, application: ir.Table, server_coefficient: ir.Table) -> ir.Table:
    """One row per host, key, machine and application; the shares of a host and key sum to 1, exactly.

    Key `capacity` divides by what the host could carry, so that what is idle stands as `(unallocated)`; `allocated` divides by what its machines
    have, so that all of it is shared. A host of unknown capacity has the same shares under both. A machine without a size has no row: it is in
    the unallocated, never a guess.
    """
    threads = coefficients_of(server_coefficient, "boavizta", ("threads_per_core",), NEWEST)
    hosts = equipment.cross_join(threads).select(
        equipment_id="equipment_id", vcpu_capacity=(_.cpu_cores * _.threads_per_core * _.quantity).nullif(0.0), gb_capacity=(_.ssd_gb * _.quantity).nullif(0.0)
    )
    machines = machine_shares(virtual_machine, hosts)
    return with_remainder(machines, application_shares(machines, application))


def machine_shares(virtual_machine: ir.Table, hosts: ir.Table) -> ir.Table:
    """Per machine and key its share of its host: explicit shares first, the others what is left by their size; NULL without either.

    A host is measured in one way: by vCPU where it has a machine for computing, else by GB. Explicit shares of more than the whole are cut in
    proportion; more machines than capacity fill it.
    """
    on_host = ibis.window(group_by="equipment_id")
    met = virtual_machine.join(hosts, "equipment_id").mutate(computes=(_.kind.fill_null("compute") == "compute").cast("int64"))
    met = met.mutate(by_vcpu=_.computes.max().over(on_host) == 1)
    sized = met.by_vcpu.ifelse(met.vcpu, met.storage_gb)
    size = met.explicit_share.isnull().ifelse(sized, ibis.null("float64")).cast(SUM)  # in the digits of its sum, or a tiny machine has more than the whole
    met = met.mutate(exact_size=size, capacity=met.by_vcpu.ifelse(met.vcpu_capacity, met.gb_capacity))
    sums = {"total": met.exact_size.sum(), "said": met.explicit_share.cast(SUM).sum()}
    met = met.mutate(size=met.exact_size.cast("float64"), **{name: total.over(on_host).cast("float64") for name, total in sums.items()})
    said = ibis.coalesce(met.said, 0.0)
    basis = ibis.cases((met.explicit_share.notnull(), "explicit"), (met.by_vcpu, "vcpu"), else_="storage_gb")
    whole = {"capacity": ibis.greatest(ibis.coalesce(met.capacity, met.total), met.total), "allocated": met.total}
    explicit = share_of(met.explicit_share, ibis.greatest(said, 1.0))
    shares = {key: ibis.coalesce(explicit, allocated(at_least(1.0 - said, 0.0), share_of(met["size"], whole[key]))) for key in KEYS}
    keyed = [met.mutate(allocation_key=ibis.literal(key), basis=basis, vm_share=share) for key, share in shares.items()]
    return ibis.union(*keyed).select("equipment_id", "vm_id", "allocation_key", "basis", "vm_share")


def application_shares(machines: ir.Table, application: ir.Table) -> ir.Table:
    """Machines of known share by the applications on them: shares that are said first, the others what is left in equal parts; a machine without
    an application belongs to nobody in particular. Said shares of more than the whole are cut in proportion, of less leave the rest to nobody.
    """
    on_vm = ibis.window(group_by="vm_id")
    named = application.mutate(name=_.application_id + ibis.coalesce(" " + _.environment, ""), said=_.share.cast(SUM).sum().over(on_vm).cast("float64"))
    named = named.mutate(said=_.said.fill_null(0.0), silent=_.share.isnull().cast("int64").sum().over(on_vm).cast("float64"))
    of_vm = ibis.coalesce(share_of(named.share, ibis.greatest(named.said, 1.0)), equal_share(at_least(1.0 - named.said, 0.0), named.silent))
    shares = named.select("vm_id", application_id="name", app_share=of_vm)
    met = machines.filter(_.vm_share.notnull()).left_join(shares, "vm_id").drop("vm_id_right")
    share = allocated(met.vm_share, ibis.coalesce(met.app_share, 1.0))
    return met.mutate(application_id=ibis.coalesce(met.application_id, NOBODY), share=share).drop("app_share", "vm_share")


def with_remainder(machines: ir.Table, children: ir.Table) -> ir.Table:
    """Children as exact decimals, and the rest of each host: as a row of its own, or with the largest child where it is rounding only."""
    host = ["equipment_id", "allocation_key"]
    largest = ibis.row_number().over(ibis.window(group_by=host, order_by=[ibis.desc("share"), "vm_id", "application_id"]))
    exact = children.mutate(share=_.share.cast(SHARE)).mutate(place=largest)
    sums = exact.group_by(*host).agg(total=_.share.sum().cast(SHARE))
    whole, nothing = ibis.literal(1).cast(SHARE), ibis.literal(0).cast(SHARE)
    hosts = machines.select(*host).distinct().left_join(sums, host)
    hosts = hosts.select(*host, rest=unallocated(whole, ibis.coalesce(hosts.total, nothing)).cast(SHARE)).mutate(is_dust=_.rest.cast("float64").abs() < DUST)
    counted = exact.join(hosts, host)
    kept = counted.mutate(share=((counted.place == 0) & counted.is_dust).ifelse((counted.share + counted.rest).cast(SHARE), counted.share))
    nobody = {"vm_id": ibis.literal(NOBODY), "application_id": ibis.literal(NOBODY), "basis": ibis.literal("remainder")}
    rest = hosts.filter(~_.is_dust).mutate(**nobody, share=_.rest)
    columns = {"parent_id": "equipment-" + _.equipment_id, "share": _.share.cast(SHARE)}
    return ibis.union(*(rows.select("vm_id", "application_id", "allocation_key", "basis", **columns) for rows in (kept, rest)))
