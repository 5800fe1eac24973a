"""Drivers of web pages: the bytes of all visits of a month, for each of the three segments they go through (formula A6 of docs/method.md).

What belongs here: views to GB. What does not: the formula of a visit (web_page.py), figures per GB (parameters/service_*.csv).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.data_quality import METERED
from platform_assets.greenit.gold.service_activity import days_in_window, in_months, service, with_service_energy
from platform_assets.greenit.gold.web_page import bytes_of_visits, gigabytes
from platform_assets.greenit.sums import exact_sum

SEGMENTS = {"datacentre": "service", "network": "visitor", "device": "visitor"}  # -> whose it is
LABELS = ("page_id", "country_code", "hosting_country_code", "application_id", "org_unit")
ABSENT, SEPARATOR = "\x1e", "\x1f"


def web_activity_id(rows: ir.Table, segment: ir.StringValue) -> ir.StringValue:
    """`web-`, the segment and the md5 of the labels: the activity that a day of `weighed_days` is counted in (with its month). Days of unknown bytes
    have one of their own.
    """
    labels = ibis.literal(SEPARATOR).join([ibis.coalesce(rows[label], ABSENT) for label in LABELS]).hexdigest("md5")
    return ibis.literal("-").join([ibis.literal("web"), rows.is_weighed.ifelse(segment, segment + " of unknown bytes"), labels])


def weighed_days(web_traffic: ir.Table, web_page: ir.Table) -> ir.Table:
    """Days of traffic with the `gb` of all their visits and whether these are known (`is_weighed`). A view without bytes of its own has those of the
    page's recorded load.

    A day that does not say how many are first views counts all as first.
    """
    pages = web_page.select(loaded_page="page_id", loaded_bytes=_.transferred_bytes.cast("float64"))
    met = web_traffic.left_join(pages, web_traffic.page_id == pages.loaded_page)
    first = ibis.coalesce(met.first_view_share, 1.0)
    visit = bytes_of_visits(ibis.coalesce(met.bytes_per_view, met.loaded_bytes), first, 1.0 - first, ibis.coalesce(met.reload_share, 1.0))
    return met.mutate(gb=gigabytes(visit * met.views.cast("float64"))).mutate(is_weighed=_.gb.notnull())


def traffic_by_month(web_traffic: ir.Table, web_page: ir.Table, months: ir.Table) -> ir.Table:
    """Per page, visitors' country and month: `views` and `gb`. Days whose bytes nobody knows are rows of their own (`is_weighed` false): their views
    stay visible as uncovered, and never thin out the bytes of the others.
    """
    met = weighed_days(days_in_window(web_traffic, months), web_page)
    return met.group_by(*LABELS, "month_start", "is_weighed").agg(views=exact_sum(_.views), gb=exact_sum(_.gb), lines=_.count())


def web_drivers(web_traffic: ir.Table, web_page: ir.Table, months: ir.Table, service_energy: ir.Table, pue: ir.Table, grid_factor: ir.Table) -> ir.Table:
    """One row per page, visitors' country, month and segment.

    The datacentre counts only where a hosting country is said: a page on machines of one's own is in the inventory or in the cloud bill already.
    """
    seen = in_months(traffic_by_month(web_traffic, web_page, months), months)
    met = seen.mutate(segment=ibis.array(list(SEGMENTS)).unnest())
    hosted = met.segment == "datacentre"
    met = met.filter(~hosted | met.hosting_country_code.notnull())
    rows = service(
        met, "web", "A6-web", activity_id=web_activity_id(met, met.segment), service_name=met.page_id, item_key=met.segment,
        ownership=met.segment.cases(*SEGMENTS.items()),
        country_code=hosted.ifelse(met.hosting_country_code, met.country_code), meter_key=ibis.literal("web_") + met.segment + "_gb", meter_amount=met.gb,
        quantity=met.views.cast("decimal(38, 18)"), quantity_unit=ibis.literal("views"), lines=met.lines, dq_reliability=ibis.literal(METERED),
    )  # fmt: skip
    return with_service_energy(rows, service_energy, pue, grid_factor)
