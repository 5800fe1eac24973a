"""BoaviztAPI's reference data as the tables that instance_footprint.py reads: what `strata parameters fetch` would bring, test-time only.

What belongs here: reading, naming, lists written as `value;min;max`. What does not: formulas.
"""

from functools import cache

import ibis

from platform_assets.greenit.gold.in_force import coefficients_of
from platform_assets.greenit.gold.processor import Sheet, die_area, fitted_profile, found, range_profile
from platform_assets.greenit.gold.server_embodied import accelerator_impact, constants_of_parts, wafer_mm2
from tests.vectors.files import REFERENCE, read
from tests.vectors.tables import one

DAY = ibis.date(2026, 1, 1)
DDR3 = {"Sandy Bridge", "Ivy Bridge"}
DDR5 = {"Genoa", "Graviton3", "Graviton3E", "Graviton4", "Sapphire Rapids", "Emerald Rapids", "Granite Rapids"}
ASSUMPTIONS = (
    "ram_gb_per_cm2", "ssd_gb_per_cm2", "psu_units", "psu_kg", "other_share", "ssd_watts", "hdd_watts",
    *(f"ddr{generation}_{end}_watts_per_gb" for generation in (3, 4, 5) for end in ("idle", "full")),
)  # fmt: skip
OF_THE_PLATFORM = ("psu_units", "psu_kg")  # a platform's own row says them
BOUNDS = ("", "_min", "_max")
CRITERIA = {"GWP": "gwp", "PE": "pe", "ADPe": "adp"}
GENERIC_CARD = {"casing": 0.79, "heatsink": 0.9, "pwb": 296.0, "die_mm2": 814.0, "kg": 1.69, "vram_dies": 6.0, "boat_km": 19000.0, "truck_km": 1000.0}
MM2_PER_VRAM_GB = 15.5
# board in cm2, die in mm2 (makers' product briefs and architecture papers), memory in GB, its dies; weights in kg: casing, heatsink, card
CARDS = {
    "a100": {"pwb": 234.36, "wafer_mm2": 1798.0, "vram_gb": 40.0, "casing": 0.387, "heatsink": 0.609, "kg": 1.23},
    "h100": {"pwb": 296.37, "wafer_mm2": 2810.4, "vram_gb": 80.0},
    "v100s": {"pwb": 234.36, "die_mm2": 815.0, "vram_gb": 32.0, "vram_dies": 4.0, "casing": 0.306, "heatsink": 0.658, "kg": 1.196},
    "v520": {"pwb": 234.36, "die_mm2": 251.0, "vram_gb": 8.0, "vram_dies": 2.0},
    "m60": {"pwb": 234.36, "wafer_mm2": 1895.88, "vram_gb": 16.0, "vram_dies": 32.0, "casing": 0.315, "heatsink": 0.676, "kg": 1.23},
    "mi25": {"pwb": 234.36, "wafer_mm2": 1257.71, "vram_gb": 16.0, "vram_dies": 2.0},
}


def number(text, default=0.0):
    """A plain number; the default where the cell has none or words (`1/8th MI25`)."""
    try:
        return float(text)
    except ValueError:
        return default


def interval(text, default=(0.0, 0.0, 0.0)):
    """`8;6;10` is 8, from 6 to 10; one number is itself at both ends."""
    parts = [float(part) for part in text.split(";")] if text.strip() else list(default)
    return parts * 3 if len(parts) == 1 else parts


@cache
def sheets():
    """All processors' data sheets."""
    return [
        Sheet(row["name"], row["code_name"] or None, row["manufacturer"] or None, row["model_range"] or None, number(row["tdp"], None),
              number(row["cores"], None), number(row["threads"], None), number(row["total_die_size"], None))
        for row in read(REFERENCE / "cpu_specs_boaviztapi.csv")
    ]  # fmt: skip


@cache
def profiles():
    """(maker, range) -> a, b, c, d; the generic one under ("", "")."""
    rows = read(REFERENCE / "cpu_consumption_profiles_boaviztapi.csv")
    return {
        (row["manufacturer"], row["model_range"].replace("DEFAULT", "")): (float(row["a"]), float(row["b"]), float(row["c"]), float(row["d"])) for row in rows
    }


@cache
def tdp_curve(duck_table):
    keys = {f"tdp_share_{load}": float(load) for load in (0, 10, 50, 100)}
    row = coefficients_of(duck_table, "teads", tuple(keys), DAY).to_pyarrow().to_pylist()[0]
    return tuple((load, row[key]) for key, load in keys.items())


@cache
def processor(name, cores_said, mm2_per_core, curve):
    """Columns of one processor by the name and what the platform says of it."""
    sheet = found(name, sheets())
    cores = (sheet.cores if sheet and sheet.cores else None) or cores_said
    area = die_area(sheet, cores, sheets())
    mm2 = (area.value, area.low, area.high)
    if mm2_per_core and cores_said and not (sheet and sheet.die_mm2):
        mm2 = (mm2_per_core * cores_said,) * 3
    a, b, c, d = fitted_profile(range_profile(sheet, profiles()), sheet.tdp_watts if sheet else None, curve)
    family = sheet.family if sheet else None
    memory = "DDR3" if family in DDR3 else "DDR5" if family in DDR5 else "DDR4"
    known = {"threads": sheet.threads if sheet else None, "memory_generation": memory, "a": a, "b": b, "c": c, "d": d}
    return known | {f"die_mm2{bound}": size for bound, size in zip(BOUNDS, mm2, strict=True)}


