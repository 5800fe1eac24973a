"""Impacts of every activity, narrow: one row per phase, criterion, method, category and accounting view.

What belongs here: putting the contributions together, amount × factor. What does not: contributions (impact_phases.py, market.py), drivers
(activity.py), formulas (embodied.py, use_phase.py), sums (platinum).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.categories import with_categories
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.data_quality import dq_score, gsd, with_uncertainties
from platform_assets.greenit.gold.impact_phases import declared, device_embodied, grid_losses, market_based_use, metered, spent, use_phase
from platform_assets.greenit.gold.per_amount import figures_per_amount
from platform_assets.greenit.gold.server_configuration import configured_servers
from platform_assets.tables import table

METHOD_VERSION = "2.0.0"
AMOUNT = "decimal(38, 18)"
CRITERIA = ("GWP", "PE", "ADPe", "WU")  # what is reported; a customer's overlay may hold others


@table(__file__)
def impact(
    activity: ir.Table, equipment: ir.Table, device_factor: ir.Table, server_component: ir.Table, server_coefficient: ir.Table, cloud_instance: ir.Table,
    cloud_instance_component: ir.Table, cloud_meter_embodied: ir.Table, service_factor: ir.Table, language_model: ir.Table, spend_factor: ir.Table,
    grid_factor: ir.Table, grid_factor_multicriteria: ir.Table, grid_loss: ir.Table, scope_rule: ir.Table, pedigree_uncertainty: ir.Table,
) -> ir.Table:  # fmt: skip
    """Impacts in the criterion's unit, each an amount × a factor; no row where a factor is missing (never 0 for unknown).

    View `amortised` spreads embodied impacts over the lifetime, `purchase_year` books them in the months of purchase and disposal. What happens
    in a month is the same in both, so each view is a whole; never add the two. Purchased electricity (scope 2) has a location-based and a
    market-based row: a total takes one of the two methods, and all rows of method `none`.
    """
    placed = with_categories(activity, scope_rule)
    grid = grid_factor.union(grid_factor_multicriteria)
    electricity = use_phase(placed, grid.filter(_.criterion.isin(CRITERIA)))
    servers = configured_servers(equipment, server_component, server_coefficient)
    per_amount = figures_per_amount(cloud_instance, cloud_instance_component, cloud_meter_embodied, service_factor, language_model)
    parts = [electricity, market_based_use(electricity), grid_losses(electricity, grid_loss), device_embodied(placed, device_factor, servers),
             metered(placed, per_amount), declared(placed), spent(placed, spend_factor)]  # fmt: skip
    return impacts_of(ibis.union(*(part.select(parts[-1].columns) for part in parts)), pedigree_uncertainty)


def impacts_of(parts: ir.Table, pedigree_uncertainty: ir.Table) -> ir.Table:
    """Contributions as rows of the table: value = amount × factor with its interval, score, uncertainty, and a row for each view."""
    rated = with_uncertainties(parts, pedigree_uncertainty)
    ends = [impact_of(_.amount_min, _.factor_min), impact_of(_.amount_max, _.factor_max), impact_of(_.amount, _.factor_value)]
    score = dq_score(rated.dq_rel, rated.dq_comp, rated.years_off, rated.dq_geo, rated.dq_tech)
    made = rated.mutate(
        value=impact_of(_.amount, _.factor_value).cast(AMOUNT), value_min=ibis.least(*ends).cast(AMOUNT), value_max=ibis.greatest(*ends).cast(AMOUNT),
        dq_score=score, gsd=gsd(rated), scope=_.category.left(1), method_version=ibis.literal(METHOD_VERSION), accounting_view=_.views.unnest(),
    )  # fmt: skip
    return made.select(
        "activity_id", "month_start", "phase", "criterion", "accounting_view", "source", "domain", "scope", "category", "ghg_method", "amount", "amount_unit",
        "factor_value", "value", "value_min", "value_max", "unit", "factor_id", "grid_id", "flags", "dq_score", "gsd",
        dq_weighted=(_.value.abs().cast("float64") * _.dq_score).cast(AMOUNT), method_id=_.method_id, method_version=_.method_version,
    )  # fmt: skip
