"""Cloud billing in FOCUS terms, one clean typed row per billing line.

What belongs here: typed FOCUS columns, conformed provider and unit, the instance type that a description names. What does not: which
lines carry an impact (`parameters/cloud_meter_rule.csv`) and energy (`parameters/cloud_instance.csv`).
"""

import ibis
import ibis.expr.types as ir
from ibis import _

from platform_assets.conform import decimal_text, is_by_day, rejects, slug, to_decimal, to_timestamp, trimmed, unreadable
from platform_assets.greenit.bronze.cloud_billing import CONVENTIONS
from platform_assets.greenit.silver.billing_words import conformed, multiplied
from platform_assets.greenit.silver.instance_type import named_instances, offered_type
from platform_assets.tables import table

TEXTS = {
    "billing_account_id": "BillingAccountId", "sub_account_id": "SubAccountId", "service_name": "ServiceName", "sku_id": "SkuId",
    "resource_id": "ResourceId", "charge_frequency": "ChargeFrequency", "charge_description": "ChargeDescription", "tags": "Tags",
}  # fmt: skip
COSTS = {"billed_cost": "BilledCost", "effective_cost": "EffectiveCost", "list_cost": "ListCost"}
AMOUNTS = {**COSTS, "quantity": "ConsumedQuantity"}
PERIOD = {"charge_period_start_at": "ChargePeriodStart", "charge_period_end_at": "ChargePeriodEnd"}
REQUIRED = ("BillingAccountId", "BilledCost", "BillingCurrency", "ProviderName", "ChargeCategory", "ChargePeriodStart")


@table(__file__)
def cloud_usage(
    cloud_billing: ir.Table, provider: ir.Table, unit: ir.Table, instance_pattern: ir.Table, charge_category: ir.Table, charge_class: ir.Table,
    service_category: ir.Table,
) -> ir.Table:  # fmt: skip
    """Billing lines; `line_id` is the file's sha256 (16 hex) and the row in it, so the same file never makes two names for a line.

    FOCUS has no line id of its own. Amounts are exact or refused (18 decimals). A bill by days has no end of the charge: it is the day after.
    """
    worded = conformed(cloud_billing, provider, unit, charge_category, charge_class, service_category)
    texts = {f"{name}_text": decimal_text(_[raw], _["_format"], CONVENTIONS) for name, raw in AMOUNTS.items()}
    by_text = [named_instances(cloud_billing, provider, unit, instance_pattern, column) for column in ("ChargeDescription", "SkuMeter")]
    joined = worded.mutate(**texts)
    for place, named in enumerate(by_text):
        said = named.columns[:3]
        numbered = named.rename({f"type_{place}": "instance_type", f"kind_{place}": "named_kind"})
        joined = joined.left_join(numbered, said).drop(*(f"{name}_right" for name in said))
    read = joined.mutate(
        **{f"{name}_read": to_decimal(_[f"{name}_text"], 18) for name in COSTS},
        **{f"{name}_read": to_timestamp(_[raw], _["_format"], CONVENTIONS) for name, raw in PERIOD.items()},
        quantity_read=multiplied(to_decimal(_.quantity_text, 18), _.unit_factor), type_2=offered_type(_.SkuPriceDetails, _.unit_kind),
    )  # fmt: skip
    day_after = (trimmed(read.ChargePeriodEnd).isnull() & is_by_day(read["_format"], CONVENTIONS)).ifelse(
        read.charge_period_start_at_read + ibis.interval(days=1), ibis.null("timestamp")
    )
    read = read.mutate(charge_period_end_at_read=ibis.coalesce(_.charge_period_end_at_read, day_after))
    return read.select(
        line_id=read["_sha256"].substr(0, 16) + "-" + read["_row"].cast("string"),
        provider=_.provider_read,
        region_id=ibis.coalesce(slug(_.RegionId), slug(_.RegionName)),
        service_category=_.category_read, charge_category=_.charge_read, charge_class=_.class_read, commitment_discount_status=_.commitment_read,
        meter=ibis.coalesce(trimmed(_.SkuMeter), trimmed(_.ChargeDescription)),
        instance_type=ibis.coalesce(_.type_0, _.type_1, _.type_2),
        usage_kind=ibis.coalesce(_.kind_0, _.kind_1, ibis.ifelse(_.type_2.notnull(), "instance_hours", ibis.null("string")), _.unit_kind),
        consumed_quantity=_.quantity_read,
        consumed_unit=_.unit_read,
        **{name: trimmed(_[raw]) for name, raw in TEXTS.items()},
        **{name: _[f"{name}_read"] for name in (*COSTS, *PERIOD)},
        currency=trimmed(_.BillingCurrency).upper(),
        _file=_["_file"], _row=_["_row"], _sha256=_["_sha256"],
        _rejects=refusals(read),
    )  # fmt: skip


def refusals(read: ir.Table) -> ir.ArrayValue:
    """Every rule a line can break, with the raw text that broke it. Negative amounts are legal: credits and corrections."""
    return rejects(
        *((trimmed(read[raw]).isnull(), "MISSING_VALUE", raw, read[raw]) for raw in REQUIRED),
        (trimmed(read.ChargePeriodEnd).isnull() & read.charge_period_end_at_read.isnull(), "MISSING_VALUE", "ChargePeriodEnd", read.ChargePeriodEnd),
        *((unreadable(read[raw], read[f"{name}_read"]), "NUMBER_FORMAT", raw, read[raw]) for name, raw in AMOUNTS.items()),
        *((unreadable(read[raw], read[f"{name}_read"]), "DATE_FORMAT", raw, read[raw]) for name, raw in PERIOD.items()),
        (read.charge_period_end_at_read < read.charge_period_start_at_read, "DATE_RANGE", "ChargePeriodEnd", read.ChargePeriodEnd),
        ((read.charge_read == "Usage") & read.quantity_read.notnull() & trimmed(read.ConsumedUnit).isnull(), "UNIT", "ConsumedUnit", read.ConsumedUnit),
    )
