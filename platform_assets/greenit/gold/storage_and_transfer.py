"""Energy and embodied impacts of stored and moved bytes, and of usage known by its cost only (formula A5 of docs/method.md).

What belongs here: GB-months, GB and money to kWh or kg. What does not: which meter is which (parameters/), instance hours (use_phase.py).
"""
import ibis.expr.types as ir

GB_PER_TB = 1000.0
WH_PER_KWH = 1000.0


def storage_kwh(tb_hours: ir.NumericValue, wh_per_tb_hour: ir.NumericValue, replication: ir.NumericValue) -> ir.NumericValue:
    """IT energy of storage: TB-hours × Wh per TB and hour × copies / 1000. SSD 1.2, HDD 0.65 Wh/TBh (Cloud Carbon Footprint)."""
    return tb_hours * wh_per_tb_hour * replication / WH_PER_KWH


def tb_hours(gb_months: ir.NumericValue, hours_in_month: ir.NumericValue, gb_per_tb: ir.NumericValue | float = GB_PER_TB) -> ir.NumericValue:
    """GB-months as TB-hours. Providers bill GB of 2^30 bytes and TB of 2^40; pass 1024 where the meter says GiB."""
    return gb_months * hours_in_month / gb_per_tb


def transfer_kwh(gb: ir.NumericValue, kwh_per_gb: ir.NumericValue) -> ir.NumericValue:
    """Energy of moved GB. The segment decides the coefficient (inside a region 0.001, between regions 0.0015, internet 0.059 kWh/GB): they are
    different stretches of network, not disagreements."""
    return gb * kwh_per_gb


def storage_embodied_kgco2e(
    server_kgco2e: ir.NumericValue, drive_share: ir.NumericValue, hours: ir.NumericValue, lifetime_hours: ir.NumericValue
) -> ir.NumericValue:
    """Share of a storage server's manufacture that some volume carries over `hours`: straight line over its life (Scaleway's published example)."""
    return server_kgco2e * drive_share * hours / lifetime_hours


def ssd_kgco2e_per_gb(kgco2e_per_cm2: ir.NumericValue, gb_per_cm2: ir.NumericValue, base_kgco2e: ir.NumericValue, drive_gb: ir.NumericValue) -> ir.NumericValue:
    """Manufacture of flash storage per GB: die area by density, and the drive's base spread over its capacity (UBA Texte 94/2021)."""
    return kgco2e_per_cm2 / gb_per_cm2 + base_kgco2e / drive_gb


def kwh_by_cost(cost: ir.NumericValue, known_cost: ir.NumericValue, known_kwh: ir.NumericValue) -> ir.NumericValue:
    """Energy of usage whose kind is unknown: the kWh per money of the same service and unit, else of the unit. NULL when nothing is known.

    A division by a known cost of 0 has no meaning: NULL, never 0.
    """
    return cost * known_kwh / known_cost.nullif(0)
