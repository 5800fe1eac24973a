"""Who is stale on which day: worked out by hand on a calendar."""
from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import Customer, Expected, Source, Steward
from partitions.errors import CustomerError
from platform_assets.freshness import Received, freshness, freshness_of, next_end
from resources.postgres import WRITER
from tests.installation import Installation, billing, inventory

MONTHLY = Expected(every="month", grace_days=10)


def customer_with(expected: Expected | None, status: str = "active", zone: str = "Europe/Paris") -> Customer:
    return Customer(id="acme", name="acme", status=status, country="FR", currency="EUR", time_zone=zone, steward=Steward(name="Data steward", email="s@example.org"),
                    sources={"cloud_billing": Source(format="focus_1_0", expected=expected)})


def september(day: int = 2, month: int = 10) -> Received:
    """September 2024, landed at noon of a day of 2024."""
    return Received(date(2024, 9, 1), datetime(2024, month, day, 12, tzinfo=UTC))


@pytest.mark.parametrize(("at", "state"), [
    (date(2024, 10, 31), "fresh"),  # October has not ended
    (date(2024, 11, 1), "due"),  # it has, and its delivery may take until 10 November
    (date(2024, 11, 10), "due"),
    (date(2024, 11, 11), "stale"),
    (date(2026, 1, 1), "stale"),
])
def test_a_monthly_source_is_due_when_the_next_month_has_ended_and_stale_after_its_grace(at: date, state: str) -> None:
    found = freshness_of(customer_with(MONTHLY), "cloud_billing", [september()], at)
    assert (found.state, found.covers_until, found.due_since, found.late_from) == (state, date(2024, 9, 30), date(2024, 11, 1), date(2024, 11, 11))
    assert found.is_late == (state == "stale")


def test_a_correction_of_an_old_month_freshens_nothing() -> None:
    deliveries = [september(), Received(date(2024, 6, 1), datetime(2024, 12, 20, tzinfo=UTC))]
    found = freshness_of(customer_with(MONTHLY), "cloud_billing", deliveries, date(2024, 12, 24))
    assert (found.state, found.covers_until, found.last_delivery) == ("stale", date(2024, 9, 30), date(2024, 12, 20))


def test_without_a_period_a_delivery_covers_the_time_until_it_landed() -> None:
    weekly = customer_with(Expected(every="week", grace_days=2))
    landed = Received(None, datetime(2024, 9, 30, 12, tzinfo=UTC))  # due 8 October (1 to 7 October is the next week), late from 10 October
    states = [freshness_of(weekly, "cloud_billing", [landed], date(2024, 10, day)).state for day in (7, 8, 9, 10)]
    assert states == ["fresh", "due", "due", "stale"]


def test_the_day_of_a_landing_is_the_customers_own() -> None:
    """23:30 UTC of 30 September is 1 October in Paris and still 30 September in New York."""
    late = Received(None, datetime(2024, 9, 30, 23, 30, tzinfo=UTC))
    daily = Expected(every="day")
    days = [freshness_of(customer_with(daily, zone=zone), "cloud_billing", [late], date(2024, 10, 5)).covers_until for zone in ("Europe/Paris", "America/New_York")]
    assert days == [date(2024, 10, 1), date(2024, 9, 30)]


def test_what_never_came_is_late_only_where_something_is_expected() -> None:
    at = date(2024, 10, 1)
    assert freshness_of(customer_with(MONTHLY), "cloud_billing", [], at).state == "never"
    assert freshness_of(customer_with(MONTHLY), "cloud_billing", [september(day=2)], at).state == "never"  # it landed the day after
    for customer in (customer_with(None), customer_with(MONTHLY, status="paused")):
        assert freshness_of(customer, "cloud_billing", [], at).state == "untracked"
        assert not freshness_of(customer, "cloud_billing", [september()], date(2026, 1, 1)).is_late


