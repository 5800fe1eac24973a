"""Dagster's event log on our PostgreSQL, written a few times per step instead of once per event.

What belongs here: which events may wait for the next one that may not, writing those that waited, and what a run asks again and again. What does
not: connections and the instance (orchestrator.py). A run of one customer has about 1,500 events, of which most tell what the step did a moment ago;
stored one by one they were a sixth of the run's CPU seconds. A process that is killed loses those that wait, and no materialization, failure or end.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dagster import AssetKey, AssetRecordsFilter, DagsterEventType, EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, AssetCheckEvaluationPlanned
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster_postgres import PostgresEventLogStorage
from dagster_postgres.event_log.event_log import SqlEventLogStorageTable
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError

from resources.failpoints import failpoint

WAITING = frozenset({
    DagsterEventType.LOADED_INPUT, DagsterEventType.STEP_INPUT, DagsterEventType.STEP_OUTPUT, DagsterEventType.HANDLED_OUTPUT,
    DagsterEventType.STEP_SUCCESS, DagsterEventType.RESOURCE_INIT_STARTED, DagsterEventType.RESOURCE_INIT_SUCCESS,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION,
})  # fmt: skip
RUN_ENDS = frozenset({DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED})
MOST_WAITING = 200
UNSTORABLE = (DBAPIError, ValueError)  # the driver itself refuses a NUL byte, by the second
REMEMBERED_SECONDS = 1.0
EVALUATED = text("""UPDATE asset_check_executions e SET execution_status = t.status, evaluation_event = t.event, evaluation_event_timestamp = t.at,
        evaluation_event_storage_id = t.number, materialization_event_storage_id = t.target
    FROM unnest(CAST(:key AS text[]), CAST(:name AS text[]), CAST(:partition AS text[]), CAST(:run AS text[]), CAST(:status AS text[]),
        CAST(:event AS text[]), CAST(:at AS timestamp[]), CAST(:number AS bigint[]), CAST(:target AS bigint[]))
        AS t(key, name, partition, run, status, event, at, number, target)
    WHERE e.asset_key = t.key AND e.check_name = t.name AND e.run_id = t.run AND e.partition IS NOT DISTINCT FROM t.partition RETURNING t.number""")


class Stored(NamedTuple):
    """An event, its row in the log and the row's number."""

    event: EventLogEntry
    row: dict[str, Any]
    number: int

    @property
    def kind(self) -> DagsterEventType | None:
        return self.event.dagster_event_type

    @property
    def asset(self) -> str:
        """The asset's key as text; empty where the event is about none."""
        key = self.event.dagster_event.asset_key if self.event.dagster_event else None
        return key.to_string() if key else ""


