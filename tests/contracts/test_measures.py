"""Kinds of rules that look beyond a table's rows, on real runs of one customer: what keeps them, and a break that each of them finds."""
from __future__ import annotations

from dataclasses import replace

import pytest

from partitions.errors import ContractError
from platform_assets.contracts import Rule, contract
from platform_assets.expectations import Outcome, evaluate
from platform_assets.measures import KINDS
from resources import versions
from resources.session import Session
from resources.settings import PROJECT
from tests.installation import Installation, billing, inventory
from tests.lake import session_for

NAME = "measured"
USAGE = contract(PROJECT / "platform_assets/greenit/silver/cloud_usage.odcs.yaml")
EQUIPMENT = contract(PROJECT / "platform_assets/greenit/silver/equipment.odcs.yaml")
SITE = contract(PROJECT / "platform_assets/greenit/silver/site.odcs.yaml")
ORG_UNIT = contract(PROJECT / "platform_assets/greenit/silver/org_unit.odcs.yaml")
CONTROLS = contract(PROJECT / "platform_assets/greenit/gold/reconciliation.odcs.yaml")
KPI = contract(PROJECT / "platform_assets/greenit/platinum/kpi_monthly.odcs.yaml")


@pytest.fixture(scope="module")
def session(installation: Installation, tmp_path_factory: pytest.TempPathFactory):
    """Four versions of the bill: 100, 110, 90 and 100 lines; the last one has two lines in quarantine and 98 of another service."""
    folder = tmp_path_factory.mktemp("measured")
    sources = {"equipment_inventory": {"format": "strata_1"}, "site_register": {"format": "strata_1"}, "cloud_billing": {"format": "focus_1_0", "accepted_owners": [f"account-{NAME}"]}}
    installation.declare(NAME, reporting={"months": 1}, sources=sources)
    (folder / "sites.csv").write_text("site_id,kind,country\nLyon,office,FR\nParis,office,FR\n", encoding="utf-8")
    installation.land(NAME, "site_register", [folder / "sites.csv"])
    installation.land(NAME, "equipment_inventory", [inventory(folder / "i.csv", {"quantity": "3"}, {"quantity": "two"}, {"quantity": "4"})])
    for count in (100, 110, 90):
        installation.land(NAME, "cloud_billing", [billing(folder / f"{count}.csv", f"account-{NAME}", *[{"BilledCost": "0.5"}] * count)])
        assert installation.run(NAME).success
    last = [{"BilledCost": "0.25", "ServiceCategory": "Storage"}] * 98
    bad = [{"BilledCost": "7", "ChargeCategory": "Rental"}, {"BilledCost": "1,5"}]
    installation.land(NAME, "cloud_billing", [billing(folder / "last.csv", f"account-{NAME}", *last, *bad)])
    assert installation.run(NAME).success
    made = session_for(installation, NAME)
    yield made
    made.close()


def judged(session: Session, made, expectation: str, engine: str = "strata", **kwargs) -> Outcome:
    version = versions.newest(session.lock, NAME, made.spec.qualified)
    return evaluate(session, made.spec, (Rule("it", expectation, kwargs, "error", "", engine),), version)[0]


def test_the_kinds_tested_here_are_all_there_are() -> None:
    assert set(KINDS) == {"references", "registers", "volume", "distribution", "conservation", "reconciliation", "agreement", "bridge"}


def test_the_volume_is_judged_by_the_customers_own_history(session: Session) -> None:
    """Versions before: 100, 110, 90 lines, median 100; now 98 good lines."""
    assert judged(session, USAGE, "volume", max_change=0.02).passed
    assert not judged(session, USAGE, "volume", max_change=0.01).passed
    assert judged(session, USAGE, "volume", max_change=0.0, min_history=4).passed  # there are three


def test_another_mix_of_words_is_found_by_its_distance(session: Session) -> None:
    """All 90 lines were Compute, all 98 are Storage: the distance is 1."""
    assert judged(session, USAGE, "distribution", column="service_category", max_distance=0.99, min_rows=100).passed  # too few rows to compare
    outcome = judged(session, USAGE, "distribution", column="service_category", max_distance=0.99, min_rows=50)
    assert (outcome.passed, outcome.error) == (False, None)
    assert judged(session, USAGE, "distribution", column="provider", max_distance=0.0, min_rows=50).passed


