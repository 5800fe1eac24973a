"""Executes a Dockerfile's own steps in a folder, without Docker, and starts commands in the tree that comes out.

    python3 deploy/replay.py build <folder> --build-arg COMMIT=… [--build-arg …]
    python3 deploy/replay.py run <folder> <state> [--env NAME=VALUE …] -- <command> …

What belongs here: reading a Dockerfile and .dockerignore, and doing what ARG, FROM, WORKDIR, ENV, COPY, RUN, USER, LABEL, ENTRYPOINT and CMD say. Any
other instruction, option or form is refused: a step that is not executed would pass for one that works. What does not: what the image holds (Dockerfile).

In place of the base image stand the programs of this machine, mounted read-only, with the interpreter that runs this script at /usr/local, where
Python's images have theirs. Each step runs by chroot in a mount namespace of its own, with the numbers of USER, so this needs root. For `run` the
tree is mounted read-only: only /tmp, /dev/shm and what is mounted writable can be written.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dockerfile import Ignored, ReplayError, Step, assignments, expanded, parse

PROJECT = Path(__file__).resolve().parent.parent
HOST_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
HOST_FILES = tuple(f"/etc/{name}" for name in ("passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "ld.so.cache", "localtime", "ssl"))
BUILD_FILES = ("/etc/pip.conf",)  # mounted for a step, never part of the tree
PASSED = re.compile(r"PIP_|UV_|SSL_CERT_|REQUESTS_CA|(?:HTTPS?|NO|ALL)_PROXY$", re.IGNORECASE)  # how this machine reaches a package registry
CONFIGURATION = "image.json"


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a place in a tree."""

    source: Path
    target: str
    writable: bool = False


@dataclass
class Stage:
    """What an image is while it is made: its folder, and what later steps and containers start from."""

    folder: Path
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def path(self, inside: str) -> Path:
        """Where a path of the image lies on this machine."""
        absolute = PurePosixPath(self.workdir) / inside
        if ".." in absolute.parts:
            raise ReplayError(f"{inside} leads out of the image")
        return self.folder / str(absolute).lstrip("/")


def build(project: Path, folder: Path, arguments: Mapping[str, str]) -> Stage:
    """The last stage of project/Dockerfile, its tree at `folder`/tree and what it starts with in `folder`/image.json."""
    steps = parse((project / "Dockerfile").read_text())
    ignored = Ignored((project / ".dockerignore").read_text())
    stages: dict[str, Stage] = {}
    given: dict[str, str] = {}
    stage: Stage | None = None
    for step in steps:
        print(f"{step.line:>3}  {step.name} {step.rest[:150]}", flush=True)
        try:
            if step.name == "ARG":
                _argument(step, stage.arguments if stage else given, arguments)
            elif step.name == "FROM":
                stage = _begin(step, given, stages, folder)
            elif stage is None:
                raise ReplayError(f"{step.name} stands before the first FROM")
            else:
                _execute(step, stage, stages, project, ignored)
        except ReplayError as error:
            raise ReplayError(f"line {step.line}: {error}") from None
    if stage is None:
        raise ReplayError("the Dockerfile has no FROM")
    stage.folder.rename(folder / "tree")
    stage.folder = folder / "tree"
    said = {name: getattr(stage, name) for name in ("environment", "labels", "workdir", "user", "entrypoint", "command")}
    (folder / CONFIGURATION).write_text(json.dumps(said, indent=1))
    return stage


def _argument(step: Step, into: dict[str, str], given: Mapping[str, str]) -> None:
    name, has_default, default = step.rest.partition("=")
    if name in given or has_default:
        into[name] = given.get(name, default)


