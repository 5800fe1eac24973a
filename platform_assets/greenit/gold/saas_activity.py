"""Drivers of software as a service: each contract in each month, by the best method that its data allow (formula A6 of docs/method.md).

What belongs here: the order of methods (the vendor's figure, activity, spend) and their amounts. What does not: figures (parameters/).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.greenit.gold.embodied import DAYS_PER_YEAR
from platform_assets.greenit.gold.service_activity import months_in_force, service, with_service_energy
from platform_assets.greenit.gold.spend import in_dollars_of_2022

SOFTWARE = "511210"  # NAICS of a contract that names no sector
MONEY = "decimal(38, 18)"


def saas_drivers(
    saas_contract: ir.Table, saas_usage: ir.Table, months: ir.Table, service_energy: ir.Table, pue: ir.Table, grid_factor: ir.Table,
    exchange_rate: ir.Table, price_index: ir.Table,
) -> ir.Table:  # fmt: skip
    """One row per contract and month, or one per kind of usage where the contract goes by activity: one contract has one method in a month.

    The spend of a month stands on one row, so that it counts once. A contract of which nothing is known stays, without an impact.
    """
    lived = months_in_force(saas_contract, months)
    used = saas_usage.select("contract_id", "month_start", "activity_key", used_quantity="quantity")
    met = lived.left_join(used, ["contract_id", "month_start"]).drop("contract_id_right", "month_start_right")
    by_vendor = met.kgco2e_per_user_year.notnull() & met.users.notnull()
    place = ibis.row_number().over(ibis.window(group_by=["contract_id", "month_start"], order_by="activity_key"))
    met = met.mutate(by_vendor=by_vendor, place=place).filter((_.place == 0) | ~_.by_vendor)
    by_usage = ~met.by_vendor & met.activity_key.notnull()
    share = met.days_in_month.cast("float64") / met.month_days.cast("float64")
    years = met.days_in_month.cast("float64") / DAYS_PER_YEAR
    paid = (met.spend.cast("float64") * share).cast(MONEY)
    rows = service(
        met, "saas", "A6-usage", activity_id=ibis.literal("saas-") + met.contract_id + by_usage.ifelse(ibis.literal("-") + met.activity_key, ""),
        provider=met.vendor, service_name=met.product,
        quantity=ibis.coalesce(by_usage.ifelse(met.used_quantity, ibis.null("float64")), met.users.cast("float64")).cast(MONEY),
        quantity_unit=by_usage.ifelse(met.activity_key, "users"), meter_key=by_usage.ifelse(ibis.literal("saas_") + met.activity_key, ibis.null("string")),
        meter_amount=ibis.cases((met.by_vendor, met.users.cast("float64") * years), (by_usage, met.used_quantity)),
        declared_factor=met.by_vendor.ifelse(met.kgco2e_per_user_year, ibis.null("float64")),
        cost=(met.place == 0).ifelse(paid, ibis.null(MONEY)), spend_sector=ibis.coalesce(met.spend_sector, SOFTWARE),
        by_spend=(met.by_vendor | by_usage).ifelse(ibis.null("float64"), met.spend.cast("float64") * share),
    )  # fmt: skip
    return with_service_energy(in_dollars_of_2022(rows, "by_spend", "month_start", exchange_rate, price_index), service_energy, pue, grid_factor)
