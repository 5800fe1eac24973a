"""No confidential column is read for more than equality: outside of production it stands masked, and figures must be production's."""
from __future__ import annotations

from types import ModuleType

import ibis
import pytest
from ibis import _

from platform_assets import greenit, masks
from platform_assets.compilation import express_all
from resources.storage import Column, TableSpec

PARTS = {"contract_version": "1", "code_version": "1"}


def table(layer: str, name: str, **columns: str) -> TableSpec:
    made = tuple(Column(column, said.split()[0], False, "confidential" if said.endswith("secret") else "internal") for column, said in columns.items())
    return TableSpec("made_up", layer, name, made, ("a",), "none", **PARTS)


BRONZE = table("bronze", "bill", account="varchar secret", cost="varchar")
OTHER = table("bronze", "owner", account="varchar secret", team="varchar", open_account="varchar")
BILL = ibis.table({"account": "string", "cost": "string"}, name="bill")
OWNER = ibis.table({"account": "string", "team": "string", "open_account": "string"}, name="owner")
SILVER = table("silver", "made", a="varchar", n="bigint")


def judged(monkeypatch: pytest.MonkeyPatch, spec: TableSpec, expression: ibis.Table, bronze: TableSpec = BRONZE) -> list[str]:
    tables = {"bill": (bronze, BILL), "owner": (OTHER, OWNER), "made": (spec, expression)}
    monkeypatch.setattr(masks, "express_all", lambda domain: tables)
    return masks.misused(ModuleType("made_up"))


def test_no_masked_column_is_a_driver_or_reported() -> None:
    assert masks.misused(greenit) == []


def test_there_is_something_to_mask() -> None:
    found = {name: masks.masked_columns(spec) for name, (spec, _made) in express_all(greenit).items() if spec.layer == "bronze"}
    assert all("_extra" in columns for columns in found.values())
    assert {"BillingAccountId", "ResourceId", "Tags"} <= set(found["cloud_billing"])


@pytest.mark.parametrize("expression", [
    BILL.select(a=_.account, n=ibis.literal(1)),
    BILL.select(a=_.account.strip(), n=_.account.isnull().cast("int64")),
    BILL.group_by(a=_.account).agg(n=_.count()),
    BILL.select(a="cost", n=ibis.row_number().over(group_by="account", order_by="cost")),
    BILL.join(OWNER, BILL.account == OWNER.account).select(a=OWNER.team, n=ibis.literal(1)),
    BILL.filter(BILL.account.notnull()).select(a="cost", n=ibis.literal(1)),
])
def test_carrying_grouping_and_joining_masks_with_masks_is_harmless(monkeypatch: pytest.MonkeyPatch, expression: ibis.Table) -> None:
    assert judged(monkeypatch, SILVER, expression) == []


@pytest.mark.parametrize(("expression", "words"), [
    (BILL.select(a="cost", n=_.account.length()), "bill.account is a driver in made_up_silver.made.n"),
    (BILL.select(a="cost", n=ibis.cases((_.account == "x", 1), else_=0)), "bill.account is a driver"),
    (BILL.select(a="cost", n=ibis.row_number().over(order_by="account")), "bill.account is a driver"),
    (BILL.join(OWNER, BILL.account == OWNER.open_account).select(a=OWNER.team, n=ibis.literal(1)), "bill.account meets what is not masked"),
    (BILL.filter(BILL.account.startswith("1")).select(a="cost", n=ibis.literal(1)), "bill.account meets what is not masked"),
])
def test_reading_more_of_a_mask_than_equality_is_found(monkeypatch: pytest.MonkeyPatch, expression: ibis.Table, words: str) -> None:
    assert any(words in said for said in judged(monkeypatch, SILVER, expression))


def test_a_dimension_and_a_number_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    report = table("platinum", "made", a="varchar")
    assert judged(monkeypatch, report, BILL.select(a=_.account)) == ["bill.account is reported in made_up_platinum.made.a"]
    number = table("bronze", "bill", account="bigint secret", cost="varchar")
    assert judged(monkeypatch, SILVER, BILL.select(a="cost", n=ibis.literal(1)), number) == ["bill.account is a bigint: a mask is text"]