class BatchedEventLogStorage(PostgresEventLogStorage):
    """The stock storage, in which events of WAITING are stored together with the next other one, in their order."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: list[EventLogEntry] = []
        self._writing = threading.RLock()
        self._running: set[str] = set()  # runs that this process carries out
        self._answers: dict[AssetKey | None, dict[str, Any]] = {}  # what such a run asked about an asset
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
            self._take_note(events)
            super().store_event_batch(events)

    def flush(self) -> None:
        """Store what waits: all rows by one statement, then, in one transaction, what Dagster keeps beside them for assets and checks."""
        with self._writing:
            events, self._waiting = self._waiting, []
            if not events:
                return
            self._take_note(events)
            failpoint("event_log.before_store")
            try:
                stored = self._insert(events)
            except OperationalError:  # nobody answers: they wait for the next event
                self._waiting = events
                raise
            except UNSTORABLE:  # one of them, and the others are not
                self._one_by_one(events)
                return
            failpoint("event_log.after_store")
            about_assets = [one for one in stored if one.kind in ASSET_EVENTS and one.asset]
            about_checks = [one for one in stored if one.kind in ASSET_CHECK_EVENTS]
            if about_assets or about_checks:
                with self.index_transaction() as connection:
                    self._keep_assets(connection, about_assets)
                    alone = self._keep_checks(connection, about_checks)
                for one in alone:
                    self.store_asset_check_event(one.event, one.number)

    def _insert(self, events: Sequence[EventLogEntry]) -> list[Stored]:
        """By a statement of its own: who reads events by their numbers would pass over those of a transaction that takes longer than a later one."""
        rows = [self._event_to_row(event) for event in events]
        statement = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
        with self._connect() as connection:
            numbers = connection.execute(statement, rows).scalars().all()
        return [Stored(*one) for one in zip(events, rows, numbers, strict=True)]

    def _keep_assets(self, connection: Connection, stored: Sequence[Stored]) -> None:
        """In the order of their keys, since runs of all customers share an asset's row."""
        for one in sorted(stored, key=lambda one: one.asset):
            self._store_asset_event_tags(connection, [one.event], [one.number])
            self._store_asset_event(connection, one.event, one.number)

    def _keep_checks(self, connection: Connection, stored: Sequence[Stored]) -> list[Stored]:
        """What is planned by one statement and what was found by another; returns those that Dagster has to keep itself, as without a run or a plan."""
        if planned := [row for one in stored if one.kind == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED for row in _planned(one)]:
            connection.execute(AssetCheckExecutionsTable.insert(), planned)
        evaluated = [one for one in stored if one.kind == DagsterEventType.ASSET_CHECK_EVALUATION]
        rows = [_evaluated(one) for one in evaluated if one.event.run_id]
        is_told_twice = len({(row["key"], row["name"], row["partition"], row["run"]) for row in rows}) < len(rows)
        if not rows or is_told_twice:  # of two results the later one counts, which the order in which they are kept decides
            return evaluated
        kept = set(connection.execute(EVALUATED, {name: [row[name] for row in rows] for name in rows[0]}).scalars().all())
        return [one for one in evaluated if one.number not in kept]

    def _one_by_one(self, events: list[EventLogEntry]) -> None:
        for place, event in enumerate(events, start=1):
            try:
                super().store_event(event)
            except UNSTORABLE:
                self._waiting = events[place:]
                raise

    # What a run asks again and again: every step what its inputs were made of, every result of a check what it is about. Nobody else writes this
    # customer's tables meanwhile, so an answer holds until this process has made the asset itself.

    def _take_note(self, events: Sequence[EventLogEntry]) -> None:
        for event in events:
            if event.dagster_event_type == DagsterEventType.RUN_START:
                self._running.add(event.run_id)
                self._answers.clear()
            elif event.dagster_event_type in RUN_ENDS:
                self._running.discard(event.run_id)
                self._answers.clear()
            elif event.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION:
                self._answers.pop(event.get_dagster_event().asset_key, None)

    def _remembered(self, asset: AssetKey, question: str, ask: Callable[[], Any]) -> Any:
        if not self._running:
            return ask()
        answers = self._answers.setdefault(asset, {})
        if question not in answers:
            answers[question] = ask()
        return answers[question]

    def fetch_materializations(self, records_filter: Any, limit: int, cursor: str | None = None, ascending: bool = False) -> Any:
        return self._fetched("materializations", super().fetch_materializations, records_filter, limit, cursor, ascending)

    def fetch_observations(self, records_filter: Any, limit: int, cursor: str | None = None, ascending: bool = False) -> Any:
        return self._fetched("observations", super().fetch_observations, records_filter, limit, cursor, ascending)

    def _fetched(self, what: str, fetch: Callable[..., Any], records_filter: Any, *more: Any) -> Any:
        asset = records_filter.asset_key if isinstance(records_filter, AssetRecordsFilter) else records_filter
        return self._remembered(asset, f"{what} {records_filter!r} {more!r}", lambda: fetch(records_filter, *more))

    def get_latest_tags_by_partition(self, asset_key: AssetKey, *arguments: Any, **named: Any) -> Any:
        ask = super().get_latest_tags_by_partition
        return self._remembered(asset_key, f"tags {arguments!r} {named!r}", lambda: ask(asset_key, *arguments, **named))

    def get_asset_records(self, asset_keys: Sequence[AssetKey] | None = None) -> Sequence[Any]:
        if not self._running or asset_keys is None:
            return super().get_asset_records(asset_keys)
        if missing := [key for key in asset_keys if "record" not in self._answers.get(key, {})]:
            found = {record.asset_entry.asset_key: record for record in super().get_asset_records(missing)}
            for key in missing:
                self._answers.setdefault(key, {})["record"] = found.get(key)
        return [record for key in asset_keys if (record := self._answers[key]["record"])]

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


def _planned(stored: Stored) -> list[dict[str, Any]]:
    """Rows of `asset_check_executions` for a check that is to come, as Dagster's own storage writes them: one for each partition."""
    event, row, number = stored
    said = event.get_dagster_event().event_specific_data
    assert isinstance(said, AssetCheckEvaluationPlanned)
    partitions = said.partitions_subset.get_partition_keys() if said.partitions_subset else [None]
    return [{"asset_key": said.asset_key.to_string(), "check_name": said.check_name, "partition": partition, "run_id": event.run_id,
             "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value, "evaluation_event": row["event"],
             "evaluation_event_timestamp": row["timestamp"], "evaluation_event_storage_id": number} for partition in partitions]


def _evaluated(stored: Stored) -> dict[str, Any]:
    """What becomes of such a row when the check was evaluated, by the names of EVALUATED."""
    event, row, number = stored
    said = event.get_dagster_event().asset_check_evaluation_data
    status = AssetCheckExecutionRecordStatus.SUCCEEDED if said.passed else AssetCheckExecutionRecordStatus.FAILED
    target = said.target_materialization_data.storage_id if said.target_materialization_data else None
    return {"key": said.asset_key.to_string(), "name": said.check_name, "partition": said.partition, "run": event.run_id, "status": status.value,
            "event": row["event"], "at": row["timestamp"], "number": number, "target": target}
