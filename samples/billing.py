"""Cloud billing lines in the columns of FOCUS 1.0, made by arithmetic.

What belongs here: invented accounts and resources on services, instance types and regions that exist; prices are round figures of ours.
What does not: any line, id or text of a real bill.
"""
from __future__ import annotations

import calendar
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from samples.catalogue import mixed

FOCUS = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory",
    "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice",
    "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName",
    "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "SubAccountId",
    "SubAccountName", "Tags",
)
REGIONS = {"eu-west-3": "Europe (Paris)", "eu-central-1": "Europe (Frankfurt)", "eu-central-2": "Europe (Zurich)", "eu-west-1": "Europe (Ireland)",
           "switzerlandnorth": "Switzerland North", "francecentral": "France Central"}


@dataclass(frozen=True)
class Item:
    """One product: `unit_price` per `unit`, `daily` units of it on an ordinary day; `{price}`, `{type}`, `{region}` fill `words`."""

    service: str
    category: str
    kind: str
    type: str
    unit: str
    unit_price: str
    daily: int
    words: str


@dataclass(frozen=True)
class Provider:
    """Who sells; `hour` and `gigabyte` are its words for units."""

    name: str
    issuer: str
    items: tuple[Item, ...]


def _machine(service: str, type: str, unit: str, price: str, words: str) -> Item:
    return Item(service, "Compute", "Virtual machine", type, unit, price, 24, words)


EC2, EC2_WORDS = "Amazon Elastic Compute Cloud", "${price} per On Demand Linux {type} Instance Hour"
AZURE_WORDS = "Virtual Machines - {type} - {region}, 1 Hour"
AWS = Provider("AWS", "Amazon Web Services, Inc.", (
    *(_machine(EC2, type, "Hours", price, EC2_WORDS) for type, price in (
        ("m5.xlarge", "0.192"), ("m5.large", "0.096"), ("c5.2xlarge", "0.34"), ("r5.large", "0.126"), ("t3.medium", "0.0416"),
        ("m6g.large", "0.077"), ("g4dn.xlarge", "0.526"))),
    Item("Amazon Simple Storage Service", "Storage", "Bucket", "Standard", "GB-Mo", "0.023", 41, "${price} per GB - first 50 TB / month of storage used"),
    Item("Amazon Elastic Block Store", "Storage", "Volume", "gp3", "GB-Mo", "0.08", 12,
         "${price} per GB-month of General Purpose (gp3) provisioned storage - {region}"),
    Item("AWS Lambda", "Compute", "Function", "arm64", "GB-Seconds", "0.0000133334", 52000, "AWS Lambda - Total Compute - {region}"),
    Item("Amazon Relational Database Service", "Databases", "Database", "db.r5.large", "Hours", "0.25", 24,
         "${price} per RDS db.r5.large Single-AZ instance hour (or partial hour) running PostgreSQL"),
    Item("AWS Data Transfer", "Networking", "Transfer", "out", "GB", "0.09", 7, "${price} per GB - first 10 TB / month data transfer out of {region}"),
))
AZURE = Provider("Microsoft", "Microsoft", (
    *(_machine("Virtual Machines", type, "Hours", price, AZURE_WORDS) for type, price in (
        ("Standard_D4s_v5", "0.23"), ("Standard_D2s_v3", "0.115"), ("Standard_E4s_v5", "0.304"), ("Standard_B2ms", "0.0912"), ("Standard_F8s_v2", "0.388"))),
    Item("Storage Accounts", "Storage", "Storage account", "Hot LRS", "GB/Month", "0.0196", 38, "Blob Storage - Hot LRS - {region}"),
    Item("Azure SQL Database", "Databases", "SQL database", "vCore", "Hours", "0.2525", 24, "SQL Database Single - General Purpose - vCore - {region}"),
    Item("Bandwidth", "Networking", "Transfer", "out", "GB", "0.0875", 5, "Data Transfer Out - {region}"),
))


@dataclass(frozen=True)
class Account:
    """One billed account with two regions and a sub-account (id, name)."""

    id: str
    name: str
    currency: str
    provider: Provider
    regions: tuple[str, str]
    sub_account: tuple[str, str]


