"""The sample deliveries of services, read by the formats that the sample customers declare: what is bad on purpose is kept back, nothing else."""

from collections import Counter

import pytest

from partitions.customers import load_customers
from platform_assets.greenit.silver.ai_usage import ai_usage
from platform_assets.greenit.silver.energy_contract import energy_contract
from platform_assets.greenit.silver.network_link import network_link
from platform_assets.greenit.silver.saas_contract import saas_contract
from platform_assets.greenit.silver.saas_usage import saas_usage
from platform_assets.greenit.silver.web_page import web_page
from platform_assets.greenit.silver.web_traffic import web_traffic
from resources.settings import PROJECT
from samples.generate import generate

TABLES = {
    "saas_contracts": [(saas_contract, ("country",)), (saas_usage, ("saas_activity",))], "network_traffic": [(network_link, ("network_kind", "country"))],
    "web_page_loads": [(web_page, ())], "web_analytics": [(web_traffic, ("country",))], "ai_usage_log": [(ai_usage, ("ai_provider", "country"))],
    "energy_contracts": [(energy_contract, ("energy_instrument", "country"))],
}  # fmt: skip
EXPECTED = {  # good rows of all files, broken records, and what silver keeps back
    ("acme", "saas_contract"): (4, 0, {}),
    ("acme", "saas_usage"): (16, 0, {("DOMAIN", "activity"): 1, ("DATE", "month"): 1}),  # 4 months × (3 + 1) activities
    ("acme", "network_link"): (12, 0, {("NUMBER_RANGE", "gb"): 1}),  # 4 months × 3 links
    ("acme", "web_page"): (1, 0, {("MISSING_VALUE", "content_bytes"): 1}),
    ("acme", "web_traffic"): (94, 0, {("DOMAIN", "country"): 1, ("NUMBER_RANGE", "reload_share"): 1}),  # 4 × 2 pages × 4 days × 3 countries − 2
    ("acme", "ai_usage"): (31, 0, {("NUMBER_FORMAT", "requests"): 1}),  # 4 × 2 models × 4 days − 1
    ("acme", "energy_contract"): (2, 0, {("NUMBER_RANGE", "covered_share"): 1}),
    ("globex", "saas_contract"): (2, 1, {}),
    ("globex", "saas_usage"): (12, 1, {}),
    ("globex", "network_link"): (12, 0, {}),
    ("globex", "web_traffic"): (32, 0, {}),
    ("globex", "energy_contract"): (2, 0, {("DOMAIN", "instrument"): 1}),
    ("initech", "saas_contract"): (2, 0, {("MISSING_VALUE", "currency"): 1}),
    ("initech", "saas_usage"): (0, 0, {}),
    ("initech", "network_link"): (8, 0, {}),
    ("initech", "ai_usage"): (16, 0, {}),
    ("initech", "energy_contract"): (1, 0, {}),
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return folder, [delivery for delivery in generate(folder) if delivery.source in TABLES]


def test_every_sample_is_of_a_source_that_its_customer_declares(samples):
    declared = load_customers(PROJECT / "customers")
    assert {(delivery.customer, delivery.source) for delivery in samples[1]} == {
        (name, source) for name, customer in declared.items() for source in customer.sources if source in TABLES
    }


def test_good_rows_come_through_and_bad_ones_are_kept_back_by_their_reason(samples, landed, reference, rows):
    declared = load_customers(PROJECT / "customers")
    good, broken, kept = Counter(), Counter(), {}
    for delivery in samples[1]:
        for name in delivery.files:
            bronze, rejects, _facts = landed(samples[0] / name, delivery.source, declared[delivery.customer].sources[delivery.source].format)
            for asset, vocabularies in TABLES[delivery.source]:
                key = (delivery.customer, asset.key.path[-1])
                lines = rows(asset(bronze, *map(reference, vocabularies)))
                good[key] += sum(not line["_rejects"] for line in lines)
                broken[key] += len(rejects)
                kept.setdefault(key, Counter()).update((line["_rejects"][0]["rule"], line["_rejects"][0]["column"]) for line in lines if line["_rejects"])
    assert {key: (good[key], broken[key], dict(kept[key])) for key in kept} == EXPECTED
