"""Calls from outside, through GraphQL as a browser or another program makes them; and customers that are paused, whoever calls."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from dagster_graphql.test.utils import execute_dagster_graphql

from cli.launching import JOB, LOCATION
from resources.backfills import new_order, targets_of
from tests.launches.conftest import Daemons

BRONZE = {"path": ["greenit", "bronze", "equipment_inventory"]}
SELECTOR = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "pipelineName": JOB}
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
            ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) { __typename
            ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } ... on PartitionKeysNotFoundError { message } } }"""


def ask(daemons: Daemons, query: str, params: dict[str, Any]) -> dict[str, Any]:
    found = execute_dagster_graphql(daemons.workspace.create_request_context(), query, {"params": params})
    assert found.errors is None, found.errors
    return next(iter(found.data.values()))


def launch(daemons: Daemons, name: str, *tables: dict, **tags: str) -> dg.DagsterRun:
    told = [{"key": key.replace("__", "/"), "value": value} for key, value in {"dagster__partition": name, **tags}.items()]
    selector = {**SELECTOR, **({"assetSelection": list(tables)} if tables else {})}
    made = ask(daemons, LAUNCH, {"selector": selector, "mode": "default", "executionMetadata": {"tags": told}})
    assert made["__typename"] == "LaunchRunSuccess", made
    return daemons.instance.get_run_by_id(made["run"]["runId"])


def test_a_run_of_one_customer_of_some_tables_as_of_a_day_and_by_a_commits_parameters(daemons: Daemons) -> None:
    daemons.declare("called")
    whole = launch(daemons, "called")
    part = launch(daemons, "called", BRONZE, strata__as_of="2024-08-31", strata__parameters="abc123")
    assert whole.status == part.status == dg.DagsterRunStatus.QUEUED  # the queue starts one run of a customer at a time
    assert whole.asset_selection is None
    assert part.asset_selection == {dg.AssetKey(BRONZE["path"])}
    assert (part.tags["strata/as_of"], part.tags["strata/parameters"]) == ("2024-08-31", "abc123")
    assert {"key": "dagster/partition", "limit": 1, "value": {"applyLimitPerUniqueValue": True}} in daemons.instance.get_concurrency_config().run_queue_config.tag_concurrency_limits


def test_a_backfill_of_several_customers_is_one_run_each_and_a_stranger_is_refused(daemons: Daemons) -> None:
    for name in ("called_a", "called_b"):
        daemons.declare(name)
    order = new_order("billing", datetime.now(UTC))
    tags = [{"key": "strata/backfill", "value": order}]
    made = ask(daemons, BACKFILL, {"assetSelection": [BRONZE], "partitionNames": ["called_a", "called_b"], "tags": tags})
    assert set(targets_of(daemons.instance.get_backfill(made["backfillId"]))) == {"called_a", "called_b"}
    daemons.submit()
    for name in ("called_a", "called_b"):
        [run] = daemons.runs(name)
        assert run.tags["strata/backfill"] == order
    assert order in daemons.strata("backfill", "status").output
    stranger = ask(daemons, BACKFILL, {"assetSelection": [BRONZE], "partitionNames": ["nobody_here"]})
    assert stranger["__typename"] == "PartitionKeysNotFoundError"


def test_a_paused_customer_is_refused_however_it_is_launched_unless_the_launch_says_so(daemons: Daemons) -> None:
    daemons.declare("sleeps", status="paused")
    refused = daemons.strata("launch", "sleeps")
    assert refused.exit_code == 1
    assert "CustomerError: [customer sleeps] this customer is paused. Fix: set its status to active, or launch it --even-if-paused" in refused.output
    assert daemons.runs("sleeps") == []
    assert "this customer is paused" in daemons.execute(launch(daemons, "sleeps", BRONZE))["greenit__bronze__equipment_inventory"]
    awake = daemons.execute(launch(daemons, "sleeps", BRONZE, strata__even_if_paused="true"))["greenit__bronze__equipment_inventory"]
    assert "no delivery of this customer declares a period" in awake  # it got as far as its files


@pytest.mark.parametrize("command", [["launch", "goes_away", "--even-if-paused"], ["launch", "goes_away"]])
def test_a_leaving_customer_is_not_computed_any_more(daemons: Daemons, command: list[str]) -> None:
    daemons.declare("goes_away", status="leaving")
    refused = daemons.strata(*command)
    assert refused.exit_code == 1
    assert "this customer is leaving and is not computed any more" in refused.output
