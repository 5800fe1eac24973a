"""What resources/backfills.py takes from Dagster beyond its public API: if one of these fails after an upgrade, that module needs a look."""
from __future__ import annotations

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._serdes import deserialize_value, serialize_value

from resources.backfills import Part, add, request_of, subset_of, targets_of

UP, DOWN = dg.AssetKey(["up"]), dg.AssetKey(["down"])
PART = Part(frozenset({UP, DOWN}), ("acme", "globex"), "small")
TAGS = {"strata/backfill": "x-20240101T000000Z"}


def test_a_request_for_a_subset_becomes_a_backfill_and_survives_the_way_to_the_daemon() -> None:
    request = deserialize_value(serialize_value(request_of(PART, TAGS)), dg.RunRequest)
    assert request.requires_backfill_daemon()
    assert request.asset_graph_subset == subset_of(PART)
    assert request.tags == TAGS
    assert request.run_key is None  # Dagster drops it, so nothing may rest on a run key


def test_a_subset_names_partitions_without_a_graph_or_an_instance() -> None:
    assert {(found.asset_key, found.partition_key) for found in subset_of(PART).iterate_asset_partitions()} == {
        (key, name) for key in (UP, DOWN) for name in ("acme", "globex")}


def test_a_backfill_comes_back_from_storage_with_its_targets_and_tags() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        made = instance.get_backfill(add(instance, PART, TAGS))
        assert made.status == BulkActionStatus.REQUESTED
        assert made.is_asset_backfill
        assert made.tags == TAGS
        assert targets_of(made) == {"acme": PART.keys, "globex": PART.keys}


def test_a_backfill_of_a_job_targets_everything_of_its_partitions() -> None:
    made = PartitionBackfill(backfill_id="b", status=BulkActionStatus.REQUESTED, from_failure=False, tags={}, backfill_timestamp=0.0, partition_names=["acme"])
    assert targets_of(made) == {"acme": None}
