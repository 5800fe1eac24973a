"""Dagster's event log on our PostgreSQL, written a few times per step instead of once per event.

What belongs here: which events may wait for the next one that may not, and writing those that waited. What does not: connections and the
instance (orchestrator.py). A run of one customer has about 1,500 events, of which most tell what the step did a moment ago; stored one by
one they were a sixth of the run's CPU seconds. A process that is killed loses those that wait, and no materialization, failure or end.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from dagster import AssetRecordsFilter, DagsterEventType, EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.event_log.event_log import SqlEventLogStorageTable
from sqlalchemy.exc import DBAPIError, OperationalError

from resources.failpoints import failpoint

WAITING = frozenset({
    DagsterEventType.LOADED_INPUT, DagsterEventType.STEP_INPUT, DagsterEventType.STEP_OUTPUT, DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.STEP_SUCCESS, DagsterEventType.RESOURCE_INIT_STARTED, DagsterEventType.RESOURCE_INIT_SUCCESS,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION,
})  # fmt: skip
MOST_WAITING = 200
UNSTORABLE = (DBAPIError, ValueError)  # the driver itself refuses a NUL byte, by the second
REMEMBERED_SECONDS = 1.0  # each result of a checking step asks for the same newest materialization, one after the other


class BatchedEventLogStorage(PostgresEventLogStorage):
    """The stock storage, in which events of WAITING are stored together with the next other one, in their order."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: list[EventLogEntry] = []
        self._writing = threading.RLock()
        self._newest: dict[Any, tuple[float, Any]] = {}
        self._partitions: dict[tuple[str, str], float] = {}

    def store_event(self, event: EventLogEntry) -> None:
        with self._writing:
            self._waiting.append(event)
            waits = event.is_dagster_event and event.dagster_event_type in WAITING
            if not waits or len(self._waiting) >= MOST_WAITING:
                self.flush()

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        with self._writing:
            self.flush()
            super().store_event_batch(events)

    def flush(self) -> None:
        """Store what waits: all rows by one statement, then what Dagster keeps beside them for assets and checks."""
        with self._writing:
            events, self._waiting = self._waiting, []
            if not events:
                return
            self._newest.clear()
            failpoint("event_log.before_store")
            try:
                with self._connect() as connection:
                    stored = connection.execute(self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)).fetchall()
            except OperationalError:  # nobody answers: they wait for the next event
                self._waiting = events
                raise
            except UNSTORABLE:  # one of them, and the others are not
                self._one_by_one(events)
                return
            failpoint("event_log.after_store")
            for event, (number,) in zip(events, stored, strict=True):
                if not event.is_dagster_event:
                    continue
                if event.dagster_event_type in ASSET_EVENTS and event.get_dagster_event().asset_key:
                    with self.index_transaction() as connection:
                        self._store_asset_event_tags(connection, [event], [number])
                        self._store_asset_event(connection, event, number)
                if event.dagster_event_type in ASSET_CHECK_EVENTS:
                    self.store_asset_check_event(event, number)

    def _one_by_one(self, events: list[EventLogEntry]) -> None:
        for place, event in enumerate(events, start=1):
            try:
                super().store_event(event)
            except UNSTORABLE:
                self._waiting = events[place:]
                raise

    def fetch_materializations(self, records_filter: Any, limit: int, cursor: str | None = None, ascending: bool = False) -> Any:
        if limit != 1 or cursor or ascending or not isinstance(records_filter, AssetRecordsFilter):
            return super().fetch_materializations(records_filter, limit, cursor, ascending)
        key, now = repr(records_filter), time.monotonic()
        asked_at, found = self._newest.get(key, (0.0, None))
        if found is None or now - asked_at > REMEMBERED_SECONDS:
            found = super().fetch_materializations(records_filter, limit, cursor, ascending)
            self._newest = {key: (now, found)}
        return found

    def has_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> bool:
        """A run asks this of its one customer some 600 times; that it is there is known for a second."""
        key, now = (partitions_def_name, partition_key), time.monotonic()
        if now - self._partitions.get(key, -REMEMBERED_SECONDS) < REMEMBERED_SECONDS:
            return True
        found = super().has_dynamic_partition(partitions_def_name, partition_key)
        self._partitions = {key: now} if found else {}
        return found

    def dispose(self) -> None:
        self.flush()
        super().dispose()