def _begin(step: Step, given: Mapping[str, str], stages: dict[str, Stage], folder: Path) -> Stage:
    words = step.rest.split()
    base = expanded(words[0], given)
    if not re.search(r"@sha256:[0-9a-f]{64}$", base):
        raise ReplayError(f"the base image {base or '(none)'!r} is not named by its digest: give --build-arg BASE_IMAGE=<name>@sha256:<digest>")
    name = words[2] if len(words) == 3 and words[1].upper() == "AS" else f"stage-{len(stages)}"
    stages[name] = Stage(folder / f"stage-{len(stages)}")
    stages[name].folder.mkdir(parents=True)
    return stages[name]


def _execute(step: Step, stage: Stage, stages: Mapping[str, Stage], project: Path, ignored: Ignored) -> None:
    values = {**stage.arguments, **stage.environment}
    if step.name == "WORKDIR":
        stage.path(step.rest).mkdir(parents=True, exist_ok=True)
        stage.workdir = str(PurePosixPath(stage.workdir) / expanded(step.rest, values))
    elif step.name == "ENV":
        stage.environment |= assignments(step.rest, values)
    elif step.name == "LABEL":
        stage.labels |= assignments(step.rest, values)
    elif step.name == "USER":
        if not re.fullmatch(r"[0-9]+:[0-9]+", step.rest):
            raise ReplayError("USER is a number:number, which a cluster can compare with zero")
        stage.user = step.rest
    elif step.name in ("ENTRYPOINT", "CMD"):
        words = json.loads(step.rest)
        if step.name == "ENTRYPOINT":
            stage.entrypoint = words
        else:
            stage.command = words
    elif step.name == "COPY":
        _copy(step, stage, stages, project, ignored)
    else:
        registry = {name: value for name, value in os.environ.items() if PASSED.match(name)}
        done = subprocess.run(inside(stage.folder, ["/bin/sh", "-c", step.rest], {**registry, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", **values},
                                     stage.workdir, stage.user))
        if done.returncode:
            raise ReplayError(f"RUN ended with {done.returncode}")


def _copy(step: Step, stage: Stage, stages: Mapping[str, Stage], project: Path, ignored: Ignored) -> None:
    *sources, target = step.rest.split()
    into = stage.path(target)
    if "from" in step.options:
        if step.options["from"] not in stages:
            raise ReplayError(f"there is no stage {step.options['from']}")
        for source in sources:
            shutil.copytree(stages[step.options["from"]].path(source), into, symlinks=True, copy_function=_linked, dirs_exist_ok=True)
        return
    for source in sources:
        found = [project] if source == "." else sorted(project.glob(source))
        files = [path for one in found for path in ([one] if one.is_file() else _files(one))]
        kept = [path for path in files if not ignored(path.relative_to(project).as_posix())]
        if not kept:
            raise ReplayError(f"COPY {source} finds nothing that .dockerignore lets through")
        for path in kept:
            goal = into / path.relative_to(project) if source == "." else into / path.name if target.endswith("/") else into
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, goal)
            goal.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _linked(source: str, target: str) -> None:
    """A second name instead of a second gigabyte: a stage that was copied from is not used again."""
    os.link(source, target, follow_symlinks=False)


def _files(folder: Path) -> list[Path]:
    """Every file of the checkout but those of git and of environments, which are many and which .dockerignore leaves out."""
    found = []
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in {".git", ".venv", ".strata", "build"}]
        found += [Path(path, name) for name in files]
    return found


MAKE_PLACE = """at() { # SOURCE TARGET: somewhere to mount it
    [ -e "$tree$2" ] && return
    if [ -d "$1" ]; then mkdir -p "$tree$2"; else mkdir -p "$(dirname "$tree$2")"; touch "$tree$2"; fi
}"""


