"""Case 56, 57 and 58 for what an image is made of: hashes, digests, no address of a package index, nothing beside what runs."""
from __future__ import annotations

import re
import sys

import pytest

from resources.settings import PROJECT

sys.path.insert(0, str(PROJECT / "deploy"))
from dockerfile import Ignored, ReplayError, parse  # noqa: E402  deploy/ is a folder of scripts and no package
from replay import _files  # noqa: E402

pytestmark = pytest.mark.chart
LOCKS = [PROJECT / "requirements.lock", *sorted((PROJECT / "deploy").glob("*-requirements.lock"))]
PINNED = re.compile(r"^([a-z0-9._-]+)(\[[a-z0-9, ._-]+\])?==(\S+)", re.MULTILINE | re.IGNORECASE)
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|\bPIP_(?:EXTRA_)?INDEX|/simple\b", re.IGNORECASE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_is_pinned_with_its_hashes(lock) -> None:
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", lock.read_text().strip())
    assert len(blocks) >= 1
    assert [block.splitlines()[0] for block in blocks if not PINNED.match(block) or "--hash=sha256:" not in block] == []


def test_the_image_has_the_versions_that_are_tested() -> None:
    tested, shipped = ({name.lower(): version for name, _, version in PINNED.findall(path.read_text())} for path in (LOCKS[0], PROJECT / "deploy" / "image-requirements.lock"))
    assert {name: version for name, version in shipped.items() if tested.get(name, version) != version} == {}
    assert sorted(set(shipped) - set(tested)) == ["aiohappyeyeballs", "aiohttp", "aiosignal", "dagster-k8s", "durationpy", "frozenlist", "google-auth", "kubernetes",
                                                  "oauthlib", "pyasn1", "pyasn1-modules", "requests-oauthlib", "websocket-client"]
    assert not {"pytest", "moto", "mypy", "playwright", "hypothesis"} & set(shipped)


def test_no_index_address_and_no_movable_tag_stands_in_what_builds() -> None:
    files = [PROJECT / "Dockerfile", PROJECT / "Makefile", *LOCKS, *(PROJECT / "deploy").glob("*.in"), *(PROJECT / ".github" / "workflows").glob("*.y*ml")]
    for path in files:
        text = path.read_text()
        assert not [hit for hit in INDEX.findall(text.replace("--no-emit-index-url", "").replace("--no-emit-find-links", ""))], path
        assert not re.search(r"\b[a-z0-9-]+:latest\b", text), path
    assert re.findall(r"^FROM (\S+)", (PROJECT / "Dockerfile").read_text(), re.MULTILINE) == ["${BASE_IMAGE}"] * 2


def test_the_image_takes_nothing_but_what_runs() -> None:
    ignored = Ignored((PROJECT / ".dockerignore").read_text())
    kept = sorted({path.relative_to(PROJECT).parts[0] for path in _files(PROJECT) if not ignored(path.relative_to(PROJECT).as_posix())})
    assert set(kept) - {"environments.yaml"} == set(["LICENSE", "README.md", "cli", "customers", "dagster.yaml", "deploy", "migrations", "parameters", "partitions", "platform_assets", "pyproject.toml",
                           "resources", "samples", "vocabularies", "workspace.yaml"])
    for secret in (".env", ".git/config", ".strata/secrets/postgres", "build/x", "tests/conftest.py", "deploy/replay.py", "cli/__pycache__/main.cpython-311.pyc"):
        assert ignored(secret), secret


@pytest.mark.parametrize(("line", "reason"), [
    ("ADD https://example.org/x /x", "ADD is no instruction"), ("VOLUME /data", "VOLUME is no instruction"), ("RUN --mount=type=secret,id=x cat /x", "option --mount"),
    ("COPY --chown=0:0 a b", "option --chown"), ('RUN ["sh", "-c", "true"]', "shell form"), ("RUN <<EOF", "here-documents"), ("HEALTHCHECK NONE", "HEALTHCHECK is no instruction")])
def test_a_step_that_would_not_be_replayed_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ReplayError, match=reason):
        parse(f"FROM x\n{line}\n")


def test_an_image_drops_root_by_a_number_and_says_its_commit() -> None:
    steps = parse((PROJECT / "Dockerfile").read_text())
    last = next(number for number in reversed(range(len(steps))) if steps[number].name == "FROM")
    users = [step.rest for step in steps[last:] if step.name == "USER"]
    assert users == ["10001:10001"]
    assert "STRATA_COMMIT=${COMMIT}" in next(step.rest for step in steps[last:] if step.name == "ENV" and "STRATA_COMMIT" in step.rest)
