"""The requests that BoaviztAPI was given, computed by our formulas: servers by configuration, terminals by item, cloud instances by type."""

from urllib.parse import parse_qs, urlparse

import ibis

from platform_assets.greenit.gold import server_embodied
from platform_assets.greenit.gold.compute_power import average_kwh
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.embodied import hourly_share
from platform_assets.greenit.gold.instance_footprint import embodied_per_hour, watts_at_load
from platform_assets.greenit.gold.use_phase import electricity_kwh
from tests.vectors import peer_servers
from tests.vectors.files import REFERENCE, read
from tests.vectors.peer_servers import CRITERIA
from tests.vectors.tables import figures, one

ITEMS = {"laptop": "pro", "smartphone": "default", "usb_stick": "default", "external_ssd": "default", "external_hdd": "default"}  # the API's own defaults


def boaviztapi_device(case, reference):
    """The answer to one request: `embedded.gwp`, `embedded.gwp.min`, `use.pe`, …"""
    url, body = urlparse(case["url"]), case["body"]
    kind = url.path.rstrip("/").rsplit("/", 1)[-1]
    duration = parse_qs(url.query).get("duration", [None])[0]
    if kind in ITEMS:
        return terminal(kind, duration)
    configuration = {kind: [body] if kind == "ram" else body} if kind in ("cpu", "ram", "power_supply") else body["configuration"]
    answer = {}
    for criterion, key in CRITERIA.items():
        ends = {"": "", ".min": "_min", ".max": "_max"} if kind == "server" else {"": ""}
        for suffix, bound in ends.items():
            row = one(hours=float(duration or 0), lifetime=body.get("usage", {}).get("hours_life_time"), whole=1).cross_join(parts_of(reference, criterion))
            share = hourly_share(row.hours, row.lifetime) if duration else row.whole
            impact = configured(row, configuration, body.get("model", {}), criterion, bound) if kind == "server" else part(row, configuration)
            answer |= {f"embedded.{key}{suffix}": figures(row, figure=impact * share)["figure"]}
        if "usage" in body:
            used = one(watts=body["usage"]["avg_power"], hours=float(duration), factor=peer_servers.grid(body["usage"]["usage_location"], key), pue=1)
            answer |= figures(used, **{f"use.{key}": impact_of(electricity_kwh(average_kwh(used.watts, used.hours), used.pue), used.factor)})
    return answer


def parts_of(reference, criterion):
    parts = peer_servers.components(reference)
    return parts.filter(parts.criterion == criterion)


def part(row, configuration):
    """One kind of component of a request."""
    if cpu := configuration.get("cpu"):
        return server_embodied.processors_impact(ibis.literal(cpu.get("units", 1)), ibis.literal(cpu["core_units"] * cpu["die_size_per_core"]), row.cpu_per_mm2, row.cpu_base)
    if supply := configuration.get("power_supply"):
        return server_embodied.power_supplies_impact(ibis.literal(supply.get("units", 1)), ibis.literal(supply["unit_weight"]), row.psu_per_kg)
    return sum(
        server_embodied.memory_impact(ibis.literal(ram["units"]), ibis.literal(ram["capacity"]), ibis.literal(ram["density"]), row.ram_per_cm2, row.ram_base)
        for ram in configuration["ram"]
    )


def configured(row, configuration, model, criterion, bound):
    """A server by its parts; without a stated form the case is either, and the end of the interval takes the smaller or larger."""
    drives = configuration["disk"]
    flash = sum(
        server_embodied.memory_impact(ibis.literal(disk["units"]), ibis.literal(disk["capacity"]), ibis.literal(disk["density"]), row.ssd_per_cm2, row.ssd_base)
        for disk in drives if disk["type"] == "ssd"
    )  # fmt: skip
    disks = row.hdd * float(sum(disk["units"] for disk in drives if disk["type"] == "hdd"))
    either = {"": row.case_rack, "_min": ibis.least(row.case_rack, row.case_blade), "_max": ibis.greatest(row.case_rack, row.case_blade)}
    cards = configuration.get("gpu", {"units": 0})
    accelerators = cards["units"] * peer_servers.card_impacts("", float(cards.get("vram", 0)))[criterion]
    return server_embodied.server_impact(
        part(row, {"cpu": configuration["cpu"]}), part(row, {"ram": configuration["ram"]}), flash, disks, part(row, {"power_supply": configuration["power_supply"]}),
        row.case_rack if model.get("type") == "rack" else either[bound], row.motherboard, row.assembly, ibis.literal(float(accelerators)),
    )  # fmt: skip


def terminal(item, duration):
    """An item's embodied impact, whole or for the hours of the request."""
    factor = next(row for row in read(REFERENCE / "equipment_embedded_boaviztapi.csv") if (row["item"], row["subtype"], row["criterion"]) == (item, ITEMS[item], "gwp"))
    life = next(row for row in read(REFERENCE / "terminal_usage_archetypes_boaviztapi.csv") if row["device_type"] == item)["USAGE.hours_life_time"]
    row = one(factor=float(factor["value"]), hours=float(duration or life), life=float(life))
    return figures(row, **{"embedded.gwp": impact_of(hourly_share(row.hours, row.life), row.factor)})


def boaviztapi_cloud(case, reference):
    """One hour of one instance: ends of the interval."""
    body = case["body"]
    load, location = float(body["usage"]["time_workload"]), body["usage"]["usage_location"]
    instances = peer_servers.instances([(body["provider"], body["instance_type"], load)])
    platforms, assumptions = peer_servers.platforms(reference), peer_servers.assumptions(reference)
    watts = watts_at_load(instances, platforms, assumptions).to_pyarrow().to_pylist()[0]
    answer = {}
    for criterion, key in CRITERIA.items():
        priced = instances.mutate(accelerator=instances[f"card_{criterion}"])
        embodied = embodied_per_hour(priced, platforms, parts_of(reference, criterion), assumptions).to_pyarrow().to_pylist()[0]
        for end in ("min", "max"):
            answer[f"embedded.{key}.{end}"] = embodied[f"embodied_{end}"]
            answer[f"use.{key}.{end}"] = impact_of(average_kwh(watts[f"watts_{end}"], 1.0), peer_servers.grid(location, key))
    return answer
