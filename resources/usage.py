"""What a run takes up, table by table: time, CPU, memory, bytes, PostgreSQL's time (`platform.usage`).

What belongs here: reading the process's own counters and writing them down, once per run. What does not: prices (platform_assets/platform_cost.py).
A reading is a few files of /proc: 43 tables with their checks cost some 15 ms, and the run one statement.
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psycopg

RUN, TABLE, RULES = "run", "table", "rules"  # parts of a run: what is of no table in particular, making a table, checking it
WHOLE = "(run)"
PROCESS = Path("/proc/self")
RESET_PEAK = "5"  # for clear_refs: the highest memory is counted anew from here on
INSERT = """INSERT INTO platform.usage AS u (customer_id, run_id, table_name, part, wall_seconds, cpu_seconds, postgres_seconds, peak_bytes, bytes_read,
        bytes_written, rows)
    SELECT %(customer)s, %(run)s, t.* FROM unnest(%(table)s::text[], %(part)s::text[], %(wall_seconds)s::numeric[], %(cpu_seconds)s::numeric[],
        %(postgres_seconds)s::numeric[], %(peak_bytes)s::bigint[], %(bytes_read)s::bigint[], %(bytes_written)s::bigint[], %(rows)s::bigint[]) t
    ON CONFLICT (customer_id, run_id, table_name, part) DO UPDATE SET wall_seconds = u.wall_seconds + excluded.wall_seconds,
        cpu_seconds = u.cpu_seconds + excluded.cpu_seconds, postgres_seconds = u.postgres_seconds + excluded.postgres_seconds,
        peak_bytes = greatest(u.peak_bytes, excluded.peak_bytes), bytes_read = u.bytes_read + excluded.bytes_read,
        bytes_written = u.bytes_written + excluded.bytes_written, rows = coalesce(excluded.rows, u.rows)"""

_counted: dict[int, Reading] = {}  # process -> what an earlier run of it has accounted for; a forked one begins at nothing


@dataclass(frozen=True)
class Reading:
    """The process's counters at a moment: seconds of the clock and of CPU (all threads), bytes read from and written to files."""

    wall_seconds: float
    cpu_seconds: float
    bytes_read: int
    bytes_written: int


@dataclass
class Taken:
    """What one part of a run has taken up."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    postgres_seconds: float = 0.0
    peak_bytes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


class Meter:
    """The counters of one run. Whatever happens until the next `at` belongs to the place that was named last.

    The time between steps, in which Dagster writes its events, so belongs to the step before; what the process did before its first table (starting,
    importing, or waiting for work) to `(run)`.
    """

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], Taken] = {}
        self._place = (WHOLE, RUN)
        now = reading()
        before = _counted.get(os.getpid())
        self._since = before or Reading(now.wall_seconds, 0.0, 0, 0)

    def at(self, table: str, part: str = TABLE) -> None:
        """From here on it is this table's."""
        if (table, part) != self._place:
            self._account()
            self._place = (table, part)

    def watch(self, connection: psycopg.Connection) -> psycopg.Connection:
        """The connection, whose waiting for the server counts from now on as PostgreSQL's time: statements, commits, COPY."""
        watched: Any = connection
        watched.wait = self._timed(connection.wait)
        return connection

    def write(self, connection: psycopg.Connection, customer_id: str, run_id: str, rows: Mapping[str, int]) -> None:
        """All of it as rows of `platform.usage`, in one statement. `rows`: table -> rows of the version that the run made."""
        self._account()
        found = sorted(self.taken.items())
        columns: dict[str, list[Any]] = {name.name: [getattr(one, name.name) for _, one in found] for name in fields(Taken)}
        columns |= {"table": [table for (table, _), _ in found], "part": [part for (_, part), _ in found],
                    "rows": [rows.get(table) if part == TABLE else None for (table, part), _ in found]}
        connection.execute(INSERT, {"customer": customer_id, "run": run_id, **columns})

    def _account(self) -> None:
        now, one = reading(), self._here
        for name in fields(Reading):
            setattr(one, name.name, getattr(one, name.name) + getattr(now, name.name) - getattr(self._since, name.name))
        one.peak_bytes = max(one.peak_bytes, peak())
        _counted.clear()
        _counted[os.getpid()] = self._since = now

    @property
    def _here(self) -> Taken:
        return self.taken.setdefault(self._place, Taken())

    def _timed(self, wait: Callable) -> Callable:
        def timed(*arguments: Any, **named: Any) -> Any:
            with self._waiting():
                return wait(*arguments, **named)

        return timed

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._here.postgres_seconds += time.perf_counter() - started


def reading() -> Reading:
    """Now. Where a kernel does not tell a process's bytes they are 0."""
    counted = {"rchar": 0, "wchar": 0}
    with suppress(OSError):  # not told: see above
        counted |= {name: int(value) for name, _colon, value in (line.partition(":") for line in (PROCESS / "io").read_text().splitlines())}
    return Reading(time.monotonic(), time.process_time(), counted["rchar"], counted["wchar"])


def peak() -> int:
    """The process's highest memory since the last look, in bytes; where a kernel refuses to forget it, since the process's start."""
    text = (PROCESS / "status").read_text()
    highest = int(text.partition("VmHWM:")[2].split()[0]) * 1024
    with suppress(OSError):  # refused: see above
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    return highest
