"""What a customer contracted for its electricity, as one factor per kWh for each activity (formula A7 of docs/method.md).

What belongs here: which contract covers which kWh. What does not: the formula (electricity_scope2.py), contracts (silver), residual mixes
(parameters/residual_mix.csv, which a customer overlays).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.electricity_scope2 import market_based
from platform_assets.greenit.gold.flags import INCLUDES_UPSTREAM, LIFECYCLE, with_flag
from platform_assets.greenit.gold.in_force import with_figures
from platform_assets.greenit.gold.limits import at_most

KWH = "decimal(38, 12)"  # sums are of decimals, so that their order changes no digit


def contracts_by_month(energy_contract: ir.Table, months: ir.Table) -> ir.Table:
    """Contracts × months in which they are in force, with `in_force_share`: their days of the month, 0 to 1."""
    met = energy_contract.cross_join(months)
    after = (ibis.coalesce(met.end_date, met.month_end).cast("timestamp") + ibis.interval(days=1)).date()
    first, last = ibis.greatest(met.start_date, met.month_start), ibis.least(met.end_date.isnull().ifelse(met.month_end, after), met.month_end)
    days = last.delta(first, unit="day").cast("float64")
    return met.mutate(in_force_share=days / met.month_end.delta(met.month_start, unit="day").cast("float64")).filter(_.in_force_share > 0)


def with_market(bought: ir.Table, energy_contract: ir.Table, months: ir.Table, residual_mix: ir.Table) -> ir.Table:
    """Adds `market_factor` (kgCO2e/kWh), `market_id` and `market_flags` to rows with is_purchased, energy_kwh, pue, site_id, country_code, grid_value.

    A contract covers its site's electricity, one without a site the rest of its country's, one without either the rest of all. Contracts share a
    pool in proportion to its kWh; more certificates than kWh make no credit. What no contract covers has the residual mix, without one the
    grid's factor, flagged: without any contract the two methods give the same figure.
    """
    contracts = contracts_by_month(energy_contract, months)
    of_site, of_country = contracts.filter(_.site_id.notnull()), contracts.filter(_.site_id.isnull(), _.country_code.notnull())
    sites = of_site.select("month_start", pool_site="site_id").distinct()
    countries = of_country.select("month_start", pool_country="country_code").distinct()
    rows = bought.left_join(sites, [bought.month_start == sites.month_start, bought.site_id == sites.pool_site]).drop("month_start_right")
    rows = rows.left_join(countries, [rows.month_start == countries.month_start, rows.country_code == countries.pool_country]).drop("month_start_right")
    pool = ibis.coalesce("site:" + rows.pool_site, "country:" + rows.pool_country, ibis.literal("all"))
    rows = rows.mutate(pool=pool, taken_kwh=_.is_purchased.ifelse(_.energy_kwh * _.pue, 0.0)).drop("pool_site", "pool_country")
    pools = rows.group_by("pool", "month_start").agg(pool_kwh=_.taken_kwh.cast(KWH).sum().cast("float64"))
    rows = rows.left_join(covered(pools, contracts), ["pool", "month_start"]).drop("pool_right", "month_start_right")
    take = {"residual_value": "value", "residual_id": "residual_id", "residual_boundary": "boundary"}
    rows = with_figures(rows, residual_mix, ("country_code",), "month_start", take)
    share = ibis.coalesce(rows.covered_share, 0.0)
    factor = market_based(ibis.literal(1.0), share, rows.contract_factor, rows.residual_value, rows.grid_value)
    rest = ibis.coalesce(rows.residual_id, rows.grid_id)
    flags = ibis.cases(
        ((share <= 0) & rows.residual_id.isnull(), "no_contract, no_residual_mix"), (share <= 0, "no_contract"),
        ((share < 1) & rows.residual_id.isnull(), "no_residual_mix")
    )
    flags = with_flag(flags, (share < 1) & (ibis.coalesce(rows.residual_boundary, rows.grid_boundary) == LIFECYCLE), INCLUDES_UPSTREAM)
    ids = ibis.cases((share <= 0, rest), (share < 1, rows.contract_ids + " + " + rest), else_=rows.contract_ids)
    made = rows.mutate(
        market_factor=rows.is_purchased.ifelse(factor, ibis.null("float64")), market_id=rows.is_purchased.ifelse(ids, ibis.null("string")),
        market_flags=rows.is_purchased.ifelse(flags, ibis.null("string")),
    )  # fmt: skip
    return made.drop("pool", "taken_kwh", "covered_share", "contract_factor", "contract_ids", "residual_value", "residual_id", "residual_boundary")


def covered(pools: ir.Table, contracts: ir.Table) -> ir.Table:
    """Per pool and month the covered share (0 to 1), the mean factor of what covers it, and the contracts' names."""
    named = contracts.mutate(pool=ibis.coalesce("site:" + _.site_id, "country:" + _.country_code, ibis.literal("all")))
    met = named.join(pools, ["pool", "month_start"])
    kwh = ibis.coalesce(met.covered_kwh_per_month, met.covered_share * met.pool_kwh) * met.in_force_share
    met = met.mutate(kwh=kwh.cast(KWH), kg=(kwh * met.kgco2e_per_kwh).cast(KWH))
    summed = met.group_by("pool", "month_start", "pool_kwh").agg(
        kwh=_.kwh.sum().cast("float64"), kg=_.kg.sum().cast("float64"), contract_ids=_.contract_id.group_concat(", ", order_by=_.contract_id)
    )
    return summed.select(
        "pool", "month_start", "contract_ids", covered_share=at_most(summed.kwh / summed.pool_kwh.nullif(0.0), 1.0), contract_factor=_.kg / _.kwh.nullif(0.0)
    )
