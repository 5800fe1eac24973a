"""The parameters and vocabularies of the repository: what they say holds together."""

import csv
import re
from pathlib import Path

import ibis
import pytest
from ibis import _

from platform_assets.contracts import contract

PROJECT = Path(__file__).parents[2]
DOMAIN = PROJECT / "platform_assets" / "greenit"
FILES = sorted(path for kind in ("parameters", "vocabularies") for path in (PROJECT / kind).glob("*.csv"))
DATED = [path.stem for path in FILES if "valid_from" in path.read_text(encoding="utf-8").splitlines()[0]]
IDENTITIES = {path.stem: contract(path.with_suffix("").with_suffix(".odcs.yaml")).custom.get("identifies") for path in FILES if path.parent.name == "parameters"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_the_columns_of_its_contract_and_a_source_and_licence_in_every_row(path):
    made = contract(path.with_suffix("").with_suffix(".odcs.yaml"))
    with path.open(encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        rows = list(reader)
    assert reader.fieldnames == [column.name for column in made.columns]
    required = {column.name for column in made.columns if column.required}
    assert [(place, name) for place, row in enumerate(rows, 2) for name in required if not row[name].strip()] == []
    keys = [tuple(row[name] for name in made.key) for row in rows]
    assert len(set(keys)) == len(keys)


def broken(table, rule):
    """Rows that break one rule; just the expectations that parameters use."""
    given, column = rule.kwargs, rule.kwargs.get("column")
    if rule.expectation == "expect_column_values_to_be_in_set":
        found = ~table[column].isin(given["value_set"])
    elif rule.expectation == "expect_column_values_to_match_regex":
        found = ~table[column].re_search(given["regex"])
    elif rule.expectation == "expect_column_values_to_be_between":
        found = (table[column] < given.get("min_value", table[column])) | (table[column] > given.get("max_value", table[column]))
    else:
        found = _.count().over(ibis.window(group_by=given["column_list"])) > 1
    return table.mutate(is_broken=found).filter(_.is_broken).to_pyarrow().to_pylist()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_keeps_the_rules_of_its_contract(path, reference):
    rules = contract(path.with_suffix("").with_suffix(".odcs.yaml")).rules
    assert {rule.name for rule in rules if broken(reference(path.stem), rule)} == set()


@pytest.mark.parametrize("name", sorted(IDENTITIES))
def test_no_two_rows_of_a_key_are_in_force_on_one_day(name, reference):
    one, other = reference(name), reference(name).view()
    identity = contract(PROJECT / "parameters" / f"{name}.odcs.yaml").key + ("valid_from",)
    same = [one[column] == other[column] for column in IDENTITIES[name]]
    overlap = (one.valid_from <= other.valid_to.fill_null(ibis.date(9999, 1, 1))) & (other.valid_from <= one.valid_to.fill_null(ibis.date(9999, 1, 1)))
    different = ibis.or_(*(one[column] != other[column] for column in identity))
    assert one.join(other, [*same, overlap & different]).count().execute() == 0


def test_every_dated_parameter_is_guarded_against_overlaps():
    assert {name for name, identity in IDENTITIES.items() if identity} == set(DATED) == {path.stem for path in FILES if path.parent.name == "parameters"}


def test_every_mapped_item_has_a_lifetime_and_a_factor_and_all_energies_have_items(reference):
    mapped = set(reference("item_map").filter(_.item_key.notnull()).item_key.execute())
    weighed = set(reference("device_factor").item_key.execute())
    assert mapped <= weighed <= set(reference("device_lifetime").item_key.execute()) | {"laptop_charger", "phone_charger"}
    assert set(reference("device_energy").item_key.execute()) <= weighed


def test_every_region_has_a_grid_factor_and_the_world_has_one_in_every_criterion(reference):
    known = set(reference("grid_factor").country_code.execute())
    assert set(reference("cloud_region").country_code.execute()) <= known
    both = reference("grid_factor").union(reference("grid_factor_multicriteria"))
    assert set(both.filter(_.country_code == "WLD").criterion.execute()) == {"GWP", "PE", "ADPe", "WU"}


def test_each_criterion_has_one_unit_everywhere(reference):
    units = {"GWP": "kgCO2e", "PE": "MJ", "ADPe": "kgSbeq", "WU": "L"}
    for name in ("device_factor", "grid_factor", "grid_factor_multicriteria", "cloud_meter_embodied", "service_factor"):
        said = reference(name).select("criterion", "unit").distinct().to_pyarrow().to_pylist()
        assert all(units[row["criterion"]] == row["unit"] for row in said), name


def test_scope_rules_cover_every_domain_ownership_and_phase(reference):
    rules = {(row["domain"], row["ownership"], row["phase"]) for row in reference("scope_rule").to_pyarrow().to_pylist()}
    phases = ("manufacturing", "distribution", "use", "end_of_life")
    assert {(domain, owner, phase) for domain in ("equipment", "datacentre") for owner in ("owned", "leased", "byod") for phase in phases} <= rules
    assert {("cloud", "service", phase) for phase in phases} <= rules


def test_every_canonical_word_has_its_rule(reference):
    assert set(reference("equipment_status").status.execute()) == set(reference("status_rule").status.execute())
    assert set(reference("ownership").ownership.execute()) == set(reference("usage_rate").ownership.execute())
    assert set(reference("instance_pattern").usage_kind.execute()) == set(reference("cloud_meter_rule").usage_kind.execute())


@pytest.mark.parametrize("name", [
    "ai_provider", "charge_category", "charge_class", "country", "energy_instrument", "equipment_status", "network_kind", "ownership", "provider", "saas_activity",
    "service_category", "unit"])  # fmt: skip
def test_aliases_are_written_as_they_are_looked_up(name, reference):
    aliases = reference(name)["alias"].execute()
    assert [alias for alias in aliases if alias != alias.strip().lower()] == []


def test_every_activity_and_kind_of_a_service_weighs_something_and_every_provider_has_a_model(reference):
    weighed = set(reference("service_energy").service_key.execute()) | set(reference("service_factor").service_key.execute())
    assert {f"saas_{word}" for word in reference("saas_activity").activity_key.execute()} <= weighed
    keys = {"fixed_line": "network_fixed_line", "mobile": "network_mobile_gb", "wan": "network_wan_gb"}
    assert {keys[word] for word in reference("network_kind")["kind"].execute()} <= weighed
    assert set(reference("ai_provider").provider.execute()) == set(reference("language_model").provider.execute())


def test_every_pattern_fits_its_example(reference):
    for row in reference("instance_pattern").to_pyarrow().to_pylist():
        assert re.search(row["pattern"], row["example"].lower()), row["example"]


def test_every_iso_country_is_known_by_two_and_three_letters(reference):
    aliases = {row["alias"]: row["country_code"] for row in reference("country").select("alias", "country_code").to_pyarrow().to_pylist()}
    codes = set(aliases.values())
    assert len(codes) == 250  # 249 of ISO 3166-1 and Kosovo
    assert all(aliases[code.lower()] == code for code in codes)
    assert {code for code in codes if not any(len(alias) == 2 and found == code for alias, found in aliases.items())} == set()


def test_an_instances_energy_and_server_share_stay_within_reason(reference):
    odd = reference("cloud_instance").filter((_.max_watts_per_vcpu < _.min_watts_per_vcpu) | (_.vcpu > _.platform_vcpu) | (_.gpu_max_watts < _.gpu_min_watts))
    assert odd.select("instance_id").to_pyarrow().to_pylist() == []


def test_silver_reads_no_parameters():
    for path in (DOMAIN / "silver").glob("*.py"):
        words = set(re.findall(r"\b[a-z_]+(?=: ir\.Table)", path.read_text(encoding="utf-8")))
        assert words.isdisjoint({file.stem for file in FILES if file.parent.name == "parameters"}), path.name


def test_a_meters_example_is_read_by_its_own_row_and_every_meter_has_energy(reference):
    rules = reference("cloud_meter_map").order_by("priority").to_pyarrow().to_pylist()
    for rule in rules:
        first = next(row for row in rules if row["provider"] in (rule["provider"], "*") and row["usage_kind"] == rule["usage_kind"]
                     and re.search(row["pattern"], rule["example"].lower()))  # fmt: skip
        assert (first["meter_key"], first["copies"]) == (rule["meter_key"], rule["copies"]), (rule["map_id"], first["map_id"])
    energies = {row["meter_key"]: row["per"] for row in reference("cloud_meter_energy").to_pyarrow().to_pylist()}
    assert {rule["meter_key"] for rule in rules} == set(energies)
    embodied = reference("cloud_meter_embodied").select("meter_key", "per").distinct().to_pyarrow().to_pylist()
    assert {row["meter_key"]: row["per"] for row in embodied}.items() <= energies.items()


def test_every_mapped_unit_and_kind_is_a_word_of_the_vocabulary(reference):
    kinds, units = set(reference("unit").usage_kind.execute()), set(reference("unit").unit.execute())
    assert set(reference("cloud_meter_map").usage_kind.execute()) <= kinds
    assert set(reference("cloud_meter_unit").consumed_unit.execute()) <= units


def test_a_meters_interval_holds_its_value(reference):
    for name in ("cloud_meter_energy", "cloud_meter_embodied", "service_energy", "service_factor"):
        odd = reference(name).filter((_.value_min > _.value) | (_.value_max < _.value))
        assert odd.count().execute() == 0, name
