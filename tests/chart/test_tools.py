"""What three tools of others find in the chart: Helm's lint, Kubernetes' own schemas, checkov."""
from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from resources.settings import PROJECT
from tests.chart.rendering import ENVIRONMENT, ENVIRONMENTS, Document, ask, request

pytestmark = pytest.mark.chart
OLDEST, NEWEST = "1.29.0", "1.37.0"  # of Chart.yaml's kubeVersion, and of the schemas that the pinned package brings
SKIPPED = {
    "CKV_K8S_35": "Strata reads PostgreSQL's address, with the administrator's login, from STRATA_DSN, and oauth2-proxy its secrets from its variables; both come "
                  "from Secrets by name, and only pods that need them have them (test_policy.py)",
}
BUILDING = {
    "CKV_DOCKER_7": "the base is an argument without a default, which `make image` and deploy/replay.py take by its digest alone",
    "CKV_DOCKER_2": "one image is every component, each with its own sign of life: the chart's probes",
    "CKV_GHA_7": "deploy.yaml builds nothing: what it asks for is which environment gets which digest",
}


def test_helm_has_nothing_to_say_of_the_chart() -> None:
    for environment, report in zip(ENVIRONMENTS, ask(lint=[request(one) for one in ENVIRONMENTS]), strict=True):
        assert not report[0]["errors"], environment
        assert [message for message in report[0]["messages"] if message["severity"] > 1] == [], environment


def test_every_manifest_is_what_kubernetes_schemas_allow(rendered: dict[str, list[Document]]) -> None:
    assert ask(validate=[one for found in rendered.values() for one in found], versions=[OLDEST, NEWEST]) == []


def test_the_schemas_would_find_a_misspelt_field(prod: list[Document]) -> None:
    wrong = json.loads(json.dumps(next(one for one in prod if one["kind"] == "Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContxt"] = {}
    assert len(ask(validate=[wrong], versions=[NEWEST])) == 1


def test_checkov_finds_nothing_but_what_is_skipped_for_a_reason(rendered: dict[str, list[Document]], tmp_path: Path) -> None:
    for name, found in rendered.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(found))
    loose = json.loads(json.dumps(next(one for one in rendered["prod"] if one["metadata"]["name"] == "strata-daemon" and one["kind"] == "Deployment")))
    loose["metadata"]["name"] = "canary"
    loose["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    (tmp_path / "canary.yaml").write_text(yaml.safe_dump(loose))
    command = [ENVIRONMENT / "bin" / "checkov", "--directory", tmp_path, "--framework", "kubernetes", "--skip-check", ",".join(SKIPPED), "--skip-download", "--compact", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    report = json.loads(done.stdout)
    failed = [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]]
    assert [one for one in failed if "canary" not in one] == []
    assert any(one.startswith("CKV_K8S_16 ") for one in failed), "the container that was made privileged was not found"
    assert report["summary"]["passed"] > 1000


@pytest.mark.parametrize(("framework", "place"), [("dockerfile", "Dockerfile"), ("github_actions", ".github")])
def test_checkov_finds_nothing_in_how_an_image_is_built_and_shipped(framework: str, place: str) -> None:
    command = [ENVIRONMENT / "bin" / "checkov", "--file" if framework == "dockerfile" else "--directory", place, "--framework", framework,
               "--skip-check", ",".join(BUILDING), "--skip-download", "--compact", "--output", "json"]
    report = json.loads(subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300).stdout)
    assert [f"{one['check_id']} {one['resource']}" for one in report["results"]["failed_checks"]] == []
    assert report["summary"]["passed"] > 50
