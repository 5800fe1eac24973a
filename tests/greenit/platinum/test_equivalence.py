"""Behaviour of greenit/platinum/equivalence."""

from datetime import date
from decimal import Decimal

import pytest
from ibis import _

JUNE = date(2024, 6, 1)
CELL = {"period": JUNE, "scope": "3", "category": "3.1", "domain": "cloud", "phase": "use", "criterion": "GWP", "method": "none", "view": "amortised", "unit": "kgCO2e",
        "value": Decimal("500.10026")}  # fmt: skip


def test_an_impact_is_years_of_a_persons_sustainable_share(platinum):
    cells = [CELL, {**CELL, "method": "location", "scope": "2", "value": Decimal(9)}, {**CELL, "method": "market", "scope": "2", "value": Decimal(1)},
             {**CELL, "criterion": "ADPe", "unit": "kgSbeq", "value": Decimal("0.0054750")}, {**CELL, "criterion": "PE", "unit": "MJ"}]  # fmt: skip
    made = {(row["equivalent_id"], row["criterion"], row["method"]): row["count"] for row in platinum("equivalence", kpi_monthly=cells) if row["equivalent_id"].startswith("jrc-")}
    # 509.10026 / 851.25 (NumEcoEval's own example), market 501.10026 / 851.25, 0.005475 / 0.027375; PE has no share of a person
    assert made == {("jrc-gwp", "GWP", "location"): pytest.approx(0.598062, abs=1e-6), ("jrc-gwp", "GWP", "market"): pytest.approx(501.10026 / 851.25),
                    ("jrc-adpe", "ADPe", "location"): pytest.approx(0.2), ("jrc-adpe", "ADPe", "market"): pytest.approx(0.2)}  # fmt: skip


def test_everyday_things_are_of_climate_only(platinum, reference):
    things = {row["equivalent_id"]: row["value"] for row in reference("equivalent").select("equivalent_id", _["value"]).to_pyarrow().to_pylist()}
    made = platinum("equivalence", kpi_monthly=[CELL, {**CELL, "criterion": "ADPe", "unit": "kgSbeq"}])
    counted = {row["equivalent_id"]: row["count"] for row in made if not row["equivalent_id"].startswith("jrc-") and row["method"] == "location"}
    assert counted == {name: pytest.approx(500.10026 / value) for name, value in things.items()}
    assert {row["criterion"] for row in made if row["equivalent_id"] in things} == {"GWP"}
