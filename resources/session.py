"""A run's session: the one DuckDB and the one PostgreSQL connection through which a run reaches exactly one customer.

What belongs here: opening, locking and closing them, the customer's lock with its fence, and the run's identity. What does not: SQL of
tables (lake.py, warehouse.py). ARCHITECTURE 3, 4 and 17 are the rules. Readers of files (pyarrow, numpy: 0.25 CPU s) are imported where a
run reads, so that loading a code location stays cheap.
"""
from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
import duckdb
import ibis.expr.types as ir
import psycopg

from partitions.customers import Customer
from partitions.errors import BusyError, DeliveryError, FencedError, SpaceError
from resources.environment import policy_of
from resources.expressions import leaf_names
from resources.parameter_state import ParameterState, state_hash
from resources.postgres import Postgres, lake_role
from resources.releases import MadeBy, libraries_here
from resources.safeguards import refuse_unsafe_once
from resources.sandbox import sandbox
from resources.session_limits import SessionLimits, session_limits
from resources.settings import Settings
from resources.storage import TableSpec, landing_name
from resources.usage import Meter
from resources.versions import Version, confirm, next_number

if TYPE_CHECKING:
    from resources.corrections import Correction
    from resources.landing import DeliveredFile, Loaded

LOG = logging.getLogger(__name__)
LOCK_SECONDS = 60
NO_ROOM = re.compile(r"No space left on device|File too large|Disk quota exceeded|max_temp_directory_size|could not extend file", re.IGNORECASE)
ROOM = "make room (`strata gc` releases old versions) or raise the customer's quota temp_gb, then launch again"
FENCED = "STRATA_FENCED"  # begins what platform.assert_fence raises


@dataclass(frozen=True)
class Source:
    """What a table's name means in a session's SQL: the asset, and its version where it is a table of ours, a hash of its rows where it is a file."""

    key: dg.AssetKey
    version: Version | None
    content: str | None = None


@dataclass(frozen=True)
class RunIdentity:
    """What a run is: recorded with every version it writes. `as_of` None means the newest delivery's period end; `parameters` are what it reads,
    `source_snapshot` is that of production's lake to copy from, None for the newest.

    `code`: the hash of the fingerprints of its domain's tables. `release`: the release that the run promotes. `recomputes`: it makes every table
    anew, also one whose recipe is known."""

    run_id: str
    as_of: date | None
    code_commit: str
    parameter_version: str
    parameters: ParameterState | None = None
    source_snapshot: int | None = None
    code: str = ""
    release: str | None = None
    recomputes: bool = False

    @property
    def made_by(self) -> MadeBy:
        """What this run's figures hang on besides the data."""
        return MadeBy(self.code, state_hash(self.parameter_version), libraries_here())


def fenced(function: Callable) -> Callable:
    """A writer whose first argument is a session: FencedError where PostgreSQL, through psycopg or DuckDB, refuses the session's fence or
    has lost the connection that holds its lock; SpaceError where a disk is full."""

    @wraps(function)
    def wrapped(session: Session, *arguments: Any, **named: Any) -> Any:
        try:
            return function(session, *arguments, **named)
        except (psycopg.Error, duckdb.Error) as error:
            if FENCED in str(error) or session.has_lost_its_lock:
                problem = "a later run took this customer over, or the connection that held its lock is gone; nothing was kept"
                raise FencedError(problem, customer=session.customer_id, fix="launch the customer again") from error
            if NO_ROOM.search(str(error)):
                where = "on the server of PostgreSQL" if isinstance(error, psycopg.Error) else "in the lake or in scratch space"
                raise SpaceError(f"there was no room to write {where}; nothing was kept", customer=session.customer_id, fix=ROOM) from None
            raise

    return wrapped


