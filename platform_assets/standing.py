"""How every customer stands: its last run, its deliveries, what is held back, what readers see, what it takes up.

What belongs here: a few questions that are asked for all customers at once, as the role that backs up (it reads all rows and writes none),
and Dagster's table of runs. What does not: words for people (cli/customers.py), trouble (notices.py).
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from partitions.customers import Customer
from partitions.schedules import next_tick
from platform_assets.freshness import Freshness, Received, freshness_of, today
from resources.postgres import BACKUP, ORCHESTRATOR, Postgres

WORST = ("never", "stale", "due", "fresh", "untracked")  # a customer is as fresh as its worst source

# Of each table the newest version says what is in quarantine; the live ones say what readers see.
QUARANTINE = """SELECT customer_id, sum(quarantined_count - rejected_count)::bigint AS quarantine_open FROM (
    SELECT DISTINCT ON (customer_id, table_name) customer_id, quarantined_count, rejected_count FROM platform.table_version
    WHERE customer_id = ANY(%(names)s) ORDER BY customer_id, table_name, version DESC) newest GROUP BY customer_id"""
ROWS = """SELECT customer_id, sum(row_count)::bigint AS live_rows FROM platform.live_version
    JOIN platform.table_version USING (customer_id, table_name, version) WHERE customer_id = ANY(%(names)s) GROUP BY customer_id"""
PUBLICATION = """SELECT DISTINCT ON (customer_id) customer_id, publication_id AS publication, published_at FROM platform.publication
    WHERE customer_id = ANY(%(names)s) ORDER BY customer_id, publication_id DESC"""
HELD = "SELECT DISTINCT customer_id, true AS is_held FROM platform.live_version WHERE customer_id = ANY(%(names)s) AND is_pinned"
BYTES = "SELECT customer_id, sum(bytes)::bigint AS lake_bytes FROM platform.lake_object WHERE customer_id = ANY(%(names)s) GROUP BY customer_id"
COST = """SELECT customer_id, max(month) AS cost_month, sum(cost_usd) AS cost_usd, sum(energy_kwh) AS energy_kwh, sum(impact_kgco2e) AS impact_kgco2e
    FROM platform.platform_cost WHERE customer_id = ANY(%(names)s)
    AND (customer_id, month) IN (SELECT customer_id, max(month) FROM platform.platform_cost GROUP BY 1) GROUP BY 1"""
DELIVERIES = "SELECT DISTINCT customer_id, source, period, landed_at FROM platform.delivery WHERE customer_id = ANY(%(names)s) AND state = 'accepted'"
RUNS = """SELECT DISTINCT ON (partition) partition AS customer_id, run_id, status AS run_state, end_time, start_time, create_timestamp FROM runs
    WHERE partition = ANY(%(names)s) ORDER BY partition, id DESC"""


@dataclass(frozen=True)
class Standing:
    """One customer now. Counts are 0 and times None where there is nothing yet; times are UTC, bytes those of the lake's files.

    `next_due_at`: the next tick of its schedule, by its own time zone; None where nothing is due by itself. `is_held`: its figures were rolled back,
    and no publication moves them. The cost (US dollars, kWh, kgCO2e) is that of the newest month of the clock, as of the last upkeep.
    """

    customer: str
    status: str
    schedule: str | None
    time_zone: str
    next_due_at: datetime | None
    run_state: str | None
    run_id: str | None
    run_at: datetime | None
    freshness: str
    late_sources: tuple[str, ...]
    quarantine_open: int
    publication: int | None
    published_at: datetime | None
    is_held: bool
    live_rows: int
    lake_bytes: int
    cost_month: date | None
    cost_usd: float | None
    energy_kwh: float | None
    impact_kgco2e: float | None

    @property
    def facts(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {name: value.isoformat() if isinstance(value, date) else list(value) if isinstance(value, tuple) else value
                for name, value in vars(self).items()}


def standings(postgres: Postgres, customers: Mapping[str, Customer], at: date | None = None) -> list[Standing]:
    """Every given customer, in eight queries. `at`: the day to judge freshness; default: today, by each customer's time zone."""
    with postgres.connect(BACKUP) as connection:
        figures: dict[str, dict[str, Any]] = {name: {} for name in customers}
        for query in (QUARANTINE, ROWS, PUBLICATION, HELD, BYTES, COST):
            for row in _rows(connection, query, customers):
                figures[row["customer_id"]].update(row)
        received: dict[str, dict[str, list[Received]]] = {name: {} for name in customers}
        for row in _rows(connection, DELIVERIES, customers):
            received[row["customer_id"]].setdefault(row["source"], []).append(Received(row["period"], row["landed_at"]))
    with postgres.connect(ORCHESTRATOR, postgres.names.dagster) as connection:
        for row in _rows(connection, RUNS, customers):
            figures[row["customer_id"]].update(row)
    now = datetime.now(UTC)
    return [_standing(customer, figures[name], received[name], at, now) for name, customer in customers.items()]


def _standing(customer: Customer, found: Mapping[str, Any], received: Mapping[str, list[Received]], at: date | None, now: datetime) -> Standing:
    sources = [freshness_of(customer, source, received.get(source, []), at or today(customer)) for source in sorted(customer.sources)]
    moment = found.get("end_time") or found.get("start_time")
    created = found.get("create_timestamp")
    return Standing(
        customer.id, customer.status, customer.schedule, customer.time_zone, _next_due(customer, now), found.get("run_state"), found.get("run_id"),
        datetime.fromtimestamp(moment, UTC) if moment else created and created.replace(tzinfo=UTC),
        _worst(sources), tuple(one.source for one in sources if one.is_late), found.get("quarantine_open") or 0,
        found.get("publication"), found.get("published_at"), found.get("is_held", False), found.get("live_rows") or 0, found.get("lake_bytes") or 0,
        found.get("cost_month"), *(None if found.get(name) is None else float(found[name]) for name in ("cost_usd", "energy_kwh", "impact_kgco2e")))


def _next_due(customer: Customer, now: datetime) -> datetime | None:
    """Whom its schedule refreshes next; None for who is paused or leaving, or is refreshed on request."""
    return next_tick(customer.schedule, customer.time_zone, now) if customer.status == "active" and customer.schedule else None


def _worst(sources: list[Freshness]) -> str:
    states = {one.state for one in sources}
    return next((state for state in WORST if state in states), "untracked")


def _rows(connection: psycopg.Connection, query: str, customers: Mapping[str, Customer]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, {"names": list(customers)}).fetchall()
