"""Joining a figure to the day it is valid for.

What belongs here: choosing among rows of one parameter. What does not: formulas.
"""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
from ibis import _

WORLD = "WLD"
NEWEST = ibis.date(9999, 12, 31)  # on it a figure without an end is in force


def month_of(day: ir.DateValue) -> ir.DateValue:
    """First day of the month of a date, as a date: DuckDB's date_trunc makes a timestamp of it, which Ibis does not know."""
    return day.cast("timestamp").truncate("M").date()


def with_figures(rows: ir.Table, figures: ir.Table, on: tuple[str, ...], at: str, take: Mapping[str, str]) -> ir.Table:
    """`rows` with the figure in force on the day in column `at`: `take` maps a new column to the figure's; NULL where none is."""
    named = {f"{name}_figure": name for name in (*on, "valid_from", "valid_to")}
    offered = figures.select(**named, **take)
    conditions = [rows[name] == offered[f"{name}_figure"] for name in on]
    conditions += [rows[at] >= offered.valid_from_figure, offered.valid_to_figure.isnull() | (rows[at] <= offered.valid_to_figure)]
    return rows.left_join(offered, conditions).drop(*named)


def grid_in_force(rows: ir.Table, grid: ir.Table) -> ir.Table:
    """Per (country_code, month_start) of `rows` and criterion the grid factor: the country's before the world's, the month's year before
    the nearest earlier one, and an earlier one before a later one. Columns of the result start with `grid_`; `grid_years_off` is the distance, and
    `grid_flags` says what is not as asked.
    """
    asked = rows.select("country_code", "month_start").distinct().mutate(year=_.month_start.year())
    offered = grid.select(
        "criterion", grid_country="country_code", grid_year="factor_year", grid_id="grid_id", grid_boundary="boundary", grid_factor="value", grid_unit="unit",
        grid_min=ibis.coalesce(_.value_min, _.value), grid_max=ibis.coalesce(_.value_max, _.value), grid_dq_comp="dq_comp", grid_dq_geo="dq_geo",
    )  # fmt: skip
    met = asked.join(offered, (asked.country_code == offered.grid_country) | (offered.grid_country == WORLD))
    met = met.mutate(
        is_world=(_.grid_country == WORLD).cast("int64"), is_later=(_.grid_year > _.year).cast("int64"), grid_years_off=(_.year - _.grid_year).abs()
    )
    flags = ibis.cases(
        ((met.is_world == 1) & (met.country_code != WORLD) & (met.grid_years_off > 0), "grid_of_the_world, grid_of_another_year"),
        ((met.is_world == 1) & (met.country_code != WORLD), "grid_of_the_world"), (met.grid_years_off > 0, "grid_of_another_year"),
    )  # fmt: skip
    met = met.mutate(grid_flags=flags)
    best = ibis.window(group_by=["country_code", "month_start", "criterion"], order_by=["is_world", "is_later", "grid_years_off"])
    return met.mutate(place=ibis.row_number().over(best)).filter(_.place == 0).drop("place", "is_world", "is_later", "year")


def join_grid(rows: ir.Table, grid: ir.Table, how: str = "inner") -> ir.Table:
    """`rows` times the criteria of `grid`; a row without a country takes the world's factor."""
    asking = rows.mutate(country_asked=rows.country_code.fill_null(WORLD))
    chosen = grid_in_force(asking.select("month_start", country_code="country_asked"), grid).rename(country_asked="country_code")
    met = asking.join(chosen, ["country_asked", "month_start"], how=how)
    return met.drop("country_asked", *(name for name in met.columns if name in ("country_asked_right", "month_start_right")))


def coefficients_of(coefficients: ir.Table, model: str, keys: tuple[str, ...], day: ir.DateValue) -> ir.Table:
    """One row with the coefficients of one model in force on `day`: per key `<key>`, `<key>_min` and `<key>_max` (the value where no interval is published).

    A key without a row is NULL, and so is what is computed with it.
    """
    in_force = coefficients.filter(_.model == model, _.valid_from <= day, _.valid_to.isnull() | (_.valid_to >= day))
    wide = {}
    for key in keys:
        wide[key] = in_force.value.max(where=in_force.key == key)
        wide[f"{key}_min"] = ibis.coalesce(in_force.value_min, in_force.value).max(where=in_force.key == key)
        wide[f"{key}_max"] = ibis.coalesce(in_force.value_max, in_force.value).max(where=in_force.key == key)
    return in_force.agg(**wide)
