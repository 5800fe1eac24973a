"""An installation of its own, as an operator has it: the `strata` command, Dagster's instance on PostgreSQL, a folder of customers."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import strata
from tests.installation import Installation, billing, inventory, own_installation


@dataclass
class Place:
    """The installation and what an operator does with it."""

    made: Installation

    @property
    def folder(self) -> Path:
        return self.made.settings.customers

    def declare(self, name: str, /, **changes: Any) -> None:
        """A customer's file and nothing else."""
        content = {
            "name": f"{name} (test)", "status": "active", "country": "FR", "currency": "EUR", "time_zone": "Europe/Paris",
            "steward": {"name": "Data steward", "email": "steward@example.org"}, "reporting": {"months": 1},
            "sources": {"equipment_inventory": {"format": "strata_1"}, "cloud_billing": {"format": "focus_1_0", "accepted_owners": [f"account-{name}"]}},
        }
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")

    def strata(self, *words: str | Path) -> Result:
        return CliRunner().invoke(strata, [str(word) for word in words])

    def done(self, *words: str | Path) -> str:
        found = self.strata(*words)
        assert found.exit_code == 0, found.output
        return found.output

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.done(*words, "--format", "json"))

    def fill(self, name: str, files: Path) -> None:
        """Two deliveries with a canary in them, launched and published."""
        canary = f"CANARY-{name}"
        bill = billing(files / f"{name}-bill.csv", f"account-{name}", {"SkuId": canary}, {"SkuId": f"{canary}-2", "ChargeCategory": "Rental"})
        self.done("land", name, "equipment_inventory", inventory(files / f"{name}.csv", {"equipment_id": canary, "org_unit": canary}), "--period", "2024-09")
        self.done("land", name, "cloud_billing", bill, "--period", "2024-09")


@pytest.fixture(scope="package")
def place() -> Iterator[Place]:
    with own_installation("strata-customers-") as made:
        yield Place(made)