def inside(tree: Path, words: Sequence[str], environment: Mapping[str, str], workdir: str = "/", user: str = "0:0", mounts: Sequence[Mount] = (),
           read_only: bool = False) -> list[str]:
    """The command that starts `words` with `tree` as its root, this machine's programs beneath it and `mounts` over it."""
    base = Path(sys.base_prefix)
    own = [] if base == Path("/usr") else [Mount(base, "/usr/local"), Mount(base, str(base))]  # at its own place too: it finds its library by that path
    folders = [Mount(Path(one), one) for one in HOST_FOLDERS if Path(one).is_dir() and not Path(one).is_symlink()]
    settings = [Mount(Path(one), one) for one in (*HOST_FILES, *(() if read_only else BUILD_FILES)) if Path(one).exists()]
    for link in (Path(one) for one in HOST_FOLDERS if Path(one).is_symlink()):
        if not (tree / link.name).is_symlink():
            (tree / link.name).symlink_to(link.readlink())
    below = [*folders, *own, *settings]
    for one in [*below, Mount(Path("/proc"), "/proc"), Mount(Path("/dev"), "/dev"), Mount(Path("/tmp"), "/tmp"), *mounts]:  # noqa: S108  the image's
        _mount_point(tree, one)
    (tree / "tmp").chmod(0o1777)
    script = ["set -e", f"tree={shlex.quote(str(tree))}", MAKE_PLACE,
              *(['mount --bind "$tree" "$tree"; mount -o remount,bind,ro "$tree"', 'mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"'] if read_only else []),
              *(_mounted(one) for one in [*below, *mounts]), 'mount --rbind /proc "$tree/proc"; mount --rbind /dev "$tree/dev"']
    number, group = user.split(":")
    drop = f"/usr/bin/setpriv --reuid {number} --regid {group} --clear-groups --no-new-privs --" if number != "0" else ""
    said = " ".join(shlex.quote(f"{name}={value}") for name, value in environment.items())
    script.append(f'exec chroot "$tree" /usr/bin/env -i {drop} /usr/bin/env -C {shlex.quote(workdir)} {said} "$@"')
    return ["unshare", "--mount", "/bin/bash", "-c", "\n".join(script), "replay", *words]


def _mounted(one: Mount) -> str:
    source, target = shlex.quote(str(one.source)), shlex.quote(one.target)
    return f'at {source} {target}; mount --rbind {source} "$tree"{target}' + ("" if one.writable else f'; mount -o remount,bind,ro "$tree"{target}')


def _mount_point(tree: Path, one: Mount) -> None:
    """Where a mount lies on the tree itself; below another mount there may be no place yet, which is then made in that one."""
    point = tree / one.target.lstrip("/")
    if point.exists() or one.target == "/usr/local":
        return
    if one.source.is_dir():
        point.mkdir(parents=True)
    else:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.touch()


def container(folder: Path, mounts: Sequence[Mount], words: Sequence[str], environment: Mapping[str, str], command: Sequence[str] = ()) -> list[str]:
    """The command that starts a container of the replayed image: ENTRYPOINT (or `command`) and `words` (or CMD), with its ENV, USER and WORKDIR, read-only."""
    image = json.loads((folder / CONFIGURATION).read_text())
    started = [*(command or image["entrypoint"]), *(words or ([] if command else image["command"]))]
    return inside(folder / "tree", started, {**image["environment"], **environment}, image["workdir"], image["user"], mounts, read_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("build")
    making.add_argument("folder", type=Path)
    making.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    starting = commands.add_parser("run")
    starting.add_argument("folder", type=Path)
    starting.add_argument("state", type=Path, help="the folder that lies at /var/lib/strata, writable by the image's user")
    starting.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    starting.add_argument("words", nargs="*")
    given = parser.parse_args()
    try:
        if os.geteuid():
            raise ReplayError("a tree is entered by chroot and USER by its number, which takes root")
        if given.command == "build":
            build(PROJECT, given.folder.resolve(), dict(one.split("=", 1) for one in given.build_arg))
        else:
            environment = dict(one.split("=", 1) for one in given.env)
            command = container(given.folder.resolve(), [Mount(given.state.resolve(), "/var/lib/strata", True)], given.words, environment)
            os.execvp(command[0], command)  # noqa: S606  no shell wanted
    except ReplayError as error:
        sys.exit(f"ReplayError: {error}")


if __name__ == "__main__":
    main()
