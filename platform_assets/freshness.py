"""Freshness per customer and source: until when the deliveries reach, when the next one is due, and who to call if it does not come.

What belongs here: the rule of what is stale, as pure functions of a date, and reading the newest deliveries. What does not: telling
anybody (notices.py) and the command's table (cli/freshness.py). Freshness is about now, so this is the one place where a wall clock counts:
`today`, by the customer's own time zone. Dagster's FreshnessPolicy looks at the newest materialization of any partition, so one fresh customer
would hide all stale ones (FINDINGS).
"""
from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import psycopg

from partitions.customers import Customer, Expected

State = Literal["fresh", "due", "stale", "never", "untracked"]
LATE: tuple[State, ...] = ("stale", "never")


@dataclass(frozen=True)
class Received:
    """One accepted delivery: the month it is about (its first day; None where it declared none) and when it landed, in UTC."""

    period: date | None
    landed_at: datetime


@dataclass(frozen=True)
class Freshness:
    """One source of one customer on a day. `covers_until`: the last day that the newest delivery is about. `due_since`: the first day on
    which the next one could be there; `late_from`: the first on which its grace is over. All None where nothing was ever delivered or is expected."""

    customer: str
    source: str
    state: State
    expected: Expected | None
    last_delivery: date | None = None
    covers_until: date | None = None
    due_since: date | None = None
    late_from: date | None = None

    @property
    def is_late(self) -> bool:
        """Somebody should be called."""
        return self.state in LATE

    @property
    def facts(self) -> dict[str, str | None]:
        """The state and its days as plain text, for a check's metadata and for JSON."""
        days = {name: value.isoformat() if (value := getattr(self, name)) else None for name in ("last_delivery", "covers_until", "due_since", "late_from")}
        return {**days, "state": self.state}

    @property
    def problem(self) -> str:
        """The state as a sentence."""
        if self.state == "never":
            return f"a delivery is expected every {self.expected.every if self.expected else 'month'}, and none ever came"
        if self.state == "untracked":
            return "the customer's file does not say how often this source is delivered"
        reach = f"the newest delivery reaches until {self.covers_until}"
        if self.state == "fresh":
            return reach
        return f"{reach}; the next one is due since {self.due_since}" + (f" and late from {self.late_from} on" if self.state == "stale" else "")


def today(customer: Customer) -> date:
    """The customer's calendar day now."""
    return datetime.now(ZoneInfo(customer.time_zone)).date()


def freshness_of(customer: Customer, source: str, deliveries: Iterable[Received], at: date) -> Freshness:
    """How fresh a source of a customer is on the day `at`, from its accepted deliveries; what landed after that day does not count.

    A delivery covers its period, and one without a period the time until it landed. `untracked`: the customer is not active, does not
    deliver the source, or its file expects nothing.
    """
    declared = customer.sources.get(source)
    expected = declared.expected if declared and customer.status == "active" else None
    zone = ZoneInfo(customer.time_zone)
    landed = [(one.landed_at.astimezone(zone).date(), one.period) for one in deliveries]
    landed = [(day, period) for day, period in landed if day <= at]
    if not landed:
        return Freshness(customer.id, source, "never" if expected else "untracked", expected)
    last, covers = max(day for day, _ in landed), max(_month_end(period) if period else day for day, period in landed)
    if expected is None:
        return Freshness(customer.id, source, "untracked", None, last, covers)
    due = next_end(covers, expected) + timedelta(days=1)
    late = due + timedelta(days=expected.grace_days)
    state: State = "fresh" if at < due else "due" if at < late else "stale"
    return Freshness(customer.id, source, state, expected, last, covers, due, late)


def next_end(covers: date, expected: Expected) -> date:
    """The last day of the period that follows `covers`; a month's end is followed by the next month's."""
    if expected.every != "month":
        return covers + timedelta(days=7 if expected.every == "week" else 1)
    following = (covers.replace(day=1) + timedelta(days=32)).replace(day=1)
    end = _month_end(following)
    return end if covers == _month_end(covers) else min(end, following.replace(day=min(covers.day, end.day)))


def freshness(connection: psycopg.Connection, customer: Customer, at: date | None = None) -> list[Freshness]:
    """Every source of a customer on a day (default: today), over a connection that is bound to the customer."""
    found: dict[str, list[Received]] = {}
    rows = connection.execute("SELECT DISTINCT source, period, landed_at FROM platform.delivery WHERE customer_id = %s AND state = 'accepted'",
                              [customer.id]).fetchall()
    for source, period, landed_at in rows:
        found.setdefault(source, []).append(Received(period, landed_at))
    day = at or today(customer)
    return [freshness_of(customer, source, found.get(source, []), day) for source in sorted(customer.sources)]


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
