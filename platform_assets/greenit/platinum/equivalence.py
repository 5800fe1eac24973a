"""What a month's impact is like: people's sustainable shares, and everyday things.

What belongs here: dividing by figures of parameters/. What does not: those figures, and any claim that one offsets the other.
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.tables import table

TOTALS = {"location": ["location", "none"], "market": ["market", "none"]}
PEOPLE = "person-year"


@table(__file__)
def equivalence(kpi_monthly: ir.Table, person_equivalent: ir.Table, equivalent: ir.Table) -> ir.Table:
    """Per month, method, view and equivalent: how many of it make the month's impact. Years of one person's sustainable share in every criterion
    that has one; ADEME's everyday things for GWP.
    """
    totals = ibis.union(*(kpi_monthly.filter(_.method.isin(taken)).mutate(total=ibis.literal(name)) for name, taken in TOTALS.items()))
    months = totals.group_by("period", "criterion", "view", method="total").agg(value=_.value.sum())
    people = person_equivalent.select(equivalent_id="person_equivalent_id", of="criterion", figure="value", counted_in=ibis.literal(PEOPLE))
    things = equivalent.select("equivalent_id", of=ibis.literal("GWP"), figure="value", counted_in="counted_in")
    offered = people.union(things)
    met = months.join(offered, months.criterion == offered.of)
    return met.select("period", "criterion", "method", "view", "equivalent_id", "counted_in", count=met.value.cast("float64") / met.figure)
