"""Many runs, one after the other and two at a time, forked from one process that has loaded everything: none hangs or fails, nothing grows.

`STRATA_SOAK_RUNS` says how many (1,000). Runs are forked as the code server forks them: the same preload, a process of its own for each.
"""
from __future__ import annotations

import multiprocessing
import os
import resource
import time
from multiprocessing import forkserver
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from cli.code_server import PRELOADED
from partitions.customers import customer
from platform_assets.verification import verify
from tests.installation import Installation, _execute, billing, inventory

pytestmark = pytest.mark.soak
RUNS = int(os.environ.get("STRATA_SOAK_RUNS", "1000"))
NAMES = ("soaked_a", "soaked_b")  # side by side, as the queue runs two
LANDS_EVERY = 10
HANGS_SECONDS = 180
WARM = 5  # runs before the process that forks has settled
GROWTH = 1.05


@pytest.fixture(scope="module")
def ready(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("soaked")
    for name in NAMES:
        installation.declare(name)
        installation.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {"quantity": 1})])
        installation.land(name, "cloud_billing", [billing(folder / f"{name}-bill.csv", f"account-{name}", {})])
    return installation


def forked(context: Any, name: str) -> tuple[Any, Any]:
    """A run in a process of its own, and the end of a pipe that tells the most memory it had, in kB."""
    told, tells = context.Pipe(duplex=False)
    environment = {key: value for key, value in os.environ.items() if key.startswith("STRATA_")}
    child = context.Process(target=run_of, args=(name, environment, tells))
    child.start()
    tells.close()
    return child, told


def run_of(name: str, environment: dict[str, str], tells: Any) -> None:
    import dagster as dg

    from partitions.customers import CUSTOMERS

    os.environ.update(environment)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(CUSTOMERS.name, [name])
        done = _execute(instance, name, None, {})
    tells.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    tells.close()
    os._exit(0 if done.success else 1)


def finished(child: Any, told: Any) -> int:
    child.join(HANGS_SECONDS)
    if child.is_alive():
        child.kill()
        child.join()
        pytest.fail(f"a run did not end in {HANGS_SECONDS} s")
    assert child.exitcode == 0
    peak = told.recv()
    told.close()
    child.close()
    return peak


def size_of(pid: int) -> dict[str, int]:
    """Memory in kB, files and threads of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {"memory": int(status["VmRSS"].split()[0]), "threads": int(status["Threads"]), "files": len(os.listdir(f"/proc/{pid}/fd"))}


@pytest.fixture(scope="module")
def context() -> Any:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([PRELOADED])
    return made


def connections(installation: Installation) -> int:
    with installation.superuser() as connection:
        return connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^lake_'").fetchone()[0]


def test_no_run_of_many_hangs_or_fails_and_nothing_grows(ready: Installation, context: Any, tmp_path: Path) -> None:
    peaks: list[int] = []
    seconds: list[float] = []
    sizes: list[dict[str, int]] = []
    while len(peaks) < RUNS:
        if (len(peaks) // len(NAMES)) % LANDS_EVERY == LANDS_EVERY - 1:
            for name in NAMES:
                ready.land(name, "equipment_inventory", [inventory(tmp_path / "next.csv", {"quantity": len(peaks)})])
        started = time.monotonic()
        peaks += [finished(*one) for one in [forked(context, name) for name in NAMES]]
        seconds.append(time.monotonic() - started)
        sizes.append({**size_of(forkserver._forkserver._forkserver_pid), "connections": connections(ready), "own_files": len(os.listdir("/proc/self/fd"))})
    part = max(1, len(sizes) // 10)
    settled, last = sizes[min(WARM, len(sizes) - 1)], sizes[-1]
    print(f"\n{len(peaks)} runs; seconds of two at once: median {median(seconds):.2f}, most {max(seconds[1:]):.2f}; peak of a run: "
          f"{median(peaks[:2 * part]) / 1024:.0f} MB first, {median(peaks[-2 * part:]) / 1024:.0f} MB last; the process that forks: {settled} to {last}")
    assert last["memory"] <= settled["memory"] * GROWTH
    assert (last["threads"], last["connections"]) == (settled["threads"], 0)
    assert all(last[name] <= settled[name] + 2 for name in ("files", "own_files"))  # a child's pipe may be open for a moment yet
    assert median(peaks[-2 * part:]) <= median(peaks[:2 * part]) * GROWTH
    assert not [path for name in NAMES for path in ready.settings.temp_root.glob(f"{name}-*")]
    found = verify(ready.postgres, {name: customer(name, ready.settings.customers) for name in NAMES})
    assert (found.broken, found.unseen) == ([], {})
