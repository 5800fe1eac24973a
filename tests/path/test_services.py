"""Service sources from delivered files to silver, on the real stores: typed, worded, and what is bad kept back with its reason."""
from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.main import strata
from tests.installation import Installation, inventory
from tests.lake import lake_rows, quarantine

NAME = "services"
FORMATS = {"saas_contracts": "strata_json_1", "network_traffic": "strata_1", "web_page_loads": "har_1", "web_analytics": "strata_1", "ai_usage_log": "strata_1",
           "energy_contracts": "strata_xml_1"}
MAILS = {"month": "2024-09", "activity": "emails", "quantity": 100}
CONTRACT = {"contract_id": "c1", "vendor": "Nimbus", "product": "Mail", "start_date": "2024-01-01"}
SAAS = [{**CONTRACT, "usage": [MAILS, {**MAILS, "activity": "pigeons"}, {**MAILS, "month": "2024-08", "quantity": -5}, "x"]},
        {**CONTRACT, "contract_id": "c2", "country": "Atlantis", "usage": [MAILS]}, {**CONTRACT, "contract_id": "c3", "usage": "none"},
        {**CONTRACT, "contract_id": "c4", "usage": [MAILS, {**MAILS, "month": "2024-08", "quantity": -7}]}]
ENTRY = {"startedDateTime": "2024-09-01T10:00:00Z", "request": {"url": "https://shop.example/?session=CANARY"}, "response": {"_transferSize": 700}}
HAR = {"log": {"entries": [ENTRY, {**ENTRY, "response": {"bodySize": 300}}, {**ENTRY, "response": {}}]}}
XML = """<contracts><contract id="e1"><site>Lyon</site><start>2024-01-01</start><instrument>ppa</instrument><covered share="0.5"/><kgco2ePerKwh>0.01</kgco2ePerKwh>
</contract><contract id="e2"><site>Lyon</site><start>2024-01-01</start><instrument>promise</instrument><covered share="1"/><kgco2ePerKwh>0</kgco2ePerKwh></contract></contracts>"""
FILES = {
    "saas_contracts": json.dumps(SAAS), "web_page_loads": json.dumps(HAR), "energy_contracts": XML,
    "network_traffic": "link_id,month,kind,lines,gb,country\nl1,2024-09,fibre,2,,FR\nl2,2024-09,5G,,-1,FR\n",
    "web_analytics": "page,day,country,views\nhttps://shop.example/,2024-09-01,,50\nshop.example,2024-09-02,Atlantis,9\n",
    "ai_usage_log": "provider,model,day,requests,tokens_out\nOpenAI,GPT-4o-mini,2024-09-01,10,5000\nOpenAI,GPT-4o-mini,2024-09-01,ten,5000\n",
}
NAMES = {"saas_contracts": "saas.json", "web_page_loads": "shop.har", "energy_contracts": "power.xml"}


@pytest.fixture(scope="module")
def done(installation: Installation, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("services")
    installation.declare(NAME, sources={source: {"format": format} for source, format in {**FORMATS, "equipment_inventory": "strata_1"}.items()})
    installation.land(NAME, "equipment_inventory", [inventory(folder / "devices.csv", {})])
    for source, text in FILES.items():
        path = folder / NAMES.get(source, f"{source}.csv")
        path.write_text(text, encoding="utf-8")
        installation.land(NAME, source, [path])
    return installation.run(NAME)


def test_every_table_is_computed_and_its_rules_hold(done) -> None:
    assert done.failures == {}
    tables = ("saas_contract", "saas_usage", "network_link", "web_page", "web_traffic", "ai_usage", "energy_contract")
    assert {f"greenit/silver/{table}" for table in tables} <= set(done.materialized)
    # the second contract is kept back for its country, so that its mails are usage of no contract: a warning
    assert {name for name, ok in done.checks.items() if not ok} == {"reconciliation.meters_are_known"}


def test_good_rows_are_there_and_bad_ones_stand_in_quarantine_with_reason_and_row(done, installation: Installation) -> None:
    counts = {name.removeprefix("greenit/silver/"): facts["dagster/row_count"] for name, facts in done.materialized.items() if name.startswith("greenit/silver/")}
    assert {name: counts[name] for name in ("saas_contract", "saas_usage", "network_link", "web_page", "web_traffic", "ai_usage", "energy_contract")} == {
        "saas_contract": 2, "saas_usage": 3, "network_link": 1, "web_page": 1, "web_traffic": 1, "ai_usage": 1, "energy_contract": 1}
    kept = {(q["table_name"], q["rule"], q["column_name"], q["_row"]) for q in quarantine(installation, NAME, "silver")}
    assert kept == {
        ("saas_contract", "DOMAIN", "country", 2), ("saas_usage", "DOMAIN", "activity", 1), ("saas_usage", "NUMBER_RANGE", "quantity", 1),
        ("saas_usage", "MISSING_KEY", "month", 1), ("saas_usage", "NUMBER_RANGE", "quantity", 4), ("network_link", "NUMBER_RANGE", "gb", 2),
        ("web_page", "MISSING_VALUE", "content_bytes", 3), ("web_traffic", "DOMAIN", "country", 2), ("ai_usage", "NUMBER_FORMAT", "requests", 2),
        ("energy_contract", "DOMAIN", "instrument", 2)}
    assert {(q["table_name"], q["rule"], q["_row"]) for q in quarantine(installation, NAME, "bronze")} == {("saas_contracts", "TYPE", 3)}


def test_a_page_has_the_bytes_of_its_good_requests_and_no_session_is_in_the_lake(done, installation: Installation) -> None:
    (page,) = lake_rows(installation, NAME, "FROM lake.greenit_silver.web_page")
    assert (page["page_id"], page["transferred_bytes"], page["requests"]) == ("shop.example", 1000, 2)  # 700 + 300
    everything = [lake_rows(installation, NAME, f"FROM lake.greenit_{layer}.{table}")
                  for layer, table in (("bronze", "web_page_loads"), ("bronze", "quarantine"), ("silver", "quarantine"))]
    assert "CANARY" not in str(everything)


def test_an_element_is_let_through_by_a_steward_and_not_with_a_neighbour_that_has_no_key(done, installation: Installation) -> None:
    """The fourth contract has one element that is kept back for its sign; of the first one pigeons, which have no key, are kept back as well."""
    sha = next(q["_sha256"] for q in quarantine(installation, NAME, "silver") if q["table_name"] == "saas_usage")
    words = ["--why", "a credit", "--who", "steward"]
    refused = CliRunner().invoke(strata, ["quarantine", "accept", NAME, "saas_usage", f"{sha[:12]}-1", *words])
    assert (refused.exit_code, "CorrectionError" in refused.stderr) == (1, True)
    taken = CliRunner().invoke(strata, ["quarantine", "accept", NAME, "saas_usage", f"{sha[:12]}-4", *words])
    assert taken.exit_code == 0, taken.output
    assert installation.run(NAME).success
    rows = lake_rows(installation, NAME, "FROM lake.greenit_silver.saas_usage ORDER BY contract_id, quantity")
    assert [(row["contract_id"], row["quantity"]) for row in rows] == [("c1", 100.0), ("c2", 100.0), ("c4", -7.0), ("c4", 100.0)]
