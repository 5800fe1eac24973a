"""Production and staging side by side, each with a home and a server of its own, and one of them at a time the process's environment.

What belongs here: making both, and deliveries with something confidential in every place. What does not: expectations.
"""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platform_assets.greenit.definitions import defs  # loaded as dev: this checkout has changes, which production would refuse
from resources.postgres import lake_reader_role
from resources.reconciliation import settled
from tests.installation import Installation, billing, inventory, own_installation

assert defs
NAME, OTHER = "lender", "neighbour"
CANARY = "CANARY"


@dataclass
class Estate:
    """An installation and the variables that make it this process's."""

    made: Installation
    variables: dict[str, str]

    @contextmanager
    def here(self) -> Iterator[Installation]:
        before = dict(os.environ)
        os.environ.update(self.variables)
        try:
            yield self.made
        finally:
            os.environ.clear()
            os.environ.update(before)

    def declare(self, name: str, **changes: Any) -> None:
        """A customer's file, applied as by `strata customers apply`."""
        with self.here() as made:
            found = made.declare(name, reporting={"months": 1}, **changes)
            settled(made.postgres, made.instance, {name: found}, whole=False)


@contextmanager
def both() -> Iterator[tuple[Estate, Estate]]:
    before = dict(os.environ)
    with ExitStack() as stack:
        prod = Estate(stack.enter_context(own_installation("strata-prod-", STRATA_ENVIRONMENT="prod", STRATA_ALLOW="")), {})
        prod.variables = said(prod.made, "prod")
        source = {"STRATA_SOURCE_DSN": f"host={prod.made.settings.runtime}", "STRATA_SOURCE_LAKE_ROOT": prod.made.settings.lake_root}
        staging = Estate(stack.enter_context(own_installation("strata-staging-", STRATA_ENVIRONMENT="staging", STRATA_ALLOW="", **source)), {})
        staging.variables = {**said(staging.made, "staging"), **source}
        os.environ.clear()
        os.environ.update(before)  # whatever else is made meanwhile is neither's
        yield prod, staging


def said(made: Installation, environment: str) -> dict[str, str]:
    return {"STRATA_ENVIRONMENT": environment, "STRATA_ALLOW": "", "STRATA_HOME": str(made.settings.home), "STRATA_CUSTOMERS": str(made.settings.customers)}


def hand_over(prod: Estate, staging: Estate, name: str) -> None:
    """The one secret that staging gets of production."""
    staging.made.settings.secrets.mkdir(parents=True, exist_ok=True)
    shutil.copy(prod.made.settings.secrets / lake_reader_role(name), staging.made.settings.secrets)


def deliver(prod: Estate, name: str, folder: Path) -> None:
    """Equipment and two bills with a canary in every column that is confidential and can hold one; one bill line that no rule lets through."""
    account = f"account-{name}"
    secret = {"BillingAccountName": f"{CANARY} & Sons", "SubAccountId": f"{CANARY}-sub", "SubAccountName": f"{CANARY} sub", "InvoiceId": f"{CANARY}-1",
              "ResourceName": f" {CANARY} host ", "Tags": f'{{"team": "{CANARY}"}}'.replace('"', '""')}
    lines = [{"SkuId": "S1", "ResourceId": f"{CANARY}-i-1", **secret}, {"SkuId": "S1", "ResourceId": f"{CANARY}-i-1", "ChargePeriodStart": "2024-09-03T00:00:00Z", **secret},
             {"SkuId": "S1", "ResourceId": f"{CANARY}-i-2", **secret}, {"SkuId": "S1", "ChargeCategory": "Rental", **secret}]
    with prod.here() as made:
        made.land(name, "equipment_inventory", [inventory(folder / f"{name}.csv", {"org_unit": "Sales"}, {"item_type": "server", "org_unit": "Sales"})])
        made.land(name, "cloud_billing", [billing(folder / f"{name}-bill.csv", account, *lines)])
