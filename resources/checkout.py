"""Which code this is, as far as an environment asks: its commit, the branches and tags that hold it, and whether somebody changed it.

What belongs here: asking git, or an image's stamp, and judging the answer by the policy. What does not: the commit that is recorded with a
version (revision.py).

Whom to believe: where the project is a git checkout, git alone; variables of the environment are not asked, since whoever starts a changed
checkout could set them. Where there is no git, as in an image, the stamp that the build wrote: `STRATA_COMMIT` (the whole hash) and `STRATA_REF`
(`refs/tags/v1.2.0` or `refs/heads/main`). Who may set an image's variables may choose the image too, so the stamp is as good as the right to deploy.
"""
from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from partitions.errors import EnvironmentPolicyError
from resources.environment import Policy
from resources.revision import COMMIT_DIGITS, git, repository_of, text
from resources.settings import PROJECT

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}", re.ASCII)
REF = re.compile(r"refs/(heads|tags)/([A-Za-z0-9][A-Za-z0-9._/-]{0,99})", re.ASCII)


@dataclass(frozen=True)
class Checkout:
    """`told_by`: who said it; `nobody` where there is neither git nor a stamp. `is_changed`: files differ from the commit, or are not in it."""

    told_by: Literal["git", "image", "nobody"]
    commit: str = ""
    branches: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    is_changed: bool = False

    @property
    def name(self) -> str:
        """In words, for a person."""
        if not self.commit:
            return "an unknown commit"
        named = ", ".join(self.tags or self.branches) or "no branch or tag"
        return f"{self.commit[:COMMIT_DIGITS]} ({named}{', changed' if self.is_changed else ''})"


def checkout(project: Path = PROJECT) -> Checkout:
    """The code of this process: four questions to git, 20 ms."""
    top = repository_of(project)
    if top is not None and top.resolve() == project.resolve():
        status = git(project, "status", "--porcelain", "--untracked-files=all")
        branches = text(git(project, "for-each-ref", "--contains", "HEAD", "--format=%(refname)", "refs/heads", "refs/remotes")).split()
        tags = text(git(project, "tag", "--points-at", "HEAD")).split()
        return Checkout("git", text(git(project, "rev-parse", "--verify", "--quiet", "HEAD")), tuple(sorted({_short(name) for name in branches})), tuple(tags),
                        status is None or bool(status.strip()))
    commit, ref = os.environ.get("STRATA_COMMIT", ""), REF.fullmatch(os.environ.get("STRATA_REF", ""))
    if not COMMIT.fullmatch(commit) or ref is None:
        return Checkout("nobody")
    kind, name = ref.groups()
    return Checkout("image", commit, (name,) if kind == "heads" else (), (name,) if kind == "tags" else ())


def problem_with(found: Checkout, policy: Policy) -> tuple[str, str] | None:
    """Why this code may not run under a policy, and what to do; None where it may."""
    if policy.code_development:
        return None
    if found.told_by == "nobody":
        return ("nobody says which commit this code is: there is no git checkout, and no stamp of a build",
                "run a checkout, or an image whose build set STRATA_COMMIT to the whole hash and STRATA_REF to refs/tags/<tag> or refs/heads/<branch>")
    if not found.commit:
        return "this checkout has no commit", "check out a commit"
    if found.is_changed:
        return f"this checkout of {found.commit[:COMMIT_DIGITS]} has changes that no commit holds", "commit or remove them (`git status` shows them)"
    if _matches(found.tags, policy.tags) or _matches(found.branches, policy.branches):
        return None
    wanted = [*(f"a tag {pattern}" for pattern in policy.tags), *(f"a branch {pattern}" for pattern in policy.branches)]
    return f"commit {found.commit[:COMMIT_DIGITS]} is none that may run here: it needs {' or '.join(wanted)}", "tag the commit, or check out one that is tagged"


def refuse_checkout(policy: Policy) -> None:
    """Raises EnvironmentPolicyError where an environment does not run code like this. Costs nothing where any code may run."""
    if not policy.code_development and (problem := problem_with(checkout(), policy)):
        raise EnvironmentPolicyError(f"{policy.environment} does not run this code: {problem[0]}", fix=problem[1])


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _short(ref: str) -> str:
    """`refs/remotes/origin/main` and `refs/heads/main` are both the branch main."""
    return ref.removeprefix("refs/heads/") if ref.startswith("refs/heads/") else ref.removeprefix("refs/remotes/").partition("/")[2]
