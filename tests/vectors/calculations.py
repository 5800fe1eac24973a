"""How each group of vectors is computed: its inputs through the formulas that assets use, never a formula of our own here.

A calculation gets the inputs of a case and the session's parameters and returns output -> figure in the unit of the vector.
"""

import ibis
from ibis import _

from platform_assets.greenit.gold import compute_power, electricity_scope2, language_model, sharing, spend, water, web_page
from platform_assets.greenit.gold.cloud_meters import meter_amount, meter_kwh
from platform_assets.greenit.gold.compute_power import average_kwh
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.embodied import DAYS_PER_YEAR, amortised_share, items_carried
from platform_assets.greenit.gold.in_force import coefficients_of
from platform_assets.greenit.gold.limits import at_least
from platform_assets.greenit.gold.server_embodied import processors_impact, server_impact
from platform_assets.greenit.gold.service_activity import service_kwh
from platform_assets.greenit.gold.use_phase import device_kwh, electricity_kwh, instance_embodied_kgco2e_per_hour, instance_kwh_per_hour, watts_at
from platform_assets.greenit.platinum.target_path import linear_target
from tests.vectors.peer_devices import boaviztapi_cloud, boaviztapi_device
from tests.vectors.tables import figures, one

GRAMS, TONNE = 1000.0, 1000.0
DAY = ibis.date(2026, 1, 1)
PEOPLE_GWP_KGCO2E = 851.25  # JRC 2019: one person's sustainable share of a year, in the vector's own formula


def electricity_impact(kwh, pue, factor):
    """As assets make it: the amount is kWh with PUE."""
    return impact_of(electricity_kwh(kwh, pue), factor)


def cloud_compute(case, reference):
    row = one(**case, none=0, hour=1, vcpu=1)
    if "average_watts" in case:
        hourly = average_kwh(row.average_watts, row.hour)
    else:
        watts = watts_at(row.cpu_utilization_pct / 100.0, row.min_watts_per_vcpu, row.max_watts_per_vcpu)
        hourly = instance_kwh_per_hour(row.vcpu, watts, row.none, row.none)
    kwh = meter_kwh(row.vcpu_hours, row.replication_factor, hourly)
    return figures(row, energy=electricity_kwh(kwh, row.pue), co2e=electricity_impact(kwh, row.pue, row.grid_tco2e_per_kwh * TONNE))


def cloud_storage(case, reference):
    row = one(**{name: figure for name, figure in case.items() if name not in ("usage_type", "media")}, hour=1, whole=1)
    if "bls_ratio" in case:
        hourly = instance_embodied_kgco2e_per_hour(row.server_manufacture_kgco2e, row.bls_ratio, row.whole, row.lifespan_hours)
        return figures(row, co2e=impact_of(row.hours, hourly))
    per_tb_hour = average_kwh(row.wh_per_tb_hour, row.hour)
    if "gb_months" in case:
        stored = meter_amount(row.gb_months, 1.0 / row.gb_per_tb, row.hours_per_month, ibis.literal(True))
        return figures(row, energy=meter_kwh(stored, row.replication, per_tb_hour))
    kwh = meter_kwh(row.tb_hours, row.replication_factor, per_tb_hour)
    return figures(row, energy=electricity_kwh(kwh, row.pue), co2e=electricity_impact(kwh, row.pue, row.grid_tco2e_per_kwh * TONNE))


def cloud_network(case, reference):
    row = one(gb=case["gigabytes"], kwh_per_gb=case["kwh_per_gb"])
    return figures(row, energy=service_kwh(row.gb, row.kwh_per_gb))


def cloud_embodied(case, reference):
    row = one(**case)
    hourly = instance_embodied_kgco2e_per_hour(row.server_embodied_kgco2e, row.instance_vcpu, row.largest_instance_vcpu, row.expected_lifespan_hours)
    return figures(row, co2e=impact_of(row.usage_hours, hourly))


def cloud_unknown(case, reference):
    """Usage of unknown kind goes by spend: its energy is not known."""
    (hosting,) = reference("spend_factor").filter(_.sector == "518210").to_pyarrow().to_pylist()
    row = one(cost=case["cost"], same=1, factor=hosting["value"])
    return {"energy": None, **figures(row, co2e=impact_of(spend.spend_in_factor_money(row.cost, row.same, row.same, row.same), row.factor))}


def cloud_memory(case, reference):
    row = one(**case)
    return figures(row, chips=compute_power.pieces_for(row.largest_instance_vcpu, row.vcpu_per_chip))


def onprem_server(case, reference):
    row = one(**case)
    extra = at_least(row.memory_gb - row.memory_included_in_cpu_curve_gb, 0.0)
    host = average_kwh(watts_at(row.cpu_utilization_pct / 100.0, row.min_watts, row.max_watts), row.uptime_hours)
    kwh = host + service_kwh(extra * row.uptime_hours, row.kwh_per_gb_hour)
    return figures(row, energy=electricity_kwh(kwh, row.pue), co2e=electricity_impact(kwh, row.pue, row.grid_tco2e_per_kwh * TONNE))


