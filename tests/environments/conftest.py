"""One copy of the project for these tests."""
from __future__ import annotations

import pytest

from tests.environments.projects import Project, make_project


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("project") / "strata")
