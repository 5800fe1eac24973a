"""Which silver rows an activity of gold is made of, source by source.

What belongs here: one Origin per silver table behind a source; what gold groups by is asked of gold's own functions. What does not: reading the rows
(tracing.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.ai_activity import ai_activity_id
from platform_assets.greenit.gold.cloud_activity import cloud_activity_id
from platform_assets.greenit.gold.in_force import month_of
from platform_assets.greenit.gold.web_activity import web_activity_id, weighed_days


@dataclass(frozen=True)
class Origin:
    """A silver table behind activities of a source: `rows(table, *beside, activity)` are those of one activity. `is_counted`: they are its `lines`."""

    table: str
    rows: Callable[..., ir.Table]
    is_counted: bool = True
    beside: tuple[str, ...] = ()


def of_device(rows: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    return rows.filter("equipment-" + _.equipment_id == activity["activity_id"])


def of_device_in_month(rows: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    return of_device(rows, activity).filter(month_of(_.start_date) == activity["month_start"])


def of_bill(lines: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    """Lines of the activity's dimensions that start in its month, up to the end of the window."""
    started = lines.charge_period_start_at
    named = cloud_activity_id(lines) == activity["activity_id"]
    return lines.filter(named, started.truncate("M").date() == activity["month_start"], started < ibis.literal(end_of(activity)).cast("timestamp"))


def of_contract(contracts: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    """The contract itself, or the one whose usage the activity is."""
    name = "saas-" + contracts.contract_id
    return contracts.filter((name == activity["activity_id"]) | (name + f"-{activity['quantity_unit']}" == activity["activity_id"]))


def of_usage(usage: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    return usage.filter("saas-" + _.contract_id + "-" + _.activity_key == activity["activity_id"], _.month_start == activity["month_start"])


def of_link(links: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    return links.filter("network-" + _.link_id == activity["activity_id"], _.month_start == activity["month_start"])


def of_page(traffic: ir.Table, web_page: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    """Days of the page and labels that the activity is named by, of known or of unknown bytes as it is."""
    days = weighed_days(days_of(traffic, activity), web_page)
    return days.filter(web_activity_id(days, ibis.literal(activity["item_key"])) == activity["activity_id"])


def of_model(usage: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    return days_of(usage, activity).filter(ai_activity_id(usage) == activity["activity_id"])


def days_of(rows: ir.Table, activity: Mapping[str, Any]) -> ir.Table:
    """Rows whose `day` is in the activity's month, up to the end of the window."""
    return rows.filter(_.day >= activity["month_start"], _.day < end_of(activity))


def end_of(activity: Mapping[str, Any]) -> date:
    """The day after the last one that the activity counts: the window may end inside of its month."""
    end: date = activity["month_start"] + timedelta(days=activity["days_in_month"])
    return end


ORIGINS: dict[str, tuple[Origin, ...]] = {  # by source
    "equipment": (Origin("equipment", of_device), Origin("metered_usage", of_device_in_month, is_counted=False)),
    "cloud": (Origin("cloud_usage", of_bill),),
    "saas": (Origin("saas_contract", of_contract), Origin("saas_usage", of_usage, is_counted=False)),
    "network": (Origin("network_link", of_link),),
    "web": (Origin("web_traffic", of_page, beside=("web_page",)),),
    "ai": (Origin("ai_usage", of_model),),
}
