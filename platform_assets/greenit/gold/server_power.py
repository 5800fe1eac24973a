"""Electricity of inventoried servers whose processors are known, where no meter says it (formula A2 of docs/method.md).

What belongs here: from a line's processors, memory, drives and load to kWh. What does not: formulas (compute_power.py), coefficients
(parameters/server_coefficient.csv), metered or declared energy (equipment_activity.py).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.compute_power import average_kwh, host_watts, memory_watts, on_curve, pieces_for
from platform_assets.greenit.gold.embodied import DAYS_PER_YEAR
from platform_assets.greenit.gold.in_force import NEWEST, coefficients_of
from platform_assets.greenit.gold.server_configuration import SERVER

LOADS = (0, 10, 50, 100)
HOURS_PER_YEAR = DAYS_PER_YEAR * 24.0
KEYS = ("other_share", "ssd_watts", "hdd_watts", "ssd_gb_per_drive", "ddr4_idle_watts_per_gb", "ddr4_full_watts_per_gb", "load_pct")
ASKED = ("item_key", "cpu_units", "cpu_tdp_watts", "ram_gb", "ssd_gb", "hdd_units", "cpu_pct")
ENDS = ("", "_min", "_max")


def with_server_power(lived: ir.Table, server_coefficient: ir.Table) -> ir.Table:
    """Adds `kwh_server`, `kwh_server_min`, `kwh_server_max`: kWh per unit and year; NULL where the processors' number or power is not known,
    and for what is no server.

    The load is the metered mean of the month, else the assumed one, whose range is then in the interval. Memory counts as DDR4.
    """
    servers = lived.filter(_.item_key == SERVER, _.cpu_units > 0, _.cpu_tdp_watts > 0)
    asked = servers.select(*ASKED).distinct()
    curve = coefficients_of(server_coefficient, "teads", tuple(f"tdp_share_{load}" for load in LOADS), NEWEST)
    met = asked.cross_join(coefficients_of(server_coefficient, "boavizta", KEYS, NEWEST)).cross_join(curve)
    points = [(float(load), met[f"tdp_share_{load}"]) for load in LOADS]
    drives = pieces_for(ibis.coalesce(met.ssd_gb, 0.0), met.ssd_gb_per_drive)

    def kwh(end: str) -> ir.Value:
        load = ibis.coalesce(met.cpu_pct, met[f"load_pct{end}"])
        processors = met.cpu_units * met.cpu_tdp_watts * on_curve(load, points)
        memory = memory_watts(ibis.coalesce(met.ram_gb, 0.0), load / 100.0, met.ddr4_idle_watts_per_gb, met.ddr4_full_watts_per_gb)
        spinning = ibis.coalesce(met.hdd_units, 0) * met[f"hdd_watts{end}"]
        watts = host_watts(processors, memory, met[f"other_share{end}"], drives * met[f"ssd_watts{end}"] + spinning)
        return average_kwh(watts, ibis.literal(HOURS_PER_YEAR))

    found = met.select(**{f"{name}_asked": name for name in ASKED}, **{f"kwh_server{end}": kwh(end) for end in ENDS})
    same = [lived[name].identical_to(found[f"{name}_asked"]) for name in ASKED]
    return lived.left_join(found, same).drop(*(f"{name}_asked" for name in ASKED))
