"""Nobody holds the queue: a giant takes one place of it, and who waits at a terminal goes before a fleet."""
from __future__ import annotations

from cli.launching import create_run, launch_of
from tests.launches.conftest import Daemons


def test_of_two_giants_one_runs_and_a_small_customer_takes_the_other_place(daemons: Daemons) -> None:
    for name, size in (("giant_a", "giant"), ("giant_b", "giant"), ("small_c", "small")):
        daemons.declare(name, size_class=size)
    queue = daemons.instance.get_concurrency_config().run_queue_config
    assert queue.max_concurrent_runs == 2
    limits = {(limit["key"], limit.get("value") if isinstance(limit.get("value"), str) else "each"): limit["limit"] for limit in queue.tag_concurrency_limits}
    assert limits == {("dagster/partition", "each"): 1, ("strata/size_class", "giant"): 1}
    launch = launch_of('key:"greenit/bronze/equipment_inventory"')
    runs = [create_run(daemons.instance, launch, name, {}) for name in ("giant_a", "giant_b", "small_c")]
    assert [run.tags["strata/size_class"] for run in runs] == ["giant", "giant", "small"]
    for run in runs:
        daemons.instance.delete_run(run.run_id)
