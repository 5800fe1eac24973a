"""The chart as Helm renders it for each environment, once per session."""
from __future__ import annotations

import pytest

from tests.chart.rendering import ENVIRONMENT, ENVIRONMENTS, Document, ask, documents, request


@pytest.fixture(scope="session")
def rendered() -> dict[str, list[Document]]:
    """environment -> documents, and `viewers`: production with its read-only webserver."""
    assert (ENVIRONMENT / "bin" / "python").exists(), "Helm has an environment of its own: `make test-chart` makes it"
    viewers = {"viewers": {"enabled": True, "host": "strata-view-prod.example.org", "allowedGroups": ["strata-viewers-prod"]}}
    answers = ask(render=[*(request(one) for one in ENVIRONMENTS), request("prod", viewers)])
    return dict(zip((*ENVIRONMENTS, "viewers"), map(documents, answers), strict=True))


@pytest.fixture(scope="session")
def prod(rendered: dict[str, list[Document]]) -> list[Document]:
    return rendered["viewers"]
