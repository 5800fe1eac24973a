"""BoaviztAPI's archetypes of cloud servers as rows of `cloud_instance_component`, by our formulas (A5 of docs/method.md).

What belongs here: where the wheel keeps what, and shaping rows. What does not: formulas (gold/), shapes of archetypes (server_archetypes.py). The
archetypes are under AGPL-3.0: an installation may compute with them, Strata ships neither them nor what comes of them.
"""
from __future__ import annotations

import ast
import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import yaml

from partitions.errors import ParameterError
from platform_assets.greenit.gold.instance_footprint import embodied_per_hour, watts_at_load
from platform_assets.greenit.gold.server_embodied import constants_of_parts
from platform_assets.greenit.server_archetypes import BOUNDS, CRITERIA, Archetypes, assumptions_of, tdp_curve
from platform_assets.parameter_fetch import Collection, Package, contract_of
from platform_assets.parameters import limits_of, rules_of
from resources.parameter_rules import COMPUTED_FROM_AGPL, EVER
from resources.parameter_state import ParameterState, read_state

PACKAGE = Package("boaviztapi", "2.5.0", "1f0a3b677a247cd9e0f11cb68c87661c4a18285c6754c71c96c0987b7f083cff")
DATA = "boaviztapi/data"
PROVIDERS = {"aws": "aws", "azure": "azure", "gcp": "gcp", "ovhcloud": "ovh", "scaleway": "scaleway"}  # the wheel's -> ours
UNITS = {"kWh": "kWh", "GWP": "kgCO2e", "PE": "MJ", "ADPe": "kgSbeq"}
CARD = {"pwb": "pwb_surface", "wafer_mm2": "die_surface", "vram_gb": "vram", "vram_dies": "number", "casing": "mass_casing", "heatsink": "mass_heatsink",
        "kg": "mass", "boat_km": "distance_boat", "truck_km": "distance_truck"}  # fmt: skip
HALF = 50.0  # per cent of load
ORIGIN = {
    "source": "BoaviztAPI's archetypes of cloud servers, computed by Strata from their parts (Umweltbundesamt, Texte 94/2021)",
    "source_version": f"{PACKAGE.name} {PACKAGE.version}", "licence": COMPUTED_FROM_AGPL, "valid_from": "2000-01-01", "dq_rel": 3, "dq_comp": 3, "dq_tech": 2,
}  # fmt: skip


def archetypes(wheel: Path) -> Archetypes:
    """What a wheel holds. ParameterError where a file or a column is not where this version has it."""
    try:
        with zipfile.ZipFile(wheel) as packed:

            def rows(name: str) -> list[dict[str, str]]:
                return list(csv.DictReader(io.StringIO(packed.read(f"{DATA}/{name}").decode("utf-8-sig"), newline="")))

            generic = next(row for row in rows("archetypes/components/cpu.csv") if row["id"] == "DEFAULT")
            profile = {key: str(figure) for key, figure in ast.literal_eval(generic["CONSUMPTION_PROFILE.params"]).items()}
            factors = yaml.load(packed.read(f"{DATA}/factors.yml"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  a safe loader
            return Archetypes(
                servers=tuple(rows("archetypes/server.csv")),
                instances=tuple({"provider": name, **row} for name in PROVIDERS for row in rows(f"archetypes/cloud/{name}.csv")),
                processors=tuple(rows("crowdsourcing/cpu_specs.csv")),
                profiles=(*rows("consumption_profile/cpu/cpu_profile.csv"), {"manufacturer": "", "model_range": "DEFAULT", **profile}),
                card_parts={(part, criterion): float(said["impact"]) for part, phases in factors["gpu"].items() for said_of in phases.values()
                            for criterion, said in said_of.items()},
                cards={row["name"]: _card(row) for row in rows("crowdsourcing/gpu_specs.csv")},
            )  # fmt: skip
    except (zipfile.BadZipFile, KeyError, StopIteration) as error:
        raise _laid_out_otherwise(wheel, error) from error


def _laid_out_otherwise(wheel: Path, error: Exception) -> ParameterError:
    said = f"{error.args[0]!r} is not there" if isinstance(error, KeyError) else str(error) or "a row is not there"
    return ParameterError(f"the wheel is not laid out as {PACKAGE.name} {PACKAGE.version}: {said}", file=wheel.name, fix="give the pinned version")


def _card(row: dict[str, str]) -> dict[str, float]:
    """What an accelerator's sheet says; its die's surface is already the wafer's behind it."""
    return {ours: float(row[theirs]) for ours, theirs in CARD.items() if row[theirs].strip()}


def instance_rows(wheel: Path, state: ParameterState) -> list[dict[str, Any]]:
    """One row per instance type and criterion, in order; none where a size is unknown, never 0."""
    found = archetypes(wheel)
    day, coefficients = ibis.literal(EVER), _table(state, "server_coefficient")
    try:
        platforms = found.platforms(tdp_curve(coefficients, day))
        instances = found.wanted((row["provider"], row["id"], HALF) for row in found.instances)
    except KeyError as error:
        raise _laid_out_otherwise(wheel, error) from error
    known = assumptions_of(coefficients, day)
    figures: dict[tuple[str, str, str], list[float]] = {}
    for row in watts_at_load(instances, platforms, known).to_pyarrow().to_pylist():
        figures[row["provider"], row["instance_type"], "kWh"] = [row[f"watts{end}"] and row[f"watts{end}"] / 1000.0 for end in BOUNDS]
    parts = constants_of_parts(_table(state, "server_component"), day)
    for criterion in CRITERIA:
        of_it = instances.mutate(accelerator=instances[f"card_{criterion}"])
        for row in embodied_per_hour(of_it, platforms, parts.filter(parts.criterion == criterion), known).to_pyarrow().to_pylist():
            figures[row["provider"], row["instance_type"], criterion] = [row[f"embodied{end}"] for end in BOUNDS]
    named: dict[tuple[str, str], str] = {}
    for row in sorted(found.instances, key=lambda row: row["id"].startswith("standard_")):  # 113 of Azure's stand twice, with that word and without
        named.setdefault((row["provider"], spelled(row["provider"], row["id"])), row["id"])
    return [
        _row(provider, name, criterion, figures[provider, theirs, criterion])
        for (provider, name), theirs in sorted(named.items()) for criterion in UNITS if None not in figures.get((provider, theirs, criterion), [None])
    ]  # fmt: skip


def _table(state: ParameterState, name: str) -> ir.Table:
    made = contract_of(name)
    return ibis.memtable(read_state(state, made.layer, made.spec, limits_of(made), rules_of(made)))


def spelled(provider: str, instance_type: str) -> str:
    """An instance type as silver reads it: `standard_d2s_v5` is `d2s v5`."""
    return instance_type.removeprefix("standard_").replace("_", " ") if provider == "azure" else instance_type


def _row(provider: str, instance_type: str, criterion: str, figures: list[float]) -> dict[str, Any]:
    """Twelve digits say more than the figures do, and are the same on every machine."""
    value, low, high = (f"{figure:.12g}" for figure in (figures[0], min(figures), max(figures)))
    ours = PROVIDERS[provider]
    return {"component_id": f"boavizta:{ours}:{instance_type}:{criterion}", "instance_id": f"{ours}:{instance_type}", "provider": ours,
            "instance_type": instance_type, "criterion": criterion, "value": value, "value_min": low, "value_max": high,
            "unit": UNITS[criterion], "per": "h", **ORIGIN}  # fmt: skip


BOAVIZTAPI = Collection("boaviztapi", "cloud_instance_component", COMPUTED_FROM_AGPL, instance_rows, PACKAGE)
