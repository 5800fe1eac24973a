"""The words of a bill, conformed: provider, unit, kind of charge, correction, category of the service.

What belongs here: looking a raw word up in its vocabulary. What does not: types, refusals (cloud_usage.py), which charges carry an impact (gold).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import slug, trimmed

LARGEST = 1_000_000_000_000  # a quantity beyond it is not multiplied: DECIMAL(38, 18) has twenty digits before the point


def conformed(
    billing: ir.Table, provider: ir.Table, unit: ir.Table, charge_category: ir.Table, charge_class: ir.Table, service_category: ir.Table
) -> ir.Table:
    """The raw lines with `<word>_read`, `commitment_read`, `unit_kind` and `unit_factor`.

    A word that no vocabulary knows stays as it is (provider and unit in lower case): refusing it would refuse the money on the line. The
    contract's own rules then say which words are possible.
    """
    aliased = billing.mutate(
        provider_alias=slug(_.ProviderName), unit_alias=slug(_.ConsumedUnit), charge_alias=slug(_.ChargeCategory), class_alias=slug(_.ChargeClass),
        category_alias=slug(_.ServiceCategory), service_alias=slug(_.ServiceName),
    )  # fmt: skip
    services = service_category.select("alias", named="service_category")
    found = known(aliased, "provider_alias", provider.select("alias", provider_known="provider"))
    found = known(found, "unit_alias", unit.select("alias", unit_known="unit", kind_known="usage_kind", factor_known="factor"))
    found = known(found, "charge_alias", charge_category.select("alias", charge_known="charge_category", commitment_known="commitment_discount_status"))
    found = known(found, "class_alias", charge_class.select("alias", class_known="charge_class", class_found="alias"))
    found = known(found, "category_alias", services.rename(category_known="named"))
    found = known(found, "service_alias", services.rename(service_known="named"))
    return found.mutate(
        provider_read=ibis.coalesce(_.provider_known, _.provider_alias),
        unit_read=ibis.coalesce(_.unit_known, _.unit_alias),
        unit_kind=ibis.coalesce(_.kind_known, ibis.ifelse(_.unit_alias.notnull(), "other", ibis.null("string"))),
        unit_factor=ibis.coalesce(_.factor_known, 1),
        charge_read=ibis.coalesce(_.charge_known, trimmed(_.ChargeCategory)),
        class_read=_.class_found.notnull().ifelse(_.class_known, trimmed(_.ChargeClass)),
        commitment_read=ibis.coalesce(trimmed(_.CommitmentDiscountStatus), _.commitment_known),
        category_read=ibis.coalesce(_.category_known, trimmed(_.ServiceCategory), _.service_known),
    )  # fmt: skip


def known(rows: ir.Table, alias: str, vocabulary: ir.Table) -> ir.Table:
    """`rows` with the other columns of `vocabulary`, NULL for a word that is not in it."""
    return rows.left_join(vocabulary.rename({alias: "alias"}), alias).drop(f"{alias}_right")


def multiplied(quantity: ir.DecimalValue, factor: ir.IntegerValue) -> ir.DecimalValue:
    """The quantity in canonical units, exact; NULL where it is too large to be multiplied."""
    fits = quantity.abs() < LARGEST
    return ibis.cases((factor == 1, quantity), (fits, (quantity * factor).cast("decimal(38, 18)")))
