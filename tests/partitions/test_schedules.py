"""Ticks worked out by hand, above all where clocks change."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from partitions.customers import Customer
from partitions.schedules import due_customers, newest_tick, next_tick

PARIS, NEW_YORK, ADELAIDE = "Europe/Paris", "America/New_York", "Australia/Adelaide"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def made(name: str, **changes: Any) -> Customer:
    return Customer.model_validate({"id": name, "name": name, "status": "active", "country": "FR", "currency": "EUR", "time_zone": PARIS,
                                    "steward": {"name": "s", "email": "s@example.org"}, "sources": {}, "schedule": "30 5 * * *", **changes})


@pytest.mark.parametrize(("schedule", "zone", "until", "tick"), [
    # Paris is UTC+1 in winter, UTC+2 in summer
    ("30 5 * * *", PARIS, "2024-01-15 04:29", "2024-01-14 04:30"),
    ("30 5 * * *", PARIS, "2024-01-15 04:30", "2024-01-15 04:30"),
    ("30 5 * * *", PARIS, "2024-07-15 03:30", "2024-07-15 03:30"),
    # 31 March 2024: 02:00 becomes 03:00, so 02:30 is not there; the tick comes at 03:00 (01:00 UTC), and at 02:30 again a day later
    ("30 2 * * *", PARIS, "2024-03-31 00:59", "2024-03-30 01:30"),
    ("30 2 * * *", PARIS, "2024-03-31 01:00", "2024-03-31 01:00"),
    ("30 2 * * *", PARIS, "2024-04-01 00:29", "2024-03-31 01:00"),
    ("30 2 * * *", PARIS, "2024-04-01 00:30", "2024-04-01 00:30"),
    # 27 October 2024: 03:00 becomes 02:00, so 02:30 is there twice (00:30 and 01:30 UTC); the second one counts
    ("30 2 * * *", PARIS, "2024-10-27 01:29", "2024-10-26 00:30"),
    ("30 2 * * *", PARIS, "2024-10-27 01:30", "2024-10-27 01:30"),
    ("30 2 * * *", PARIS, "2024-10-28 01:29", "2024-10-27 01:30"),
    # New York, 10 March 2024 at 07:00 UTC and 3 November 2024 at 06:00 UTC
    ("30 2 * * *", NEW_YORK, "2024-03-10 06:59", "2024-03-09 07:30"),
    ("30 2 * * *", NEW_YORK, "2024-03-10 07:00", "2024-03-10 07:00"),
    ("30 1 * * *", NEW_YORK, "2024-11-03 06:29", "2024-11-02 05:30"),
    ("30 1 * * *", NEW_YORK, "2024-11-03 06:30", "2024-11-03 06:30"),
    # a zone of half hours: Adelaide is UTC+10:30 in its summer
    ("0 9 * * *", ADELAIDE, "2024-01-15 22:30", "2024-01-15 22:30"),
    # leap days, and years without one
    ("0 6 29 2 *", PARIS, "2024-02-29 04:59", "2020-02-29 05:00"),
    ("0 6 29 2 *", PARIS, "2024-02-29 05:00", "2024-02-29 05:00"),
    ("0 6 29 2 *", PARIS, "2025-03-01 12:00", "2024-02-29 05:00"),
    ("0 6 28 2 *", PARIS, "2024-02-29 12:00", "2024-02-28 05:00"),
    # ends of months: the 31st is not in every month, the last day is
    ("0 0 31 * *", PARIS, "2024-05-01 12:00", "2024-03-30 23:00"),
    ("0 0 31 * *", PARIS, "2024-05-30 22:00", "2024-05-30 22:00"),
    ("0 6 L * *", PARIS, "2024-03-01 04:00", "2024-02-29 05:00"),
    ("0 6 L * *", PARIS, "2024-04-30 04:00", "2024-04-30 04:00"),
    ("0 6 1 1 *", PARIS, "2024-12-31 22:00", "2024-01-01 05:00"),
    # working days: 13 January 2024 is a Saturday
    ("30 5 * * 1-5", PARIS, "2024-01-14 23:00", "2024-01-12 04:30"),
])
def test_the_newest_tick_by_the_customers_own_clock(schedule: str, zone: str, until: str, tick: str) -> None:
    assert newest_tick(schedule, zone, utc(until)) == utc(tick)


@pytest.mark.parametrize(("schedule", "zone", "after", "tick"), [
    ("30 5 * * *", PARIS, "2024-01-15 04:29", "2024-01-15 04:30"),
    ("30 5 * * *", PARIS, "2024-01-15 04:30", "2024-01-16 04:30"),  # a tick that is now is not the next one
    ("30 2 * * *", PARIS, "2024-03-30 12:00", "2024-03-31 01:00"),  # 02:30 is not there that night
    ("30 2 * * *", PARIS, "2024-03-31 01:00", "2024-04-01 00:30"),
    ("30 2 * * *", PARIS, "2024-10-27 00:15", "2024-10-27 01:30"),  # 02:30 is there twice, the second one counts
    ("0 6 29 2 *", PARIS, "2024-02-29 04:59", "2024-02-29 05:00"),
    ("0 6 29 2 *", PARIS, "2024-02-29 05:00", "2028-02-29 05:00"),
    ("30 5 * * 1-5", PARIS, "2024-01-12 05:00", "2024-01-15 04:30"),
])
def test_the_next_tick_by_the_customers_own_clock(schedule: str, zone: str, after: str, tick: str) -> None:
    assert next_tick(schedule, zone, utc(after)) == utc(tick)


@pytest.mark.parametrize("schedule", ["30 2 * * *", "0 3 * * *", "0 * * * *", "*/20 * * * *", "0 6 29 2 *", "0 6 L * *"])
@pytest.mark.parametrize("zone", [PARIS, NEW_YORK, ADELAIDE])
def test_what_is_next_is_what_will_be_the_newest_one(schedule: str, zone: str) -> None:
    """Around every change of clocks of 2024 in these zones: nothing is promised that will not be due, and nothing between is left out."""
    for night in ("2024-02-28", "2024-03-09", "2024-03-30", "2024-04-06", "2024-10-05", "2024-10-26", "2024-11-02"):
        for minutes in range(0, 2 * 1440, 97):
            now = utc(f"{night} 00:00") + timedelta(minutes=minutes)
            tick = next_tick(schedule, zone, now)
            assert tick > now
            assert newest_tick(schedule, zone, tick) == tick
            assert newest_tick(schedule, zone, tick - timedelta(minutes=1)) <= now


@pytest.mark.parametrize(("day", "schedule", "zone", "ticks"), [
    ("2024-03-31", "0 * * * *", PARIS, 24), ("2024-10-27", "0 * * * *", PARIS, 24),  # 24 hours of UTC, whatever the clock on the wall says
    ("2024-03-31", "*/15 2 * * *", PARIS, 1), ("2024-10-27", "*/15 2 * * *", PARIS, 4), ("2024-03-30", "*/15 2 * * *", PARIS, 4),
    ("2024-03-31", "30 2 * * *", PARIS, 1), ("2024-10-27", "30 2 * * *", PARIS, 1), ("2024-11-03", "30 1 * * *", NEW_YORK, 1),
    ("2024-03-31", "0 2,3 * * *", PARIS, 1), ("2024-02-29", "0 6 29 2 *", PARIS, 1), ("2023-02-28", "0 6 29 2 *", PARIS, 0),
])
def test_looking_every_half_minute_finds_each_tick_of_a_day_exactly_once(day: str, schedule: str, zone: str, ticks: int) -> None:
    customers = {"acme": made("acme", schedule=schedule, time_zone=zone)}
    since, found = utc(f"{day} 00:00") - timedelta(seconds=17), []
    for look in range(2881):
        until = utc(f"{day} 00:00") + timedelta(seconds=30 * look - 17 + 30)
        found += due_customers(customers, {"acme": since}, until).values()
        since = until
    found = [tick for tick in found if tick < utc(f"{day} 00:00") + timedelta(days=1)]
    assert len(found) == len(set(found)) == ticks


def test_many_missed_ticks_are_one_and_the_newest() -> None:
    hourly = {"acme": made("acme", schedule="0 * * * *")}
    assert due_customers(hourly, {"acme": utc("2024-01-01 00:00")}, utc("2024-01-09 10:12")) == {"acme": utc("2024-01-09 10:00")}


def test_a_tick_at_the_last_look_was_seen_then_and_one_at_this_look_is_seen_now() -> None:
    acme = {"acme": made("acme")}
    assert due_customers(acme, {"acme": utc("2024-01-15 04:30")}, utc("2024-01-15 04:31")) == {}
    assert due_customers(acme, {"acme": utc("2024-01-15 04:29")}, utc("2024-01-15 04:30")) == {"acme": utc("2024-01-15 04:30")}


def test_only_active_customers_with_a_schedule_that_have_joined_are_due() -> None:
    everyone = {"active": made("active"), "paused": made("paused", status="paused"), "leaving": made("leaving", status="leaving"),
                "on_request": made("on_request", schedule=None), "unknown": made("unknown")}
    since = dict.fromkeys([name for name in everyone if name != "unknown"], utc("2024-01-14 12:00"))
    assert due_customers(everyone, since, utc("2024-01-15 12:00")) == {"active": utc("2024-01-15 04:30")}


def test_each_customers_own_zone_and_moment_count() -> None:
    two = {"paris": made("paris"), "york": made("york", time_zone=NEW_YORK), "moved": made("moved")}
    since = {"paris": utc("2024-01-15 00:00"), "york": utc("2024-01-15 00:00"), "moved": utc("2024-01-15 08:00")}  # moved: applied after today's tick
    assert due_customers(two, since, utc("2024-01-15 09:00")) == {"paris": utc("2024-01-15 04:30")}
    assert due_customers(two, since, utc("2024-01-15 10:30")) == {"paris": utc("2024-01-15 04:30"), "york": utc("2024-01-15 10:30")}
