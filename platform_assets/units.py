"""Units as data: what a unit of a figure is in base units, so that a label alone never costs a factor (MJ for kWh made a peer 3.6 times too low).

What belongs here: reading a unit's text, its scale and dimensions. What does not: which unit a figure must have (its contract), money (no fixed scale).

Written for the few units that figures have, instead of a library: `kgCO2e`, `kgSbeq`, `vCPU` and `token` are things to count, not physics, and each
stays a dimension of its own, so that kilograms of one never add to kilograms of another.
"""

from __future__ import annotations

from dataclasses import dataclass

from partitions.errors import ParameterError

SCALES: dict[str, tuple[float, str]] = {  # name -> how many of which base unit
    "kgCO2e": (1.0, "kgCO2e"), "gCO2e": (1e-3, "kgCO2e"), "tCO2e": (1e3, "kgCO2e"), "kgSbeq": (1.0, "kgSbeq"), "molH+eq": (1.0, "molH+eq"),
    "J": (1.0, "J"), "MJ": (1e6, "J"), "Wh": (3.6e3, "J"), "kWh": (3.6e6, "J"), "MWh": (3.6e9, "J"), "W": (1.0, "J/s"), "kW": (1e3, "J/s"),
    "s": (1.0, "s"), "h": (3600.0, "s"), "d": (86_400.0, "s"), "month": (30.4375 * 86_400, "s"), "year": (365.25 * 86_400, "s"),
    "B": (1.0, "B"), "GB": (1e9, "B"), "GiB": (2.0**30, "B"), "TB": (1e12, "B"), "TiB": (2.0**40, "B"), "bit": (0.125, "B"),
    "m": (1.0, "m"), "mm": (1e-3, "m"), "cm": (1e-2, "m"), "km": (1e3, "m"), "kg": (1.0, "kg"), "g": (1e-3, "kg"), "t": (1e3, "kg"),
    "L": (1e-3, "m3"), "m3": (1.0, "m3"), "share": (1.0, ""), "ratio": (1.0, ""), "%": (1e-2, ""), "1": (1.0, ""),
    "item": (1.0, "item"), "copy": (1.0, "item"), "vCPU": (1.0, "vCPU"), "GPU": (1.0, "GPU"), "token": (1.0, "token"), "request": (1.0, "request"),
    "user": (1.0, "user"), "person": (1.0, "person"), "line": (1.0, "line"), "visit": (1.0, "visit"), "message": (1.0, "message"), "FTE": (1.0, "FTE"),
}  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """A scale and the powers of base units, in order of name."""

    scale: float
    powers: tuple[tuple[str, int], ...]


def unit(text: str, *, per: str | None = None) -> Unit:
    """The unit that `text` spells, `kWh/GB` or `kgCO2e/item-year`, and what one figure is `per`. ParameterError for a name that nobody knows."""
    over, *under = text.split("/")
    scale, powers = 1.0, dict[str, int]()
    for names, sign in [(over, 1), *((part, -1) for part in [*under, *([per] if per else [])])]:
        for name in names.split("-"):
            scale *= scale_of(name, sign, powers)
    return Unit(scale, tuple(sorted((base, power) for base, power in powers.items() if power)))


def scale_of(name: str, sign: int, powers: dict[str, int]) -> float:
    """Adds the base units of one name to `powers`, with `sign`; returns its scale."""
    plain, exponent = (name[:-1], int(name[-1])) if name not in SCALES and name[-1:] in "23" and name[:-1] in SCALES else (name, 1)
    if plain not in SCALES:
        raise ParameterError(f"{name!r} is no unit that Strata knows", fix="correct it, or add it to platform_assets/units.py with its scale")
    scale, bases = SCALES[plain]
    for place, base in enumerate(bases.split("/")):
        if base:
            powers[base] = powers.get(base, 0) + sign * exponent * (1 if place == 0 else -1)
    return float(scale ** (sign * exponent))


def converted(value: float, of: str, to: str) -> float:
    """`value` of one unit in another. ParameterError where they measure different things."""
    one, other = unit(of), unit(to)
    if one.powers != other.powers:
        raise ParameterError(f"{of!r} and {to!r} do not measure the same thing", fix="compare figures of one kind")
    return value * one.scale / other.scale
