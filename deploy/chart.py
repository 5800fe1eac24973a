"""Real Helm for the chart, run by the interpreter of build/chart-env (`make test-chart`): one request as JSON on standard input, one answer on standard output.

What belongs here: calling Helm's library and kubernetes-validate, which are in no environment of Strata. What does not: what a chart must hold (tests/chart).

    {"render": [{"values": ["values-prod.yaml"], "set": {…}, "name": "strata", "namespace": "strata"}, …]}  -> [{"manifests": {file: text}} | {"refused": text}]
    {"lint": [{"values": […], "set": {…}}, …]}  -> [[message, …], …]
    {"validate": [document, …], "versions": [..]}  -> [message, …]
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CHART = Path(__file__).resolve().parent.parent / "helm" / "strata"


def values_of(request: dict[str, Any]) -> dict[str, Any]:
    """The values files of a request, each laid over the ones before, then what it sets."""
    import yaml

    merged: dict[str, Any] = {}
    for name in request["values"]:
        _lay_over(merged, yaml.safe_load((CHART / name).read_text()))
    _lay_over(merged, request.get("set", {}))
    return merged


def _lay_over(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _lay_over(into[key], value)
        else:
            into[key] = value


def rendered(request: dict[str, Any]) -> dict[str, Any]:
    import helm_python as helm

    try:
        with helm.Chart.load(CHART) as chart:
            values = values_of(request)
            chart.validate_schema(values)
            return {"manifests": chart.render(values, name=request.get("name", "strata"), namespace=request.get("namespace", "strata"))}
    except helm.HelmError as error:
        return {"refused": str(error)}


def linted(request: dict[str, Any]) -> list[str]:
    import helm_python as helm

    found = helm.lint(CHART, values=values_of(request))
    return found if isinstance(found, list) else [found]


def validated(documents: list[dict[str, Any]], versions: list[str]) -> list[str]:
    import kubernetes_validate

    problems = []
    for document in documents:
        for version in versions:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                problems.append(f"{document['kind']} {document['metadata']['name']} ({version}): {'.'.join(map(str, error.path))}: {error.message}")
    return problems


def main() -> None:
    asked = json.load(sys.stdin)
    answer: Any = None
    if "render" in asked:
        answer = [rendered(one) for one in asked["render"]]
    elif "lint" in asked:
        answer = [linted(one) for one in asked["lint"]]
    elif "validate" in asked:
        answer = validated(asked["validate"], asked["versions"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
