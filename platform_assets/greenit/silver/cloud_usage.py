"""Cloud billing in FOCUS terms, one clean typed row per billing line.

What belongs here: typed FOCUS columns, conformed provider and unit, the instance type that a description names. What does not: which
lines carry an impact (`parameters/cloud_meter_rule.csv`) and energy (`parameters/cloud_instance.csv`).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import decimal_text, rejects, slug, to_decimal, to_timestamp, trimmed, unreadable
from platform_assets.greenit.bronze.cloud_billing import CONVENTIONS
from platform_assets.greenit.silver.instance_type import SAID, named_instances
from platform_assets.tables import table

TEXTS = {
    "billing_account_id": "BillingAccountId", "sub_account_id": "SubAccountId", "service_category": "ServiceCategory", "service_name": "ServiceName",
    "sku_id": "SkuId", "resource_id": "ResourceId", "charge_category": "ChargeCategory", "charge_class": "ChargeClass",
    "charge_frequency": "ChargeFrequency", "charge_description": "ChargeDescription", "commitment_discount_status": "CommitmentDiscountStatus",
    "tags": "Tags",
}  # fmt: skip
COSTS = {"billed_cost": "BilledCost", "effective_cost": "EffectiveCost", "list_cost": "ListCost"}
AMOUNTS = {**COSTS, "quantity": "ConsumedQuantity"}
PERIOD = {"charge_period_start_at": "ChargePeriodStart", "charge_period_end_at": "ChargePeriodEnd"}
REQUIRED = ("BillingAccountId", "BilledCost", "BillingCurrency", "ProviderName", "ChargeCategory", "ChargePeriodStart", "ChargePeriodEnd")


@table(__file__)
def cloud_usage(cloud_billing: ir.Table, provider: ir.Table, unit: ir.Table, instance_pattern: ir.Table) -> ir.Table:
    """Billing lines; `line_id` is the file's sha256 (16 hex) and the row in it, so the same file never makes two names for a line.

    FOCUS has no line id of its own. Provider and unit that no vocabulary knows keep their own lower-case word: refusing them would refuse
    the money on the line. Amounts are exact or refused (money 12 decimals, quantities 18).
    """
    read = conformed(cloud_billing, provider, unit).mutate(
        **{f"{name}_read": to_decimal(_[f"{name}_text"], 12) for name in COSTS},
        **{f"{name}_read": to_timestamp(_[raw], _["_format"], CONVENTIONS) for name, raw in PERIOD.items()},
        quantity_read=to_decimal(_.quantity_text, 18),
    )
    joined = read.left_join(named_instances(cloud_billing, provider, unit, instance_pattern), SAID)
    return joined.select(
        line_id=joined["_sha256"].substr(0, 16) + "-" + joined["_row"].cast("string"),
        provider=_.provider_read,
        region_id=ibis.coalesce(slug(_.RegionId), slug(_.RegionName)),
        instance_type=_.instance_type,
        usage_kind=ibis.coalesce(_.named_kind, _.unit_kind),
        consumed_quantity=_.quantity_read,
        consumed_unit=_.unit_read,
        **{name: trimmed(_[raw]) for name, raw in TEXTS.items()},
        **{name: _[f"{name}_read"] for name in (*COSTS, *PERIOD)},
        currency=trimmed(_.BillingCurrency).upper(),
        _file=_["_file"], _row=_["_row"], _sha256=_["_sha256"],
        _rejects=refusals(joined),
    )  # fmt: skip


def conformed(billing: ir.Table, provider: ir.Table, unit: ir.Table) -> ir.Table:
    """The raw lines with the provider's and the unit's canonical word and the unit's kind ("other": not in the vocabulary)."""
    return (
        billing.mutate(
            provider_alias=slug(_.ProviderName), unit_alias=slug(_.ConsumedUnit),
            **{f"{name}_text": decimal_text(_[raw], _["_format"], CONVENTIONS) for name, raw in AMOUNTS.items()},
        )
        .left_join(provider.select(provider_alias="alias", provider_known="provider"), "provider_alias").drop("provider_alias_right")
        .left_join(unit.select(unit_alias="alias", unit_known="unit", kind_known="usage_kind"), "unit_alias").drop("unit_alias_right")
        .mutate(provider_read=ibis.coalesce(_.provider_known, _.provider_alias), unit_read=ibis.coalesce(_.unit_known, _.unit_alias))
        .mutate(unit_kind=ibis.coalesce(_.kind_known, ibis.ifelse(_.unit_alias.notnull(), "other", ibis.null("string"))))
    )  # fmt: skip


def refusals(read: ir.Table) -> ir.ArrayValue:
    """Every rule a line can break, with the raw text that broke it. Negative amounts are legal: credits and corrections."""
    return rejects(
        *((trimmed(read[raw]).isnull(), "MISSING_VALUE", raw, read[raw]) for raw in REQUIRED),
        *((unreadable(read[raw], read[f"{name}_read"]), "NUMBER_FORMAT", raw, read[raw]) for name, raw in AMOUNTS.items()),
        *((unreadable(read[raw], read[f"{name}_read"]), "DATE_FORMAT", raw, read[raw]) for name, raw in PERIOD.items()),
        (read.charge_period_end_at_read < read.charge_period_start_at_read, "DATE_RANGE", "ChargePeriodEnd", read.ChargePeriodEnd),
        (read.quantity_read.notnull() & trimmed(read.ConsumedUnit).isnull(), "UNIT", "ConsumedUnit", read.ConsumedUnit),
    )
