"""A customer's own parameters lie over the shipped ones: what they replace, what they may say, and whose figures they change."""
from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.errors import ParameterError
from platform_assets.parameters import check_all, check_customer, limits_of, rules_of, with_overlays
from platform_assets.tables import reference_contracts
from resources.parameter_rules import COMPUTED_FROM_AGPL
from resources.parameter_state import read_state, state_of
from resources.postgres import WRITER
from tests.installation import Installation, inventory
from tests.parameters.places import header_of, overlay, project, settings_of, write

ACME, BETA = "acme", "beta"
OWN = {"source": "measured by the customer", "source_version": "2024", "licence": "the customer's own"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path)


def rows(root: Path, table: str, customer: str | None = ACME) -> list[dict]:
    made = next(made for made in reference_contracts() if made.table == table)
    state = state_of(settings_of(root), customer)
    return read_state(state, made.layer, made.spec, limits_of(made), rules_of(made)).to_pylist()


def test_a_row_with_a_shipped_key_replaces_it_and_others_are_added_for_that_customer_only(root: Path) -> None:
    before = rows(root, "usage_rate", BETA)
    overlay(root, ACME, "usage_rate", {"like": "byod", "value": 0.4, **OWN})
    overlay(root, ACME, "device_lifetime", {"like": "ademe-smartphone-lifetime", "lifetime_id": "own-phone", "value": 4, "value_min": "", "value_max": "", **OWN})
    assert {row["ownership"]: row["value"] for row in rows(root, "usage_rate")} == {**{row["ownership"]: row["value"] for row in before}, "byod": 0.4}
    assert rows(root, "usage_rate", BETA) == before
    assert [(row["lifetime_id"], row["value"]) for row in rows(root, "device_lifetime") if row["item_key"] == "smartphone"] == [("own-phone", 4.0)]
    assert len(rows(root, "device_lifetime")) == len(rows(root, "device_lifetime", BETA))


def test_a_shipped_row_of_the_same_identity_stays_on_the_days_that_the_overlay_leaves(root: Path) -> None:
    overlay(root, ACME, "device_lifetime", {"like": "ademe-smartphone-lifetime", "lifetime_id": "own-phone", "value": 3, "valid_from": "2024-01-01",
                                            "valid_to": "2024-12-31", **OWN})
    found = [(row["lifetime_id"], row["value"], row["valid_from"], row["valid_to"]) for row in rows(root, "device_lifetime") if row["item_key"] == "smartphone"]
    assert sorted(found) == [
        ("ademe-smartphone-lifetime", 2.5, date(2000, 1, 1), date(2023, 12, 31)),
        ("ademe-smartphone-lifetime@2025-01-01", 2.5, date(2025, 1, 1), None),
        ("own-phone", 3.0, date(2024, 1, 1), date(2024, 12, 31)),
    ]


def test_a_country_and_year_of_its_own_replaces_that_year_alone(root: Path) -> None:
    overlay(root, ACME, "grid_factor", {"like": "owid-fra-2023-gwp", "grid_id": "own-fra-2023", "value": 0.09, **OWN})
    found = {row["factor_year"]: row["grid_id"] for row in rows(root, "grid_factor") if row["country_code"] == "FRA"}
    assert (found[2022], found[2023], found[2024]) == ("owid-fra-2022-gwp", "own-fra-2023", "owid-fra-2024-gwp")


def test_a_file_that_is_shipped_empty_is_filled_by_the_customer_alone(root: Path) -> None:
    header = header_of(root / "parameters" / "residual_mix.csv")
    row = {"residual_id": "own-fra", "country_code": "FRA", "factor_year": 2023, "value": 0.05, "unit": "kgCO2e", "per": "kWh", "boundary": "lifecycle",
           "valid_from": "2023-01-01", "dq_rel": 2, "dq_comp": 2, "dq_geo": 2, **OWN, "licence": "licensed to the customer"}
    write(root / "customers" / ACME / "parameters" / "residual_mix.csv", header, [row])
    assert [row["value"] for row in rows(root, "residual_mix")] == [0.05]
    assert rows(root, "residual_mix", BETA) == []
    write(root / "customers" / ACME / "parameters" / "residual_mix.csv", header, [{**row, "country_code": "AUT", "value": 0}])
    with pytest.raises(ParameterError, match=r"\[file acme/parameters/residual_mix.csv, row 2, column value\] '0' is below 1e-06"):
        rows(root, "residual_mix")


@pytest.mark.parametrize(("cells", "words"), [
    ({"value": -1}, r"\[file acme/parameters/device_lifetime.csv, row 2, column value\] '-1' is below 0.5"),
    ({"item_key": "tablett"}, r"\[file acme/parameters/device_lifetime.csv, row 2, column item_key\] 'tablett' is known by none of device_factor"),
    ({"licence": "none"}, r"\[file acme/parameters/device_lifetime.csv, row 2, column licence\] 'none' is none of"),
    ({"unit": "fortnight"}, r"\[file acme/parameters/device_lifetime.csv, row 2, column unit\] 'fortnight' is none of year"),
])
def test_a_bad_row_of_an_overlay_is_refused_by_customer_file_row_and_column(cells: dict, words: str, root: Path) -> None:
    overlay(root, ACME, "device_lifetime", {"like": "ademe-smartphone-lifetime", **OWN, **cells})
    with pytest.raises(ParameterError, match=words):
        check_customer(settings_of(root), ACME)
    with pytest.raises(ParameterError, match=words):
        rows(root, "device_lifetime")
    assert len(rows(root, "device_lifetime", BETA)) == 15


