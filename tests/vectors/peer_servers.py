"""BoaviztAPI's reference data as the tables that instance_footprint.py reads: what `strata parameters fetch` brings, test-time only.

What belongs here: reading the reference's files. What does not: formulas and shapes (platform_assets/greenit/server_archetypes.py).
"""

from functools import cache

import ibis

from platform_assets.greenit.gold.server_embodied import constants_of_parts
from platform_assets.greenit.server_archetypes import CRITERIA, Archetypes, assumptions_of, tdp_curve
from tests.vectors.files import REFERENCE, read

DAY = ibis.date(2026, 1, 1)
# board in cm2, die in mm2 (makers' product briefs and architecture papers), memory in GB, its dies; weights in kg: casing, heatsink, card
CARDS = {
    "A100": {"pwb": 234.36, "wafer_mm2": 1798.0, "vram_gb": 40.0, "casing": 0.387, "heatsink": 0.609, "kg": 1.23},
    "H100": {"pwb": 296.37, "wafer_mm2": 2810.4, "vram_gb": 80.0},
    "V100S": {"pwb": 234.36, "die_mm2": 815.0, "vram_gb": 32.0, "vram_dies": 4.0, "casing": 0.306, "heatsink": 0.658, "kg": 1.196},
    "V520": {"pwb": 234.36, "die_mm2": 251.0, "vram_gb": 8.0, "vram_dies": 2.0},
    "M60": {"pwb": 234.36, "wafer_mm2": 1895.88, "vram_gb": 16.0, "vram_dies": 32.0, "casing": 0.315, "heatsink": 0.676, "kg": 1.23},
    "MI25": {"pwb": 234.36, "wafer_mm2": 1257.71, "vram_gb": 16.0, "vram_dies": 2.0},
}
__all__ = ["CRITERIA", "assumptions", "card_impacts", "components", "grid", "instances", "platforms"]


@cache
def archetypes():
    parts = read(REFERENCE / "server_component_factors_boaviztapi.csv")
    return Archetypes(
        servers=tuple(read(REFERENCE / "server_platform_archetypes_boaviztapi.csv")),
        instances=tuple(read(REFERENCE / "cloud_instance_specs_boaviztapi.csv")),
        processors=tuple(read(REFERENCE / "cpu_specs_boaviztapi.csv")),
        profiles=tuple(read(REFERENCE / "cpu_consumption_profiles_boaviztapi.csv")),
        card_parts={(row["component"].removeprefix("gpu."), row["criterion"]): float(row["value"]) for row in parts if row["component"].startswith("gpu.")},
        cards=CARDS,
    )


@cache
def curve_of(duck_table):
    return tdp_curve(duck_table, DAY)


def platforms(reference):
    """All platforms of the reference."""
    return archetypes().platforms(curve_of(reference("server_coefficient")))


@cache
def card_impacts(name, vram_gb):
    """criterion -> impact of one accelerator."""
    return archetypes().card_impacts(name, vram_gb)


def instances(wanted):
    """Rows (provider, instance_type, load_pct) with their specs and accelerators."""
    return archetypes().wanted(wanted)


def components(reference):
    """Constants of all parts per criterion."""
    return constants_of_parts(reference("server_component"), DAY)


def assumptions(reference):
    """What a platform's own row does not say."""
    return assumptions_of(reference("server_coefficient"), DAY)


def grid(location, criterion):
    """Impact of a kWh at a location in the peer's table."""
    key = {"gwp": "gwp", "pe": "pe", "adp": "adpe"}[criterion]
    rows = [row for row in read(REFERENCE / "grid_multicriteria_boaviztapi.csv") if row["location"] == location and row["criterion"] == key]
    return float(rows[0]["value_per_kwh"])
