"""Behaviour of greenit/silver/energy_contract, from CSV rows and from XML."""

from datetime import date

import pytest

from platform_assets.greenit.silver.energy_contract import energy_contract

CONTRACT = {"contract_id": "e1", "site": "Lyon", "start_date": "2024-01-01", "instrument": "PPA", "covered_share": "0.5", "kgco2e_per_kwh": "0.012"}
XML = """<?xml version="1.0" encoding="UTF-8"?><energyContracts xmlns="urn:strata:energy:1">
  <contract id="x1"><country>Suisse</country><start>2024-01-01</start><end>2024-12-31</end><instrument>Garanties d'origine</instrument>
    <covered kwhPerMonth="12000.5"/><kgco2ePerKwh>0.0</kgco2ePerKwh><renewableShare>1</renewableShare></contract>
  <contract id="x2"><site>GVA-2</site><start>2024-03-01</start><instrument>supplier</instrument><covered share="1"/><kgco2ePerKwh>0.031</kgco2ePerKwh></contract>
  <contract id="x3"><site>GVA-2</site><site>Annecy</site><start>2024-03-01</start><instrument>ppa</instrument><kgco2ePerKwh>0</kgco2ePerKwh></contract>
</energyContracts>"""


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


@pytest.fixture
def contracts(bronze_of, reference, rows):
    made = lambda bronze: rows(energy_contract(bronze, reference("energy_instrument"), reference("country")), "_row")  # noqa: E731
    return lambda *changes: made(changes[0] if not isinstance(changes[0], dict) else bronze_of("energy_contracts", "strata_1", CONTRACT, *changes))


def test_a_contract_comes_out_typed(contracts):
    (line,) = contracts({"end_date": "2026-12-31", "covered_kwh_per_month": "5000", "renewable_share": "1", "country": "France"})
    assert (line["site_id"], line["country_code"], line["start_date"], line["end_date"]) == ("Lyon", "FRA", date(2024, 1, 1), date(2026, 12, 31))
    assert (line["instrument"], line["covered_kwh_per_month"], line["covered_share"]) == ("ppa", 5000.0, 0.5)
    assert (line["kgco2e_per_kwh"], line["renewable_share"], line["_rejects"]) == (0.012, 1.0, None)


BAD = [
    ({"contract_id": None}, "MISSING_KEY", "contract_id"), ({"site": None}, "MISSING_VALUE", "site"), ({"covered_share": None}, "MISSING_VALUE", "covered_share"),
    ({"covered_share": "50"}, "NUMBER_RANGE", "covered_share"), ({"covered_share": "half"}, "NUMBER_FORMAT", "covered_share"),
    ({"kgco2e_per_kwh": None}, "MISSING_VALUE", "kgco2e_per_kwh"), ({"kgco2e_per_kwh": "-0.1"}, "NUMBER_RANGE", "kgco2e_per_kwh"),
    ({"kgco2e_per_kwh": "31"}, "NUMBER_RANGE", "kgco2e_per_kwh"), ({"instrument": "promise"}, "DOMAIN", "instrument"), ({"instrument": None}, "MISSING_VALUE", "instrument"),
    ({"end_date": "2023-12-31"}, "DATE_RANGE", "end_date"), ({"start_date": "soon"}, "DATE", "start_date"), ({"country": "Atlantis"}, "DOMAIN", "country"),
    ({"renewable_share": "1.1"}, "NUMBER_RANGE", "renewable_share"), ({"covered_kwh_per_month": "-1"}, "NUMBER_RANGE", "covered_kwh_per_month"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_contract_and_not_the_clean_ones(contracts):
    lines = contracts({}, *({"contract_id": f"b{place}", **change} for place, (change, *_why) in enumerate(BAD)), {"contract_id": "z"})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_grams_where_kilograms_belong_are_refused(contracts):
    (line,) = contracts({"kgco2e_per_kwh": "12"})  # 12 g/kWh: no electricity has 12 kg
    assert found(line) == [("NUMBER_RANGE", "kgco2e_per_kwh")]


def test_contracts_in_xml_come_out_like_those_in_csv(contracts, landed, tmp_path):
    path = tmp_path / "contracts.xml"
    path.write_text(XML, encoding="utf-8")
    bronze, broken, facts = landed(path, "energy_contracts", "strata_xml_1")
    assert (facts.rows, [(row, rule) for row, rule, _raw in broken]) == (3, [(3, "FIELD_COUNT")])
    country, site = contracts(bronze)
    assert (country["contract_id"], country["site_id"], country["country_code"], country["instrument"]) == ("x1", None, "CHE", "certificate")
    assert (country["covered_kwh_per_month"], country["covered_share"], country["kgco2e_per_kwh"], country["renewable_share"]) == (12000.5, None, 0.0, 1.0)
    assert (site["site_id"], site["country_code"], site["end_date"], site["covered_share"], site["_rejects"]) == ("GVA-2", None, None, 1.0, None)
    assert country["_rejects"] is None
