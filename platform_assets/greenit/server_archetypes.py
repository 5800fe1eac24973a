"""Servers as a collection of archetypes describes them, as the tables that instance_footprint.py reads.

What belongs here: reading lists written as `value;min;max`, naming columns, finding a platform's processor and accelerator. What does not: formulas
(gold/), where the collection comes from (parameter_fetch.py), shipping it: the collections that exist are not ours to pass on.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ibis
import ibis.expr.types as ir

from platform_assets.greenit.gold.in_force import coefficients_of
from platform_assets.greenit.gold.processor import Profile, Sheet, die_area, fitted_profile, found, range_profile
from platform_assets.greenit.gold.server_embodied import accelerator_impact, wafer_mm2

DDR3 = {"Sandy Bridge", "Ivy Bridge"}
DDR5 = {"Genoa", "Graviton3", "Graviton3E", "Graviton4", "Sapphire Rapids", "Emerald Rapids", "Granite Rapids"}
ASSUMPTIONS = (
    "ram_gb_per_cm2", "ssd_gb_per_cm2", "psu_units", "psu_kg", "other_share", "ssd_watts", "hdd_watts",
    *(f"ddr{generation}_{end}_watts_per_gb" for generation in (3, 4, 5) for end in ("idle", "full")),
)  # fmt: skip
OF_THE_PLATFORM = ("psu_units", "psu_kg")  # a platform's own row says them
BOUNDS = ("", "_min", "_max")
CRITERIA = {"GWP": "gwp", "PE": "pe", "ADPe": "adp"}  # ours -> the collection's
GENERIC_CARD = {"casing": 0.79, "heatsink": 0.9, "pwb": 296.0, "die_mm2": 814.0, "kg": 1.69, "vram_dies": 6.0, "boat_km": 19000.0, "truck_km": 1000.0}
MM2_PER_VRAM_GB = 15.5
TEXTS = ("provider", "instance_type", "platform_id", "memory_generation")
Row = Mapping[str, str]


def number(text: str, default: Any = 0.0) -> Any:
    """A plain number; the default where the cell has none or words (`1/8th MI25`)."""
    try:
        return float(text)
    except ValueError:
        return default


def interval(text: str, default: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> list[float]:
    """`8;6;10` is 8, from 6 to 10; one number is itself at both ends."""
    parts = [float(part) for part in text.split(";")] if text.strip() else list(default)
    return parts * 3 if len(parts) == 1 else parts


def pieces(words: str) -> float:
    """`2X M60` is two cards, `1/8th MI25 (2GB VRAM)` an eighth."""
    head = words.split("X ")[0].split("th ")[0] if words else "0"
    over, _bar, under = head.partition("/")
    return number(over) / (number(under, 1.0) if under else 1.0)


def tdp_curve(server_coefficient: ir.Table, day: ir.DateValue) -> tuple[tuple[float, float], ...]:
    """Load in per cent -> share of the thermal design power."""
    keys = {f"tdp_share_{load}": float(load) for load in (0, 10, 50, 100)}
    row = coefficients_of(server_coefficient, "teads", tuple(keys), day).to_pyarrow().to_pylist()[0]
    return tuple((load, row[key]) for key, load in keys.items())


def assumptions_of(server_coefficient: ir.Table, day: ir.DateValue) -> ir.Table:
    """What a platform's own row does not say."""
    known = coefficients_of(server_coefficient, "boavizta", ASSUMPTIONS, day)
    return known.drop(*(f"{name}{bound}" for name in OF_THE_PLATFORM for bound in BOUNDS))