def platform(row, curve):
    """One platform with its parts; the processor's own thread count goes before the platform's."""
    known = processor(row["CPU.name"].strip(), interval(row["CPU.core_units"])[0], number(row["CPU.die_size_per_core"], None), curve)
    made = {"platform_id": row["id"].strip(), **known, "threads": known["threads"] or number(row["CPU.threads"])}
    made["cpu_units"] = interval(row["CPU.units"], (1.0, 1.0, 1.0))[0]
    named = {
        "ram_units": "RAM.units", "ram_gb": "RAM.capacity", "ssd_units": "SSD.units", "ssd_drive_gb": "SSD.capacity", "hdd_units": "HDD.units",
        "hdd_drive_gb": "HDD.capacity", "psu_units": "POWER_SUPPLY.units", "psu_kg": "POWER_SUPPLY.unit_weight", "lifetime_hours": "USAGE.hours_life_time",
    }  # fmt: skip
    for name, column in named.items():
        made |= {f"{name}{bound}": figure for bound, figure in zip(BOUNDS, interval(row[column]), strict=True)}
    return made


def platforms(reference):
    """All platforms of the reference."""
    curve = tdp_curve(reference("server_coefficient"))
    rows = [platform(row, curve) for row in read(REFERENCE / "server_platform_archetypes_boaviztapi.csv") if interval(row["RAM.units"])[0]]
    return ibis.memtable(rows, schema={name: "string" if name in ("platform_id", "memory_generation") else "float64" for name in rows[0]})


def card_of(name):
    words = name.lower().replace("radeon pro ", "").split()
    return next((CARDS[word] for word in words if word in CARDS), None)


@cache
def card_impacts(name, vram_gb):
    """criterion -> impact of one accelerator: of its own sheet, else of the generic card with the memory the platform states."""
    factors = {(row["component"], row["criterion"]): float(row["value"]) for row in read(REFERENCE / "server_component_factors_boaviztapi.csv") if row["component"].startswith("gpu")}
    given = GENERIC_CARD | ({"vram_gb": vram_gb or 80.0} if card_of(name) is None else card_of(name))
    row = one(die=given["die_mm2"], vram_die=given["vram_gb"] * MM2_PER_VRAM_GB / given["vram_dies"], **{key: given[key] for key in ("casing", "heatsink", "pwb", "kg")})
    die = ibis.literal(given["wafer_mm2"]) if "wafer_mm2" in given else wafer_mm2(row.die)

    def impact(criterion):
        def part(component):
            return factors[f"gpu.{component}", criterion]

        transport = row.kg * (given["boat_km"] * part("transport_boat") + given["truck_km"] * part("transport_truck"))
        return accelerator_impact(
            row.casing * part("casing"), row.heatsink * part("heatsink"), row.pwb * part("pwb"), die * part("gpu"),
            wafer_mm2(row.vram_die) * given["vram_dies"] * part("vram"), row.kg * part("upstream_transport"), transport, row.kg * part("end_of_life"),
        )  # fmt: skip

    return row.select(**{criterion: impact(key) for criterion, key in CRITERIA.items()}).to_pyarrow().to_pylist()[0]


def instances(wanted, duck=None):
    """Rows (provider, instance_type, load_pct) with their specs and, per criterion, the accelerator of their platform."""
    archetypes = {row["id"].strip(): row for row in read(REFERENCE / "server_platform_archetypes_boaviztapi.csv")}
    specs = {(row["provider"], row["id"]): row for row in read(REFERENCE / "cloud_instance_specs_boaviztapi.csv")}
    rows = []
    for provider, instance_type, load in wanted:
        spec = specs[provider, instance_type]
        home = archetypes[spec["platform"].strip()]
        card = card_impacts(home["GPU.name"].strip(), number(home["GPU.vram"]))
        units = number(spec["gpu_units"], pieces(spec["gpu_units"]))
        rows.append({
            "provider": provider, "instance_type": instance_type, "platform_id": spec["platform"].strip(), "load_pct": load, "vcpu": number(spec["vcpu"]),
            "memory_gb": number(spec["memory"]), "ssd_gb": number(spec["ssd_storage"]), "hdd_gb": number(spec["hdd_storage"]), "gpu_units": units,
            **{f"card_{criterion}": impact for criterion, impact in card.items()},
        })  # fmt: skip
    texts = ("provider", "instance_type", "platform_id")
    return ibis.memtable(rows, schema={name: "string" if name in texts else "float64" for name in rows[0]}).distinct()


def pieces(words):
    """`2X M60` is two cards, `1/8th MI25 (2GB VRAM)` an eighth."""
    head = words.split("X ")[0].split("th ")[0] if words else "0"
    over, _bar, under = head.partition("/")
    return number(over) / (number(under, 1.0) if under else 1.0)


def components(reference):
    """Constants of all parts per criterion."""
    return constants_of_parts(reference("server_component"), DAY)


def assumptions(reference):
    """What a platform's own row does not say."""
    known = coefficients_of(reference("server_coefficient"), "boavizta", ASSUMPTIONS, DAY)
    return known.drop(*(f"{name}{bound}" for name in OF_THE_PLATFORM for bound in BOUNDS))


def grid(location, criterion):
    """Impact of a kWh at a location in the peer's table."""
    key = {"gwp": "gwp", "pe": "pe", "adp": "adpe"}[criterion]
    rows = [row for row in read(REFERENCE / "grid_multicriteria_boaviztapi.csv") if row["location"] == location and row["criterion"] == key]
    return float(rows[0]["value_per_kwh"])
