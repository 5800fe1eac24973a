"""Impacts of every activity, narrow: one row per phase, criterion and accounting view.

What belongs here: drivers × factors. What does not: drivers (activity.py), formulas (embodied.py, use_phase.py), sums (platinum).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.cloud_meters import meters_embodied
from platform_assets.greenit.gold.cloud_spend import spend_impacts
from platform_assets.greenit.gold.impact_phases import cloud_embodied, device_embodied, in_both_views, shaped, use_phase
from platform_assets.greenit.gold.in_force import with_figures
from platform_assets.tables import table

METHOD_VERSION = "1.0.0"
AMOUNT = "decimal(38, 18)"


@table(__file__)
def impact(
    activity: ir.Table, device_factor: ir.Table, cloud_instance: ir.Table, cloud_meter_embodied: ir.Table,
    cloud_spend_factor: ir.Table, grid_factor: ir.Table, grid_factor_multicriteria: ir.Table, scope_rule: ir.Table,
) -> ir.Table:  # fmt: skip
    """Impacts in the criterion's unit; no row where a factor is missing (never 0 for unknown).

    View `amortised` spreads embodied impacts over the lifetime, `purchase_year` books them in the months of purchase and disposal. Use and
    cloud are the same in both, so each view is a whole; never add the two.
    """
    covered = activity.filter(_.is_covered)
    grid = grid_factor.union(grid_factor_multicriteria)
    cloud = cloud_embodied(covered, cloud_instance).union(shaped(meters_embodied(covered, cloud_meter_embodied)))
    cloud = cloud.union(shaped(spend_impacts(covered, cloud_spend_factor)))
    phases = in_both_views(use_phase(covered, grid)).union(device_embodied(covered, device_factor)).union(in_both_views(cloud))
    scoped = with_figures(phases, scope_rule, ("domain", "ownership", "phase"), "month_start", {"scope": "scope", "category": "category"})
    low, high = ibis.least(_.value, _.value_min, _.value_max), ibis.greatest(_.value, _.value_min, _.value_max)
    return scoped.select(
        "activity_id", "month_start", "phase", "criterion", "accounting_view", "source", "domain", "scope", "category", "ghg_method",
        value=_.value.cast(AMOUNT), value_min=low.cast(AMOUNT), value_max=high.cast(AMOUNT),
        unit=_.unit, factor_id=_.factor_id, grid_id=_.grid_id, grid_factor=_.grid_factor,
        dq_score=_.dq_score, dq_weighted=(_.value.abs() * _.dq_score).cast(AMOUNT),
        method_id=_.method_id, method_version=ibis.literal(METHOD_VERSION),
    )  # fmt: skip