def web_swd4(case, reference):
    """Sums of segments. Green hosting is about the datacentre's use only: a contract without emissions for that share of it."""
    segments = ("datacentre", "network", "device")
    keys = tuple(f"{phase}_{segment}" for phase in ("operational", "embodied") for segment in segments) + ("global_grid",)
    model = coefficients_of(reference("web_coefficient"), "swd-4", keys, DAY)
    given = dict(case)
    grids = [given.pop(f"grid_{name}", None) for name in ("dc", "network", "device")]
    world = given.pop("grid_gco2e_per_kwh", None)
    row = one(**given, **{f"grid_{segment}": world if grid is None else grid for segment, grid in zip(segments, grids, strict=True)}).cross_join(model)
    visited = row.bytes
    if "data_reload_ratio" in case:
        visited = web_page.bytes_of_visits(row.bytes, row.first_visit_ratio, row.return_visit_ratio, row.data_reload_ratio)
    gb = web_page.gigabytes(visited)
    kwh = {segment: service_kwh(gb, row[f"operational_{segment}"]) for segment in segments}
    use = {segment: impact_of(kwh[segment], row[f"grid_{segment}"]) for segment in segments}
    covered = sharing.allocated(kwh["datacentre"], row.green_hosting_factor if "green_hosting_factor" in case else ibis.literal(0.0))
    hosted = electricity_scope2.market_based(kwh["datacentre"], covered, ibis.literal(0.0), ibis.null("float64"), row.grid_datacentre)
    total = hosted + use["network"] + use["device"]
    for segment in segments:  # as service_factor.csv has them: kWh/GB × the world's grid
        total = total + impact_of(gb, row[f"embodied_{segment}"] * row.global_grid * GRAMS)
    return figures(row, op_datacenter=use["datacentre"], op_network=use["network"], op_device=use["device"], total=total)


def sci(case, reference):
    """A server of the case's parts: the base, which holds 16 GB, and a constant for each further processor; grams."""
    row = one(**case, none=0, whole=1)
    processors = processors_impact(row.vcpus - 1.0, row.none, row.none, row.per_extra_vcpu_g)
    server = server_impact(processors, row.none, row.none, row.none, row.none, row.baseline_g, row.none, row.none, row.none)
    hourly = instance_embodied_kgco2e_per_hour(server, row.usage_ratio, row.whole, row.lifespan_s / 3600.0)
    return figures(row, embodied=impact_of(row.duration_s / 3600.0, hourly))


def cpu_power(case, reference):
    """The curve of the repository is the curve of the vector."""
    loads = (0, 10, 50, 100)
    model = coefficients_of(reference("server_coefficient"), "teads", tuple(f"tdp_share_{load}" for load in loads), DAY)
    row = one(load_pct=case["load_pct"], tdp_watts=case.get("tdp_watts"), hours=case.get("duration_s", 0) / 3600, vcpu=case.get("vcpus_allocated"),
              host_vcpu=case.get("vcpus_total")).cross_join(model)  # fmt: skip
    share = compute_power.on_curve(row.load_pct, [(float(load), row[f"tdp_share_{load}"]) for load in loads])
    return figures(row, tdp_ratio=share, energy=average_kwh(sharing.allocated(row.tdp_watts * share, sharing.share_of(row.vcpu, row.host_vcpu)), row.hours))


def numecoeval(case, reference):
    if "physical_impact" in case:
        row = one(**case)
        return figures(row, impact=sharing.allocated(row.physical_impact, sharing.share_of(row.vcpu, row.host_vcpu_sum)))
    if "virtual_impact" in case:
        row = one(**case)
        return figures(row, impact=sharing.equal_share(row.virtual_impact, row.applications_on_vm))
    if "elec_kwh_year" in case:
        row = one(**{**case, "pue": case["pue"] or 1.75})  # the vector's PUE; ours for an unknown datacentre is 1.58 (pue.csv)
        kwh = device_kwh(row.quantity, row.elec_kwh_year, ibis.literal(DAYS_PER_YEAR), ibis.literal(1.0))
        return figures(row, impact=electricity_impact(kwh, row.pue, row.grid_kgco2e_per_kwh))
    return numecoeval_manufacturing(case)


def numecoeval_manufacturing(case):
    """A year of 365 days of a device whose whole life is known, on our straight line: its life in days is the lifetime."""
    row = one(quantity=case["quantity"], factor=case["factor_kgco2e"], rate=case.get("usage_rate", 1.0), purchase=case["purchase_date"], end=case["retirement_date"])
    days = row.end.cast("date").delta(row.purchase.cast("date"), unit="day").cast("float64")
    share = amortised_share(ibis.literal(365.0), ibis.literal(0.0), days / DAYS_PER_YEAR, ibis.literal(False))
    impact = impact_of(items_carried(row.quantity, row.rate, share), row.factor)
    return figures(row, lifetime=days / 365.0, impact=impact, people_equivalent=impact / PEOPLE_GWP_KGCO2E)


def region_figure(reference, name, column, case):
    found = reference(name).filter(_.provider == case["provider"], _.region_id == case["region"]).to_pyarrow().to_pylist()
    return found[0][column] if found else None