def test_words_that_an_overlay_brings_are_known_to_its_other_files(root: Path) -> None:
    overlay(root, ACME, "device_factor", {"like": "ademe-smartphone-manufacturing-gwp", "factor_id": "own-badge", "item_key": "badge_reader", "value": 3, **OWN})
    with pytest.raises(ParameterError, match="'badge_reader' is known by none of item_map, device_energy, device_lifetime"):
        check_customer(settings_of(root), ACME)
    overlay(root, ACME, "device_lifetime", {"like": "ademe-smartphone-lifetime", "lifetime_id": "own-badge", "item_key": "badge_reader", **OWN})
    overlay(root, ACME, "item_map", {"like": "map-001", "item_map_id": "own-1", "item_type": "badge reader", "item_key": "badge_reader", **OWN})
    assert check_customer(settings_of(root), ACME) == ["device_factor", "device_lifetime", "item_map"]
    assert with_overlays(settings_of(root)) == [ACME]


def test_a_file_that_lies_over_nothing_is_refused_and_never_ignored(root: Path) -> None:
    overlay(root, ACME, "usage_rate", {"like": "byod"}).rename(root / "customers" / ACME / "parameters" / "usage_rates.csv")
    with pytest.raises(ParameterError, match=r"\[file acme/parameters/usage_rates.csv\] no parameter is called so"):
        state_of(settings_of(root), ACME)


def test_fetched_files_lie_between_and_alone_may_hold_their_licence(root: Path) -> None:
    header = header_of(root / "parameters" / "cloud_instance_component.csv")
    row = {"component_id": "b:m5.large:kWh", "instance_id": "aws:m5.large", "provider": "aws", "instance_type": "m5.large", "criterion": "kWh", "value": 0.0113,
           "unit": "kWh", "per": "h", "source": "BoaviztAPI", "source_version": "2.5.0", "licence": COMPUTED_FROM_AGPL, "valid_from": "2000-01-01",
           "dq_rel": 3, "dq_comp": 3, "dq_tech": 2}
    write(root / "home" / "parameters" / "cloud_instance_component.csv", header, [row])
    write(root / "customers" / ACME / "parameters" / "cloud_instance_component.csv", header, [{**row, "value": 0.02}])
    assert check_all(settings_of(root)) == len(reference_contracts())
    assert [[row["value"] for row in rows(root, "cloud_instance_component", name)] for name in (ACME, BETA, None)] == [[0.02], [0.0113], [0.0113]]
    write(root / "home" / "parameters" / "cloud_instance_component.csv", header, [{**row, "licence": "AGPL-3.0"}])
    with pytest.raises(ParameterError, match=r"file \$STRATA_HOME/parameters/cloud_instance_component.csv, row 2, column licence"):
        check_all(settings_of(root))


def test_the_version_of_a_customer_changes_with_its_overlay_and_nobody_elses(root: Path) -> None:
    before = {name: state_of(settings_of(root), name).name for name in (ACME, BETA)}
    assert before[ACME] == before[BETA]
    overlay(root, ACME, "usage_rate", {"like": "byod", "value": 0.4, **OWN})
    assert state_of(settings_of(root), ACME).name != before[ACME]
    assert state_of(settings_of(root), BETA).name == before[BETA]


def test_an_overlay_changes_the_figures_of_one_customer_and_its_versions_say_so(installation: Installation, tmp_path: Path,
                                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(tmp_path / "project")
    monkeypatch.setenv("STRATA_REFERENCES", str(root))
    customers = installation.settings.customers
    for name in ("overlaid", "as_shipped"):
        installation.declare(name, reporting={"months": 1})
        installation.land(name, "equipment_inventory", [inventory(tmp_path / f"{name}.csv", {"equipment_id": "a", "quantity": 10, "ownership": "byod"})])
    made = overlay(root, "overlaid", "usage_rate", {"like": "byod", "value": 0.285, **OWN})  # shipped: 0.57, so figures halve
    (customers / "overlaid").mkdir(exist_ok=True)
    made.parent.rename(customers / "overlaid" / "parameters")
    found = {}
    for name in ("overlaid", "as_shipped"):
        run = installation.run(name)
        assert run.failures == {}
        query = "SELECT sum(value) FROM greenit_platinum.kpi_monthly_live WHERE criterion = 'GWP' AND view = 'amortised' AND scope = '3'"
        versions = installation.query("SELECT DISTINCT parameter_version FROM platform.table_version WHERE customer_id = %s", name, customer=name, role=WRITER)
        found[name] = (float(installation.query(query, customer=name)[0]["sum"]), [row["parameter_version"] for row in versions])
    assert found["overlaid"][0] == pytest.approx(found["as_shipped"][0] / 2, rel=1e-9)
    assert len(found["overlaid"][1]) == len(found["as_shipped"][1]) == 1
    assert found["overlaid"][1] != found["as_shipped"][1]
    told = CliRunner().invoke(strata, ["parameters", "check", "overlaid"])
    assert "overlaid: usage_rate; parameter version " + found["overlaid"][1][0] in told.output
