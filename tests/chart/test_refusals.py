"""Values that would open something, or mix environments, are refused with the reason."""
from __future__ import annotations

from typing import Any

import pytest

from tests.chart.rendering import ask, request

pytestmark = pytest.mark.chart
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no proxy": ("prod", {"proxy": {"enabled": False}}, "would open Dagster's pages"),
    "a load balancer": ("prod", {"service": {"type": "LoadBalancer"}}, "would open the pages beside the ingress"),
    "a node port": ("prod", {"service": {"type": "NodePort"}}, "would open the pages beside the ingress"),
    "nobody asked who they are": ("prod", {"proxy": {"issuer": ""}}, "nobody is asked who they are"),
    "an issuer without TLS": ("prod", {"proxy": {"issuer": "http://login.example.org"}}, "https:// address"),
    "everybody allowed": ("prod", {"proxy": {"allowedGroups": []}}, "everybody with an account"),
    "options of the proxy": ("prod", {"proxy": {"extraArgs": ["--skip-auth-route=.*"]}}, "extraArgs"),
    "an address of the webserver": ("prod", {"webserver": {"host": "0.0.0.0"}}, "host"),
    "an image by its tag": ("prod", {"image": {"digest": "latest"}}, "digest"),
    "a proxy without a digest": ("prod", {"proxy": {"image": {"digest": ""}}}, "a tag can move"),
    "no environment": ("prod", {"environment": ""}, "dev, staging or prod"),
    "production's server in dev": ("dev", {"postgresql": {"host": "postgres-prod.example.org"}}, "which is prod's, and this is dev"),
    "production's server by another name": ("dev", {"postgresql": {"host": "db.production.example.org"}}, "which is production's, and this is dev"),
    "production's login in dev": ("dev", {"postgresql": {"administratorSecret": "strata-postgres-administrator-prod"}}, "ends in -dev"),
    "production's lake in staging": ("staging", {"objectStore": {"lakeRoot": "s3://example-strata-prod/lake"}}, "which is prod's, and this is staging"),
    "production's passwords in staging": ("staging", {"state": {"claim": "strata-state-prod"}}, "ends in -staging"),
    "dev's server in production": ("prod", {"postgresql": {"host": "postgres-dev.example.org"}}, "which is dev's, and this is prod"),
    "production's bronze in dev": ("dev", {"production": {"host": "postgres-prod.example.org"}}, "staging alone reads production's bronze"),
    "an unverified server": ("prod", {"postgresql": {"sslmode": "require"}}, "would send passwords to whoever answers"),
    "everywhere out": ("prod", {"network": {"objectStore": ["0.0.0.0/0"]}}, "metadata address"),
    "the metadata address": ("prod", {"network": {"notices": ["169.254.169.254/32"]}}, "metadata address"),
    "giants without the cluster": ("prod", {"network": {"kubernetesApi": []}}, "giantsApart needs"),
    "a password as a value": ("prod", {"postgresql": {"password": "hunter2hunter2"}}, "password"),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    return dict(zip(REFUSED, ask(render=[request(environment, changes) for environment, changes, _ in REFUSED.values()]), strict=True))


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_with_the_reason(case: str, answers: dict[str, dict[str, Any]]) -> None:
    assert REFUSED[case][2] in answers[case].get("refused", "rendered"), answers[case]


def test_what_is_allowed_is_not_refused() -> None:
    changes = {"runs": {"giantsApart": False}, "network": {"kubernetesApi": []}, "operator": {"replicas": 1}, "customers": {"configMap": "our-customers"},
               "notices": {"sink": "smtp://mail.example.org:587", "secret": "mail"}, "image": {"pullSecrets": [{"name": "registry"}]}}
    (answer,) = ask(render=[request("prod", changes)])
    assert "refused" not in answer
    text = "".join(answer["manifests"].values())
    assert "serviceAccountToken" not in text, "without pods of their own nothing needs the cluster"
