"""What the manifests must say: attack cases 46 to 49, 52, 57 and 58 as far as a chart decides them."""
from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from resources.settings import PROJECT
from tests.chart.rendering import CHART, ENVIRONMENTS, Document, Network, pods

pytestmark = pytest.mark.chart
METADATA_ADDRESS = "169.254.169.254"
ADMINISTRATORS = {"migrate", "customers", "isolation", "operator"}
SECRET_NAME = re.compile(r"password|secret|token|credential|private_?key", re.IGNORECASE)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """a.b.c -> value; lists are values."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def test_environments_differ_in_nothing_but_what_is_listed_with_a_reason() -> None:
    allowed = yaml.safe_load((CHART / "differences.yaml").read_text())
    said = {one: flat(yaml.safe_load((CHART / f"values-{one}.yaml").read_text())) for one in ENVIRONMENTS}
    keys = set().union(*said.values())
    different = {key for key in keys if len({repr(values.get(key)) for values in said.values()}) > 1}
    assert different == set(allowed)
    assert all(isinstance(reason, str) and len(reason) > 5 for reason in allowed.values())
    assert keys <= set(flat(yaml.safe_load((CHART / "values.yaml").read_text()))), "an environment sets what no other knows"


def test_rendered_environments_have_the_same_objects(rendered: dict[str, list[Document]]) -> None:
    names = {one: [(made["kind"], made["metadata"]["name"]) for made in rendered[one]] for one in ENVIRONMENTS}
    assert names["dev"] == names["staging"] == names["prod"]
    for environment in ENVIRONMENTS:  # staging says where production's bronze is, in two variables and a rule of its network, and nowhere else
        said = [line for line in yaml.safe_dump_all(rendered[environment], width=1000).split("- ") if not line.startswith(("name: STRATA_SOURCE_", "{name: STRATA_SOURCE_"))]
        text = "- ".join(said)
        assert not [other for other in ENVIRONMENTS if other != environment and re.search(rf"[-./]{other}\b", text)], environment


def test_every_pod_is_restricted_and_bounded(prod: list[Document]) -> None:
    for name, template in pods(prod):
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert {next(key for key in volume if key != "name") for volume in pod["volumes"]} <= {"persistentVolumeClaim", "emptyDir", "secret", "configMap", "projected"}, name
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["runAsUser"] > 0, name
            assert (security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"], security["capabilities"]) == (False, True, {"drop": ["ALL"]}), name
            assert set(container["resources"]) == {"requests", "limits"}, name
            assert re.fullmatch(r"[^@]+@sha256:[0-9a-f]{64}", container["image"]), name


def test_what_runs_on_and_on_is_probed_and_has_a_disruption_budget(prod: list[Document]) -> None:
    budgets = [one["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] for one in prod if one["kind"] == "PodDisruptionBudget"]
    served = [one for one in prod if one["kind"] == "Deployment" and one["spec"]["replicas"] > 0]
    assert sorted(budgets) == sorted(one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"] for one in served)
    for one in served:
        for container in one["spec"]["template"]["spec"]["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), container["name"]


def test_a_token_of_the_cluster_reaches_only_the_container_that_launches_pods(prod: list[Document]) -> None:
    holders = set()
    for name, template in pods(prod):
        for container in template["spec"]["containers"]:
            if any(mount["name"] == "cluster" for mount in container.get("volumeMounts", [])):
                holders.add((name, container["name"]))
    assert holders == {("daemon", "daemon"), ("webserver", "webserver")}
    for role in (one for one in prod if one["kind"] == "Role"):
        assert not any("*" in rule["verbs"] + rule["resources"] + rule["apiGroups"] for rule in role["rules"])
        assert not any("secrets" in rule["resources"] for rule in role["rules"])


def test_the_pages_are_reached_through_the_proxy_alone(prod: list[Document]) -> None:
    """Cases 46 to 48: the webserver listens on loopback of its pod, so a header that somebody sends to the pod reaches the proxy, which strips it."""
    for name in ("webserver", "viewers"):
        containers = {one["name"]: one for one in dict(pods(prod))[name]["spec"]["containers"]}
        words = containers["webserver"]["args"]
        assert words[words.index("--host") + 1] == "127.0.0.1"
        assert ("--read-only" in words) == (name == "viewers")
        assert "ports" not in containers["webserver"]
        assert [port["containerPort"] for port in containers["proxy"]["ports"]] == [4180]
        assert {"--upstream=http://127.0.0.1:3000/", "--http-address=0.0.0.0:4180", "--skip-auth-strip-headers=true", "--cookie-secure=true"} <= set(containers["proxy"]["args"])
        assert not [word for word in containers["proxy"]["args"] if word.startswith(("--skip-auth-r", "--skip-jwt", "--trusted-ip", "--insecure", "--ssl-insecure"))]
    services = {one["metadata"]["name"]: one["spec"] for one in prod if one["kind"] == "Service"}
    assert {name: [(port["port"], port["targetPort"]) for port in spec["ports"]] for name, spec in services.items()} == {
        "strata-webserver": [(80, "proxy")], "strata-viewers": [(80, "proxy")], "strata-code-greenit": [(4000, "grpc")]}
    assert {spec["type"] for spec in services.values()} == {"ClusterIP"}
    for ingress in (one for one in prod if one["kind"] == "Ingress"):
        backends = [path["backend"]["service"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]
        assert [(one["name"], one["port"]) for one in backends] == [(ingress["metadata"]["name"], {"name": "proxy"})]
        assert {host for one in ingress["spec"]["tls"] for host in one["hosts"]} == {rule["host"] for rule in ingress["spec"]["rules"]}


def test_only_the_flows_that_are_needed_get_through(prod: list[Document]) -> None:
    """Cases 48 and 49: every pair of pods and every port that something listens on, as the policies let them through; and strangers."""
    network = Network(prod)
    inside = {name: {"labels": template["metadata"]["labels"], "namespace": "strata"} for name, template in pods(prod)}
    giants = yaml.safe_load(next(one for one in prod if one["metadata"]["name"] == "strata-instance")["data"]["instance.yaml"])["run_launcher"]["config"]["giants"]
    inside["giant"] = {"labels": giants["run_k8s_config"]["pod_template_spec_metadata"]["labels"], "namespace": "strata"}
    strangers = {"ingress": {"labels": {}, "namespace": "ingress-nginx"}, "stranger": {"labels": {"strata/reaches": "code-servers"}, "namespace": "elsewhere"},
                 "bare pod here": {"labels": {}, "namespace": "strata"}}
    found = {(who, whom, port) for who, source in {**inside, **strangers}.items() for whom, target in inside.items() if who != whom
             for port in (3000, 4000, 4180, 5432) if network.allows(source, target, port)}
    assert found == {("ingress", "webserver", 4180), ("ingress", "viewers", 4180),
                     *((who, "code-greenit", 4000) for who in ("webserver", "viewers", "daemon"))}
    stores, server = {"address": "10.10.3.20"}, {"address": "10.10.3.10"}
    assert {name for name, pod in inside.items() if network.allows(pod, stores, 443)} == {"code-greenit", "giant", *ADMINISTRATORS}
    assert {name for name, pod in inside.items() if network.allows(pod, server, 5432)} == set(inside)
    assert not network.allows(strangers["bare pod here"], server, 5432)
    for name, pod in inside.items():
        for port in (80, 443, 5432, 6443):
            assert not network.allows(pod, {"address": METADATA_ADDRESS}, port), name
            assert not network.allows(pod, {"address": "10.10.1.10"}, port), f"{name} reaches dev's server"


def test_the_administrators_login_stands_where_it_is_needed_alone(prod: list[Document]) -> None:
    named = {name for name, template in pods(prod) if "strata-postgres-administrator-prod" in yaml.safe_dump(template)}
    assert named == ADMINISTRATORS
    for name, template in pods(prod):
        for container in template["spec"]["containers"]:
            variables = {one["name"]: one for one in container["env"]}
            if "STRATA_DSN" in variables:
                assert "sslmode=verify-full" in variables["STRATA_DSN"]["value"]
                assert ("user=" in variables["STRATA_DSN"]["value"]) == (name in ADMINISTRATORS), name
    for name in ("webserver", "viewers", "daemon"):
        mounts = [mount for container in dict(pods(prod))[name]["spec"]["containers"] for mount in container.get("volumeMounts", []) if mount["name"] == "state"]
        assert [mount["subPath"] for mount in mounts] == ["secrets/strata_dagster"], f"{name} sees passwords of customers"


def test_no_manifest_and_no_values_file_holds_a_secret(rendered: dict[str, list[Document]]) -> None:
    """Case 58. Variables that are named like secrets come by reference; no literal looks like a key; no Secret is made."""
    for found in rendered.values():
        assert not [one for one in found if one["kind"] == "Secret"]
        for name, template in pods(found):
            for variable in (one for container in template["spec"]["containers"] for one in container["env"] if SECRET_NAME.search(one["name"])):
                assert set(variable) == {"name", "valueFrom"}, name
    files = [*CHART.glob("values*.yaml"), *CHART.glob("templates/*"), PROJECT / "Dockerfile", *(PROJECT / ".github" / "workflows").glob("*"), *PROJECT.glob("deploy/*.py")]
    assert [f"{path.name}: {hit}" for path in files for hit in secrets_in(path.read_text())] == []
    planted = "token: ghp_" + "A1b2C3d4" * 5, "password: 'correct-horse-battery'", "-----BEGIN RSA PRIVATE " + "KEY-----", "AKIA" + "ABCDEFGHIJKLMNOP"
    assert [bool(secrets_in(one)) for one in planted] == [True] * 4


def secrets_in(text: str) -> list[str]:
    """Lines that hold a key, by its form or by a literal beside a telling name (a name in a `secret:` of values is a reference: it ends in an environment)."""
    forms = re.compile(r"AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY|xox[bap]-|eyJ[A-Za-z0-9_-]{20,}\.")
    literal = re.compile(r"(?i)\b(?:password|passwd|token|api_?key|client-?secret|cookie-?secret)['\"]?\s*[:=]\s*['\"]?(?![\s'\"\[{$]|user\b|none\b)([A-Za-z0-9+/_-]{8,})")
    return [line.strip() for line in text.splitlines() if forms.search(line) or ((hit := literal.search(line)) and not re.search(r"_[A-Z]+$|secrets\.|\bstr\b", hit[1]))]


def test_migrations_and_customers_come_before_a_new_release_starts(prod: list[Document]) -> None:
    hooks = sorted((int(one["metadata"]["annotations"]["helm.sh/hook-weight"]), one["spec"]["template"]["spec"]["containers"][0]["args"]) for one in prod if one["kind"] == "Job")
    assert [words for _, words in hooks] == [["up"], ["customers", "apply"]]
    assert all(one["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade" for one in prod if one["kind"] == "Job")


def test_the_queue_keeps_its_rules_of_one_run_per_customer_and_one_giant(prod: list[Document]) -> None:
    instance = yaml.safe_load(next(one for one in prod if one["metadata"]["name"] == "strata-instance")["data"]["instance.yaml"])
    shipped = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    assert instance["concurrency"]["runs"]["tag_concurrency_limits"] == shipped["concurrency"]["runs"]["tag_concurrency_limits"]
    assert next(one for one in prod if one["metadata"]["name"] == "strata-daemon" and one["kind"] == "Deployment")["spec"]["replicas"] == 1
