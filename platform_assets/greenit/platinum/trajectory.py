"""Emissions of each year against the path that a target asks for.

What belongs here: years, base and gap. What does not: the path's formula (target_path.py), targets (parameters/target.csv).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.platinum.target_path import linear_target
from platform_assets.tables import table

TOTALS = {"location": ["location", "none"], "market": ["market", "none"]}
SUM = "decimal(38, 18)"
MONTHS_OF_A_YEAR = 12


@table(__file__)
def trajectory(kpi_monthly: ir.Table, target: ir.Table) -> ir.Table:
    """One row per target, scopes, year, method and view: base, target, actual and gap in kgCO2e, and how many months the year and the base have.

    The base year is the target's, else the first in the figures. A year (or base) of fewer than twelve months is compared by its mean month, so
    that a year under way is not taken for a reduction; `months` says so. They are the months that have any emissions: a scope that began in June had
    none before, and is not scaled up.
    """
    gwp = kpi_monthly.filter(_.criterion == "GWP")
    totals = ibis.union(*(gwp.filter(_.method.isin(taken)).mutate(total=ibis.literal(name)) for name, taken in TOTALS.items()))
    scoped = totals.mutate(scopes=(_.scope == "3").ifelse("3", "1+2"), year=_.period.year().cast("int64"))
    known = gwp.mutate(year=_.period.year().cast("int64")).group_by("year").agg(months=_.period.nunique())
    years = scoped.group_by("scopes", "year", "total", "view").agg(value=_.value.sum()).join(known, "year")
    first = ibis.window(group_by=["scopes", "total", "view"])
    years = years.mutate(first_year=_.year.min().over(first))
    offered = target.select("target_id", "annual_rate", wanted_year="base_year", target_scopes="scopes")
    met = years.join(offered, years.scopes == offered.target_scopes).mutate(base_year=ibis.coalesce(_.wanted_year, _.first_year).cast("int64"))
    # met["view"], for met.view is a method of every table: compared with a column it is never equal
    bases = years.view().select(base_scopes="scopes", base_total="total", base_view="view", at_year="year", base_value="value", base_months="months")
    met = met.join(bases, [met.scopes == bases.base_scopes, met.total == bases.base_total, met["view"] == bases.base_view, met.base_year == bases.at_year])
    base, actual = yearly(met.base_value, met.base_months), yearly(met.value, met.months)
    wanted = linear_target(base, met.base_year.cast("float64"), met.year.cast("float64"), met.annual_rate)
    return met.filter(met.year >= met.base_year).select(
        "target_id", "scopes", "year", "base_year", "view", method="total", months=met.months.cast("int64"), base_months=met.base_months.cast("int64"),
        base_kgco2e=base, target_kgco2e=wanted, actual_kgco2e=actual, gap_kgco2e=actual - wanted,
    )  # fmt: skip


def yearly(value: ir.Value, months: ir.Value) -> ir.Value:
    """A year's emissions from the months that are known, kgCO2e."""
    return value.cast("float64") * MONTHS_OF_A_YEAR / months.cast("float64")