def test_another_spread_of_numbers_is_found_by_its_distance(session: Session) -> None:
    """Costs were all 0.5 and are all 0.25: the cumulative shares differ by 1 between the two."""
    assert not judged(session, USAGE, "distribution", column="billed_cost", max_distance=0.99, min_rows=50).passed
    assert judged(session, USAGE, "distribution", column="consumed_quantity", max_distance=0.0, min_rows=50).passed


def test_money_is_conserved_and_a_lost_cent_is_found(session: Session) -> None:
    """Delivered 98 × 0.25 + 7 (and 1,5, which is no number) = loaded 24.5 + in quarantine 7."""
    kept = {"column": "billed_cost", "table": "cloud_billing", "raw": "BilledCost"}
    assert judged(session, USAGE, "conservation", **kept).passed
    outcome = judged(session, USAGE, "conservation", **{**kept, "column": "effective_cost"})  # 98 × 0.112 are other money
    assert (outcome.passed, outcome.error) == (False, None)
    assert judged(session, EQUIPMENT, "conservation", column="quantity", table="equipment_inventory", raw="quantity").passed


def test_sums_of_two_tables_reconcile_cell_by_cell(session: Session) -> None:
    by = ["criterion", "method=ghg_method", "view=accounting_view"]
    assert judged(session, KPI, "reconciliation", column="value", table="greenit_gold.impact", other="value", by=by).passed
    assert not judged(session, KPI, "reconciliation", column="value", table="greenit_gold.impact", other="value_max", by=by).passed
    half = {"column": "value", "table": "greenit_gold.impact", "other": "value", "other_where": "phase = 'use'"}
    assert not judged(session, KPI, "reconciliation", **half).passed
    assert judged(session, KPI, "reconciliation", **half, tolerance=1e9).passed


def test_a_reference_to_words_or_to_another_table_finds_the_stranger(session: Session) -> None:
    assert judged(session, EQUIPMENT, "references", column="status", table="equipment_status", key="status").passed
    assert not judged(session, EQUIPMENT, "references", column="item_type", table="equipment_status", key="status").passed
    assert judged(session, EQUIPMENT, "references", column="site_id", table="site", key="site_id").passed
    outcome = judged(session, EQUIPMENT, "references", column="item_type", table="site", key="site_id")
    assert (outcome.passed, outcome.error) == (False, None)
    assert "laptop" not in str(outcome)  # an internal column: its values are not shown


def test_a_register_has_what_another_table_names_and_an_empty_one_registers_nothing(session: Session) -> None:
    """The register has Lyon and Paris, the inventory names Lyon; nobody delivered units of an organisation."""
    assert judged(session, SITE, "registers", column="site_id", table="equipment", key="site_id").passed
    assert not judged(session, SITE, "registers", column="site_id", table="equipment", key="item_type").passed
    assert judged(session, ORG_UNIT, "registers", column="org_unit", table="equipment", key="item_type").passed


def test_two_sides_that_differ_by_more_than_their_tolerance_do_not_agree(session: Session, installation: Installation) -> None:
    change = "UPDATE greenit_gold.reconciliation SET difference = difference + %s WHERE customer_id = %s AND control = 'billing_lines'"
    assert judged(session, CONTROLS, "agreement").passed
    with installation.superuser() as connection:
        connection.execute(change, [1, NAME])
        try:
            assert not judged(session, CONTROLS, "agreement").passed
            assert judged(session, CONTROLS, "agreement", where="control <> 'billing_lines'").passed
        finally:
            connection.execute(change, [-1, NAME])


def test_effects_make_the_difference_to_the_last_digit(session: Session) -> None:
    assert judged(session, CONTROLS, "bridge", of="actual", to="expected", effects=["difference"]).passed
    assert not judged(session, CONTROLS, "bridge", of="actual", to="expected", effects=["difference", "actual"]).passed


def test_a_table_that_has_no_version_and_a_kind_that_does_not_exist_are_contract_errors(session: Session) -> None:
    with pytest.raises(ContractError, match="no version"):
        judged(session, EQUIPMENT, "references", column="site_id", table="no_such_table", key="id")
    with pytest.raises(ContractError, match=r"volume"):
        judged(session, EQUIPMENT, "no_such_kind")


def test_the_version_under_judgement_is_not_its_own_history(session: Session) -> None:
    newest = versions.newest(session.lock, NAME, USAGE.spec.qualified)
    before = versions.history(session.lock, NAME, USAGE.spec.qualified, newest.version, 12)
    assert [v.row_count for v in before] == [90, 110, 100]
    assert versions.numbered(session.lock, NAME, USAGE.spec.qualified, before[0].version) == before[0]
    assert replace(newest, version=0) != newest
