"""Behaviour of greenit/platinum/kpi_dimension."""

from collections import defaultdict
from datetime import date
from decimal import Decimal

import pytest

from platform_assets.greenit.platinum.kpi_dimension import DIMENSIONS

JUNE = date(2024, 6, 1)
HOST = {"activity_id": "equipment-h", "month_start": JUNE, "source": "equipment", "domain": "datacentre", "item_key": "server", "site_id": "DC1", "org_unit": "IT", "country_code": "FRA",
        "ownership": "owned"}  # fmt: skip
PAGE = {"activity_id": "web-p", "month_start": JUNE, "source": "web", "domain": "web", "application_id": "web", "country_code": "FRA", "ownership": "visitor"}
IMPACT = {"activity_id": "equipment-h", "month_start": JUNE, "phase": "use", "criterion": "GWP", "accounting_view": "amortised", "ghg_method": "location", "category": "2",
          "domain": "datacentre", "unit": "kgCO2e", "value": Decimal(10)}  # fmt: skip
SHARE = {"parent_id": "equipment-h", "allocation_key": "capacity", "vm_id": "a"}
THIRD = Decimal(1) / 3
THIRDS = [{**SHARE, "application_id": name, "share": share.quantize(Decimal("1e-18"))} for name, share in
          (("crm prod", THIRD), ("erp prod", THIRD), ("(unallocated)", 1 - 2 * THIRD.quantize(Decimal("1e-18"))))]  # fmt: skip


@pytest.fixture
def members(platinum):
    """`members(impacts, activities, allocation)`: dimension -> {member: value} of GWP."""

    def compute(impacts, activities, allocation=()):
        found = defaultdict(dict)
        for row in platinum("kpi_dimension", impact=impacts, activity=activities, allocation=allocation):
            found[row["dimension"]][row["member"]] = found[row["dimension"]].get(row["member"], 0) + row["value"]
        return found

    return compute


def test_every_dimension_has_a_member_for_every_impact_and_adds_up_to_the_whole(members):
    found = members([IMPACT, {**IMPACT, "activity_id": "web-p", "domain": "web", "value": Decimal(4)}], [HOST, PAGE])
    assert set(found) == {*DIMENSIONS, "application"}
    assert {dimension: sum(of.values()) for dimension, of in found.items()} == dict.fromkeys(found, 14)
    assert (found["site"], found["org_unit"], found["country"], found["application"]) == ({"DC1": 10, "(none)": 4}, {"IT": 10, "(none)": 4}, {"FRA": 14}, {"web": 4, "(none)": 10})


def test_a_host_belongs_to_its_applications_and_what_is_idle_to_nobody(members):
    shares = [{**SHARE, "application_id": "crm prod", "share": Decimal("0.25")}, {**SHARE, "vm_id": "b", "application_id": "crm prod", "share": Decimal("0.15")},
              {**SHARE, "vm_id": "(unallocated)", "application_id": "(unallocated)", "share": Decimal("0.6")},
              {**SHARE, "allocation_key": "allocated", "application_id": "crm prod", "share": Decimal(1)}]  # fmt: skip
    assert members([IMPACT], [HOST], shares)["application"] == {"crm prod": Decimal(4), "(unallocated)": Decimal(6)}


def test_members_of_a_host_add_up_to_the_last_digit(members):
    # a third of 10 has no last digit: the largest member takes what rounding leaves
    found = members([IMPACT], [HOST], THIRDS)["application"]
    assert sum(found.values()) == Decimal(10)
    assert found == {"crm prod": Decimal("3.333333333333333330"), "erp prod": Decimal("3.333333333333333330"), "(unallocated)": Decimal("3.333333333333333340")}


def test_each_cell_of_a_host_adds_up_by_itself_also_in_postgresql(in_postgres, table_of, rows):
    """PostgreSQL holds products that DuckDB cannot: 98,765.43 kg × 18 places."""
    large = Decimal("98765.432109876543210123")
    lines = [{**IMPACT, "value": large}, {**IMPACT, "ghg_method": "market", "value": Decimal("0.000000000000000001")}, {**IMPACT, "category": "3.3", "ghg_method": "none", "value": -large}]
    for name, given in (("impact", lines), ("activity", [HOST]), ("allocation", THIRDS)):
        in_postgres.put(name, rows(table_of("gold", name, *given)))
    sums = defaultdict(Decimal)
    for row in in_postgres.made("kpi_dimension"):
        sums[row["dimension"], row["method"]] += row["value"]
    assert {method: sums["application", method] for method in ("location", "market", "none")} == {"location": large, "market": Decimal("1e-18"), "none": -large}
    assert all(value == sums["application", method] for (_dimension, method), value in sums.items())