class Session:
    """One customer's session. Opened lazily, closed by `close()`; holds the customer's lock from the first connection on.

    `only_looks`: it writes nothing, so it takes no fence, and waits for no run: BusyError at once. `lake_specs`: tables of the lake that are made
    together with the first one that is missing."""

    def __init__(self, settings: Settings, postgres: Postgres, customer: Customer, run: RunIdentity, meter: Meter | None = None,
                 only_looks: bool = False, lake_specs: tuple[TableSpec, ...] = ()) -> None:
        self.settings, self.postgres, self.customer, self.run, self.meter, self.only_looks = settings, postgres, customer, run, meter, only_looks
        self.lake_specs = lake_specs
        self.customer_id = customer.id
        self.written: dict[str, Version] = {}
        self.sources: dict[str, Source] = {}
        self.landed: dict[str, Loaded] = {}
        self.views: dict[str, str] = {}  # lake table as this run reads it -> its SELECT
        self.trusted: set[str] = set()  # files of the lake that this session wrote or has verified (lake_objects.py)
        self.lake_files: dict[tuple[str, int | None], dict[str, int]] = {}  # lake table and snapshot -> its files with their sizes
        self.unchanged: set[str] = set()  # tables whose newest version this run found to be what it would make
        self.lake_tables: dict[str, dict[str, str]] | None = None  # what stands in the lake: table -> column -> type; None: not looked yet
        self.empty: set[str] = set()  # tables of the lake that this session made and has not written to
        self.checkers: dict[str, Any] = {}  # store -> GX's engine over it (expectations.py)
        self._opened: list[str] = []
        self._stack = ExitStack()
        self.temp = settings.temp_root / f"{customer.id}-{run.run_id[:8]}"

    # the customer's lock

    @cached_property
    def lock(self) -> psycopg.Connection:
        """The connection that holds the customer's advisory lock, taken before any transaction; raises BusyError."""
        connection = locked(self.postgres, self.customer_id, 0 if self.only_looks else LOCK_SECONDS)
        self._opened.append("lock")
        return self.meter.watch(connection) if self.meter else connection

    @cached_property
    def fence(self) -> int:
        """This run's place in the customer's sequence of writers; a writer with an older one is refused."""
        return self.lock.execute("SELECT platform.take_fence(%s, %s)", [self.customer_id, self.run.run_id]).fetchone()[0]

    @property
    def has_lost_its_lock(self) -> bool:
        """The connection that held the lock is broken, and the lock with it."""
        return "lock" in self._opened and self.lock.broken

    @fenced
    def assert_fence(self) -> None:
        """Raise if a later run has taken this customer over."""
        self.lock.execute("SELECT platform.assert_fence(%s, %s)", [self.customer_id, self.fence])

    @cached_property
    def as_of(self) -> date:
        """The last day that figures cover: the run's, else the end of the newest delivered period. Never the wall clock."""
        from resources.deliveries import newest_period_end
        from resources.production_lake import as_of_at

        found = self.run.as_of or (as_of_at(self.con, self.source_snapshot) if self.copies else newest_period_end(self.lock, self.customer_id))
        if found is None:
            raise DeliveryError("no delivery of this customer declares a period, so the last day of the figures is unknown",
                                customer=self.customer_id, fix="land a file with --period YYYY-MM, or launch with --as-of YYYY-MM-DD")
        return found

    @property
    def copies(self) -> bool:
        """Bronze is copied from production here, and not made of deliveries."""
        return policy_of(self.settings).bronze_from == "production"

    @cached_property
    def source_snapshot(self) -> int:
        """The one snapshot of production's lake that this run copies from."""
        from resources.production_lake import newest_snapshot

        return newest_snapshot(self.con, self.run.source_snapshot, self.customer_id)

    # engines

    @cached_property
    def limits(self) -> SessionLimits:
        """What this session may take up."""
        return session_limits(self.customer)

    @cached_property
    def warehouse(self) -> psycopg.Connection:
        """The writer's connection, bound to the customer, in which platinum computes."""
        self.fence  # noqa: B018  (the lock comes before any transaction)
        connection = self.postgres.connect(lake_role(self.customer_id))
        bounds = "; ".join(f"SET {name} = '{value}'" for name, value in self.limits.settings.items() if name != "temp_file_limit")  # only a superuser sets it
        connection.execute(f"SET enable_nestloop = off; SET enable_sort = off; SET jit = off; {bounds}")
        connection.commit()  # a new version has no statistics yet: nested loops took minutes and sorted groups 0.7 s where hashing takes 0.1 s
        self._opened.append("warehouse")
        return self.meter.watch(connection) if self.meter else connection

    @cached_property
    def con(self) -> duckdb.DuckDBPyConnection:
        """The locked DuckDB session, in which bronze, silver and gold compute."""
        self.lock if self.only_looks else self.fence  # noqa: B018
        self.temp.mkdir(parents=True, exist_ok=True)
        return self._stack.enter_context(sandbox(self.settings, self.postgres, self.customer, self.limits, self.temp))

    # what the run reads and writes

    def pin(self, name: str, key: dg.AssetKey, version: Version | None = None, content: str | None = None) -> None:
        """Remember what stands behind a table's name in this session's SQL."""
        self.sources[name] = Source(key, version, content)

    def inputs(self, expression: ir.Table) -> list[Version]:
        """The versions of the tables that an expression reads; parameters and the landing zone are none."""
        named = leaf_names(expression)
        return [source.version for name, source in sorted(self.sources.items()) if name in named and source.version]

    def deliveries(self, spec: TableSpec) -> list[DeliveredFile]:
        """The landed files that make up a bronze table now."""
        from resources.deliveries import Mode, effective

        return effective(self.lock, self.customer_id, spec.name, cast(Mode, spec.mode))

    @cached_property
    def corrections(self) -> tuple[Correction, ...]:
        """What stewards decided about this customer's rows up to the session's first look; a run sees one state of it."""
        from resources.corrections import recorded

        return recorded(self.lock, self.customer_id)

    @property
    def newest_correction(self) -> int:
        return max((c.correction_id for c in self.corrections), default=0)

    def load_landing(self, spec: TableSpec) -> None:
        """Read a bronze table's files with the fixes in force; afterwards `landing_<table>` stands in this session."""
        from resources.corrections import overlay
        from resources.landing import load
        from resources.production_lake import load as copied

        if self.copies:
            self.landed[spec.name] = copied(self, spec)
            return
        columns = [c.name for c in spec.columns if not c.name.startswith("_")]
        files, name = self.deliveries(spec), landing_name(spec.name)
        landed = load(self.con, self.settings.landing_store or self.settings.landing_root, files, spec.formats, columns, f"delivered_{spec.name}")
        self.landed[spec.name] = overlay(self.con, landed, name, spec, files, self.corrections)

    def knows(self, known: Version | None, recipe: str) -> bool:
        """Whether a version was made by this recipe, so that there is nothing to compute."""
        return bool(recipe and known and known.recipe == recipe and not self.run.recomputes)

    def confirmed(self, spec: TableSpec, known: Version, inputs: list[Version], recipe: str) -> Version:
        """A version whose content this run made again, or would have made again."""
        self.unchanged.add(known.table_name)
        code, parameters = spec.code_version, self.run.parameter_version
        return confirm(self.lock, self.customer_id, known, self.fence, inputs={v.table_name: v.version for v in inputs},
                       correction_id=self.newest_correction, recipe=recipe, last_code_version=None if code == known.code_version else code,
                       last_parameter_version=None if state_hash(parameters) == state_hash(known.parameter_version) else parameters)

    def new_version(self, spec: TableSpec, inputs: list[Version], **counted: Any) -> Version:
        """The next version of a table, as this run writes it."""
        return Version(table_name=spec.qualified, version=next_number(self.lock), run_id=self.run.run_id, code_version=spec.code_version,
                       parameter_version=self.run.parameter_version, contract_version=spec.contract_version,
                       as_of=self.as_of, inputs={v.table_name: v.version for v in inputs}, fence=self.fence,
                       correction_id=self.newest_correction,
                       source_snapshot_id=self.source_snapshot if self.copies and spec.layer == "bronze" else None, **counted)

    def close(self) -> None:
        """Close what was opened and write down what a metered run took up; the lock goes last."""
        with suppress(duckdb.Error):
            self._stack.close()
        if self.meter and "lock" in self._opened:
            try:
                self.meter.write(self.lock, self.customer_id, self.run.run_id, {name: version.row_count for name, version in self.written.items()})
            except psycopg.Error as error:  # a run's result does not hang on its metering, but a hole in it is told
                LOG.warning("what run %s of customer %s took up was not written down: %s", self.run.run_id, self.customer_id, type(error).__name__)
        for name in reversed(self._opened):
            opened = getattr(self, name)
            with suppress(psycopg.Error):  # a connection that is already broken is closed enough
                opened.close()
        self._opened.clear()
        shutil.rmtree(self.temp, ignore_errors=True)  # the run's result does not hang on its scratch files


def locked(postgres: Postgres, customer: str, seconds: float | None = None) -> psycopg.Connection:
    """A connection of the customer's role that holds its advisory lock until it is closed; raises BusyError after LOCK_SECONDS (or `seconds`), and
    IsolationError where the server would let one customer reach another."""
    connection = postgres.connect(lake_role(customer), autocommit=True)
    try:
        refuse_unsafe_once(connection, postgres.settings.environment)
    except BaseException:  # an interrupt too leaves no connection open
        connection.close()
        raise
    deadline = time.monotonic() + (LOCK_SECONDS if seconds is None else seconds)
    while not connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [f"strata:{customer}"]).fetchone()[0]:
        if time.monotonic() > deadline:
            connection.close()
            raise BusyError("another run of this customer is under way", customer=customer, fix="wait for it or terminate it")
        time.sleep(0.2)
    return connection
