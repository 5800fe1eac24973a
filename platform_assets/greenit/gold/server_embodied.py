"""Manufacture of servers and accelerators, part by part (formula A1 of docs/method.md; UBA Texte 94/2021, as BoaviztAPI uses it).

What belongs here: the impact of each kind of part from its measure. What does not: constants per criterion (parameters/server_component.csv),
sharing a server among instances (instance_footprint.py). All results are in the unit of the constants; end of life is not in them.
"""
import math

import ibis.expr.types as ir
from ibis import _
from ibis.expr.types import NumericValue as Number

TERMS = {
    "cpu_per_mm2": ("cpu", "per_mm2"), "cpu_base": ("cpu", "base"), "ram_per_cm2": ("ram", "per_cm2"), "ram_base": ("ram", "base"),
    "ssd_per_cm2": ("ssd", "per_cm2"), "ssd_base": ("ssd", "base"), "hdd": ("hdd", "base"), "motherboard": ("motherboard", "base"),
    "psu_per_kg": ("power_supply", "per_kg"), "case_rack": ("rack_case", "base"), "blade": ("blade_case", "base"), "enclosure": ("blade_enclosure", "base"),
    "assembly": ("assembly", "base"),
}  # fmt: skip
SLOTS_OF_AN_ENCLOSURE = 16.0
WAFER_MM, KERF_MM = 300.0, 0.2
WAFER_MM2 = math.pi * (WAFER_MM / 2) ** 2
DEFECTS_PER_CM2 = 0.1


def constants_of_parts(server_component: ir.Table, day: ir.DateValue) -> ir.Table:
    """One row per criterion with the constants of all parts in force on `day`, a column per term; `case_blade` is a blade and its part of the enclosure."""
    rows = server_component.filter(_.valid_from <= day, _.valid_to.isnull() | (_.valid_to >= day))
    terms = {name: rows.value.max(where=(rows.component == part) & (rows.term == term)) for name, (part, term) in TERMS.items()}
    return rows.group_by("criterion").agg(**terms).mutate(case_blade=blade_case(_.blade, _.enclosure)).drop("blade", "enclosure")


def processors_impact(units: Number, die_mm2: Number, per_mm2: Number, base: Number) -> Number:
    """n × (mm² of die × slope + base)."""
    return units * (die_mm2 * per_mm2 + base)


def memory_impact(units: Number, gb: Number, gb_per_cm2: Number, per_cm2: Number, base: Number) -> Number:
    """n × (GB / density × slope + base): memory modules and flash drives, whose dies are counted by their area."""
    return units * (gb / gb_per_cm2 * per_cm2 + base)


def power_supplies_impact(units: Number, kg: Number, per_kg: Number) -> Number:
    """n × kg × slope."""
    return units * kg * per_kg


def blade_case(base: Number, enclosure: Number) -> Number:
    """A blade and its sixteenth of the enclosure."""
    return base + enclosure / SLOTS_OF_AN_ENCLOSURE


def wafer_mm2(die_mm2: Number) -> Number:
    """Area of a 300 mm wafer behind one good die: with the cut, the lost edge and the yield e^-sqrt(area × 0.1 defects/cm²)."""
    cut = (die_mm2.sqrt() + KERF_MM) ** 2
    dies = WAFER_MM2 / cut - math.pi * WAFER_MM / (2.0 * cut).sqrt()
    good = (-(cut / 100.0 * DEFECTS_PER_CM2).sqrt()).exp()
    return WAFER_MM2 / dies / good


def accelerator_impact(
    casing: Number, heatsink: Number, board: Number, die: Number, memory: Number, upstream_transport: Number, transport: Number, end_of_life: Number
) -> Number:
    """One accelerator card: all its parts, its way to the datacentre and its end of life."""
    return casing + heatsink + board + die + memory + upstream_transport + transport + end_of_life


def server_impact(
    processors: Number, memory: Number, flash: Number, disks: Number, power_supplies: Number, case: Number, motherboard: Number, assembly: Number,
    accelerators: Number,
) -> Number:  # fmt: skip
    """One server: the sum of its parts."""
    return processors + memory + flash + disks + power_supplies + case + motherboard + assembly + accelerators
