"""Servers of an inventory by their configuration: the bottom-up factor of one unit (formula A1 of docs/method.md).

What belongs here: a configuration to its factor, once per distinct configuration; equipment then joins it by item. What does not: formulas of parts
(server_embodied.py), the rows that devices join (parameters/device_factor.csv; a test holds them to this).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.compute_power import pieces_for
from platform_assets.greenit.gold.in_force import NEWEST, coefficients_of
from platform_assets.greenit.gold.server_embodied import constants_of_parts, memory_impact, power_supplies_impact, processors_impact, server_impact

SERVER = "server"  # the item whose parts these are: a laptop with known processors is still no server
ASSUMED = ("ram_gb_per_cm2", "ssd_gb_per_cm2", "psu_units", "psu_kg", "die_mm2_per_core", "ram_gb_per_module", "ssd_gb_per_drive")
UNITS = {"GWP": "kgCO2e", "PE": "MJ", "ADPe": "kgSbeq"}
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


def configuration_id(equipment: ir.Table) -> ir.StringValue:
    """`server 2 CPU, 40 cores, 256 GB, 3840 GB SSD, 0 HDD`: what a server is made of; NULL where its processors or its memory are not known (0 is
    not known: no server runs without either).
    """
    e = equipment
    known = (e.cpu_units > 0) & (e.cpu_cores > 0) & (e.ram_gb > 0)
    whole = [ibis.coalesce(number, 0).cast("int64").cast("string") for number in (e.cpu_units, e.cpu_cores, e.ram_gb, e.ssd_gb, e.hdd_units)]
    words = ("server ", " CPU, ", " cores, ", " GB, ", " GB SSD, ", " HDD")
    spelled = ibis.literal(words[0])
    for number, word in zip(whole, words[1:], strict=True):
        spelled = spelled + number + word
    return known.ifelse(spelled, ibis.null("string"))


def configured_servers(equipment: ir.Table, server_component: ir.Table, server_coefficient: ir.Table) -> ir.Table:
    """One row per distinct configuration and criterion: the factor of manufacturing one such server from its parts, with its origin and pedigree.

    Constants are those in force without an end: the parts of a server do not change, but what is known of them does.
    """
    said = equipment.mutate(configuration_id=configuration_id(equipment)).filter(_.configuration_id.notnull())
    distinct = said.group_by("configuration_id").agg(**{name: _[name].max() for name in ("cpu_units", "cpu_cores", "ram_gb", "ssd_gb", "hdd_units")})
    assumed = coefficients_of(server_coefficient, "boavizta", ASSUMED, NEWEST)
    met = distinct.cross_join(assumed)
    modules, drives = pieces_for(met.ram_gb, met.ram_gb_per_module), pieces_for(ibis.coalesce(met.ssd_gb, 0.0), met.ssd_gb_per_drive)
    configurations = met.select(
        item_key=met.configuration_id, cpu_units=met.cpu_units.cast("float64"), die_mm2=met.cpu_cores / met.cpu_units * met.die_mm2_per_core,
        ram_units=modules, ram_gb=met.ram_gb / modules.nullif(0), ssd_units=drives, ssd_gb=ibis.coalesce(met.ssd_gb / drives.nullif(0), 0.0),
        hdd_units=ibis.coalesce(met.hdd_units, 0).cast("float64"),
    )  # fmt: skip
    factors = configured_factor(configurations, constants_of_parts(server_component, NEWEST), assumed)
    low, high = ibis.least(factors.value_min, factors.value_max), ibis.greatest(factors.value_min, factors.value_max)
    return factors.select(
        "criterion", configuration_id="item_key", factor_id="item_key", factor_value="value", factor_min=low, factor_max=high,
        unit=factors.criterion.cases(*UNITS.items()), factor_year=ibis.literal(2021, "int64"), rel=ibis.literal(3, "int64"), comp=ibis.literal(2, "int64"),
        geo=ibis.literal(4, "int64"),
    )  # fmt: skip
