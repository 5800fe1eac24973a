"""Where the peers' figures lie and how they are read: vectors.csv of the folder `STRATA_VECTORS`, and the reference data beside it."""

import csv
import json
import os
from pathlib import Path

PROJECT = Path(__file__).parents[2]
BESIDE = next((folder for folder in (PROJECT.parent, PROJECT.parents[1]) if (folder / "shared/data/vectors").exists()), PROJECT.parent)
VECTORS = Path(os.environ.get("STRATA_VECTORS", BESIDE / "shared/data/vectors"))
REFERENCE = VECTORS.parent / "reference"


def read(path):
    """A CSV as dicts; none where there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as text:
        return list(csv.DictReader(text))


def vectors():
    """case_id -> {group, method, input, expected: {output: (figure, unit, relative tolerance)}}."""
    cases = {}
    for row in read(VECTORS / "vectors.csv"):
        case = cases.setdefault(row["case_id"], {"group": row["group"], "method": row["method"], "input": json.loads(row["input"]), "expected": {}})
        case["expected"][row["output"]] = (float(row["expected"]), row["unit"], float(row["rel_tol"]))
    return cases
