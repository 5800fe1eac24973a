"""The parameters and vocabularies that one customer's run reads: shipped files, the installation's over them, the customer's over both.

What belongs here: which files count, the name of their state, and reading them as one table. What does not: the rules of rows
(parameter_rules.py), git (revision.py).
"""
from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partitions.errors import ParameterError
from resources.revision import COMMIT_DIGITS, DIRTY, REFERENCES, as_committed, commit_of, hash_of, inside, repository_of, resolved
from resources.settings import Settings
from resources.storage import TableSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.parameter_rules import RowRules

NAMED = re.compile(r"([0-9a-f]{12})@([0-9a-f]{12,64})")


@dataclass(frozen=True)
class ParameterState:
    """Folders that a run reads, and their `name`, `<hash of the files>@<commit>`. `overlays` maps a layer to its folder, in the order they are laid."""

    root: Path
    overlays: tuple[tuple[str, Path], ...]
    name: str
    commit: str | None = None

    def layers(self, kind: str, table: str) -> list[tuple[str, Path]]:
        """The files of one table: the shipped one, then the overlays that exist."""
        laid = [(layer, folder / f"{table}.csv") for layer, folder in self.overlays] if kind == "parameters" else []
        return [("shipped", self.root / kind / f"{table}.csv"), *((layer, path) for layer, path in laid if path.is_file())]


def state_hash(name: str) -> str:
    """Of a state's name what says whether the files are the same: another commit may hold the same ones."""
    return name.partition("@")[0]


def overlay_of(configured: Settings, customer_id: str) -> Path:
    """Where a customer's own parameters lie."""
    return configured.customers / customer_id / "parameters"


def state_of(configured: Settings, customer_id: str | None, pin: str | None = None) -> ParameterState:
    """The state that a customer's run reads, now or as a commit had it.

    `pin` names a commit, or a whole state as a version names it: then the files must give that hash again, the installation's fetched ones
    included, which no commit holds. ParameterError for a state that cannot be had.
    """
    root, own = configured.references, overlay_of(configured, customer_id) if customer_id else None
    commit, expected = None, None
    if pin is not None:
        expected, commit = _pinned(root, pin)
        root, own = _checked_out(configured, commit, customer_id)
    folders = [("installation", configured.home / "parameters"), *([("customer", own)] if own else [])]
    overlays = tuple((layer, folder) for layer, folder in folders if folder.is_dir())
    shipped = [(f"{kind}/{path.name}", path) for kind in REFERENCES for path in sorted((root / kind).glob("*.csv"))]
    laid = [(f"{layer}/{path.name}", path) for layer, folder in overlays for path in _files(folder, root)]
    found = hash_of([*shipped, *laid])
    if expected and found != expected:
        raise ParameterError(f"the state {expected} cannot be made again: commit {commit[:COMMIT_DIGITS]} and this installation's files give {found}",
                             fix="fetch what was fetched then, or name the commit alone")
    committed = [path for name, path in [*shipped, *laid] if not name.startswith("installation/")]
    name = commit[:COMMIT_DIGITS] if commit else commit_of(root, committed)
    return ParameterState(root, overlays, f"{found}@{name}", commit)


def _files(folder: Path, root: Path) -> list[Path]:
    """An overlay's files. ParameterError for a file that lies over nothing: it would be ignored."""
    files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in files:
        if path.suffix != ".csv" or not (root / "parameters" / path.name).is_file() or not path.is_file():
            raise ParameterError("no parameter is called so, and nothing would read the file", file=f"{folder.parent.name}/parameters/{path.name}",
                                 fix="name it like a file in parameters/")
    return files


def _pinned(root: Path, pin: str) -> tuple[str | None, str]:
    if pin.endswith((DIRTY, "@unknown")):
        raise ParameterError(f"the state {pin!r} was never committed, so nobody can read it again", fix="name a commit")
    named = NAMED.fullmatch(pin)
    return (named[1] if named else None), resolved(root, named[2] if named else pin)


def _checked_out(configured: Settings, commit: str, customer_id: str | None) -> tuple[Path, Path | None]:
    """The root and the customer's overlay as the commit had them."""
    repository = repository_of(configured.references)
    if repository is None:
        raise ParameterError("the folder is in no git repository", file=str(configured.references), fix="run from a git checkout")
    kept = configured.home / "parameters-of" / commit
    for kind in REFERENCES:
        as_committed(repository, commit, (configured.references / kind).resolve(), kept / kind)
    if customer_id is None:
        return kept, None
    own = overlay_of(configured, customer_id)
    if inside(own, repository):
        return kept, as_committed(repository, commit, own.resolve(), kept / "customers" / customer_id / "parameters")
    if own.is_dir():
        raise ParameterError("the customer's parameters lie outside of the repository, so the commit does not say what they were", customer=customer_id,
                             file=str(own), fix="keep customers/ in the repository of parameters/")
    return kept, None


