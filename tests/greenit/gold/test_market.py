"""Behaviour of greenit/gold/market: which contract covers which kWh."""

from datetime import date

import pytest

FRANCE_2024, GERMANY_2024 = 0.044179085, 0.34413992
JUNE = date(2024, 6, 1)
LINE = {
    "equipment_id": "a", "item_type": "laptop", "quantity": 1, "status": "in_use", "ownership": "owned", "country_code": "FRA", "site_id": "Lyon", "is_datacentre": False,
    "energy_kwh_per_year": 3652.5,  # 300 kWh in June
}  # fmt: skip
BERLIN = {**LINE, "equipment_id": "b", "site_id": "Berlin", "country_code": "DEU"}
PPA = {"contract_id": "E1", "site_id": "Lyon", "country_code": "FRA", "start_date": date(2024, 1, 1), "instrument": "ppa", "covered_share": 0.6, "kgco2e_per_kwh": 0.012}


@pytest.fixture
def markets(made):
    """`markets([lines], [contracts])`: equipment -> (market factor, its id, its flags)."""

    def compute(lines, contracts, **given):
        activities, impacts = made(equipment=lines, energy_contract=contracts, **given)
        for row in impacts:
            if row["ghg_method"] == "market":
                assert float(row["value"]) == pytest.approx(float(row["amount"]) * row["factor_value"])
        return {row["activity_id"][-1]: (row["market_factor"], row["market_id"], row["market_flags"]) for row in activities.values()}

    return compute


def test_a_sites_contract_covers_its_share_and_the_grid_the_rest(markets):
    # 0.6 × 0.012 + 0.4 × France
    assert markets([LINE, BERLIN], [PPA]) == {
        "a": (pytest.approx(0.6 * 0.012 + 0.4 * FRANCE_2024), "E1 + owid-fra-2024-gwp", "no_residual_mix, includes_upstream"),
        "b": (pytest.approx(GERMANY_2024), "owid-deu-2024-gwp", "no_contract, no_residual_mix, includes_upstream"),
    }


def test_a_countrys_contract_covers_its_sites_that_have_none(markets):
    lines = [LINE, {**LINE, "equipment_id": "c", "site_id": "Paris"}, BERLIN]
    found = markets(lines, [PPA, {**PPA, "contract_id": "E2", "site_id": None, "covered_share": 1.0, "kgco2e_per_kwh": 0.02}])
    assert found["c"] == (pytest.approx(0.02), "E2", None)
    assert (found["a"][0], found["b"][0]) == (pytest.approx(0.6 * 0.012 + 0.4 * FRANCE_2024), pytest.approx(GERMANY_2024))


def test_several_contracts_share_a_site_by_their_kwh(markets):
    kwh = [{**PPA, "covered_share": None, "covered_kwh_per_month": 60.0}, {**PPA, "contract_id": "E2", "covered_share": 0.5, "kgco2e_per_kwh": 0.03}]
    # of 300 kWh 60 at 0.012 and 150 at 0.03, 90 of the grid
    assert markets([LINE], kwh) == {"a": (pytest.approx((60 * 0.012 + 150 * 0.03 + 90 * FRANCE_2024) / 300), "E1, E2 + owid-fra-2024-gwp", "no_residual_mix, includes_upstream")}


def test_more_certificates_than_electricity_make_no_credit(markets):
    assert markets([LINE], [{**PPA, "covered_share": None, "covered_kwh_per_month": 9000.0}]) == {"a": (pytest.approx(0.012), "E1", None)}


def test_a_contract_of_half_a_month_covers_half(markets):
    half = {**PPA, "covered_share": None, "covered_kwh_per_month": 300.0, "start_date": date(2024, 6, 16)}
    assert markets([LINE], [half])["a"][0] == pytest.approx(0.5 * 0.012 + 0.5 * FRANCE_2024)


def test_what_no_contract_covers_has_the_residual_mix(markets, with_row):
    mix = with_row("residual_mix", {"residual_id": "mix", "country_code": "FRA", "value": 0.1, "boundary": "combustion", "factor_year": 2024, "valid_from": date(2024, 1, 1)})
    found = markets([LINE, {**LINE, "equipment_id": "c", "site_id": "Paris"}], [PPA], residual_mix=mix)
    assert found == {"a": (pytest.approx(0.6 * 0.012 + 0.4 * 0.1), "E1 + mix", None), "c": (pytest.approx(0.1), "mix", "no_contract")}


def test_without_a_contract_the_two_methods_give_the_same_figure(made, gwp):
    _, impacts = made(equipment=[LINE, BERLIN])
    for kg in gwp(impacts).values():
        assert kg["use", "2", "market"] == kg["use", "2", "location"] > 0


def test_employees_devices_are_not_bought_electricity_and_take_nothing_of_a_contract(markets, made, gwp):
    byod = {**LINE, "equipment_id": "c", "ownership": "byod"}
    covered = [{**PPA, "covered_share": None, "covered_kwh_per_month": 300.0}]
    assert markets([LINE, byod], covered) == {"a": (pytest.approx(0.012), "E1", None), "c": (None, None, None)}


def test_a_site_without_consumption_leaves_its_contract_unused(markets):
    assert markets([{**LINE, "status": "in_stock"}], [PPA])["a"][0] == pytest.approx(FRANCE_2024)  # no kWh: a factor that nothing is multiplied by


def test_a_life_cycle_factor_in_scope_2_is_flagged_for_its_upstream_and_one_of_combustion_is_not(made, with_row):
    burnt = {"grid_id": "burnt", "country_code": "ATA", "factor_year": 2024, "value": 0.03, "boundary": "combustion", "valid_from": date(2024, 1, 1)}
    _, impacts = made(equipment=[LINE, {**LINE, "equipment_id": "b", "country_code": "ATA"}], grid_factor=with_row("grid_factor", burnt))
    used = [row for row in impacts if row["phase"] == "use" and row["criterion"] == "GWP"]
    lifecycle, combustion = ({(row["category"], row["ghg_method"]): row["flags"] for row in used if row["activity_id"].endswith(name)} for name in ("-a", "-b"))
    assert lifecycle == {("2", "location"): "includes_upstream", ("2", "market"): "no_contract, no_residual_mix, includes_upstream", ("3.3", "none"): None}
    assert combustion == {("2", "location"): None, ("2", "market"): "no_contract, no_residual_mix", ("3.3", "none"): None}
