"""Figures of services and language models: each agrees with the figure or formula that it was taken from, and none counts twice."""

import csv
from math import exp

import ibis
import pytest
from ibis import _

from platform_assets.greenit.gold import language_model
from platform_assets.greenit.gold.use_phase import electricity_kwh
from tests.conftest import SHARED

REFERENCE = SHARED / "data/reference"
HOURS_OF_A_MONTH = 730.5  # 365.25 d × 24 h / 12
SEGMENTS = ("datacentre", "network", "device")


def rows_of(table):
    return table.to_pyarrow().to_pylist()


@pytest.fixture(scope="module")
def energy(reference):
    return {row["service_key"]: row for row in rows_of(reference("service_energy"))}


@pytest.fixture(scope="module")
def factor(reference):
    return {(row["service_key"], row["phase"], row["criterion"]): row for row in rows_of(reference("service_factor"))}


@pytest.fixture(scope="module")
def coefficient(reference):
    return {row["key"]: row["value"] for row in rows_of(reference("language_model_coefficient"))}


def test_segments_of_the_web_have_the_figures_of_the_models_coefficients(energy, factor, reference):
    swd = {row["key"]: row["value"] for row in rows_of(reference("web_coefficient"))}
    for segment in SEGMENTS:
        assert energy[f"web_{segment}_gb"]["value"] == swd[f"operational_{segment}"]
        manufacture = factor[f"web_{segment}_gb", "manufacturing", "GWP"]["value"]
        assert manufacture == pytest.approx(swd[f"embodied_{segment}"] * swd["global_grid"], rel=1e-12)
    # 0.012 + 0.013 + 0.081 = 0.106 kWh/GB × 0.494 kg/kWh
    assert sum(factor[f"web_{segment}_gb", "manufacturing", "GWP"]["value"] for segment in SEGMENTS) == pytest.approx(0.052364)


@pytest.mark.parametrize(("service", "meter", "times"), [
    ("saas_storage_gb_month", "storage_any", HOURS_OF_A_MONTH), ("saas_transfer_gb", "transfer_internet", 1), ("saas_vcpu_hour", "cpu_any", 1),
    ("network_wan_gb", "transfer_internet", 1),
])  # fmt: skip
def test_a_gigabyte_or_vcpu_of_software_weighs_what_it_weighs_in_the_cloud(service, meter, times, energy, factor, reference):
    cloud = {row["meter_key"]: row for row in rows_of(reference("cloud_meter_energy"))}[meter]
    assert energy[service]["value"] == pytest.approx(cloud["value"] * times, rel=1e-9)
    assert energy[service]["is_hosted"] == cloud["is_hosted"]
    embodied = {row["criterion"]: row["value"] for row in rows_of(reference("cloud_meter_embodied").filter(_.meter_key == meter))}
    found = {criterion: row["value"] for (key, _phase, criterion), row in factor.items() if key == service}
    assert found == pytest.approx({criterion: value * times for criterion, value in embodied.items()}, rel=1e-9)


def test_a_month_of_a_stored_gigabyte_by_hand(energy, factor):
    # 0.925 Wh per TB and hour × 730.5 h = 0.6757 Wh per GB and month; 7.3046e-7 kg per GB and hour × 730.5 h
    assert energy["saas_storage_gb_month"]["value"] == pytest.approx(0.000675712, rel=1e-5)
    assert factor["saas_storage_gb_month", "manufacturing", "GWP"]["value"] == pytest.approx(0.000533603, rel=1e-5)


def test_what_is_published_as_kg_alone_has_no_electricity_beside_it(energy, factor):
    all_in = {key for key, phase, _criterion in factor if phase == "use"}
    assert all_in == {"saas_email", "saas_video_conference_hour", "saas_streaming_hour", "network_fixed_line"}
    assert all_in.isdisjoint(energy)
    assert all("all-in" in factor[key, "use", "GWP"]["boundary"] for key in all_in)
    assert all_in | set(energy) == {key for key, *_rest in factor}  # every service weighs something


