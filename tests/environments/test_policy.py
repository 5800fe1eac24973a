"""The policy file, and what loading the definitions under each environment makes of it."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from partitions.errors import EnvironmentPolicyError
from resources.environment import FILE, policies, policy_of
from resources.settings import Settings
from tests.environments.projects import Project

HERE = Settings("dev", Path("/nowhere"), Path("/nowhere"), "/nowhere", None, Path("/nowhere"))
LOAD = """import json
from platform_assets.greenit.definitions import defs
print(json.dumps({"sensors": sorted(s.name for s in defs.sensors), "schedules": sorted(s.name for s in defs.schedules),
                  "assets": sorted(spec.key.to_user_string() for spec in defs.resolve_all_asset_specs())}))"""
CASES = {"dev": ("work", None), "staging": ("release/9.9", None), "prod": ("work", "v9.9.0")}  # the branch and tag of the checkout


@pytest.fixture(scope="module")
def loaded(project: Project) -> dict[str, dict[str, Any]]:
    """Three fresh processes, each with a checkout that its environment runs."""
    found = {}
    for name, (branch, tag) in CASES.items():
        project.git("checkout", "-q", "-B", branch)
        if tag:
            project.git("tag", tag)
        done = project.python("-c", LOAD, STRATA_ENVIRONMENT=name)
        if tag:
            project.git("tag", "-d", tag)
        project.git("checkout", "-q", "work")
        if branch != "work":
            project.git("branch", "-q", "-D", branch)
        assert done.returncode == 0, done.stderr[-2000:]
        found[name] = json.loads(done.stdout)
    return found


def test_the_policy_is_the_table_that_was_decided() -> None:
    found = {name: (p.code_development, sorted(p.suites), p.data, p.automatic_scheduling, p.customer_facing) for name, p in policies().items()}
    assert found == {
        "dev": (True, ["unit"], "partial", False, False),
        "staging": (False, ["functional", "non_regression", "performance"], "complete", True, False),
        "prod": (False, [], "complete", True, True),
    }


def test_nothing_starts_by_itself_in_dev_and_only_what_needs_no_deliveries_in_staging(loaded: dict[str, dict[str, Any]]) -> None:
    always = {"customers_folder", "failed_runs", "finished_runs"}
    assert {name: set(one["sensors"]) - always for name, one in loaded.items()} == {"dev": set(), "staging": {"refreshes"}, "prod": {"refreshes", "stale_sources"}}
    assert {name: one["schedules"] for name, one in loaded.items()} == {"dev": [], "staging": ["isolation", "upkeep"], "prod": ["isolation", "upkeep"]}
    assert all(always <= set(one["sensors"]) for one in loaded.values())


def test_the_assets_are_the_same_everywhere(loaded: dict[str, dict[str, Any]]) -> None:
    assert loaded["dev"]["assets"] == loaded["staging"]["assets"] == loaded["prod"]["assets"]
    assert "greenit/gold/impact" in loaded["prod"]["assets"]


def changed(tmp_path: Path, environment: str, **keys: Any) -> Path:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    content[environment] |= keys
    path = tmp_path / "environments.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(("environment", "keys", "words"), [
    ("prod", {"code_development": True, "tags": []}, "prod: .*tagged commits"),
    ("prod", {"branches": ["main"]}, "prod: .*tagged commits"),
    ("prod", {"may_allow": ["automatic_scheduling"]}, "prod: .*nothing is switched on"),
    ("prod", {"tags": []}, "prod: .*no code may run"),
    ("prod", {"data": "partial"}, "prod: .*complete deliveries"),
    ("staging", {"customer_facing": True}, "staging: .*customers see"),
    ("dev", {"tags": ["v*"]}, "dev: .*any checkout runs"),
    ("dev", {"suites": ["smoke"]}, "dev.suites.0"),
    ("dev", {"customer_facing": "no"}, "dev.customer_facing"),
    ("staging", {"colour": "blue"}, "staging.colour"),
    ("staging", {"branches": ["a b"]}, "staging.branches.0"),
])
def test_a_policy_that_opens_what_must_stay_shut_is_refused(tmp_path: Path, environment: str, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(EnvironmentPolicyError, match=words):
        policies(changed(tmp_path, environment, **keys))


@pytest.mark.parametrize("content", ["", "dev: {}", "[]", "a: [", "dev: {}\nstaging: {}\nprod: {}\nqa: {}"])
def test_a_policy_of_other_environments_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "environments.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EnvironmentPolicyError, match="polic"):
        policies(path)


def test_what_may_be_switched_on_is_switched_on_and_nothing_else() -> None:
    assert not policy_of(HERE).automatic_scheduling
    assert policy_of(replace(HERE, allow=frozenset({"automatic_scheduling"}))).automatic_scheduling
    assert not policy_of(replace(HERE, allow=frozenset({"automatic_scheduling"}))).customer_facing
    for environment, word in (("dev", "code_development"), ("staging", "customer_facing"), ("prod", "automatic_scheduling")):
        with pytest.raises(EnvironmentPolicyError, match=f"STRATA_ALLOW names '{word}'; in {environment} it may switch on"):
            policy_of(replace(HERE, environment=environment, allow=frozenset({word})))
