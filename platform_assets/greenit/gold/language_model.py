"""Impacts of requests to language models by generated tokens: EcoLogits 0.11 (formula A6 of docs/method.md).

What belongs here: tokens to seconds, kWh and kg of a request: what the rows of parameters/language_model.csv that are "recomputed" were made by, so that
an asset multiplies tokens by a figure. What does not: the model's coefficients `c`, by their keys in
parameters/language_model_coefficient.csv. Parameter counts are in billions; the batch is the requests that share the accelerators.
"""
from collections.abc import Mapping

import ibis.expr.types as ir

from platform_assets.greenit.gold.limits import at_most

SECONDS_PER_HOUR = 3600.0
WH_PER_KWH = 1000.0
Coefficients = Mapping[str, ir.NumericValue]


def generation_seconds(tokens: ir.NumericValue, active_parameters: ir.NumericValue, measured_seconds: ir.NumericValue, c: Coefficients) -> ir.NumericValue:
    """Seconds that the accelerators work: linear in active parameters and batch, never more than the measured time, where one is."""
    per_token = c["seconds_per_parameter"] * active_parameters + c["seconds_per_batch"] * c["batch"] + c["seconds_base"]
    return at_most(tokens * per_token, measured_seconds)


def gpus_for(total_parameters: ir.NumericValue, c: Coefficients) -> ir.NumericValue:
    """Accelerators that hold all parameters, with the overhead of serving."""
    return (c["memory_overhead"] * total_parameters * c["bits_per_parameter"] / 8.0 / c["gpu_memory_gb"]).ceil()


def gpu_kwh(tokens: ir.NumericValue, active_parameters: ir.NumericValue, c: Coefficients) -> ir.NumericValue:
    """kWh of one accelerator for the tokens of one request: a × exp(b × batch) × parameters + base, Wh per token."""
    per_token_wh = c["gpu_wh_per_parameter"] * (c["gpu_batch_exponent"] * c["batch"]).exp() * active_parameters + c["gpu_wh_base"]
    return tokens * per_token_wh / WH_PER_KWH


def server_kwh(seconds: ir.NumericValue, gpus: ir.NumericValue, c: Coefficients) -> ir.NumericValue:
    """kWh of the server around the accelerators, shared by the batch."""
    return seconds / SECONDS_PER_HOUR * c["server_kw_without_gpu"] * gpus / c["gpus_per_server"] / c["batch"]


def request_it_kwh(
    tokens: ir.NumericValue, active_parameters: ir.NumericValue, gpus: ir.NumericValue, seconds: ir.NumericValue, c: Coefficients
) -> ir.NumericValue:
    """IT energy of a request, kWh, before PUE."""
    return gpus * gpu_kwh(tokens, active_parameters, c) + server_kwh(seconds, gpus, c)


def request_embodied(
    seconds: ir.NumericValue, gpus: ir.NumericValue, per_server: ir.NumericValue, per_gpu: ir.NumericValue, c: Coefficients
) -> ir.NumericValue:
    """Manufacture of the accelerators and of their share of the server over its life, shared by the batch; in the unit of `per_server` and `per_gpu`."""
    return seconds * (gpus / c["gpus_per_server"] * per_server + gpus * per_gpu) / (c["lifetime_seconds"] * c["batch"])
