"""Every file of the shared bad inputs ends in one of the outcomes of MANIFEST.csv, through the readers that the assets use."""
from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from partitions.errors import DeliveryError
from resources.deliveries import check_object_name
from tests.bad_inputs.outcomes import Outcome, alternatives

PROJECT = Path(__file__).resolve().parents[2]
INPUTS = Path(os.environ.get("STRATA_BAD_INPUTS") or PROJECT.parent / "shared" / "data" / "bad_inputs")
ACTIVE_CASES = 348
HOSTILE = ("bomb", "huge_cell", "too_many", "deep_nesting", "xxe", "billion", "footer_len_lie", "nested_0", "apache_bad_data", "slip", "abs_0", "symlink")
BATCH = 40  # the peak of memory is that of the process: 82 files in one came near the limit of 512 MB on a loaded machine
START_LIMIT_SECONDS = 60

pytestmark = pytest.mark.skipif(not (INPUTS / "MANIFEST.csv").exists(), reason="the shared bad inputs are not here (STRATA_BAD_INPUTS)")


def manifest() -> list[dict[str, str]]:
    """The rows of the manifest that are to be tried now; a list of names is not a file."""
    if not (INPUTS / "MANIFEST.csv").exists():
        return []
    with (INPUTS / "MANIFEST.csv").open(newline="", encoding="utf-8") as lines:
        return [row for row in csv.DictReader(lines) if row["active"] == "now"]


CASES = [row for row in manifest() if row["contract"] != "names"]


def is_hostile(case: dict[str, str]) -> bool:
    return any(word in case["path"] for word in HOSTILE)


def in_a_process(cases: list[dict[str, str]]) -> dict[str, dict]:
    """Results by path; the case at which a process died or hung has none."""
    work = [[str(INPUTS / case["path"]), case["contract"], case["owner"]] for case in cases]
    seconds = START_LIMIT_SECONDS + sum(float(case["max_seconds"]) for case in cases) / 10
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-m", "tests.bad_inputs.running"], input=json.dumps(work), capture_output=True, text=True, timeout=seconds,
                          cwd=PROJECT, env=environment, check=False)
    found = {line["path"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, f"after {len(found)} of {len(cases)} cases: {done.stderr[-2000:]}"
    return {str(Path(path).relative_to(INPUTS)): line for path, line in found.items()}


@pytest.fixture(scope="module")
def results() -> dict[str, dict]:
    """The ordinary files, in a few processes."""
    ordinary = [case for case in CASES if not is_hostile(case)]
    with ThreadPoolExecutor(2) as pool:
        parts = pool.map(in_a_process, [ordinary[start : start + BATCH] for start in range(0, len(ordinary), BATCH)])
        return {path: line for part in parts for path, line in part.items()}


def judge(case: dict[str, str], found: dict) -> None:
    outcome = Outcome(**{**found["outcome"], "repairs": frozenset(found["outcome"]["repairs"])})
    allowed = alternatives(case["outcomes"])
    assert allowed is None or any(one.allows(outcome) for one in allowed), f"{case['outcomes']} but {outcome}"


@pytest.mark.parametrize("case", [case for case in CASES if not is_hostile(case)], ids=lambda case: case["path"])
def test_a_file_ends_as_the_manifest_says(results, case):
    judge(case, results[case["path"]])
    assert results[case["path"]]["seconds"] < float(case["max_seconds"])
    assert results[case["path"]]["rss_mb"] < float(case["max_rss_mb"])


@pytest.mark.parametrize("case", [case for case in CASES if is_hostile(case)], ids=lambda case: case["path"])
def test_a_hostile_file_ends_as_the_manifest_says_within_its_limits(case):
    start = time.perf_counter()
    found = in_a_process([case])[case["path"]]
    assert time.perf_counter() - start < float(case["max_seconds"]), "python's start included"
    assert found["rss_mb"] < float(case["max_rss_mb"])
    judge(case, found)


def test_no_row_is_lost_silently(results):
    """Of files that load, every row of the manifest is loaded, quarantined or a declared skip. Lines with several records count once."""
    lost = 0
    for case in CASES:
        found = results.get(case["path"])
        if found and case["rows_in"] and not found["outcome"]["rejected"] and case["case"] != "concatenated_no_newline":
            lost += int(case["rows_in"]) - (found["rows"] - found["outcome"]["skipped"])
    assert lost == 0


def test_every_active_case_is_tried():
    assert len(manifest()) == ACTIVE_CASES


@pytest.mark.parametrize("name", json.loads((INPUTS / "names" / "hostile_names.json").read_text("utf-8")) if CASES else [], ids=ascii)
def test_a_hostile_object_name_is_refused(name):
    with pytest.raises(DeliveryError) as caught:
        check_object_name(name)
    assert caught.value.place["rule"] == "NAME"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["case.csv", "a-1_b.csv.gz", "0.jsonl", "x" * 100 + ".zip"])
def test_a_plain_object_name_is_allowed(name):
    assert check_object_name(name) == name


@pytest.mark.parametrize("text", ["load", "load:1+load:2", "loads:1", "quarantine:1", "quarantine:1:NO_SUCH", "reject:JSON+load:1", "skip:*", "reject:json", "", "load:1|"])
def test_an_outcome_that_is_not_in_the_grammar_fails(text):
    with pytest.raises(ValueError):
        alternatives(text)


@pytest.mark.parametrize("case", [case for case in CASES if case["case"] == "csv-spectrum"], ids=lambda case: case["path"])
def test_the_cells_of_csv_spectrum_come_out_as_published(case, tmp_path):
    from tests.bad_inputs.running import source_of
    from tests.landing.readers import read

    stem = Path(case["path"]).stem
    expected = json.loads((INPUTS / "csv" / "csv_spectrum_json" / f"{stem}.json").read_text("utf-8"))
    path = tmp_path / "case.csv"
    path.write_bytes((INPUTS / case["path"]).read_bytes())
    found = read(path, source_of("generic_csv").formats["csv"], ())
    if stem in ("newlines_crlf", "location_coordinates"):  # published otherwise than the CSV: counts only
        assert len(found.rows) == int(case["rows_in"])
    else:
        assert [json.loads(found.extras[row]) for (row,) in found.rows] == expected
