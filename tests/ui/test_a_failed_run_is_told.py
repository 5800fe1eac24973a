"""A run that somebody launches from Dagster's pages fails, and the daemon's sensor tells the customer's steward."""
from __future__ import annotations

import json
import time
from typing import Any

import pytest
from psycopg.rows import dict_row

from resources.postgres import WRITER
from tests.ui.conftest import UNDELIVERED_TOO, Served

pytestmark = pytest.mark.ui
SECONDS = 240
LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) { __typename
            ... on LaunchRunSuccess { run { runId } } } }"""


def test_the_daemon_tells_the_steward_of_a_run_that_failed(served: Served) -> None:
    selector = {"repositoryLocationName": "greenit", "repositoryName": "__repository__", "pipelineName": "greenit_customer"}
    tags = [{"key": "dagster/partition", "value": UNDELIVERED_TOO}]
    made = served.ask(LAUNCH, params={"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}})["launchPipelineExecution"]
    assert made["__typename"] == "LaunchRunSuccess"
    told = wait_for(served, made["run"]["runId"])
    assert "no delivery of this customer declares a period" in told["problem"]
    assert told["link"].endswith(f"/runs/{made['run']['runId']}")
    lines = [json.loads(line) for line in (served.postgres.settings.home / "notices" / "dev.jsonl").read_text().splitlines()]
    assert (UNDELIVERED_TOO, "run_failed", told["subject"]) in {(line["customer"], line["kind"], line["table"]) for line in lines}


def wait_for(served: Served, run: str) -> dict[str, Any]:
    """The notice of a run, once it is sent."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with served.postgres.connect(WRITER, customer=UNDELIVERED_TOO) as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute("SELECT * FROM platform.notice WHERE occurrence = %s AND sent_at IS NOT NULL", [run]).fetchone()
        if row:
            return row
        time.sleep(1)
    raise AssertionError(f"nobody was told of run {run} within {SECONDS} s")
