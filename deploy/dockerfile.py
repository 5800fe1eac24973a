"""Reading a Dockerfile and its .dockerignore: instructions, variables, and which files a build sees.

What belongs here: the language, as far as it is replayed. What does not: doing what it says (replay.py).
"""
from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)=(.*)", re.DOTALL)
INSTRUCTIONS = ("ARG", "FROM", "WORKDIR", "ENV", "COPY", "RUN", "USER", "LABEL", "ENTRYPOINT", "CMD")


class ReplayError(Exception):
    """A Dockerfile that cannot be replayed, or a step that failed; names the line."""


@dataclass(frozen=True)
class Step:
    """One instruction: its line, name, options (`--from`), and the rest as written."""

    line: int
    name: str
    options: dict[str, str]
    rest: str


def parse(text: str) -> list[Step]:
    """A Dockerfile's instructions. Raises ReplayError for anything that this script does not execute."""
    steps, number, lines = [], 0, text.splitlines()
    while number < len(lines):
        first, joined = number, lines[number].strip()
        number += 1
        if not joined or joined.startswith("#"):
            continue
        while joined.endswith("\\"):
            if number >= len(lines):
                raise ReplayError(f"line {first + 1} goes on after the end")
            joined, number = joined[:-1] + " " + lines[number].strip(), number + 1
        name, _, rest = joined.partition(" ")
        options = {}
        while found := re.match(r"\s*--([a-z-]+)=(\S+)\s*", rest):
            options[found[1]], rest = found[2], rest[found.end():]
        steps.append(Step(first + 1, name.upper(), options, rest.strip()))
        _known(steps[-1])
    return steps


def _known(step: Step) -> None:
    allowed = {name: {"from"} if name == "COPY" else set() for name in INSTRUCTIONS}
    if step.name not in allowed:
        raise ReplayError(f"line {step.line}: {step.name} is no instruction that can be replayed ({', '.join(sorted(allowed))})")
    if foreign := set(step.options) - allowed[step.name]:
        raise ReplayError(f"line {step.line}: {step.name} has the option --{foreign.pop()}, which is not replayed")
    if step.name == "RUN" and (step.rest.startswith(("[", "--")) or "<<" in step.rest):
        raise ReplayError(f"line {step.line}: RUN is replayed in its shell form alone, without options or here-documents")


def expanded(text: str, values: Mapping[str, str]) -> str:
    """`${NAME}` and `$NAME` replaced; what is not known is empty, as in a build."""
    return VARIABLE.sub(lambda found: values.get(found[1] or found[2], ""), text)


def assignments(text: str, values: Mapping[str, str]) -> dict[str, str]:
    """`A=b C="d e"` with variables replaced."""
    found = [ASSIGNED.fullmatch(word) for word in shlex.split(text)]
    if not found or not all(found):
        raise ReplayError(f"{text!r} is no list of NAME=value")
    return {one[1]: expanded(one[2], values) for one in found if one}


class Ignored:
    """A .dockerignore: the last pattern that matches decides; `!` takes a path back in, with what lies below it."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self.patterns = [(line.lstrip("!").strip("/"), line.startswith("!")) for line in lines if line and not line.startswith("#")]

    def __call__(self, path: str) -> bool:
        parts = path.split("/")
        prefixes = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        ignored = False
        for pattern, taken_back in self.patterns:
            if any(_matches(pattern, prefix) for prefix in prefixes):
                ignored = not taken_back
        return ignored


def _matches(pattern: str, path: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatchcase(path, pattern[3:]) or fnmatch.fnmatchcase(path.rpartition("/")[2], pattern[3:])
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)
