"""Cloud meters that are no instances (A5): storage, transfer, serverless, processors and memory billed apart.

What belongs here: reading a meter by `parameters/cloud_meter_map.csv`, its amount in the figures' references, its energy. What does not:
instances and the columns of `activity` (cloud_activity.py), embodied impacts (per_amount.py), figures (parameters/). A meter that no row fits
stays without an amount.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.in_force import with_figures

ANY = "*"
ASKED = ("provider", "usage_kind", "consumed_unit", "meter_text", "month_start")


def meter_amount(quantity: ir.Value, per_unit: ir.Value, hours: ir.Value, is_per_month: ir.BooleanValue) -> ir.Value:
    """What a figure refers to (GB-h, GB, vCPU-h, GPU-h): quantity × references in one unit, times the hours of the month where the unit lasts one."""
    return quantity * per_unit * is_per_month.ifelse(hours, 1.0)


def meter_kwh(amount: ir.Value, copies: ir.Value, kwh_per_reference: ir.Value) -> ir.Value:
    """IT energy of a meter, kWh: amount × copies that the service keeps × kWh (Cloud Carbon Footprint)."""
    return amount * copies * kwh_per_reference


def hours_of_month(month_start: ir.DateValue) -> ir.FloatingValue:
    """Hours of the calendar month, whole even where the window ends in it: a GB-month is a gigabyte through all of them."""
    following = (month_start.cast("timestamp") + ibis.interval(months=1)).date()
    return following.delta(month_start, unit="day") * 24.0


def read_meters(rows: ir.Table, cloud_meter_map: ir.Table) -> ir.Table:
    """`rows` with `map_id`, `meter_key`, `copies`, `map_per_unit` and `meter_dq_tech` of the first row of the map that fits; NULL where none does.

    Patterns meet the distinct texts only; a row of the provider's own comes before one of any provider by its priority.
    """
    text = (ibis.coalesce(rows.service_name, "") + " | " + ibis.coalesce(rows.meter, "")).lower()
    texted = rows.mutate(meter_text=text)
    asked = texted.filter(_.instance_type.isnull(), _.charge_category == "Usage").select(*ASKED).distinct()
    offered = cloud_meter_map.select(
        "map_id", "meter_key", "copies", "pattern", "priority", "valid_from", "valid_to", map_per_unit="per_unit", meter_dq_tech="dq_tech",
        map_provider="provider", map_kind="usage_kind",
    )  # fmt: skip
    met = asked.join(offered, [asked.usage_kind == offered.map_kind, (asked.provider == offered.map_provider) | (offered.map_provider == ANY)])
    fitting = met.filter(_.meter_text.re_search(_.pattern), _.month_start >= _.valid_from, _.valid_to.isnull() | (_.month_start <= _.valid_to))
    first = ibis.window(group_by=list(ASKED), order_by=["priority", "map_id"])
    chosen = fitting.mutate(place=ibis.row_number().over(first)).filter(_.place == 0)
    found = chosen.select(*ASKED, "map_id", "meter_key", "copies", "map_per_unit", "meter_dq_tech")
    return texted.left_join(found, list(ASKED)).drop(*(f"{name}_right" for name in ASKED), "meter_text")


def with_meters(rows: ir.Table, cloud_meter_map: ir.Table, cloud_meter_energy: ir.Table, cloud_meter_unit: ir.Table) -> ir.Table:
    """Adds the meter, its figures of energy, and `meter_amount`; needs `charge_share`. NULL where the meter, its unit or the charge is unknown."""
    read = read_meters(rows, cloud_meter_map)
    take = {"energy_id": "energy_id", "meter_per": "per", "is_hosted": "is_hosted", "kwh": "value", "kwh_min": "value_min", "kwh_max": "value_max"}
    read = with_figures(read, cloud_meter_energy, ("meter_key",), "month_start", take)
    units = cloud_meter_unit.rename(meter_per="per")
    read = with_figures(read, units, ("consumed_unit", "meter_per"), "month_start", {"unit_value": "value", "is_per_month": "is_per_month"})
    per_unit = ibis.coalesce(read.map_per_unit, read.unit_value)
    amount = meter_amount(read.quantity.cast("float64"), per_unit, hours_of_month(read.month_start), read.is_per_month) * read.charge_share
    return read.mutate(meter_amount=amount)


def meter_method(meter_key: ir.StringValue) -> ir.StringValue:
    """`A5-storage`, `A5-transfer`, …: the formula of docs/method.md that a meter goes by."""
    return ibis.literal("A5-") + meter_key.re_extract("^([a-z]+)", 1)
