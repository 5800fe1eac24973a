"""Fictional devices of ordinary kinds, and the arithmetic that spreads them.

What belongs here: kinds, invented makers and models, round figures. What does not: factors or lifetimes (parameters/).
"""
from __future__ import annotations

import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device as an inventory names it. `kwh` per year and `price` of one piece are round figures of ours."""

    kind: str
    maker: str
    model: str
    kwh: float
    price: float
    is_datacentre: bool = False


DEVICES = (
    Device("laptop", "Kestrel", "Kestrel 14 G3", 32, 1150),
    Device("laptop", "Kestrel", "Kestrel 16 Pro", 41, 1890),
    Device("laptop", "Norrland", "Fjell Air", 27, 1340),
    Device("desktop", "Norrland", "Tower N5", 118, 820),
    Device("desktop", "Kestrel", "Mini D2", 64, 640),
    Device("workstation", "Norrland", "Render W9", 390, 4200),
    Device("monitor", "Oculta", "View 24", 44, 189),
    Device("monitor", "Oculta", "View 27 UHD", 61, 349),
    Device("smartphone", "Pica", "Pica 6", 4, 520),
    Device("smartphone", "Pica", "Pica 6 Mini", 3, 390),
    Device("tablet", "Pica", "Slate 11", 9, 610),
    Device("printer", "Gutenwerk", "Laser 400", 145, 480),
    Device("docking station", "Kestrel", "Dock C", 18, 160),
    Device("ip phone", "Telario", "Desk 300", 22, 95),
    Device("projector", "Oculta", "Beam 3", 120, 760),
    Device("server", "Norrland", "Rack 1U R2", 2450, 5600, True),
    Device("server", "Kestrel", "Rack 2U S4", 3900, 9800, True),
    Device("storage array", "Norrland", "Vault 24", 4100, 21000, True),
    Device("switch", "Telario", "Core 48", 860, 3100, True),
    Device("access point", "Telario", "Air 6", 96, 310),
)


def mixed(*parts: object) -> int:
    """A whole number that looks random and is the same everywhere: CRC-32 of the parts' text."""
    return zlib.crc32("/".join(map(str, parts)).encode())