# reading

_tables: dict[tuple, pa.Table] = {}
_words: dict[tuple, set[tuple[str, ...]]] = {}


def _stamp(path: Path) -> tuple[Path, int, int]:
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size


def read_state(state: ParameterState, kind: str, spec: TableSpec, limits: dict[str, dict[str, Any]], rules: RowRules) -> pa.Table:
    """One table of a state, its overlays judged and laid; read once per process and state of the files."""
    layers = state.layers(kind, spec.name)
    if state.commit and not layers[0][1].is_file():
        raise ParameterError(f"commit {state.commit[:COMMIT_DIGITS]} has no such file, and the code of today needs it", file=f"{spec.name}.csv",
                             fix="check out the code of then, or name a later commit")
    stamp = (state.commit, *(_stamp(path) for _, path in layers))
    if stamp not in _tables:
        _tables[stamp] = _read(state, layers, spec, limits, rules)
    return _tables[stamp]


def _read(state: ParameterState, layers: list[tuple[str, Path]], spec: TableSpec, limits: dict[str, dict[str, Any]], rules: RowRules) -> pa.Table:
    from resources.parameter_files import read_reference
    from resources.parameter_rules import laid_over

    try:
        made = read_reference(layers[0][1], spec, limits, rules)
    except ParameterError as error:
        if not state.commit:
            raise
        raise ParameterError(f"as commit {state.commit[:COMMIT_DIGITS]} has it: {error.problem}", **error.place,
                             fix="the contract of today cannot read it: check out the code of then, or name a later commit") from error
    for layer, path in layers[1:]:
        made = laid_over(made, read_overlay(state, layer, path, spec, limits, rules), spec.key, rules)
    return made


def read_overlay(state: ParameterState, layer: str, path: Path, spec: TableSpec, limits: dict[str, dict[str, Any]], rules: RowRules) -> pa.Table:
    """One overlay's file, with the licences that its layer may hold. ParameterError names the file by its folder."""
    from resources.parameter_files import read_lines
    from resources.parameter_rules import FURTHER

    known = limits.get("licence", {}).get("values")
    allowed = {**limits, "licence": {"values": [*known, *FURTHER[layer]]}} if known else limits
    place = f"{path.parent.parent.name}/parameters/{path.name}" if layer == "customer" else f"$STRATA_HOME/parameters/{path.name}"
    try:
        rows, lines = read_lines(path, spec, allowed, rules)
        check_references(state, path.name, rows.to_pylist(), lines, rules)
    except ParameterError as error:
        raise ParameterError(error.problem, fix=error.fix, **{**error.place, "file": place}) from error
    return rows


def check_references(state: ParameterState, file: str, rows: list[dict[str, Any]], lines: list[int], rules: RowRules) -> None:
    """Every word that a contract says other files know is known by one of them. ParameterError names the first that is not."""
    for reference in rules.references:
        columns = tuple(reference["columns"])
        named = tuple(reference.get("named", columns))
        known = set[tuple[str, ...]]().union(*(words_of(state, name, named) for name in reference["files"])) | {(word,) for word in reference.get("also", [])}
        for line, row in zip(lines, rows, strict=True):
            said = tuple(row[name] for name in columns)
            if None not in said and said not in known:
                raise ParameterError(f"{', '.join(map(repr, said))} is known by none of {', '.join(reference['files'])}", file=file, row=line,
                                     column=", ".join(columns), fix="correct the word, or add it there first")


def words_of(state: ParameterState, table: str, columns: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The words in columns of a table's files, all layers together; of a vocabulary the canonical ones."""
    kind = next(kind for kind in REFERENCES if (state.root / kind / f"{table}.csv").is_file() or kind == REFERENCES[-1])
    found: set[tuple[str, ...]] = set()
    for _, path in state.layers(kind, table):
        stamp = (*_stamp(path), columns)
        if stamp not in _words:
            with path.open(newline="", encoding="utf-8") as file:
                rows: list[Mapping[str, str]] = list(csv.DictReader(file))
            _words[stamp] = {tuple(row.get(name) or "" for name in columns) for row in rows}
        found |= _words[stamp]
    return found
