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
    ({"BilledCost": "0,34"}, "NUMBER_FORMAT", "BilledCost"), ({"BilledCost": "0.0000000000000000001"}, "NUMBER_FORMAT", "BilledCost"),
    ({"EffectiveCost": "free"}, "NUMBER_FORMAT", "EffectiveCost"), ({"ListCost": "1_0"}, "NUMBER_FORMAT", "ListCost"),
    ({"ConsumedQuantity": "one"}, "NUMBER_FORMAT", "ConsumedQuantity"),
    ({"ChargePeriodEnd": "2024-09-31T00:00:00Z"}, "DATE_FORMAT", "ChargePeriodEnd"), ({"ChargePeriodStart": "18/09/2024"}, "DATE_FORMAT", "ChargePeriodStart"),
    ({"ChargePeriodEnd": "2024-09-18T21:00:00Z"}, "DATE_RANGE", "ChargePeriodEnd"), ({"ConsumedUnit": None}, "UNIT", "ConsumedUnit"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(clean, billing, rows):
    lines = rows(clean.cloud_usage(billing({}, *(change for change, _rule, _column in BAD), {})), "_row")
    expected = [[], *([(rule, column)] for _change, rule, column in BAD), []]
    assert [(line["_row"], found(line)) for line in lines] == list(enumerate(expected, 1))


CUR = {
    "_format": "aws_cur_legacy", "ProviderName": "AWS", "ServiceCategory": None, "ServiceName": "Amazon Simple Storage Service", "ChargeDescription": "as agreed",
    "ChargePeriodStart": "2023-11-01T00:00:00.000Z", "ChargePeriodEnd": "2023-11-01T01:00:00Z",
}  # fmt: skip


def test_providers_words_for_kinds_of_charge_become_those_of_focus(clean, billing, rows):
    words = [
        ("Usage", "Usage", None), ("DiscountedUsage", "Usage", "Used"), ("SavingsPlanCoveredUsage", "Usage", "Used"), ("UnusedReservation", "Usage", "Unused"),
        ("SavingsPlanNegation", "Adjustment", None), ("RIFee", "Purchase", None), ("Refund", "Adjustment", None), (" tax ", "Tax", None),
    ]  # fmt: skip
    lines = rows(clean.cloud_usage(billing(*({**CUR, "ChargeCategory": word} for word, _category, _status in words))), "_row")
    assert [(line["charge_category"], line["commitment_discount_status"]) for line in lines] == [(category, status) for _word, category, status in words]
    (stranger,) = rows(clean.cloud_usage(billing({**CUR, "ChargeCategory": "Bribe"})))
    assert found(stranger) == [("DOMAIN", "charge_category")]


def test_a_service_without_a_category_takes_that_of_its_name_and_its_own_category_goes_before(clean, billing, rows):
    cases = [(None, "Amazon Simple Storage Service", "Storage"), (None, "AmazonEC2", "Compute"), (None, "Grandma's cloud", None),
             ("networking", "Virtual Network", "Networking"), ("Web", "Amazon Simple Storage Service", "Web")]  # fmt: skip
    lines = rows(clean.cloud_usage(billing(*({**CUR, "ServiceCategory": said, "ServiceName": name} for said, name, _expected in cases))), "_row")
    assert [line["service_category"] for line in lines] == [expected for _said, _name, expected in cases]


def test_two_patterns_of_moments_stand_in_one_file(clean, billing, rows):
    line = {**CUR, "_format": "oci_cost_report", "ChargePeriodStart": "2023-11-13T10:00Z", "ChargePeriodEnd": "2023-11-13T11:00:00Z"}
    (read,) = rows(clean.cloud_usage(billing(line)))
    assert (read["charge_period_start_at"], read["charge_period_end_at"], read["_rejects"]) == (datetime(2023, 11, 13, 10), datetime(2023, 11, 13, 11), None)


def test_a_bill_by_days_ends_with_the_day_and_one_by_moments_needs_its_end(clean, billing, rows):
    days = {**CUR, "_format": "azure_ea", "ChargePeriodEnd": None}
    lines = rows(
        clean.cloud_usage(
            billing({**days, "ChargePeriodStart": "9/2/2023"}, {**days, "ChargePeriodStart": "12/31/2023"}, {**days, "ChargePeriodStart": "2/30/2023"},
                    {**CUR, "ChargePeriodEnd": None})
        ), "_row")  # fmt: skip
    assert [line["charge_period_end_at"] for line in lines] == [datetime(2023, 9, 3), datetime(2024, 1, 1), None, None]
    assert [found(line) for line in lines] == [[], [], [("MISSING_VALUE", "ChargePeriodEnd"), ("DATE_FORMAT", "ChargePeriodStart")], [("MISSING_VALUE", "ChargePeriodEnd")]]


def test_a_bill_that_counts_in_ten_thousands_is_multiplied_out_exactly(clean, billing, rows):
    cases = [("10K", "0.0129", "requests", Decimal(129)), ("1000000 NONE NONE DATAPOINTS", "0.000002", "datapoints", Decimal(2)),
             ("1 Hour", "0.433342", "hours", Decimal("0.433342")), ("100 Hours", "-0.5", "hours", Decimal(-50)), ("1M", "1e12", "requests", None)]  # fmt: skip
    lines = rows(clean.cloud_usage(billing(*({**CUR, "ConsumedUnit": unit, "ConsumedQuantity": number} for unit, number, *_rest in cases))), "_row")
    assert [(line["consumed_unit"], line["consumed_quantity"]) for line in lines] == [(unit, quantity) for *_said, unit, quantity in cases]
    assert [found(line) for line in lines][-1] == [("NUMBER_FORMAT", "ConsumedQuantity")]


def test_a_tax_may_count_without_a_unit_and_usage_may_not(clean, billing, rows):
    lines = rows(clean.cloud_usage(billing({**CUR, "ChargeCategory": "Tax", "ConsumedUnit": None}, {**CUR, "ConsumedUnit": None})), "_row")
    assert [found(line) for line in lines] == [[], [("UNIT", "ConsumedUnit")]]


def test_a_correction_is_one_in_any_providers_word(clean, billing, rows):
    lines = rows(clean.cloud_usage(billing(*({"ChargeClass": word} for word in ("Correction", "true", "false", None, "maybe")))), "_row")
    assert [line["charge_class"] for line in lines] == ["Correction", "Correction", None, None, "maybe"]
    assert [found(line) for line in lines] == [[], [], [], [], [("DOMAIN", "charge_class")]]


METERS = [
    ("AWS", "USW2-BoxUsage:m5.large", "m5.large", "instance_hours"), ("AWS", "EUC1-InstanceUsage:db.t3.micro", "t3.micro", "managed_instance_hours"),
    ("AWS", "EBSOptimized:t3a.small", "t3a.small", "instance_surcharge_hours"), ("AWS", "NatGateway-Hours", None, "resource_hours"),
    ("Azure", "DS4 v2 Spot", "ds4 v2", "instance_hours"), ("Azure", "D3 v2/DS3 v2", "d3 v2", "instance_hours"),
    ("Azure", "Standard Private Endpoint", None, "resource_hours"),
]  # fmt: skip


def test_a_meter_names_an_instance_where_the_description_does_not(clean, billing, rows):
    lines = rows(clean.cloud_usage(billing(*({**CUR, "ProviderName": name, "SkuMeter": meter} for name, meter, *_rest in METERS))), "_row")
    assert [(line["meter"], line["instance_type"], line["usage_kind"]) for line in lines] == [tuple(case[1:]) for case in METERS]


def test_the_instance_type_of_focus_1_1_counts_for_hours_only(clean, billing, rows):
    said = {"ChargeDescription": "Compute hours", "SkuPriceDetails": '{"CoreCount": 4, "InstanceType": "Standard_D4s_v3"}'}
    lines = rows(clean.cloud_usage(billing(said, {**said, "ConsumedUnit": "GB"}, {**said, "SkuPriceDetails": "not JSON"})), "_row")
    assert [(line["instance_type"], line["usage_kind"]) for line in lines] == [("d4s v3", "instance_hours"), (None, "data_volume"), (None, "resource_hours")]