def test_no_factor_is_zero(factor):
    assert min(row["value"] for row in factor.values()) > 0


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference files are not on this machine")
def test_an_email_and_an_hour_of_video_are_ademes_without_the_terminal(factor):
    said = {}
    with (REFERENCE / "equipment_and_usage_ademe_impactco2.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["category"] == "usage":
                said[row["slug"], row["ecv_id"]] = float(row["kgco2e"])
    for key, slug in (("saas_email", "email"), ("saas_video_conference_hour", "visioconference"), ("saas_streaming_hour", "streamingvideo")):
        assert factor[key, "manufacturing", "GWP"]["value"] == pytest.approx(said[slug, "16"], rel=1e-9)
        assert factor[key, "use", "GWP"]["value"] == pytest.approx(said[slug, "15"] + said[slug, "17"], rel=1e-9)
    assert factor["saas_email", "use", "GWP"]["value"] == pytest.approx(0.00003580927 + 0.00011768151)


# language models


def manufacture_per_gpu_second(c, what):
    return (c[f"server_{what}"] / c["gpus_per_server"] + c[f"gpu_{what}"]) / (c["lifetime_seconds"] * c["batch"])


def test_each_model_has_manufacture_in_the_proportions_of_the_formula(reference, coefficient):
    per_second = {what: manufacture_per_gpu_second(coefficient, what) for what in ("gwp", "adpe", "pe")}
    for row in rows_of(reference("language_model")):
        seconds = row["embodied_kgco2e_per_1k"] / per_second["gwp"]
        assert row["embodied_kgsbeq_per_1k"] == pytest.approx(seconds * per_second["adpe"], rel=1e-5), row["model_id"]
        assert row["embodied_mj_per_1k"] == pytest.approx(seconds * per_second["pe"], rel=1e-5), row["model_id"]
        assert 1 < seconds < 100_000, row["model_id"]  # the smallest 8, gpt-5.4-pro 75,970 accelerator-seconds


def test_a_recomputed_model_follows_from_its_parameters_by_our_formula(reference, coefficient):
    c = {key: ibis.literal(value) for key, value in coefficient.items()}
    models = reference("language_model").filter(_.basis == "recomputed")
    tokens, active, gpus = ibis.literal(1000.0), models.active_parameters_b, models.accelerators
    seconds = language_model.generation_seconds(tokens, active, ibis.null("float64"), c)
    found = rows_of(models.mutate(
        kwh=electricity_kwh(language_model.request_it_kwh(tokens, active, gpus, seconds, c), models.pue),
        embodied=language_model.request_embodied(seconds, gpus, c["server_gwp"], c["gpu_gwp"], c),
    ))  # fmt: skip
    assert len(found) == 182
    for row in found:
        assert row["kwh_per_1k_tokens_out"] == pytest.approx(row["kwh"], rel=1e-9), row["model_id"]
        assert row["embodied_kgco2e_per_1k"] == pytest.approx(row["embodied"], rel=1e-9), row["model_id"]


def test_known_open_models_have_the_parameters_that_their_makers_publish(reference):
    solved = {row["model"]: (row["active_parameters_b"], row["accelerators"]) for row in rows_of(reference("language_model"))}
    assert solved["meta-llama/llama-2-13b-hf"] == (13.02, 1)
    assert solved["meta-llama/llama-2-70b-hf"] == (68.98, 4)
    assert solved["mistralai/mixtral-8x7b-v0.1"] == (12.9, 2)  # 12.9 of 46.7 billion work on a token
    assert solved["gpt-4o-mini"] == (None, None)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference files are not on this machine")
def test_every_model_of_the_source_is_there_and_what_is_published_is_unchanged(reference, coefficient):
    c, ours = coefficient, {(row["provider"], row["model"]): row for row in rows_of(reference("language_model"))}
    with (REFERENCE / "ai_model_coefficients_ecologits_spruce.csv").open(encoding="utf-8") as file:
        source = {(row["provider"], row["model"].lower()): row for row in csv.DictReader(file)}
    assert (set(ours), len(ours)) == (set(source), 373)
    for key, row in ours.items():
        kwh, embodied = float(source[key]["kwh_per_1k_output_tokens"]), float(source[key]["embodied_kgco2e_per_1k"])
        if row["basis"] == "published":
            assert (row["kwh_per_1k_tokens_out"], row["embodied_kgco2e_per_1k"]) == pytest.approx((kwh, embodied), rel=1e-9)
        elif row["basis"] == "same_model":
            assert row["kwh_per_1k_tokens_out"] == ours["google_genai", "gemini-3.1-pro-preview"]["kwh_per_1k_tokens_out"]
        else:  # the source's electricity is the accelerators' alone, its manufacture that of 0.1 ms
            gpu_kwh = c["gpu_wh_per_parameter"] * exp(c["gpu_batch_exponent"] * c["batch"]) * row["active_parameters_b"] + c["gpu_wh_base"]
            assert kwh == pytest.approx(row["pue"] * row["accelerators"] * gpu_kwh, rel=1e-4), key
            assert embodied == pytest.approx(1e-4 * row["accelerators"] * manufacture_per_gpu_second(c, "gwp"), rel=1e-6), key
            assert row["embodied_kgco2e_per_1k"] > 100_000 * embodied
