"""Asking real Helm, in its own environment, for manifests; and what a manifest says, for tests to read.

What belongs here: the call, and small questions to documents. What does not: expectations.
"""
from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml

from resources.settings import PROJECT

CHART = PROJECT / "helm" / "strata"
ENVIRONMENT = PROJECT / "build" / "chart-env"
ENVIRONMENTS = ("dev", "staging", "prod")
DIGESTS = {"image": {"digest": f"sha256:{'a' * 64}"}, "proxy": {"image": {"digest": f"sha256:{'b' * 64}"}}}  # of no image: whoever installs gives them
Document = dict[str, Any]


def ask(**question: Any) -> Any:
    """deploy/chart.py's answer."""
    done = subprocess.run([ENVIRONMENT / "bin" / "python", PROJECT / "deploy" / "chart.py"], input=json.dumps(question), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def laid_over(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    made = dict(base)
    for key, value in more.items():
        made[key] = laid_over(made[key], value) if isinstance(value, dict) and isinstance(made.get(key), dict) else value
    return made


def request(environment: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"values": [f"values-{environment}.yaml"], "set": laid_over(DIGESTS, changes or {})}


def documents(answer: dict[str, Any]) -> list[Document]:
    assert "refused" not in answer, answer["refused"]
    return [made for name, text in answer["manifests"].items() if not name.endswith(".txt") for made in yaml.safe_load_all(text) if made]


def pod_of(document: Document) -> Document | None:
    """The pod template of what makes pods."""
    spec = document.get("spec", {})
    if document["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"] if document["kind"] in ("Deployment", "Job", "CronJob", "StatefulSet", "DaemonSet") else None


def pods(found: list[Document]) -> Iterator[tuple[str, Document]]:
    """(component, template) of each workload."""
    for document in found:
        if template := pod_of(document):
            yield document["metadata"]["name"].removeprefix("strata-"), template


def selects(selector: Document, labels: dict[str, str]) -> bool:
    """Whether a label selector of Kubernetes selects labels."""
    wanted = selector.get("matchLabels", {}).items()
    listed = selector.get("matchExpressions", [])
    assert all(one["operator"] == "In" for one in listed)
    return all(labels.get(key) == value for key, value in wanted) and all(labels.get(one["key"]) in one["values"] for one in listed)


class Network:
    """What the NetworkPolicies of a namespace let through, as Kubernetes evaluates them: a pod that a policy selects is closed but for the union of rules."""

    def __init__(self, found: list[Document], namespace: str = "strata") -> None:
        self.policies = [one["spec"] for one in found if one["kind"] == "NetworkPolicy"]
        self.namespace = namespace

    def allows(self, source: dict[str, Any], target: dict[str, Any], port: int) -> bool:
        """`source`, `target`: {"labels": …, "namespace": …} of a pod, or {"address": …} of something outside of the cluster."""
        out = "address" in source or source["namespace"] != self.namespace or self._side("egress", source, target, port)
        return out and ("address" in target or target["namespace"] != self.namespace or self._side("ingress", target, source, port))

    def _side(self, way: str, pod: dict[str, Any], peer: dict[str, Any], port: int) -> bool:
        mine = [one for one in self.policies if way.capitalize() in one["policyTypes"] and selects(one["podSelector"], pod["labels"])]
        return not mine or any(self._rule(rule, "to" if way == "egress" else "from", peer, port) for one in mine for rule in one.get(way, []))

    def _rule(self, rule: Document, word: str, peer: dict[str, Any], port: int) -> bool:
        assert rule.get(word), "a rule without peers lets everybody through"
        return any(one["port"] == port for one in rule["ports"]) and any(self._peer(one, peer) for one in rule[word])

    def _peer(self, said: Document, peer: dict[str, Any]) -> bool:
        if "ipBlock" in said:
            return "address" in peer and ipaddress.ip_address(peer["address"]) in ipaddress.ip_network(said["ipBlock"]["cidr"])
        if "address" in peer:
            return False
        in_namespace = selects(said["namespaceSelector"], {"kubernetes.io/metadata.name": peer["namespace"]}) if "namespaceSelector" in said else peer["namespace"] == self.namespace
        return in_namespace and ("podSelector" not in said or selects(said["podSelector"], peer["labels"]))
