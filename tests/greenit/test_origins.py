"""Behaviour of greenit/origins.py: the rows behind an activity are those that gold counted, no more."""

from datetime import date, datetime

import ibis
import pytest
from ibis import _

from platform_assets.greenit.gold.ai_activity import ai_activity_id
from platform_assets.greenit.gold.cloud_activity import cloud_activity_id
from platform_assets.greenit.gold.web_activity import web_activity_id, weighed_days
from platform_assets.greenit.origins import of_bill, of_model, of_page

JUNE = {"month_start": date(2024, 6, 1), "days_in_month": 15}  # the window ends with the 15th
PAGE = {"page_id": "p", "country_code": "FRA", "views": 10, "bytes_per_view": 100.0}


@pytest.fixture
def traffic(table_of):
    """Two days with bytes in the window, one without, and one of each after it."""
    days = [(1, 100.0), (15, 100.0), (3, None), (16, 100.0), (17, None)]
    return table_of("silver", "web_traffic", *({**PAGE, "day": date(2024, 6, day), "bytes_per_view": load} for day, load in days))


def days_behind(traffic, pages, is_weighed):
    named = weighed_days(traffic, pages).filter(_.is_weighed == is_weighed)
    identity = named.select(name=web_activity_id(named, ibis.literal("network"))).distinct().to_pyarrow().to_pylist()[0]["name"]
    found = of_page(traffic, pages, {**JUNE, "activity_id": identity, "item_key": "network"})
    return sorted(day.day for day in found.day.execute())


def test_days_of_unknown_bytes_and_days_after_the_window_are_behind_other_activities(traffic, table_of):
    unrecorded = table_of("silver", "web_page")
    assert days_behind(traffic, unrecorded, True) == [1, 15]
    assert days_behind(traffic, unrecorded, False) == [3]


def test_a_recorded_load_gives_every_day_bytes(traffic, table_of):
    assert days_behind(traffic, table_of("silver", "web_page", {"page_id": "p", "transferred_bytes": 5}), True) == [1, 3, 15]


def test_lines_and_tokens_after_the_window_are_not_behind_what_it_counts(table_of):
    started = [date(2024, 6, 1), date(2024, 6, 15), date(2024, 6, 16), date(2024, 7, 1)]
    lines = table_of("silver", "cloud_usage", *({"charge_period_start_at": datetime(day.year, day.month, day.day), "provider": "aws"} for day in started))
    (identity,) = set(cloud_activity_id(lines).execute())
    assert of_bill(lines, {**JUNE, "activity_id": identity}).count().execute() == 2
    usage = table_of("silver", "ai_usage", *({"day": day, "provider": "openai", "model": "m"} for day in started))
    (identity,) = set(ai_activity_id(usage).execute())
    assert of_model(usage, {**JUNE, "activity_id": identity}).count().execute() == 2
