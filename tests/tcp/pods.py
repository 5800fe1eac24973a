"""The containers that the chart renders, started from the replayed image: their words, variables and volumes as the manifest says, on this machine.

What belongs here: reading a pod's container and starting it. What does not: expectations. What cannot be as in a cluster is changed by name: the
object store becomes the state volume, a service's name and a port become loopback and a free one.
"""
from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resources.settings import PROJECT

sys.path.insert(0, str(PROJECT / "deploy"))
from replay import CONFIGURATION, Mount, container  # noqa: E402  deploy/ is a folder of scripts and no package

Document = dict[str, Any]
UID = 10001
ELSEWHERE = {"STRATA_LAKE_ROOT", "STRATA_LANDING_ROOT"}  # without them lake and landing lie in the state volume


@dataclass
class Cluster:
    """What pods are started with: the image's folder, the volumes' folders, Secrets and ConfigMaps, and what is put in the place of names and ports."""

    image: Path
    root: Path
    secrets: dict[str, dict[str, str]]
    config_maps: dict[str, dict[str, str]]
    instead: dict[str, str] = field(default_factory=dict)
    number: int = 0

    def __post_init__(self) -> None:
        self.state = self.folder("state")

    def folder(self, name: str) -> Path:
        made = self.root / name
        made.mkdir(parents=True)
        os.chown(made, UID, UID)
        return made

    def commands(self, pod: Document, container_name: str, words: Sequence[str] | None = None, command: Sequence[str] | None = None) -> list[str]:
        """The command that starts a container of a pod; `words`, `command`: instead of its own."""
        one = next(made for made in pod["containers"] if made["name"] == container_name)
        self.number += 1
        mounts = [self._mount(pod, mount, self.number) for mount in one["volumeMounts"] if mount["mountPath"] != "/tmp"]  # of /tmp each container has its own
        return container(self.image, mounts, [self._said(word) for word in (one.get("args", []) if words is None else words)], self.variables(one),
                         [self._said(word) for word in (one.get("command", []) if command is None else command)])

    def variables(self, one: Document) -> dict[str, str]:
        """As the kubelet makes them: references looked up, `$(NAME)` of an earlier one put in."""
        found: dict[str, str] = {}
        for variable in one["env"]:
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                found[variable["name"]] = self.secrets[reference["name"]][reference["key"]]
            else:
                found[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda hit: found[hit[1]], self._said(variable["value"]))
        return {name: value for name, value in found.items() if name not in ELSEWHERE}

    def _said(self, text: str) -> str:
        for name, other in self.instead.items():
            text = text.replace(name, other)
        return text

    def _mount(self, pod: Document, mount: Document, number: int) -> Mount:
        volume = next(one for one in pod["volumes"] if one["name"] == mount["name"])
        if "persistentVolumeClaim" in volume:
            source = self.state / mount.get("subPath", "")
        elif "emptyDir" in volume:
            source = self.root / f"pod-{number}" / mount["name"]
            source = source if source.exists() else self.folder(f"pod-{number}/{mount['name']}")
        else:
            source = self._files(volume, number)
        return Mount(source, mount["mountPath"], not mount.get("readOnly", False))

    def _files(self, volume: Document, number: int) -> Path:
        if "secret" in volume:
            content = self.secrets[volume["secret"]["secretName"]]
        elif "configMap" in volume:
            content = self.config_maps[volume["configMap"]["name"]]
        else:
            content = {"token": "of no cluster"}
        made = self.folder(f"pod-{number}/{volume['name']}")
        for name, text in content.items():
            (made / name).write_text(text)
        return made

    def done(self, command: list[str], seconds: float = 300) -> str:
        """What a command said that ended well."""
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
        assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
        return ended.stdout

    @contextmanager
    def served(self, command: list[str], name: str) -> Iterator[subprocess.Popen]:
        """A container that runs on; its log lies in the cluster's folder."""
        with (self.root / f"{name}.log").open("w") as log:
            child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
                child.wait(10)

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text(errors="replace")[-4000:]


def until(asked: Any, seconds: float, what: str, log: Any = lambda: "") -> Any:
    """The first true answer; AssertionError with the log after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := asked():
            return found
        assert time.monotonic() < deadline, f"{what} took more than {seconds:.0f} s\n{log()}"
        time.sleep(0.5)


__all__ = ["CONFIGURATION", "Cluster", "UID", "until"]
