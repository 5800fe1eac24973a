"""Behaviour of greenit/gold/ai_activity."""

from datetime import date

import pytest

from platform_assets.greenit.gold.ai_activity import ai_activity_id

FRANCE_2024 = 0.044179085
CALLS = {
    "usage_id": "u1", "provider": "mistralai", "model": "mistral-large-2411", "day": date(2024, 6, 3), "requests": 100, "tokens_out": 30_000, "country_code": "FRA",
    "application_id": "assistant", "org_unit": "Research",
}  # fmt: skip


def test_thirty_thousand_tokens_are_thirty_times_the_models_figure(made, gwp):
    activities, impacts = made(ai_usage=[CALLS])
    ((name, _month),) = activities
    # 30 × 0.000592299 kWh × France; PUE is in the figure; 30 × 1.708347e-5 kg of servers
    assert gwp(impacts)[name] == {
        ("use", "3.1", "none"): pytest.approx(30 * 0.000592299 * FRANCE_2024), ("manufacturing", "3.1", "none"): pytest.approx(30 * 1.708347e-5)
    }
    embodied = {row["criterion"]: float(row["value"]) for row in impacts if row["phase"] == "manufacturing" and row["accounting_view"] == "amortised"}
    assert embodied == {"GWP": pytest.approx(30 * 1.708347e-5), "ADPe": pytest.approx(30 * 9.568821e-10), "PE": pytest.approx(30 * 0.0002161826021)}
    assert {row["method_id"] for row in impacts} == {"A6-ai"}  # and no water: its cooling is not known


def test_a_model_without_a_figure_stays_uncovered(made):
    activities, impacts = made(ai_usage=[{**CALLS, "model": "unheard-of"}])
    ((row,), made_of_it) = activities.values(), impacts
    assert (row["quantity"], row["energy_kwh"], row["dq_technology"], made_of_it) == (30_000, None, 5, [])


def test_days_of_a_month_are_one_row_that_each_line_leads_to(made, months, table_of, rows):
    days = [CALLS, {**CALLS, "usage_id": "u2", "day": date(2024, 6, 10)}, {**CALLS, "usage_id": "u3", "day": date(2024, 6, 20)}]
    activities, _ = made(ai_usage=days, months=months(date(2024, 6, 1), date(2024, 6, 16)))
    ((name, _month),) = activities
    assert (activities[name, 6]["lines"], activities[name, 6]["quantity"]) == (2, 60_000)  # the 20th is after the window
    said = table_of("silver", "ai_usage", *days)
    assert {row["id"] for row in rows(said.select(id=ai_activity_id(said)))} == {name}


def test_tokens_that_were_not_counted_are_not_zero(made):
    activities, impacts = made(ai_usage=[{**CALLS, "tokens_out": None}])
    assert ([row["quantity"] for row in activities.values()], impacts) == ([None], [])
