"""Electricity of servers from their load, where no meter says it (formula A2 of docs/method.md).

What belongs here: watts of processors, memory and hosts at a load, and their kWh. What does not: coefficients (parameters/server_coefficient.csv),
cloud meters (storage_and_transfer.py), impacts of the electricity (use_phase.py).
"""
from collections.abc import Sequence

import ibis
from ibis.expr.types import NumericValue as Number

from platform_assets.greenit.gold.limits import at_least, at_most
from platform_assets.greenit.gold.use_phase import WATTS_PER_KILOWATT, watts_at

MIN_CPU_WATTS = 1.0


def on_curve(at: Number, points: Sequence[tuple[float, Number | float]]) -> Number:
    """Straight lines between points (x, y) in order of x; outside of them the nearest end, because no processor is idler than idle."""
    x = at_least(at_most(at, points[-1][0]), points[0][0])
    lines = [
        (x <= high, at_low + (x - low) * (at_high - at_low) / (high - low)) for (low, at_low), (high, at_high) in zip(points, points[1:], strict=False)
    ]
    return ibis.cases(*lines)


def profile_watts(load_pct: Number, a: Number, b: Number, c: Number, d: Number) -> Number:
    """W of one processor: a × ln(b × (load + c)) + d, load in % (Boavizta consumption profile), never below 1 W."""
    return at_least(a * (b * (load_pct + c)).ln() + d, MIN_CPU_WATTS)


def memory_watts(gb: Number, load: Number, idle_watts_per_gb: Number, full_watts_per_gb: Number) -> Number:
    """W of memory: GB × the line between idle and full W/GB at `load` (0 to 1). Idle is two thirds of full: installed memory is never free."""
    return gb * watts_at(load, idle_watts_per_gb, full_watts_per_gb)


def pieces_for(amount: Number, amount_per_piece: Number) -> Number:
    """Whole pieces that an amount needs: drives or modules for GB, processors for vCPUs."""
    return (amount / amount_per_piece).ceil()


def host_watts(cpu_watts: Number, ram_watts: Number, other_share: Number, drive_watts: Number) -> Number:
    """W of a host: (processors + memory) × (1 + share of fans, board and power supply) + drives (BoaviztAPI 2.5).

    The loss of the power supply is inside `other_share`: a further factor for it would count it twice.
    """
    return (cpu_watts + ram_watts) * (1.0 + other_share) + drive_watts


def average_kwh(average_watts: Number, hours: Number) -> Number:
    """kWh of a measured mean power, which goes before any model."""
    return average_watts * hours / WATTS_PER_KILOWATT
