"""The property of every reader: break k rows of a good file, and exactly those k are set apart; the others are identical."""
from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.formats import Format

from .readers import COLUMNS, Read, read_text

PROJECT = Path(__file__).resolve().parents[2]
CELL = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=8).filter(str.strip)
TABLE = st.lists(st.tuples(CELL, CELL, st.one_of(st.none(), CELL)), min_size=1, max_size=12)
BROKEN = {"csv": ("FIELD_COUNT", "QUOTE", "NUL_BYTE", "ENCODING"), "jsonl": ("JSON", "JSON_DUP_KEY", "UNICODE", "NUMBER", "NUL_BYTE", "ENCODING", "TYPE"), "xlsx": ("CELL", "FIELD_COUNT")}
LINES = {
    "FIELD_COUNT": b"one,two", "QUOTE": b'a,"b"c,d', "NUL_BYTE": b'a,\0,"b"', "ENCODING": b"a,\xff,b", "JSON": b'{"id": "1"', "JSON_DUP_KEY": b'{"id": "1", "id": "2"}',
    "UNICODE": b'{"id": "\\udc00"}', "NUMBER": b'{"id": NaN}', "TYPE": b'["id"]',
}


def csv_file(table: list, breaks: dict[int, str]) -> bytes:
    lines = [b"id,name,note"]
    for number, row in enumerate(table, 1):
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(["" if cell is None else cell for cell in row])
        lines.append(LINES[breaks[number]] if number in breaks else out.getvalue().encode())
    return b"\n".join(lines) + b"\n"


def jsonl_file(table: list, breaks: dict[int, str]) -> bytes:
    lines = [LINES[breaks[number]] if number in breaks else json.dumps(dict(zip(COLUMNS, row, strict=True))).encode() for number, row in enumerate(table, 1)]
    return b"\n".join(lines) + b"\n"


def xlsx_file(table: list, breaks: dict[int, str]) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Things"
    for column, name in enumerate(COLUMNS, 1):
        sheet.cell(1, column, name)
    for number, row in enumerate(table, 1):
        for column, cell in enumerate(row, 1):
            if cell is not None:
                sheet.cell(number + 1, column, cell).data_type = "s"
        if breaks.get(number) == "CELL":
            sheet.cell(number + 1, 1, "#REF!").data_type = "e"
        elif number in breaks:
            sheet.cell(number + 1, 4, "beyond the header")
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


FILES = {
    "csv": (csv_file, Format(name="csv")), "jsonl": (jsonl_file, Format(name="jsonl", type="jsonl")), "xlsx": (xlsx_file, Format(name="xlsx", type="xlsx", sheet="Things")),
}


def read_broken(kind: str, table: list, breaks: dict[int, str]) -> Read:
    make, format = FILES[kind]
    with tempfile.TemporaryDirectory(prefix="broken") as folder:
        return read_text(Path(folder), make(table, breaks), format, name=f"t.{kind}")


@pytest.mark.parametrize("kind", list(FILES))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_k_broken_rows_are_exactly_those_k_and_the_rest_is_identical(kind, data):
    table = data.draw(TABLE)
    places = data.draw(st.sets(st.integers(1, len(table))))
    breaks = {place: data.draw(st.sampled_from(BROKEN[kind])) for place in sorted(places)}
    found = read_broken(kind, table, breaks)
    assert [(row, rule) for row, rule, _ in found.rejects] == sorted(breaks.items())
    assert found.rows == [(number, *row) for number, row in enumerate(table, 1) if number not in breaks]
    repaired = read_broken(kind, table, {})
    assert repaired.rows == [(number, *row) for number, row in enumerate(table, 1)]


DROPPING = re.compile(r"\b(ignore_errors|store_rejects|on_bad_lines|error_bad_lines|warn_bad_lines|skip_bad\w*|bad_lines|null_padding|errors=.(ignore|replace)|invalid_row_handler|truncate_ragged_lines)\b")
ALLOWED = {("resources/landing.py", "store_rejects"), ("resources/records.py", "store_rejects")}


def test_no_reader_may_drop_rows_without_a_word():
    """Options of DuckDB, pandas, polars and pyarrow that skip, pad or repair what they cannot read, in any code of the project."""
    found = set()
    for folder in ("partitions", "resources", "platform_assets", "cli", "benchmarks", "samples"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            reading = [line for line in path.read_text(encoding="utf-8").splitlines() if "rmtree(" not in line]  # shutil's own ignore_errors
            found |= {(str(path.relative_to(PROJECT)), hit.group(1)) for line in reading for hit in DROPPING.finditer(line)}
    assert found - ALLOWED == set()
    assert DROPPING.search("read_csv(x, ignore_errors=true)")
    assert DROPPING.search("open(x, errors='replace')")
