"""One installation for the whole test session."""
from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.environment import policies
from resources.settings import settings
from tests.installation import Installation, make_installation, stop

SHARED = Path(os.environ.get("STRATA_SHARED") or Path(__file__).resolve().parents[2] / "shared")


def pytest_configure(config: pytest.Config) -> None:
    """Unit tests belong to the environments that say so (environments.yaml)."""
    if "unit" not in policies()[settings().environment].suites:
        pytest.exit(f"the policy runs no unit tests in {settings().environment}: unset STRATA_ENVIRONMENT", returncode=1)


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """A home of its own with a running PostgreSQL; customers are declared by the tests."""
    home = Path(tempfile.mkdtemp(prefix="strata-test-"))
    made = make_installation(home / "home", home / "customers")
    yield made
    stop(made)
    shutil.rmtree(home, ignore_errors=True)
