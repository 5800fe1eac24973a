"""One file of the bad inputs through the functions of landing and bronze, and then silver's judgement of its rows.

Run as a program it takes a JSON list of cases on stdin and prints one JSON line for each, with its seconds and the process's peak memory:
hostile files get a process of their own.
"""
from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from partitions.errors import DeliveryError
from platform_assets.contracts import contract
from platform_assets.landing import typed_counts
from resources.landing import account, counted, load
from resources.staging import SourceContract, delivered, examine, stage
from tests.bad_inputs.outcomes import Outcome
from tests.landing.readers import locked_session

BRONZE = Path(__file__).parent / "contracts" / "bronze"
PLACE = {"customer": "acme", "table": "case"}


def peak_mb() -> float:
    """VmHWM of this program. `ru_maxrss` would count the process that started it, whose memory a child has until it executes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def source_of(name: str) -> SourceContract:
    """A test contract as landing takes it."""
    made = contract(BRONZE / f"{name}.odcs.yaml")
    types = {str(p.name): str(p.logicalType) for p in made.properties if not str(p.name).startswith("_")}
    return SourceContract(name, made.spec.mode, tuple(types), made.formats, made.spec.owner_column, types, made.spec.drift, typed_counts(made))


def format_of(source: SourceContract, path: Path) -> str:
    """The format that a file's name asks for; an archive is of the only one."""
    return next(iter(source.formats)) if len(source.formats) == 1 else path.suffix.removeprefix(".")


def run(path: Path, name: str, owner: str, folder: Path) -> tuple[Outcome, int]:
    """What became of a file, and how many rows it accounts for. `folder` is the only place where anything may be written."""
    source = source_of(name)
    case = folder / "delivered" / f"case{''.join(path.suffixes)}"
    work = folder / "work"
    case.parent.mkdir(parents=True)
    work.mkdir()
    shutil.copyfile(path, case)
    format = source.formats[format_of(source, path)]
    try:
        staged = stage(case, work, 0, format, source, PLACE)
        examine(staged, format, source, "acme", {owner}, PLACE)
    except DeliveryError as error:
        assert list((folder / "delivered").iterdir()) == [case], "a refused file writes outside its work folder"
        return Outcome(rejected=error.place["rule"]), 0
    from tests.bad_inputs.judging import judge_rows  # ibis costs 0.3 s, and most hostile files do not come this far

    facts = staged.facts
    with locked_session(work) as session:
        loaded = load(session, work, [delivered(staged, "acme", name, format.name, work)], source.formats, source.columns, "landing_case")
        session.execute("CREATE TEMP TABLE bronze AS FROM landing_case")
        account(loaded, counted(session, "bronze"))
        rows, kept = judge_rows(session, "bronze", name, {key: value.convention for key, value in source.formats.items()})
    kept += Counter(facts.faults)
    assert rows + kept.total() == facts.rows, "a row was lost"
    return Outcome(rows, dict(kept), facts.blank, frozenset(facts.repairs)), facts.rows + facts.blank


def result(path: str, name: str, owner: str) -> dict[str, Any]:
    """A run as plain values, with its cost."""
    folder = Path(tempfile.mkdtemp(prefix="case"))
    start = time.perf_counter()
    try:
        outcome, rows = run(Path(path), name, owner, folder)
    finally:
        shutil.rmtree(folder)
    found = {**asdict(outcome), "repairs": sorted(outcome.repairs)}
    return {"path": path, "outcome": found, "rows": rows, "seconds": time.perf_counter() - start,
            "rss_mb": peak_mb()}


if __name__ == "__main__":
    for case in json.load(sys.stdin):
        print(json.dumps(result(*case)), flush=True)
