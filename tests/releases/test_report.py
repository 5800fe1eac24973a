"""What people read of a trial: suites, the report, the notice to a customer."""
from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from platform_assets.releases.plan import Plan
from platform_assets.releases.report import Told, chart, checks, in_rows, markdown, notice, page
from resources.releases import Movement, Trial

AUGUST, SEPTEMBER = date(2024, 8, 1), date(2024, 9, 1)
PLAN = Plan(changed={"greenit_gold.impact": ("code", "parameters")}, removed=(), computed=("greenit_gold.impact",), contracts={}, files={}, parameters=("parameters/grid_factor",),
            libraries={}, shared=())
MOVED = [Movement("total", AUGUST, "tCO2e", 10.0, 10.2, by_code=0.2), Movement("total", SEPTEMBER, "tCO2e", 10.0, 11.0, by_code=0.2, by_parameters=0.8),
         Movement("share", SEPTEMBER, "%", 50.0, 45.0, by_code=-5.0), Movement("away and back", SEPTEMBER, "%", 1.0, 1.0, by_code=1.0, by_parameters=-1.0),
         Movement("<script>", SEPTEMBER, "t", None, 3.0, by_code=3.0)]


@pytest.fixture
def told() -> Told:
    trials = {"acme": Trial("b0", "c0", "compared", base_seconds=10.0, candidate_seconds=11.0), "globex": Trial("b0", "c0", "compared")}
    return Told("v2", "b0", "c0", PLAN, {"code": ["1234 a <b>formula</b>"], "parameters": ["factor 1 → 2"], "libraries": []}, trials, {"acme": MOVED})


def results(told: Told) -> dict[str, bool]:
    return {one.name: one.passed for one in checks(told)}


def test_a_trial_in_which_all_came_out_passes(told: Told) -> None:
    assert results(told) == {"functional": True, "non_regression": True, "contracts": True, "performance": True}


def test_each_suite_fails_for_its_own_reason(told: Told) -> None:
    failed = replace(told, trials={**told.trials, "globex": Trial("b0", "c0", "failed", {"greenit_gold.impact": "no factor"})})
    assert not results(failed)["functional"]
    assert "failed: globex" in checks(failed)[0].found
    assert not results(replace(told, trials={"acme": replace(told.trials["acme"], noise=1)}))["non_regression"]
    assert not results(replace(told, plan=replace(PLAN, changed={})))["non_regression"]  # figures move, and nothing that could move them differs
    broken = ("breaking: value removed", "the contract's version is the same")
    assert not results(replace(told, plan=replace(PLAN, contracts={"greenit_gold.impact": broken})))["contracts"]
    assert results(replace(told, plan=replace(PLAN, contracts={"greenit_gold.impact": (broken[0], "version 1.0.0 → 2.0.0")})))["contracts"]
    assert not results(replace(told, trials={"acme": replace(told.trials["acme"], candidate_seconds=12.6)}))["performance"]
    assert results(replace(told, trials={"acme": replace(told.trials["acme"], base_seconds=1.0, candidate_seconds=9.0)}))["performance"]  # too little to judge


def test_a_kpi_is_one_row_with_its_newest_month_and_its_shares() -> None:
    rows = {row["kpi"]: row for row in in_rows(MOVED)}
    assert set(rows) == {"total", "share", "<script>"}
    assert (rows["total"]["month"], rows["total"]["change"], rows["total"]["months"]) == ("2024-09", "+10 %", 2)
    assert rows["total"]["causes"] == "code +0.2, parameters +0.8"
    assert rows["<script>"]["change"] == "appears"


def test_a_page_loads_nothing_and_escapes_what_others_wrote(told: Told) -> None:
    made = page(told)
    assert "<script>" not in made
    assert "&lt;b&gt;formula" in made
    assert "acme" in made
    assert "No figure moves." in made  # globex
    assert "| total | 2024-09 | 10 | 11 | tCO2e | +10 % | code +0.2, parameters +0.8 | 2 |" in markdown(told)


def test_bars_are_cut_by_cause_in_proportion() -> None:
    made = chart(in_rows(MOVED[:3]))
    assert made.count("<rect") == 2 + 2 + 1  # two keys, two shares of total, one of share
    assert 'width="104.0"' in made  # 520 px for +10 %, of which code is 0.2 of 1.0


def test_a_notice_says_what_how_much_and_why_and_nobody_gets_one_for_nothing(told: Told) -> None:
    subject, body = notice("v2", MOVED, ["code", "parameters"], told.reasons) or ("", "")
    assert subject == "Your figures change with release v2"
    assert "- total: 10 → 11 tCO2e (+10 %) in 2024-09; 2 months, 2024-08 to 2024-09" in body
    assert "factor 1 → 2" in body
    assert "Software libraries" not in body
    assert notice("v2", [], [], told.reasons) is None
    assert notice("v2", MOVED[3:4], ["code"], told.reasons) is None  # away and back
