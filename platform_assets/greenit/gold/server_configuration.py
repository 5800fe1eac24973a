"""Servers of an inventory by their configuration: the bottom-up factor of one unit (formula A1 of docs/method.md).

What belongs here: a configuration to its factor, once per distinct configuration; equipment then joins it by item. What does not: formulas of parts
(server_embodied.py), the rows that devices join (parameters/device_factor.csv; a test holds them to this).
"""

import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.server_embodied import memory_impact, power_supplies_impact, processors_impact, server_impact

BOUNDS = {"": "", "_min": "_max", "_max": "_min"}  # an end of the impact -> the end of a density it comes from


def configured_factor(configurations: ir.Table, components: ir.Table, assumptions: ir.Table) -> ir.Table:
    """One row per item and criterion: `value`, `value_min`, `value_max` of manufacturing one server, in the criterion's unit.

    `configurations`: item_key, cpu_units, die_mm2, ram_units, ram_gb, ssd_units, ssd_gb, hdd_units. What a configuration does not say (density of
    dies, power supplies, form of the case) is assumed, and its range is the interval.
    """
    met = configurations.cross_join(components).cross_join(assumptions)
    case = {"": met.case_rack, "_min": ibis.least(met.case_rack, met.case_blade), "_max": ibis.greatest(met.case_rack, met.case_blade)}

    def impact(end: str, density_end: str) -> ir.NumericValue:
        return server_impact(
            processors_impact(met.cpu_units, met.die_mm2, met.cpu_per_mm2, met.cpu_base),
            memory_impact(met.ram_units, met.ram_gb, met[f"ram_gb_per_cm2{density_end}"], met.ram_per_cm2, met.ram_base),
            memory_impact(met.ssd_units, met.ssd_gb, met[f"ssd_gb_per_cm2{density_end}"], met.ssd_per_cm2, met.ssd_base),
            met.hdd_units * met.hdd,
            power_supplies_impact(met[f"psu_units{end}"], met[f"psu_kg{end}"], met.psu_per_kg),
            case[end], met.motherboard, met.assembly, ibis.literal(0.0),
        )  # fmt: skip

    return met.select("item_key", "criterion", **{f"value{end}": impact(end, density_end) for end, density_end in BOUNDS.items()})
