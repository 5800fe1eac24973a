"""What `strata launch` takes from Dagster beyond its public API: if one of these fails after an upgrade, cli/launching.py needs a look."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.run_coordinator import QueuedRunCoordinator, SubmitRunContext

from cli.launching import LOCATION, Launch, create_run, launch_of, origins
from partitions.customers import CUSTOMERS
from partitions.errors import ContractError
from resources.settings import PROJECT

ACTIVITY = dg.AssetKey(["greenit", "gold", "activity"])

GOLD = {path.name.removesuffix(".odcs.yaml") for path in (PROJECT / "platform_assets" / "greenit" / "gold").glob("*.odcs.yaml")}


@pytest.fixture
def orchestrator(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("STRATA_CUSTOMERS", str(PROJECT / "customers"))  # acme of the samples: a run carries its size class
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(CUSTOMERS.name, ["acme"])
        yield instance


def run_of(instance: dg.DagsterInstance, launch: Launch) -> dg.DagsterRun:
    return create_run(instance, launch, "acme", {}, **origins())


def test_a_run_made_without_a_code_server_names_location_job_and_customer(orchestrator: dg.DagsterInstance) -> None:
    run = run_of(orchestrator, launch_of(as_of=date(2024, 8, 31)))
    assert run.status == dg.DagsterRunStatus.NOT_STARTED
    assert run.tags["dagster/partition"] == "acme"
    assert run.tags["strata/as_of"] == "2024-08-31"
    assert "dagster/max_runtime" in run.tags
    assert run.remote_job_origin.location_name == LOCATION
    assert run.remote_job_origin.job_name == run.job_code_origin.job_name == "greenit_customer"
    assert run.asset_selection is None
    assert run.asset_check_selection is None
    assert "greenit__publication" in run.step_keys_to_execute


def test_the_coordinator_queues_a_run_without_a_workspace(orchestrator: dg.DagsterInstance) -> None:
    run = run_of(orchestrator, launch_of())
    coordinator = QueuedRunCoordinator()
    coordinator.register_instance(orchestrator)
    coordinator.submit_run(SubmitRunContext(run, workspace=None))
    assert orchestrator.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.QUEUED


def test_a_selected_table_brings_its_checks(orchestrator: dg.DagsterInstance) -> None:
    run = run_of(orchestrator, launch_of('key:"greenit/gold/activity"'))
    assert run.asset_selection == {ACTIVITY}
    assert sorted(run.step_keys_to_execute) == ["greenit__gold__activity", "greenit_gold_activity_rules"]


def test_checks_alone_compute_nothing(orchestrator: dg.DagsterInstance) -> None:
    run = run_of(orchestrator, launch_of("group:gold", checks_only=True))
    assert run.asset_selection == frozenset()
    assert {key.asset_key.path[-1] for key in run.asset_check_selection} == GOLD
    assert sorted(run.step_keys_to_execute) == [f"greenit_gold_{name}_rules" for name in sorted(GOLD)]


def test_a_jobs_retry_policy_does_not_reach_a_run_outside_of_it_but_a_steps_own_does() -> None:
    """Why TRANSIENT stands on every step: from an asset's page Dagster's UI may start a run of the implicit job."""
    mine, the_jobs = dg.RetryPolicy(max_retries=2), dg.RetryPolicy(max_retries=7)

    @dg.asset(retry_policy=mine)
    def kept() -> None: ...

    @dg.asset
    def lost() -> None: ...

    defs = dg.Definitions(assets=[kept, lost], jobs=[dg.define_asset_job("both", op_retry_policy=the_jobs)])
    implicit = defs.resolve_implicit_global_asset_job_def()
    assert {node.name: implicit.get_retry_policy_for_handle(NodeHandle(node.name, None)) for node in implicit.nodes} == {"kept": mine, "lost": None}


def test_every_step_of_ours_is_retried_once() -> None:
    job = launch_of().job
    assert {node.name: node.definition.retry_policy.max_retries for node in job.nodes if node.definition.retry_policy} == {n.name: 1 for n in job.nodes}


@pytest.mark.parametrize("selection", ["group:nonsense", "(((", "group:parameters"])
def test_a_selection_of_nothing_is_refused(selection: str) -> None:
    with pytest.raises(ContractError):
        launch_of(selection)