@dataclass(frozen=True)
class Archetypes:
    """A collection, row by row as its files have it: servers, instances (with `provider`), processors, profiles (the generic one under a model range
    of DEFAULT), impacts of a card's parts by (part, criterion), and accelerators by name: board in cm2, die or its wafer in mm2, memory in GB and its
    dies, weights in kg."""

    servers: tuple[Row, ...]
    instances: tuple[Row, ...]
    processors: tuple[Row, ...]
    profiles: tuple[Row, ...]
    card_parts: Mapping[tuple[str, str], float]
    cards: Mapping[str, Mapping[str, float]]

    @cached_property
    def sheets(self) -> list[Sheet]:
        """All processors' data sheets."""
        return [
            Sheet(row["name"], row["code_name"] or None, row["manufacturer"] or None, row["model_range"] or None, number(row["tdp"], None),
                  number(row["cores"], None), number(row["threads"], None), number(row["total_die_size"], None))
            for row in self.processors
        ]  # fmt: skip

    @cached_property
    def ranges(self) -> dict[tuple[str, str], Profile]:
        """(maker, range) -> a, b, c, d; the generic one under ("", "")."""
        return {
            (row["manufacturer"], row["model_range"].replace("DEFAULT", "")): (float(row["a"]), float(row["b"]), float(row["c"]), float(row["d"]))
            for row in self.profiles
        }

    @cached_property
    def _processors(self) -> dict[tuple, dict[str, Any]]:
        return {}

    def processor(self, name: str, cores_said: float, mm2_per_core: float | None, curve: tuple[tuple[float, float], ...]) -> dict[str, Any]:
        """Columns of one processor by the name and what the platform says of it; fitted once."""
        asked = (name, cores_said, mm2_per_core, curve)
        if asked not in self._processors:
            self._processors[asked] = self._processor(*asked)
        return self._processors[asked]

    def _processor(self, name: str, cores_said: float, mm2_per_core: float | None, curve: tuple[tuple[float, float], ...]) -> dict[str, Any]:
        sheet = found(name, self.sheets)
        cores = (sheet.cores if sheet and sheet.cores else None) or cores_said
        area = die_area(sheet, cores, self.sheets)
        mm2 = (area.value, area.low, area.high)
        if mm2_per_core and cores_said and not (sheet and sheet.die_mm2):
            mm2 = (mm2_per_core * cores_said,) * 3
        a, b, c, d = fitted_profile(range_profile(sheet, self.ranges), sheet.tdp_watts if sheet else None, curve)
        family = sheet.family if sheet else None
        memory = "DDR3" if family in DDR3 else "DDR5" if family in DDR5 else "DDR4"
        known = {"threads": sheet.threads if sheet else None, "memory_generation": memory, "a": a, "b": b, "c": c, "d": d}
        return known | {f"die_mm2{bound}": size for bound, size in zip(BOUNDS, mm2, strict=True)}

    def platform(self, row: Row, curve: tuple[tuple[float, float], ...]) -> dict[str, Any]:
        """One platform with its parts; the processor's own thread count goes before the platform's."""
        known = self.processor(row["CPU.name"].strip(), interval(row["CPU.core_units"])[0], number(row["CPU.die_size_per_core"], None), curve)
        made = {"platform_id": row["id"].strip(), **known, "threads": known["threads"] or number(row["CPU.threads"])}
        made["cpu_units"] = interval(row["CPU.units"], (1.0, 1.0, 1.0))[0]
        named = {
            "ram_units": "RAM.units", "ram_gb": "RAM.capacity", "ssd_units": "SSD.units", "ssd_drive_gb": "SSD.capacity", "hdd_units": "HDD.units",
            "hdd_drive_gb": "HDD.capacity", "psu_units": "POWER_SUPPLY.units", "psu_kg": "POWER_SUPPLY.unit_weight", "lifetime_hours": "USAGE.hours_life_time",
        }  # fmt: skip
        for name, column in named.items():
            made |= {f"{name}{bound}": figure for bound, figure in zip(BOUNDS, interval(row[column]), strict=True)}
        return made

    def platforms(self, curve: tuple[tuple[float, float], ...]) -> ir.Table:
        """All platforms that have memory, as instance_footprint.py reads them."""
        return _table(self.platform(row, curve) for row in self.servers if interval(row["RAM.units"])[0])

    def card_of(self, name: str) -> Mapping[str, float] | None:
        """The sheet of an accelerator: the same words, else the longest name whose words it has."""
        words = frozenset(name.lower().split())
        fitting = [known for known in self.cards if frozenset(known.lower().split()) <= words]
        return self.cards[max(fitting, key=lambda known: len(known.split()))] if fitting else None

    def card_impacts(self, name: str, vram_gb: float) -> dict[str, float]:
        """criterion -> impact of one accelerator: of its own sheet, else of the generic card with the memory the platform states."""
        given = {**GENERIC_CARD, **(self.card_of(name) or {"vram_gb": vram_gb or 80.0})}
        area = {"die": given["die_mm2"], "vram_die": given["vram_gb"] * MM2_PER_VRAM_GB / given["vram_dies"]}
        row = _table([{**area, **{key: given[key] for key in ("casing", "heatsink", "pwb", "kg")}}])
        die = ibis.literal(given["wafer_mm2"]) if "wafer_mm2" in given else wafer_mm2(row.die)

        def impact(criterion: str) -> ir.NumericValue:
            def part(component: str) -> float:
                return self.card_parts[component, criterion]

            transport = row.kg * (given["boat_km"] * part("transport_boat") + given["truck_km"] * part("transport_truck"))
            return accelerator_impact(
                row.casing * part("casing"), row.heatsink * part("heatsink"), row.pwb * part("pwb"), die * part("gpu"),
                wafer_mm2(row.vram_die) * given["vram_dies"] * part("vram"), row.kg * part("upstream_transport"), transport, row.kg * part("end_of_life"),
            )  # fmt: skip

        return row.select(**{criterion: impact(key) for criterion, key in CRITERIA.items()}).to_pyarrow().to_pylist()[0]

    def wanted(self, asked: Iterable[tuple[str, str, float]]) -> ir.Table:
        """Rows (provider, instance_type, load_pct) with their specs and, per criterion, the accelerator of their platform as `card_<criterion>`."""
        homes = {row["id"].strip(): row for row in self.servers}
        specs = {(row["provider"], row["id"]): row for row in self.instances}
        cards: dict[tuple[str, float], dict[str, float]] = {}
        rows = []
        for provider, instance_type, load in asked:
            spec = specs[provider, instance_type]
            home = homes[spec["platform"].strip()]
            card = (home["GPU.name"].strip(), number(home["GPU.vram"]))
            if card not in cards:
                cards[card] = self.card_impacts(*card)
            rows.append({
                "provider": provider, "instance_type": instance_type, "platform_id": spec["platform"].strip(), "load_pct": load,
                "vcpu": number(spec["vcpu"], None), "memory_gb": number(spec["memory"], None), "ssd_gb": number(spec["ssd_storage"]),
                "hdd_gb": number(spec["hdd_storage"]), "gpu_units": number(spec["gpu_units"], pieces(spec["gpu_units"])),
                **{f"card_{criterion}": impact for criterion, impact in cards[card].items()},
            })  # fmt: skip
        return _table(rows).distinct()


def _table(rows: Iterable[Mapping[str, Any]]) -> ir.Table:
    made = list(rows)
    return ibis.memtable(made, schema={name: "string" if name in TEXTS else "float64" for name in made[0]})