@pytest.mark.parametrize(("covers", "every", "end"), [
    (date(2024, 1, 31), "month", date(2024, 2, 29)), (date(2023, 2, 28), "month", date(2023, 3, 31)), (date(2024, 1, 30), "month", date(2024, 2, 29)),
    (date(2024, 12, 15), "month", date(2025, 1, 15)), (date(2024, 12, 31), "week", date(2025, 1, 7)), (date(2024, 2, 28), "day", date(2024, 2, 29)),
])
def test_the_next_period_ends_where_the_calendar_says(covers: date, every: str, end: date) -> None:
    assert next_end(covers, Expected(every=every)) == end


# on a real installation

FRESH, STALE = "fresh_co", "stale_co"
EXPECTED = {"every": "month", "grace_days": 5}
SOURCES = {"equipment_inventory": {"format": "strata_1"}, "cloud_billing": {"format": "focus_1_0", "accepted_owners": ["a"], "expected": EXPECTED}}


@pytest.fixture(scope="module")
def landed(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """One customer with September and October 2024, one with September alone; an inventory that nobody expects."""
    folder = tmp_path_factory.mktemp("freshness")
    for name, periods in ((FRESH, ("2024-09", "2024-10")), (STALE, ("2024-09",))):
        installation.declare(name, sources=SOURCES)
        installation.land(name, "equipment_inventory", [inventory(folder / "i.csv", {})])
        for period in periods:
            installation.land(name, "cloud_billing", [billing(folder / f"{name}{period}.csv", "a", {"SkuId": period})], period)
        with installation.superuser(installation.postgres.names.warehouse) as connection:
            connection.execute("UPDATE platform.delivery SET landed_at = '2024-11-02 08:00+00' WHERE customer_id = %s", [name])
    return installation


def test_a_customer_is_judged_by_its_own_deliveries(landed: Installation) -> None:
    from partitions.customers import customer

    states = {}
    for name in (FRESH, STALE):
        with landed.postgres.connect(WRITER, customer=name) as connection:
            found = freshness(connection, customer(name, landed.settings.customers), date(2024, 11, 6))
            states[name] = {one.source: one.state for one in found}
    assert states == {FRESH: {"cloud_billing": "fresh", "equipment_inventory": "untracked"},
                      STALE: {"cloud_billing": "stale", "equipment_inventory": "untracked"}}


def test_the_command_names_the_steward_and_exits_with_1_if_somebody_is_late(landed: Installation) -> None:
    done = CliRunner().invoke(strata, ["freshness", FRESH, STALE, "--at", "2024-11-06", "--format", "json"])
    assert done.exit_code == 1
    rows = json.loads(done.output)
    assert rows[2] == {"customer": STALE, "source": "cloud_billing", "last_delivery": "2024-11-02", "covers_until": "2024-09-30", "due_since": "2024-11-01",
                       "late_from": "2024-11-06", "state": "stale", "steward": "Data steward", "email": "steward@example.org"}
    assert [row["state"] for row in rows] == ["fresh", "untracked", "stale", "untracked"]


def test_the_command_exits_with_0_where_nobody_is_late(landed: Installation) -> None:
    done = CliRunner().invoke(strata, ["freshness", FRESH, STALE, "--at", "2024-11-05"])
    assert (done.exit_code, "due" in done.output, "steward@example.org" in done.output) == (0, True, True)


@pytest.mark.parametrize("expected", [{"every": "year"}, {"every": "month", "grace_days": -1}, {"grace_days": 1}, {"every": "month", "grace": 1}, "month"])
def test_an_expectation_that_means_nothing_is_refused(installation: Installation, expected: object) -> None:
    name = "freshness_wrong"
    path = Path(installation.settings.customers, f"{name}.yaml")
    try:
        with pytest.raises(CustomerError, match="sources.cloud_billing.expected"):
            installation.declare(name, sources={"cloud_billing": {"format": "focus_1_0", "expected": expected}})
    finally:
        path.unlink()
