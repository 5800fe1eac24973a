"""Cloud instances from the parts of the server beneath them, once per instance type (formula A5 of docs/method.md; BoaviztAPI's model).

What belongs here: sharing platforms among instances, with intervals. What does not: formulas of parts (server_embodied.py, compute_power.py),
processors by name (processor.py), hours and grids (activity.py). A bill of a million lines then joins the result by instance type.

Inputs carry intervals as `<name>`, `<name>_min`, `<name>_max`. `platforms`: platform_id, threads and one row of parts each; `components`: one row
per criterion with the constants of all parts; `assumptions`: one row.
"""
import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.compute_power import host_watts, memory_watts, profile_watts
from platform_assets.greenit.gold.embodied import hourly_share
from platform_assets.greenit.gold.server_embodied import memory_impact, power_supplies_impact, processors_impact
from platform_assets.greenit.gold.sharing import allocated, share_of

BOUNDS = {"": "", "_min": "_max", "_max": "_min"}  # a bound of an impact -> the bound of what it is divided by


def shared(instances: ir.Table, platforms: ir.Table) -> ir.Table:
    """Instances with their platform and their shares of it: vCPU of threads, GB of memory, flash and disks, accelerators; 0 where it has none."""
    met = instances.join(platforms, "platform_id")
    totals = {"memory": met.ram_units * met.ram_gb, "ssd": met.ssd_units * met.ssd_drive_gb, "hdd": met.hdd_units * met.hdd_drive_gb}
    return met.mutate(
        vcpu_share=share_of(met.vcpu, met.threads * met.cpu_units),
        memory_share=share_of(met.memory_gb, totals["memory"]),
        ssd_share=ibis.coalesce(share_of(met.ssd_gb, totals["ssd"]), 0.0),
        hdd_share=ibis.coalesce(share_of(met.hdd_gb, totals["hdd"]), 0.0),
    )


def embodied_per_hour(instances: ir.Table, platforms: ir.Table, components: ir.Table, assumptions: ir.Table) -> ir.Table:
    """One row per instance type and criterion: `embodied`, `embodied_min`, `embodied_max` of an hour, in the criterion's unit.

    Memory, flash and disks go by GB, accelerators by the piece, all other parts by vCPU. The unknown form of a case counts in the interval.
    """
    met = shared(instances, platforms).cross_join(components).cross_join(assumptions)
    case = {"": met.case_rack, "_min": ibis.least(met.case_rack, met.case_blade), "_max": ibis.greatest(met.case_rack, met.case_blade)}

    def impact(bound: str, opposite: str) -> ir.NumericValue:
        by_vcpu = (
            processors_impact(met.cpu_units, met[f"die_mm2{bound}"], met.cpu_per_mm2, met.cpu_base)
            + power_supplies_impact(met[f"psu_units{bound}"], met[f"psu_kg{bound}"], met.psu_per_kg)
            + case[bound] + met.motherboard + met.assembly
        )  # fmt: skip
        memory = memory_impact(met[f"ram_units{bound}"], met[f"ram_gb{bound}"], met[f"ram_gb_per_cm2{opposite}"], met.ram_per_cm2, met.ram_base)
        flash = memory_impact(met[f"ssd_units{bound}"], met[f"ssd_drive_gb{bound}"], met[f"ssd_gb_per_cm2{opposite}"], met.ssd_per_cm2, met.ssd_base)
        disks = met[f"hdd_units{bound}"] * met.hdd
        whole = (
            allocated(by_vcpu, met.vcpu_share) + allocated(memory, met.memory_share) + allocated(flash, met.ssd_share) + allocated(disks, met.hdd_share)
            + met.gpu_units * met.accelerator
        )  # fmt: skip
        return whole * hourly_share(ibis.literal(1.0), met[f"lifetime_hours{opposite}"])

    return met.select("provider", "instance_type", "criterion", **{f"embodied{bound}": impact(bound, opposite) for bound, opposite in BOUNDS.items()})


def watts_at_load(instances: ir.Table, platforms: ir.Table, assumptions: ir.Table) -> ir.Table:
    """One row per instance and `load_pct` of `instances`: `watts`, `watts_min`, `watts_max` of the instance's share of its platform, without PUE."""
    met = shared(instances, platforms).cross_join(assumptions)
    cpu = allocated(met.cpu_units * profile_watts(met.load_pct, met.a, met.b, met.c, met.d), met.vcpu_share)
    idle, full = (
        met.memory_generation.cases(("DDR3", met[f"ddr3_{end}_watts_per_gb"]), ("DDR5", met[f"ddr5_{end}_watts_per_gb"]), else_=met[f"ddr4_{end}_watts_per_gb"])
        for end in ("idle", "full")
    )
    memory = allocated(memory_watts(met.ram_units * met.ram_gb, met.load_pct / 100.0, idle, full), met.memory_share)

    def watts(bound: str) -> ir.NumericValue:
        drives = met.ssd_share * met.ssd_units * met[f"ssd_watts{bound}"] + met.hdd_share * met.hdd_units * met[f"hdd_watts{bound}"]
        return host_watts(cpu, memory, met[f"other_share{bound}"], drives)

    return met.select("provider", "instance_type", "load_pct", **{f"watts{bound}": watts(bound) for bound in BOUNDS})
