"""What is tried again and what is not: a fault that would come again fails at once."""
from __future__ import annotations

from pathlib import Path

import pytest

from resources import failpoints
from tests.installation import Installation, billing, inventory


def test_a_transient_fault_is_tried_once_more(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.declare("retried_once")
    installation.land("retried_once", "equipment_inventory", [inventory(tmp_path / "inventory.csv", {"equipment_id": "a"})])
    monkeypatch.setattr(failpoints, "_hits", {})
    monkeypatch.setenv("FAILPOINT", "lake.before_commit:raise:1")
    done = installation.run("retried_once")
    assert done.success, done.failures
    assert {step: count for step, count in done.attempts.items() if count > 1} == {next(iter(done.attempts)): 2}
    assert {verdict for table in installation.versions("retried_once").values() for _, verdict, _ in table} == {"passed"}


def test_a_transient_fault_that_stays_fails_after_the_second_try(installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.declare("retried_in_vain")
    installation.land("retried_in_vain", "equipment_inventory", [inventory(tmp_path / "inventory.csv", {"equipment_id": "a"})])
    monkeypatch.setenv("FAILPOINT", "lake.before_commit:raise")
    done = installation.run("retried_in_vain", ["greenit/bronze/equipment_inventory"])
    assert not done.success
    assert done.attempts["greenit__bronze__equipment_inventory"] == 2
    assert installation.versions("retried_in_vain") == {}


def test_a_foreign_owner_fails_at_the_first_try(installation: Installation, tmp_path: Path) -> None:
    name = "never_retried"
    installation.declare(name)
    installation.land(name, "cloud_billing", [billing(tmp_path / "bill.csv", f"account-{name}", {})])
    installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "accepted_owners": ["somebody-else"]}})
    done = installation.run(name, ["greenit/bronze/cloud_billing"])
    assert not done.success
    assert done.attempts["greenit__bronze__cloud_billing"] == 1
    assert "accepted_owners" in done.failures["greenit__bronze__cloud_billing"]
    assert installation.versions(name) == {}


def test_a_customer_without_a_delivery_fails_at_the_first_try(installation: Installation) -> None:
    installation.declare("never_delivered")
    done = installation.run("never_delivered")
    assert not done.success
    assert done.failures
    assert all(done.attempts[step] == 1 for step in done.failures)


def test_a_run_without_a_customer_says_so_at_the_first_try(installation: Installation) -> None:
    from platform_assets.greenit.definitions import defs

    job = defs.resolve_job_def("greenit_customer")
    key = next(key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key.path[-1] == "impact")
    checks = {k for k in job.asset_layer.asset_graph.asset_check_keys if k.asset_key == key.asset_key}
    result = job.get_subset(asset_check_selection=checks).execute_in_process(instance=installation.instance, raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "exactly one customer" in failure.step_failure_data.user_failure_data.description
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
