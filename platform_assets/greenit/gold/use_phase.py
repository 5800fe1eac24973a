"""Electricity of the use phase (formulas A2 and A5 of docs/method.md).

What belongs here: energy. What does not: factor values, impacts (contribution.py).
"""

import ibis.expr.types as ir

from platform_assets.greenit.gold.embodied import DAYS_PER_YEAR

WATTS_PER_KILOWATT = 1000.0


def device_kwh(quantity: ir.Value, kwh_per_year: ir.Value, days: ir.Value, usage_rate: ir.Value) -> ir.Value:
    """IT energy of devices over `days`, kWh."""
    return quantity * kwh_per_year * days / DAYS_PER_YEAR * usage_rate


def instance_kwh_per_hour(vcpu: ir.Value, watts_per_vcpu: ir.Value, gpu_count: ir.Value, watts_per_gpu: ir.Value) -> ir.Value:
    """IT energy of one hour of an instance, kWh: vCPU × W + GPU × W (Cloud Carbon Footprint)."""
    return (vcpu * watts_per_vcpu + gpu_count * watts_per_gpu) / WATTS_PER_KILOWATT


def watts_at(load: ir.Value, min_watts: ir.Value, max_watts: ir.Value) -> ir.Value:
    """Power between idle and full load, W (Cloud Carbon Footprint)."""
    return min_watts + load * (max_watts - min_watts)


def instance_embodied_kgco2e_per_hour(server_kgco2e: ir.Value, vcpu: ir.Value, server_vcpu: ir.Value, lifetime_hours: ir.Value) -> ir.Value:
    """The server's embodied impact for one hour of the instance's share of its vCPUs (SCI: TE × TS × RS), kgCO2e."""
    return server_kgco2e * vcpu / server_vcpu / lifetime_hours


def electricity_kwh(energy_kwh: ir.Value, pue: ir.Value) -> ir.Value:
    """Electricity taken for IT energy: E × PUE, kWh. PUE is 1 outside datacentres."""
    return energy_kwh * pue
