"""The formats of bronze/cloud_billing that no real file is at hand for: their headers lead to the columns of FOCUS."""
from __future__ import annotations

import pytest

from platform_assets.contracts import contract
from resources.settings import PROJECT

from .readers import read_text

BILLING = contract(PROJECT / "platform_assets/greenit/bronze/cloud_billing.odcs.yaml")
COLUMNS = tuple(c.name for c in BILLING.columns if not c.name.startswith("_"))
CUR_2_0 = {
    "bill_payer_account_id": "111", "line_item_usage_account_id": "222", "line_item_line_item_type": "DiscountedUsage",
    "line_item_usage_start_date": "2026-01-01T00:00:00.000Z", "line_item_usage_end_date": "2026-01-01T01:00:00.000Z",
    "line_item_usage_type": "EU-BoxUsage:m5.large", "line_item_usage_amount": "1", "pricing_unit": "Hrs", "line_item_currency_code": "EUR",
    "line_item_unblended_cost": "0.107", "line_item_line_item_description": "m5.large", "line_item_product_code": "AmazonEC2", "product_region_code": "eu-west-1",
}  # fmt: skip
FOCUS_1_2 = {name: f"a {name}" for name in BILLING.formats["focus_1_2"].required} | {"SkuMeter": "a meter", "SkuPriceDetails": '""', "InvoiceId": "7"}


def cells(folder, format: str, line: dict[str, str]) -> dict[str, str]:
    found = read_text(folder, ",".join(line) + "\n" + ",".join(line.values()) + "\n", BILLING.formats[format], columns=COLUMNS)
    return {name: cell for name, cell in zip(COLUMNS, found.rows[0][1:], strict=True) if cell is not None}


def test_a_cur_2_0_line_stands_in_the_columns_of_focus(tmp_path) -> None:
    assert cells(tmp_path, "aws_cur_2_0", CUR_2_0) == {
        "ProviderName": "AWS", "BillingAccountId": "111", "SubAccountId": "222", "ChargeCategory": "DiscountedUsage",
        "ChargePeriodStart": "2026-01-01T00:00:00.000Z", "ChargePeriodEnd": "2026-01-01T01:00:00.000Z", "SkuMeter": "EU-BoxUsage:m5.large",
        "ConsumedQuantity": "1", "ConsumedUnit": "Hrs", "BillingCurrency": "EUR", "BilledCost": "0.107", "ChargeDescription": "m5.large",
        "ServiceName": "AmazonEC2", "RegionId": "eu-west-1",
    }  # fmt: skip


@pytest.mark.parametrize("format", ["focus_1_1", "focus_1_2"])
def test_the_columns_of_later_focus_versions_are_kept_by_their_names(tmp_path, format: str) -> None:
    found = cells(tmp_path, format, FOCUS_1_2)
    assert (found["SkuMeter"], found["InvoiceId"], found["ProviderName"]) == ("a meter", "7", "a ProviderName")


def test_every_format_fills_what_a_line_of_silver_cannot_do_without() -> None:
    from platform_assets.greenit.silver.cloud_usage import REQUIRED

    for name, format in BILLING.formats.items():
        assert set(REQUIRED) <= {*format.required, *format.constants}, name
