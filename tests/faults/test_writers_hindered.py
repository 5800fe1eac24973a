"""A disk that is full, and a writer that stands still while a later run takes over: real processes with real limits and signals."""
from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from partitions.errors import BusyError, FencedError, SpaceError
from platform_assets.collection import collect_customer
from resources import versions
from resources.postgres import Postgres
from resources.session import Session, fenced
from resources.settings import settings
from tests.faults.writing import broken, published, write_bronze, write_gold, write_platinum, write_publication
from tests.installation import PRELOADED, Installation, inventory
from tests.lake import session_for

numbers = count(1)
CODES = {SpaceError: 10, FencedError: 11}
SMALL = 8_192  # bytes: less than any Parquet file of the test has


def in_child(work, name: str, **environment: str) -> multiprocessing.Process:
    """A function with a session of its own in a forked process, which ends with a code of CODES, or 0."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    given = {key: value for key, value in os.environ.items() if key.startswith("STRATA_")}
    child = context.Process(target=_work, args=(work, name, {"FAILPOINT": "", **given, **environment}))
    child.start()
    return child


def _work(work, name: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    session = session_for(Installation(settings(), Postgres(settings()), None), name)
    code = 0
    try:
        work(session)
    except tuple(CODES) as error:
        Path(os.environ["TOLD"]).write_text(str(error), encoding="utf-8")
        code = CODES[type(error)]
    finally:
        session.close()
    os._exit(code)


def ended(child: multiprocessing.Process) -> int:
    child.join(60)
    if child.is_alive():
        child.kill()
        pytest.fail("the process hung")
    return child.exitcode


@pytest.fixture
def name(installation: Installation, tmp_path: Path) -> Iterator[str]:
    with published(installation, f"hindered{next(numbers)}", tmp_path, quotas={"memory_mb": 128}) as made:
        yield made


def lake_files(installation: Installation, name: str) -> set[str]:
    return {str(path) for path in Path(installation.settings.lake_path(name)).rglob("*") if path.is_file()}


def write_bronze_without_room(session: Session) -> None:
    assert session.con
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))
    write_bronze(session)


@fenced
def sort_without_room(session: Session) -> None:
    """300 MB through 128 MB of memory: it has to go to scratch space."""
    assert session.con
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, SMALL))
    session.con.execute("CREATE TEMP TABLE big AS SELECT range AS n, md5(range::VARCHAR) AS a, md5((range + 1)::VARCHAR) AS b FROM range(4000000) ORDER BY a")


@pytest.mark.parametrize("work", [write_bronze_without_room, sort_without_room])
def test_a_full_disk_is_told_as_such_and_leaves_nothing(installation: Installation, name: str, work, tmp_path: Path) -> None:
    rows = [{"equipment_id": f"{os.urandom(16).hex()}", "site": os.urandom(16).hex()} for _ in range(2000)]
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "2.csv", *rows)])
    before, files = installation.versions(name), lake_files(installation, name)
    assert ended(in_child(work, name, TOLD=str(tmp_path / "told"))) == CODES[SpaceError]
    said = (tmp_path / "told").read_text(encoding="utf-8")
    assert f"[customer {name}] there was no room to write in the lake or in scratch space; nothing was kept. Fix: make room" in said
    assert str(installation.settings.home) not in said
    assert installation.versions(name) == before
    for path in lake_files(installation, name) - files:  # what was begun of a file: nothing names it, and gc takes it after a day
        os.utime(path, (0, 0))
    collect_customer(session_for(installation, name))
    assert lake_files(installation, name) == files
    assert not list(installation.settings.temp_root.glob(f"{name}-*"))
    assert broken(installation, name) == []
    later = session_for(installation, name)
    assert write_bronze(later).row_count == 2000
    later.close()
    assert broken(installation, name) == []


def write_bronze_without_memory(session: Session) -> None:
    """The address space ends 64 MB above what the process has already: far less than the rows take."""
    assert session.con
    assert session.landed == {}
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 64_000_000, now + 64_000_000))
    write_bronze(session)


def test_a_run_without_memory_fails_alone(installation: Installation, name: str, tmp_path: Path) -> None:
    """F8: the other customer's run goes on beside it, nothing of the failed one is kept, and the same run works where there is memory."""
    rows = [{"equipment_id": f"{os.urandom(16).hex()}", "site": os.urandom(64).hex()} for _ in range(60_000)]
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "2.csv", *rows)])
    before = installation.versions(name)
    with published(installation, f"unhindered{next(numbers)}", tmp_path) as other:
        theirs = installation.versions(other)
        starved, beside = in_child(write_bronze_without_memory, name), in_child(write_five, other)
        assert ended(starved) not in (0, *CODES.values())
        assert ended(beside) == 0
        assert installation.versions(name) == before
        assert len(sum(installation.versions(other).values(), [])) == len(sum(theirs.values(), [])) + 1
        assert (broken(installation, name), broken(installation, other)) == ([], [])
    later = session_for(installation, name)
    assert write_bronze(later).row_count == 60_000
    later.close()
    assert broken(installation, name) == []


def write_five(session: Session) -> None:
    write_gold(session, 5)


def test_a_writer_that_stood_still_is_fenced_when_it_goes_on(installation: Installation, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP between computing and writing. While its connection lives the customer is busy; once that is cut, a later run takes over."""
    monkeypatch.setattr("resources.session.LOCK_SECONDS", 0.5)
    child = in_child(write_five, name, FAILPOINT="warehouse.before_write:stop", TOLD=os.devnull)
    wait_until_stopped(child)
    later = session_for(installation, name)
    with pytest.raises(BusyError, match="another run"):
        later.assert_fence()
    with installation.superuser() as connection:
        cut = connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid IN "
                                 "(SELECT pid FROM pg_stat_activity WHERE usename = %s)", [f"lake_{name}"]).fetchall()
    assert cut == [(True,)]
    for write in (write_gold, write_platinum):
        versions.set_verdict(later.lock, name, write(later, 4), "passed")
    write_publication(later)
    later.close()
    of_later = installation.versions(name)
    os.kill(child.pid, signal.SIGCONT)
    assert ended(child) == CODES[FencedError]
    assert installation.versions(name) == of_later
    assert broken(installation, name) == []


def wait_until_stopped(child: multiprocessing.Process) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return
        assert child.is_alive()
        time.sleep(0.05)
    child.kill()
    pytest.fail("the writer never came to the fail point")
