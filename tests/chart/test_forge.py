"""What a forge runs: our own targets, no action that could move, and the rule of which ref may go where, executed as it stands."""
from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from resources.settings import PROJECT

pytestmark = pytest.mark.chart
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (PROJECT / ".github" / "workflows").glob("*.yaml")}


def steps() -> list[dict[str, Any]]:
    return [step for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for step in job.get("steps", [])]


def test_nothing_is_run_that_others_may_change() -> None:
    used = [job["uses"] for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() if "uses" in job] + [step["uses"] for step in steps() if "uses" in step]
    assert [name for name in used if not name.startswith("./.github/workflows/")] == []
    assert {workflow["permissions"]["contents"] for workflow in WORKFLOWS.values()} == {"read"}


def test_what_somebody_else_may_choose_reaches_a_shell_as_a_variable_only() -> None:
    risky = re.compile(r"\$\{\{\s*(github\.(ref|ref_name|head_ref|event)|inputs\.|secrets\.|vars\.)")
    assert [step["name"] for step in steps() if risky.search(step["run"])] == []


def test_every_target_that_a_workflow_calls_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    called = {word for step in steps() for line in re.findall(r"\bmake ([a-z -]+)", step["run"]) for word in line.split()}
    assert called | set(WORKFLOWS["check"]["jobs"]["check"]["strategy"]["matrix"]["target"]) <= targets
    assert {"lint", "test", "test-ui", "test-chart", "test-tcp"} <= set(WORKFLOWS["check"]["jobs"]["check"]["strategy"]["matrix"]["target"])


@pytest.mark.parametrize(("environment", "ref", "may"), [
    ("dev", "refs/heads/any", True), ("staging", "refs/heads/main", True), ("staging", "refs/heads/release/1.2", True), ("staging", "refs/tags/v1.2.0", True),
    ("staging", "refs/heads/feature", False), ("prod", "refs/tags/v1.2.0", True), ("prod", "refs/heads/main", False), ("prod", "refs/tags/nightly", False),
    ("prod", "refs/heads/v1.2.0", False), ("production", "refs/tags/v1.2.0", False)])
def test_only_the_refs_of_the_policy_get_through_the_door(environment: str, ref: str, may: bool) -> None:
    rule = next(step["run"] for step in WORKFLOWS["deploy"]["jobs"]["deploy"]["steps"] if step["name"] == "whether this ref may go there")
    done = subprocess.run(["bash", "-c", rule], env={"ENVIRONMENT": environment, "REF": ref}, capture_output=True, text=True)
    assert (done.returncode == 0) == may
    assert may or f"{ref} may not run in {environment}" in done.stdout


def test_production_follows_staging_and_both_take_the_digest_that_was_built() -> None:
    jobs = WORKFLOWS["release"]["jobs"]
    assert "staging" in jobs["prod"]["needs"]
    assert [jobs[name]["with"] for name in ("staging", "prod")] == [{"environment": name, "digest": "${{ needs.image.outputs.digest }}"} for name in ("staging", "prod")]