def billing_enrichment(case, reference):
    """The figure of a region; the patterns of the peer's table are spelled out as regions in ours."""
    if "energy_kwh" in case:
        row = one(**case)
        lost = electricity_scope2.lost_kwh(row.energy_kwh, row.transmission_loss_factor - 1.0)
        return figures(row, co2e=impact_of(row.energy_kwh, row.grid_gco2e_per_kwh) + impact_of(lost, row.grid_gco2e_per_kwh))
    if "line_item_type" in case:
        rule = reference("cloud_charge_rule").filter(_.charge_category == case["line_item_type"], _.commitment_discount_status == "none")
        return {"enriched": rule.value.max().execute()}
    country = region_figure(reference, "cloud_region", "country_code", case)
    latest = reference("grid_factor").filter(_.country_code == country).order_by(_.factor_year.desc()).limit(1).value.max().execute()
    return {"pue": region_figure(reference, "pue", "value", case), "wue": region_figure(reference, "wue", "value", case), "grid": float(latest) * GRAMS}


def water_use(case, reference):
    row = one(**case)
    if "wue" in case:
        return figures(row, water_cooling=water.cooling_litres(row.it_energy_kwh, row.wue))
    return figures(row, water_electricity=water.electricity_litres(row.it_energy_kwh, row.pue, row.water_l_per_kwh_grid))


def ai_llm(case, reference):
    keys = tuple(reference("language_model_coefficient").key.execute())
    model = coefficients_of(reference("language_model_coefficient"), "ecologits-0.11", keys, DAY)
    row = one(**case).cross_join(model)
    c = {key: row[key] for key in keys}
    gpus = language_model.gpus_for(row.model_total_parameter_count, c)
    seconds = language_model.generation_seconds(row.output_token_count, row.model_active_parameter_count, row.request_latency, c)
    kwh = language_model.request_it_kwh(row.output_token_count, row.model_active_parameter_count, gpus, seconds, c)
    return figures(
        row,
        request_energy=kwh * row.datacenter_pue,
        request_usage_gwp=electricity_impact(kwh, row.datacenter_pue, row.if_electricity_mix_gwp),
        request_usage_adpe=electricity_impact(kwh, row.datacenter_pue, row.if_electricity_mix_adpe),
        request_usage_pe=electricity_impact(kwh, row.datacenter_pue, row.if_electricity_mix_pe),
        request_usage_wcf=water.datacentre_litres(kwh, row.datacenter_pue, row.datacenter_wue, row.if_electricity_mix_wue),
        request_embodied_gwp=language_model.request_embodied(seconds, gpus, c["server_gwp"], c["gpu_gwp"], c),
        generation_latency=seconds,
    )


def device_lifecycle(case, reference):
    """All phases of one device, its whole life: how publishers state its total."""
    distribution, manufacturing = case["construction_kg"]
    row = one(manufacturing=manufacturing, distribution=distribution, use=case["use_kg_per_year"], years=case["lifetime_years"], end=case["end_of_life_kg"], whole=1)
    device = items_carried(row.whole, row.whole, row.whole)
    phases = [impact_of(device, row[phase]) for phase in ("manufacturing", "distribution", "end")]
    return figures(row, total=sum(phases, impact_of(row.years, row.use)))


def spend_based(case, reference):
    if "currency" in case:
        row = one(**{name: figure for name, figure in case.items() if name != "currency"}, now=1)
        usd = spend.spend_in_factor_money(row.spend, row.fx_eur_to_usd_in_year, row.cpi_ratio_2022_over_year, row.now)
    else:
        row = one(spend=case["spend_usd2022"], factor_kgco2e_per_usd=case["factor_kgco2e_per_usd"])
        usd = row.spend
    return figures(row, co2e=impact_of(usd, row.factor_kgco2e_per_usd))


def trajectory(case, reference):
    row = one(**case)
    return figures(row, target=linear_target(row.base_tco2e, row.base_year, row.target_year, row.annual_rate))


def scope2(case, reference):
    row = one(**case)
    market = electricity_scope2.market_based(row.kwh, row.covered_kwh, row.contract_factor, row.residual_mix, row.location_factor)
    return figures(row, location=impact_of(row.kwh, row.location_factor), market=market)


CALCULATIONS = {
    "cloud_compute": cloud_compute, "cloud_storage": cloud_storage, "cloud_network": cloud_network, "cloud_embodied": cloud_embodied,
    "cloud_unknown": cloud_unknown, "cloud_memory": cloud_memory, "onprem_server": onprem_server, "web_swd4": web_swd4, "sci": sci, "cpu_power": cpu_power,
    "numecoeval": numecoeval, "billing_enrichment": billing_enrichment, "water": water_use, "ai_llm": ai_llm, "device_lifecycle": device_lifecycle,
    "spend_based": spend_based, "trajectory": trajectory, "scope2": scope2, "boaviztapi_device": boaviztapi_device, "boaviztapi_cloud": boaviztapi_cloud,
}  # fmt: skip
