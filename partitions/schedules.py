"""When customers are due: each one's own cron, by the clock of its own time zone.

What belongs here: the arithmetic of ticks, without a clock, a daemon or a database. What does not: what a due customer then gets
(platform_assets/refreshes.py).

Clocks that change: a tick inside the hour that a spring night leaves out comes at that hour's end; one inside the hour that an autumn night
has twice comes once, the second time round. Schedules of every hour or of several minutes follow real time.
"""
from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from dagster._utils.schedules import cron_string_iterator, reverse_cron_string_iterator

from partitions.customers import Customer

AHEAD = timedelta(days=2)  # Dagster reads "29 2" as the day after the 28th, so starting at the 29th itself would miss it, either way
LEAP_DAY = " 29 2 *"
REMEMBERED = 4096


def due_customers(customers: Mapping[str, Customer], since: Mapping[str, datetime], until: datetime) -> dict[str, datetime]:
    """Customer -> its newest tick (UTC) that is after `since` (of that customer) and not after `until`: however many ticks passed, one counts.

    Only active customers with a schedule are due, and only those that `since` names: who is not known there has not joined yet.
    """
    due = {}
    for name, found in customers.items():
        if found.status == "active" and found.schedule and name in since:
            tick = newest_tick(found.schedule, found.time_zone, until)
            if tick > since[name]:
                due[name] = tick
    return due


def newest_tick(schedule: str, time_zone: str, until: datetime) -> datetime:
    """The newest moment (UTC) of a schedule that is not after `until`, which has a time zone."""
    return _newest_tick(schedule, time_zone, int(until.timestamp()) // 60)


def next_tick(schedule: str, time_zone: str, after: datetime) -> datetime:
    """The first moment (UTC) of a schedule that is after `after`, which has a time zone."""
    return _next_tick(schedule, time_zone, int(after.timestamp()) // 60)


@lru_cache(REMEMBERED)
def _next_tick(schedule: str, time_zone: str, minute: int) -> datetime:
    after = datetime.fromtimestamp(minute * 60, UTC)
    behind = AHEAD if schedule.endswith(LEAP_DAY) else timedelta()
    for tick in cron_string_iterator((after - behind).timestamp(), schedule, time_zone):
        if tick > after:
            return tick.astimezone(UTC)
    raise AssertionError("a valid schedule has ticks without end")


@lru_cache(REMEMBERED)
def _newest_tick(schedule: str, time_zone: str, minute: int) -> datetime:
    """A fleet shares few schedules, and no tick lies inside a minute."""
    until = datetime.fromtimestamp(minute * 60, UTC)
    ahead = AHEAD if schedule.endswith(LEAP_DAY) else timedelta()
    for tick in reverse_cron_string_iterator((until + ahead).timestamp(), schedule, time_zone):
        if tick <= until:
            return tick.astimezone(UTC)
    raise AssertionError("a valid schedule has ticks without end")
