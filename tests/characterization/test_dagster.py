"""Behaviours of Dagster on which blocking by customer rests."""
import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

CUSTOMERS = dg.DynamicPartitionsDefinition(name="pinned_customer")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def definitions(severity: dg.AssetCheckSeverity, blocking: bool) -> dg.Definitions:
    """source → product, and a check on source that fails for `bad` alone, as a step of its own like ours."""

    @dg.asset(partitions_def=CUSTOMERS)
    def source() -> None: ...

    @dg.asset(partitions_def=CUSTOMERS, deps=[source])
    def product() -> None: ...

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        spec = dg.AssetCheckSpec("rule", asset="source", blocking=blocking, partitions_def=CUSTOMERS)

        @dg.multi_asset_check(name="rules", specs=[spec])
        def rules(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            yield dg.AssetCheckResult(asset_key="source", check_name="rule", passed=context.partition_key != "bad", severity=severity)

    return dg.Definitions(assets=[source, product], asset_checks=[rules], jobs=[dg.define_asset_job("all", partitions_def=CUSTOMERS)], executor=dg.in_process_executor)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("pinned_customer", ["good", "bad"])
        yield made


def run(instance: dg.DagsterInstance, made: dg.Definitions, customer: str) -> tuple[bool, set[str], Any]:
    done = made.resolve_job_def("all").execute_in_process(partition_key=customer, instance=instance, raise_on_error=False, run_config=QUIET)
    return done.success, {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()}, done


@pytest.mark.parametrize(("severity", "blocking", "customer", "success", "made"), [
    (dg.AssetCheckSeverity.ERROR, True, "bad", False, {"source"}),
    (dg.AssetCheckSeverity.ERROR, True, "good", True, {"source", "product"}),
    (dg.AssetCheckSeverity.WARN, True, "bad", True, {"source", "product"}),
    (dg.AssetCheckSeverity.ERROR, False, "bad", True, {"source", "product"}),
])
def test_a_blocking_error_stops_what_is_downstream_for_that_customer_alone(instance, severity, blocking, customer, success, made) -> None:
    assert run(instance, definitions(severity, blocking), customer)[:2] == (success, made)


def test_an_evaluation_carries_its_customer(instance) -> None:
    _, _, done = run(instance, definitions(dg.AssetCheckSeverity.ERROR, True), "bad")
    records = instance.event_log_storage.get_asset_check_execution_history(dg.AssetCheckKey(dg.AssetKey("source"), "rule"), limit=1)
    assert [evaluation.partition for evaluation in done.get_asset_check_evaluations()] == ["bad"]
    assert records[0].event.dagster_event.event_specific_data.partition == "bad"


def test_a_failure_that_says_so_is_not_retried_and_another_is(instance) -> None:
    tries: dict[str, int] = {"permanent": 0, "transient": 0}

    def failing(name: str, allow_retries: bool) -> dg.AssetsDefinition:
        @dg.asset(name=name, retry_policy=dg.RetryPolicy(max_retries=2))
        def made() -> None:
            tries[name] += 1
            raise dg.Failure("broken", allow_retries=allow_retries)

        return made

    dg.materialize([failing("permanent", False), failing("transient", True)], instance=instance, raise_on_error=False, run_config=QUIET)
    assert tries == {"permanent": 1, "transient": 3}


def test_a_failure_raised_from_none_does_not_show_what_it_replaced(instance) -> None:
    """So an engine's message that quotes a row can be replaced by one that does not."""

    @dg.asset
    def leaky() -> None:
        try:
            raise ValueError("CANARY")
        except ValueError:
            raise dg.Failure("an engine's error") from None

    done = dg.materialize([leaky], instance=instance, raise_on_error=False, run_config=QUIET)
    told = "\n".join(str(entry) for entry in instance.all_logs(done.run_id))
    assert "an engine's error" in told
    assert "ValueError: CANARY" not in told