def lines(account: Account, month: date, count: int) -> Iterator[dict[str, str | None]]:
    """`count` lines of a month: daily usage, now and then a partial hour, a refund, a tax line. Costs are price times quantity, with 11 decimals at most."""
    days = calendar.monthrange(month.year, month.month)[1]
    for number in range(count):
        seed = mixed(account.id, month, number)
        item = account.provider.items[number % len(account.provider.items)]
        start = datetime(month.year, month.month, 1) + timedelta(days=number * days // count)
        quantity = Decimal(item.daily) - (Decimal(seed % 997) / 1000 if number % 5 == 0 else 0)
        line = _line(account, item, account.regions[seed // 7 % 2], month, start, quantity, seed)
        if number % 173 == 172:
            line = _adjusted(line, "Credit", "Refund of an earlier charge", -1)
        elif number == count - 1:
            line = _adjusted(line, "Tax", "VAT for the billing period", 1)
        yield line


def _line(account: Account, item: Item, region: str, month: date, start: datetime, quantity: Decimal, seed: int) -> dict[str, str | None]:
    price = Decimal(item.unit_price)
    cost = f"{(price * quantity).quantize(Decimal('1e-10')).normalize():f}"
    sku = f"{mixed(account.provider.name, item.service, item.type):08X}"
    after = date(month.year + month.month // 12, month.month % 12 + 1, 1)
    tags = {"environment": ("production", "staging", "test")[seed % 3], "cost center": f"CC-{seed % 9:03d}"} if seed % 4 else None
    named = {
        "AvailabilityZone": f"{region}{'abc'[seed % 3]}" if account.provider is AWS and item.category == "Compute" else None,
        "BillingAccountId": account.id, "BillingAccountName": account.name, "BillingCurrency": account.currency,
        "BillingPeriodStart": f"{month}T00:00:00Z", "BillingPeriodEnd": f"{after}T00:00:00Z", "ChargeCategory": "Usage", "ChargeFrequency": "Usage-Based",
        "ChargeDescription": item.words.format(price=item.unit_price, type=item.type, region=REGIONS[region]),
        "ChargePeriodStart": f"{start:%Y-%m-%dT%H:%M:%SZ}", "ChargePeriodEnd": f"{start + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "ConsumedUnit": item.unit, "PricingUnit": item.unit, "PricingCategory": "Standard", "InvoiceIssuerName": account.provider.issuer,
        "ProviderName": account.provider.name, "PublisherName": account.provider.issuer, "RegionId": region, "RegionName": REGIONS[region],
        "ResourceId": f"{region}/{item.kind.lower().replace(' ', '-')}/{seed % 37:04x}", "ResourceName": f"{item.type}-{seed % 37:02d}",
        "ResourceType": item.kind,
        "ServiceCategory": item.category, "ServiceName": item.service, "SkuId": sku, "SkuPriceId": f"{sku}.OD",
        "SubAccountId": account.sub_account[0] if seed % 3 == 0 else account.id, "SubAccountName": account.sub_account[1] if seed % 3 == 0 else account.name,
        "Tags": json.dumps(tags) if tags else None,
    }
    costs = {name: cost for name in ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost")}
    quantities = dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), f"{quantity:f}")
    amounts = {**quantities, **dict.fromkeys(("ListUnitPrice", "ContractedUnitPrice"), item.unit_price)}
    return {name: {**named, **costs, **amounts}.get(name) for name in FOCUS}


def _adjusted(line: dict[str, str | None], category: str, words: str, sign: int) -> dict[str, str | None]:
    """A credit or tax line: a tenth of the cost, nothing consumed."""
    cost = f"{Decimal(line['BilledCost'] or 0) * sign / 10:f}"
    nothing = dict.fromkeys(("ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice",
                             "ResourceId", "ResourceName", "ResourceType"))
    costs = dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost)
    return {**line, **nothing, **costs, "ChargeCategory": category, "ChargeDescription": words, "ChargeFrequency": "One-Time"}
