"""Which code runs where: judged from git in a checkout, from the build's stamp in an image, and from nothing else."""
from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.checkout import Checkout, checkout, problem_with
from resources.environment import policies
from tests.environments.projects import Project

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path: Path) -> Project:
    """A small checkout with one commit on main."""
    made = Project(tmp_path / "code")
    made.folder.mkdir()
    (made.folder / "code.py").write_text("figure = 1\n")
    made.git("init", "-q", "-b", "main")
    made.git("add", "-A")
    made.git("commit", "-q", "-m", "first")
    return made


def problems(found: Checkout) -> dict[str, str]:
    told = {name: problem_with(found, policy) for name, policy in policies().items()}
    return {name: problem[0] for name, problem in told.items() if problem}


def test_a_clean_branch_runs_in_staging_and_a_tag_in_prod_too(repository: Project) -> None:
    assert set(problems(checkout(repository.folder))) == {"prod"}
    repository.git("tag", "v1.0.0")
    found = checkout(repository.folder)
    assert (found.told_by, found.branches, found.tags, found.is_changed) == ("git", ("main",), ("v1.0.0",), False)
    assert problems(found) == {}


def test_a_tag_of_another_kind_or_of_another_commit_is_none(repository: Project) -> None:
    repository.git("tag", "nightly")
    repository.git("tag", "v1.0.0")
    repository.git("commit", "-q", "--allow-empty", "-m", "second")
    assert "needs a tag v[0-9]*" in problems(checkout(repository.folder))["prod"]


def test_a_branch_that_no_pattern_names_runs_in_dev_alone(repository: Project) -> None:
    repository.git("checkout", "-q", "-b", "attempt")
    repository.git("commit", "-q", "--allow-empty", "-m", "second")
    assert set(problems(checkout(repository.folder))) == {"staging", "prod"}


def test_a_branch_of_the_remote_counts_where_a_server_checks_out_a_bare_commit(repository: Project, tmp_path: Path) -> None:
    repository.git("branch", "release/2.0")
    clone = Project(tmp_path / "clone")
    repository.git("clone", "-q", str(repository.folder), str(clone.folder))
    clone.git("checkout", "-q", "--detach")
    clone.git("branch", "-q", "-D", "main")
    found = checkout(clone.folder)
    assert "release/2.0" in found.branches
    assert set(problems(found)) == {"prod"}


@pytest.mark.parametrize("kind", ["changed", "new", "staged", "deleted"])
def test_a_change_that_no_commit_holds_runs_in_dev_alone(repository: Project, kind: str) -> None:
    repository.git("tag", "v1.0.0")
    if kind == "new":
        (repository.folder / "more.py").write_text("figure = 2\n")
    elif kind == "deleted":
        (repository.folder / "code.py").unlink()
    else:
        (repository.folder / "code.py").write_text("figure = 2\n")
    if kind == "staged":
        repository.git("add", "-A")
    found = problems(checkout(repository.folder))
    assert set(found) == {"staging", "prod"}
    assert all("has changes that no commit holds" in said for said in found.values())


def test_a_repository_without_a_commit_runs_in_dev_alone(tmp_path: Path) -> None:
    empty = Project(tmp_path)
    empty.git("init", "-q")
    assert set(problems(checkout(tmp_path))) == {"staging", "prod"}


@pytest.fixture
def image(repository: Project) -> Iterator[Path]:
    """The same files without git, as in an image."""
    shutil.rmtree(repository.folder / ".git")
    return repository.folder


@pytest.mark.parametrize(("commit", "ref", "refused"), [
    (COMMIT, "refs/tags/v1.2.0", set()),
    (COMMIT, "refs/heads/main", {"prod"}),
    (COMMIT, "refs/heads/v1.2.0", {"staging", "prod"}),  # a branch named like a release is no tag
    (COMMIT, "v1.2.0", {"staging", "prod"}),
    (COMMIT[:12], "refs/tags/v1.2.0", {"staging", "prod"}),
    (f"{COMMIT}+dirty", "refs/tags/v1.2.0", {"staging", "prod"}),
    ("", "refs/tags/v1.2.0", {"staging", "prod"}), (COMMIT, "", {"staging", "prod"}),
])
def test_an_image_is_judged_by_the_whole_stamp_of_its_build(image: Path, monkeypatch: pytest.MonkeyPatch, commit: str, ref: str, refused: set[str]) -> None:
    monkeypatch.setenv("STRATA_COMMIT", commit)
    monkeypatch.setenv("STRATA_REF", ref)
    assert set(problems(checkout(image))) == refused


def test_variables_do_not_make_a_release_of_a_checkout(repository: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_COMMIT", COMMIT)
    monkeypatch.setenv("STRATA_REF", "refs/tags/v1.2.0")
    (repository.folder / "code.py").write_text("figure = 2\n")
    assert set(problems(checkout(repository.folder))) == {"staging", "prod"}


def test_commands_and_code_location_refuse_code_that_prod_does_not_run(project: Project, tmp_path: Path) -> None:
    told = "prod does not run this code: commit"
    commanded = project.strata("up", STRATA_ENVIRONMENT="prod", STRATA_HOME=str(tmp_path / "home"))
    served = project.python("-c", "import platform_assets.greenit.definitions", STRATA_ENVIRONMENT="prod")
    assert (commanded.returncode, told in commanded.stderr) == (1, True)
    assert (served.returncode, told in served.stderr) == (1, True)
    assert not (tmp_path / "home").exists()  # nothing was started before it was judged
