"""Behaviour of greenit/silver/cloud_usage."""

from datetime import datetime
from decimal import Decimal


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_a_billing_line_comes_out_typed_and_named_by_file_and_row(clean, billing, rows):
    (line,) = rows(clean.cloud_usage(billing({})))
    assert (line["line_id"], line["provider"], line["region_id"], line["consumed_unit"]) == ("abababababababab-1", "aws", "us-east-1", "hours")
    assert (line["billed_cost"], line["consumed_quantity"], line["charge_period_start_at"]) == (Decimal("0.34"), Decimal(1), datetime(2024, 9, 18, 22))
    assert (line["instance_type"], line["usage_kind"], line["_rejects"]) == ("c5.2xlarge", "instance_hours", None)


DESCRIPTIONS = [
    ("$0.34 per On Demand Linux c5.2xlarge Instance Hour", "c5.2xlarge", "instance_hours"),
    ("$0.19152 per On Demand Linux m7i-flex.xlarge Instance Hour", "m7i-flex.xlarge", "instance_hours"),
    ("$0.096 per On Demand Windows BYOL m5.large Instance Hour", "m5.large", "instance_hours"),
    ("c5.large Linux/UNIX Spot Instance-hour in US East (Virginia) in VPC Zone #2", "c5.large", "instance_hours"),
    ("Linux/UNIX (Amazon VPC), t2.micro reserved instance applied", "t2.micro", "instance_hours"),
    ("USD 0.023 per db.t3.micro Single-AZ instance hour (or partial hour) running SQL Server Exp (LI)", "t3.micro", "managed_instance_hours"),
    ("$0.00 for 175 Mbps per t3a.small instance-hour (or partial hour)", "t3a.small", "instance_surcharge_hours"),
    ("$0.045 per NAT Gateway Hour", None, "resource_hours"),
    ("$0.0225 per Application LoadBalancer-hour (or partial hour)", None, "resource_hours"),
    ("AWS Marketplace hourly software usage|us-east-1|m5.2xlarge", None, "resource_hours"),
    ("AWS Fargate - vCPU  - US West 2 (Oregon)", None, "resource_hours"),
    ("$0.005 per In-use public IPv4 address per hour", None, "resource_hours"),
    (None, None, "resource_hours"),
]  # fmt: skip


def test_an_instance_type_is_read_from_descriptions_of_instance_hours_only(clean, billing, rows):
    lines = rows(clean.cloud_usage(billing(*({"ChargeDescription": description} for description, _type, _kind in DESCRIPTIONS))), "_row")
    assert [(line["charge_description"], line["instance_type"], line["usage_kind"]) for line in lines] == DESCRIPTIONS


def test_an_azure_meter_names_its_size(clean, billing, rows):
    said = {"ProviderName": "Microsoft", "ChargeDescription": "Virtual Machines Dv2/DSv2 Series - D11 v2/DS11 v2 - US East 2"}
    (line,) = rows(clean.cloud_usage(billing(said)))
    assert (line["provider"], line["instance_type"]) == ("azure", "d11 v2")


def test_a_description_counts_only_for_hours(clean, billing, rows):
    (line,) = rows(clean.cloud_usage(billing({"ConsumedUnit": "GB"})))
    assert (line["instance_type"], line["usage_kind"]) == (None, "data_volume")


def test_units_are_conformed_and_an_unknown_one_keeps_its_word(clean, billing, rows):
    words = [("GB-Months", "gb_months", "storage"), ("GB Months", "gb_months", "storage"), ("GB/Month", "gb_months", "storage"),
             ("OCPU Per Hour", "ocpu_hours", "ocpu_hours"), ("Furlongs", "furlongs", "other")]  # fmt: skip
    lines = rows(clean.cloud_usage(billing(*({"ConsumedUnit": written} for written, _unit, _kind in words))), "_row")
    assert [(line["consumed_unit"], line["usage_kind"], line["_rejects"]) for line in lines] == [(unit, kind, None) for _written, unit, kind in words]


def test_credits_and_corrections_are_negative_and_legal(clean, billing, rows):
    credit = {"ChargeCategory": "Credit", "BilledCost": "-2.61370000000", "ConsumedQuantity": None, "ConsumedUnit": None}
    correction = {"ChargeClass": "Correction", "ConsumedQuantity": "-1.000000000000000", "BilledCost": "-0.34"}
    lines = rows(clean.cloud_usage(billing(credit, correction)), "_row")
    assert [(line["billed_cost"], line["consumed_quantity"], line["_rejects"]) for line in lines] == [
        (Decimal("-2.6137"), None, None),
        (Decimal("-0.34"), Decimal(-1), None),
    ]


def test_an_unknown_provider_keeps_its_name_and_a_region_without_id_its_name(clean, billing, rows):
    (line,) = rows(clean.cloud_usage(billing({"ProviderName": " Datadog ", "RegionId": None, "RegionName": "us-phoenix-1"})))
    assert (line["provider"], line["region_id"], line["_rejects"]) == ("datadog", "us-phoenix-1", None)


def test_two_formats_in_one_table_are_read_each_by_its_own_timestamps(clean, billing, rows):
    spaced = {"_format": "focus_1_0_space", "ChargePeriodStart": "2024-09-18 22:00:00", "ChargePeriodEnd": "2024-09-18 23:00:00"}
    lines = rows(clean.cloud_usage(billing({}, spaced)), "_row")
    assert {line["charge_period_start_at"] for line in lines} == {datetime(2024, 9, 18, 22)}
    assert [line["_rejects"] for line in lines] == [None, None]


BAD = [
    ({"BilledCost": None}, "MISSING_VALUE", "BilledCost"), ({"BillingAccountId": " "}, "MISSING_VALUE", "BillingAccountId"),
    ({"BillingCurrency": None}, "MISSING_VALUE", "BillingCurrency"), ({"ProviderName": None}, "MISSING_VALUE", "ProviderName"),
    ({"ChargeCategory": None}, "MISSING_VALUE", "ChargeCategory"), ({"ChargePeriodStart": None}, "MISSING_VALUE", "ChargePeriodStart"),
    ({"BilledCost": "0,34"}, "NUMBER_FORMAT", "BilledCost"), ({"BilledCost": "0.0000000000001"}, "NUMBER_FORMAT", "BilledCost"),
    ({"EffectiveCost": "free"}, "NUMBER_FORMAT", "EffectiveCost"), ({"ListCost": "1_0"}, "NUMBER_FORMAT", "ListCost"),
    ({"ConsumedQuantity": "one"}, "NUMBER_FORMAT", "ConsumedQuantity"),
    ({"ChargePeriodEnd": "2024-09-31T00:00:00Z"}, "DATE_FORMAT", "ChargePeriodEnd"), ({"ChargePeriodStart": "18/09/2024"}, "DATE_FORMAT", "ChargePeriodStart"),
    ({"ChargePeriodEnd": "2024-09-18T21:00:00Z"}, "DATE_RANGE", "ChargePeriodEnd"), ({"ConsumedUnit": None}, "UNIT", "ConsumedUnit"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(clean, billing, rows):
    lines = rows(clean.cloud_usage(billing({}, *(change for change, _rule, _column in BAD), {})), "_row")
    expected = [[], *([(rule, column)] for _change, rule, column in BAD), []]
    assert [(line["_row"], found(line)) for line in lines] == list(enumerate(expected, 1))
