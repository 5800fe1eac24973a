"""Measured use of inventory lines, one clean row per line and days of one month.

What belongs here: typed measurements that name a day once. What does not: what a line uses on days without a measurement (gold).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import parsed, refusing
from platform_assets.contracts import contract
from platform_assets.greenit.bronze.equipment_metering import CONVENTIONS
from platform_assets.tables import table

CLOCK_CHANGE_HOURS = 1


@table(__file__)
def metered_usage(equipment_metering: ir.Table, equipment: ir.Table) -> ir.Table:
    """Measurements with `is_in_inventory`; a row with trouble carries `_rejects`. A day that two rows of a line name is refused in both."""
    read = parsed(equipment_metering, contract(__file__), CONVENTIONS)
    read = read.mutate(days=_.end_date.delta(_.start_date, unit="day") + 1)
    read = once_a_day(refusing(read, *impossible(read)))
    known = equipment.select(known_id="equipment_id")
    return read.left_join(known, [("equipment_id", "known_id")]).select(
        "equipment_id", "start_date", "end_date", "energy_kwh", "hours_on", "cpu_pct", is_in_inventory=_.known_id.notnull(), _file="_file", _row="_row",
        _sha256="_sha256", _rejects="_rejects",
    )  # fmt: skip


def impossible(read: ir.Table) -> list[tuple]:
    """What a measurement cannot say: days backwards or of two months, more hours than the days have, nothing at all."""
    is_one_month = read.start_date.truncate("month") == read.end_date.truncate("month")
    says_nothing = read.energy_kwh.isnull() & read.hours_on.isnull() & read.cpu_pct.isnull()
    return [
        ((read.days < 1) | ~is_one_month, "DATE_RANGE", "end_date", read.end_date),
        ((read.days > 0) & (read.hours_on > 24 * read.days + CLOCK_CHANGE_HOURS), "NUMBER_RANGE", "hours_on", read.hours_on),
        (read["_rejects"].isnull() & says_nothing, "MISSING_VALUE", "energy_kwh", read.energy_kwh.cast("string")),
    ]


def once_a_day(read: ir.Table) -> ir.Table:
    """Rows, good so far, whose days another one of their line names as well, refused."""
    marked = read.mutate(is_good=read["_rejects"].isnull())
    line = {"group_by": ["equipment_id", "is_good"], "order_by": ["start_date", "_sha256", "_row"]}
    before, after = ibis.window(preceding=(None, 1), **line), ibis.window(following=(1, None), **line)
    marked = marked.mutate(ended_before=_.end_date.max().over(before), starts_after=_.start_date.min().over(after))
    overlaps = (marked.start_date <= marked.ended_before).fill_null(False) | (marked.starts_after <= marked.end_date).fill_null(False)
    return refusing(marked, (marked.is_good & overlaps, "DUPLICATE", "start_date", marked.start_date))
