"""Behaviour of partitions/customers.py: a wrong id or file is refused with its place, and keys follow the folder."""
from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from partitions.customers import CUSTOMERS, check_id, customer, load_customers, reconcile
from partitions.errors import CustomerError

PROJECT = Path(__file__).resolve().parents[2]
GOOD = """\
name: Hooli
status: active
country: US
currency: USD
time_zone: America/New_York
steward:
  name: Data steward
  email: steward@example.org
sources:
  equipment_inventory:
    format: strata_1
"""
HOSTILE = ["../x", "A b", "a" * 64, "a" * 32,
           "аcme", "acme\n", "acme\x00", "", "a", "1acme", "acme.yaml", "/etc/passwd", "acmé", "ac-me", "a,b", "a...b", "ａcme", "acme/../globex"]


def written(folder: Path, text: str = GOOD, name: str = "hooli.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("id", HOSTILE)
def test_a_hostile_id_is_refused_before_any_path_is_touched(id, monkeypatch):
    for name in ("open", "stat", "exists", "is_file", "glob", "iterdir", "read_text"):
        monkeypatch.setattr(Path, name, lambda *_, **__: pytest.fail("a path was touched"))
    with pytest.raises(CustomerError):
        customer(id, Path("customers"))


def test_a_hostile_id_is_shown_on_one_printable_line():
    with pytest.raises(CustomerError) as caught:
        check_id("x\n[customer acme] all fine" + "y" * 500)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_the_sample_customers_validate():
    found = load_customers(PROJECT / "customers")
    assert {"acme", "globex", "initech"} <= set(found)
    assert found["acme"].id == "acme"
    assert "cloud_billing" not in found["initech"].sources


def test_an_unknown_customer_is_named_with_the_fix(tmp_path):
    with pytest.raises(CustomerError, match=r"\[customer nobody\].*customers/nobody.yaml; known: hooli"):
        customer("nobody", written(tmp_path))


@pytest.mark.parametrize(("change", "line", "words"), [
    (("status: active", "status: happy"), 2, "status"),
    (("currency: USD", "currency: Dollar"), 4, "currency"),
    (("America/New_York", "Mars/Olympus"), 5, "time_zone"),
    (("steward@example.org", "nobody"), 8, "steward.email"),
    (("    format: strata_1", "    format: strata_1\n    colour: red"), 12, "sources.equipment_inventory.colour: this key is unknown"),
    (("country: US", "country: US\ncountry: FR"), 4, "given twice"),
    (("name: Hooli", "nom: Hooli"), 1, "name"),
    (("country: US", "country: [US"), 4, "not plain YAML"),
    (("name: Hooli", "name: &a Hooli\nsteward_name: *a"), 2, "aliases"),
    (("name: Hooli", "name: !!python/object/apply:os.system [true]"), 1, "not plain YAML"),
    (("name: Hooli", "id: globex\nname: Hooli"), None, "the file name is the id"),
])
def test_a_wrong_file_is_refused_with_its_line(tmp_path, change, line, words):
    with pytest.raises(CustomerError) as caught:
        load_customers(written(tmp_path, GOOD.replace(*change)))
    assert words in str(caught.value)
    assert caught.value.place["file"] == "hooli.yaml"
    assert caught.value.place.get("line") == line


def test_no_value_of_the_file_is_in_the_message(tmp_path):
    with pytest.raises(CustomerError) as caught:
        load_customers(written(tmp_path, GOOD.replace("steward@example.org", "canary-value")))
    assert "canary" not in str(caught.value)


def test_a_file_whose_name_is_no_id_is_refused(tmp_path):
    with pytest.raises(CustomerError, match="not a customer id"):
        load_customers(written(tmp_path, name="Hooli Inc.yaml"))


def test_a_file_that_ends_in_yml_is_not_overlooked(tmp_path):
    with pytest.raises(CustomerError, match=r"end in \.yaml"):
        load_customers(written(tmp_path, name="hooli.yml"))


def test_active_and_paused_customers_get_a_partition_and_leaving_ones_do_not(tmp_path):
    for name, status in (("aa", "active"), ("bb", "paused"), ("cc", "leaving")):
        written(tmp_path, GOOD.replace("active", status), f"{name}.yaml")
    with dg.DagsterInstance.ephemeral() as instance:
        assert reconcile(instance, load_customers(tmp_path)).added == ("aa", "bb")
        again = reconcile(instance, load_customers(tmp_path))
        assert (again.added, again.kept, again.retired) == ((), ("aa", "bb"), ())
        assert set(instance.get_dynamic_partitions(CUSTOMERS.name)) == {"aa", "bb"}


def test_a_key_without_file_is_reported_and_stays(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(CUSTOMERS.name, ["gone"])
        found = load_customers(written(tmp_path))
        assert reconcile(instance, found).retired == ("gone",)
        assert set(instance.get_dynamic_partitions(CUSTOMERS.name)) == {"gone", "hooli"}
