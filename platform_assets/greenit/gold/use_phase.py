"""Electricity of the use phase (formulas A2 and A5 of docs/method.md).

What belongs here: energy and its impact. What does not: factor values.
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


def electricity_impact(energy_kwh: ir.Value, pue: ir.Value, grid_factor_per_kwh: ir.Value) -> ir.Value:
    """E × PUE × EF, in the grid factor's unit. PUE is 1 outside datacentres."""
    return energy_kwh * pue * grid_factor_per_kwh


def sci_server_kgco2e(
    vcpu: ir.Value, memory_gb: ir.Value, ssd: ir.Value, hdd: ir.Value, gpu: ir.Value
) -> ir.Value:
    """Embodied server by the Software Carbon Intensity model (Davy 2021): 1,000 kg, 100 per further CPU, 533/384 per GB over 16, 50 per SSD,
    100 per HDD, 150 per accelerator; kgCO2e."""
    return 1000.0 + 100.0 * (vcpu - 1) + 533.0 / 384.0 * (memory_gb - 16) + 50.0 * ssd + 100.0 * hdd + 150.0 * gpu
