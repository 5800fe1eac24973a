"""Processors by name: die area, threads, memory generation and consumption profile, once per distinct name.

What belongs here: finding what a data sheet leaves out. What does not: formulas per row (compute_power.py, server_embodied.py) and the data sheets
themselves. Plain Python: there are hundreds of names, and a million machines then join the result.
"""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

Profile = tuple[float, float, float, float]
GENERIC = ""  # the profile of processors whose range has none
BOUND = 2.0  # a profile is refitted within ± 200 % of the one of its range


@dataclass(frozen=True)
class Sheet:
    """A processor's data sheet; None where it does not say."""

    name: str
    family: str | None = None
    manufacturer: str | None = None
    model_range: str | None = None
    tdp_watts: float | None = None
    cores: float | None = None
    threads: float | None = None
    die_mm2: float | None = None


@dataclass(frozen=True)
class Interval:
    """A figure with its lowest and highest value."""

    value: float
    low: float
    high: float


def found(name: str, sheets: Sequence[Sheet]) -> Sheet | None:
    """The sheet of a processor: the same words in any order and case, else the first one that has all of its words or whose words it has."""
    words = frozenset(name.lower().split())
    if not words:
        return None
    spelled = [(frozenset(sheet.name.lower().split()), sheet) for sheet in sheets]
    same = [sheet for known, sheet in spelled if known == words]
    return next(iter(same or [sheet for known, sheet in spelled if known <= words or words <= known]), None)


def die_area(sheet: Sheet | None, cores: float, sheets: Sequence[Sheet]) -> Interval:
    """mm² of a processor's dies: its own, else of its family (else of all) with as many cores, else by regression on cores.

    The mean of the others is the value, their smallest and largest the interval: what is missing shows as width, not as precision.
    """
    if sheet and sheet.die_mm2:
        return Interval(math.floor(sheet.die_mm2), math.floor(sheet.die_mm2), math.floor(sheet.die_mm2))
    known = [other for other in sheets if other.die_mm2 and other.cores]
    family = [other for other in known if sheet and sheet.family and other.family == sheet.family] or known
    areas = [float(other.die_mm2) for other in family if other.cores == cores and other.die_mm2]
    if areas:
        return Interval(fmean(areas), min(areas), max(areas))
    counts, sizes = np.array([float(other.cores or 0) for other in family]), np.array([float(other.die_mm2 or 0) for other in family])
    if np.ptp(counts) == 0:
        scaled = sizes * cores / counts[0]
        return Interval(float(scaled[0]), float(scaled.min()), float(scaled.max()))
    slope, base = np.polyfit(counts, sizes, 1)
    area = float(base + slope * cores)
    return Interval(area, area, area)


def range_profile(sheet: Sheet | None, profiles: Mapping[tuple[str, str], Profile]) -> Profile:
    """The consumption profile measured for the processor's range (Xeon Gold, …), else the generic one."""
    key = (sheet.manufacturer or "", sheet.model_range or "") if sheet else ("", GENERIC)
    return profiles.get(key, profiles["", GENERIC])


def fitted_profile(base: Profile, tdp_watts: float | None, tdp_curve: Sequence[tuple[float, float]]) -> Profile:
    """a, b, c, d of W = a ln(b (load + c)) + d, refitted by least squares from `base` to the thermal design power at the loads of the curve.

    Four parameters on four points are not unique; starting at the range's profile and staying within ± 200 % of it makes them so (BoaviztAPI).
    Without a known TDP the range's own profile stays.
    """
    if not tdp_watts:
        return base

    floors = (0.0, 0.0, 0.0, -math.inf)
    low = [max(floor, at - abs(BOUND * at)) for floor, at in zip(floors, base, strict=True)]
    high = [at + abs(BOUND * at) for at in base]
    from scipy.optimize import least_squares  # 0.3 CPU s that loading a code location need not pay

    loads, shares = np.array([load for load, _ in tdp_curve]), np.array([share for _, share in tdp_curve])

    def misses(parameters: np.ndarray) -> np.ndarray:
        a, b, c, d = parameters
        return a * np.log(b * (loads + c)) + d - tdp_watts * shares

    a, b, c, d = (float(parameter) for parameter in least_squares(misses, base, bounds=(low, high)).x)
    return a, b, c, d
