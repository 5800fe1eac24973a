"""Behaviour of resources/inspection.py and headers.py: a file that is not what its format declares is refused, naming no value."""
from __future__ import annotations

import csv
import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitions.errors import AccountingError, DeliveryError
from resources.formats import Format, formats_of
from resources.inspection import inspect, mend
from resources.readable import Rejects

from .conftest import SHARED, source_of
from .readers import COLUMNS, PLAIN, delivered, read, read_text

WANTED = Format(name="wanted", required=("id", "name"), columns={"Libellé": "name"}, ignore=("Comment",))
HEADER = "id,Libellé,note"


def refused(folder: Path, content: bytes | str, format: Format = WANTED) -> DeliveryError:
    path = folder / "things.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DeliveryError) as caught:
        inspect(path, format, COLUMNS, customer="acme", table="things")
    assert {"customer", "table", "file", "rule"} <= set(caught.value.place)
    assert caught.value.fix
    assert "canary" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("content", "rule"), [
    (b"", "EMPTY"), (b" \n\n", "EMPTY"), (b"\xef\xbb\xbf", "EMPTY"),
    (b"\x7fELF\x02\x01\x01\x00\x00canary" + bytes(range(32)) * 20, "NOT_CSV"), (gzip.compress(HEADER.encode() * 9, mtime=0), "NOT_CSV"),
    ("<!DOCTYPE html><html>canary", "NOT_CSV"), ("  <html>", "NOT_CSV"), ('{"error": "canary"}', "NOT_CSV"), ('[{"id": 1}]', "NOT_CSV"),
    ((HEADER + "\n1,canary,b\n").encode("utf-16-le"), "ENCODING"), ((HEADER + "\n1,canary,b\n").encode("utf-16-be"), "ENCODING"),
    ((HEADER + "\n1,canary,b\n").encode("utf-32"), "ENCODING"), ((HEADER + "\n1,canary,b\n").encode("cp1252"), "ENCODING"),
    ("id;Libellé;note\n1;canary;b\n", "DIALECT"), ("id\tLibellé\tnote\n1\tcanary\tb\n", "DIALECT"), (f"{HEADER}\r1,canary,b\r", "DIALECT"),
    ("1,canary,b\n2,a,b\n", "HEADER"), ("report of canary\n\n" + HEADER + "\n", "HEADER"),
    (f"{HEADER},id\n", "HEADER"), (f"{HEADER},ID\n", "HEADER"), (f"{HEADER},\n", "HEADER"), (f"{HEADER},name\n1,a,b,c\n", "HEADER"),
    ("id,Libellé ,note\n1,canary,b\n", "HEADER"), ('"id,Libellé,note\n1,canary,b\n', "HEADER"),
    ("id,note\n1,canary\n", "SCHEMA"), ("id,Libellé," + ",".join(f"c{n}" for n in range(2000)) + "\n", "SCHEMA"),
])
def test_a_file_that_is_not_the_declared_one_is_refused_by_reason(tmp_path, content, rule):
    assert refused(tmp_path, content).place["rule"] == rule


def test_missing_and_unexpected_columns_are_named(tmp_path):
    error = refused(tmp_path, "id,note,Colour\n1,canary,b\n")
    assert "columns missing: Libellé; unexpected: Colour" in str(error)


def test_columns_are_read_by_name_in_any_order_and_strange_ones_are_recorded(tmp_path):
    found = read_text(tmp_path, "note,x_extra,Comment,id,Libellé\nn,x,c,1,l\n", WANTED)
    assert found.rows == [(1, "1", "l", "n")]
    assert found.facts.unexpected == ("x_extra",)


def test_a_missing_optional_column_is_null(tmp_path):
    assert read_text(tmp_path, "id,Libellé\n1,l\n", WANTED).rows == [(1, "1", "l", None)]


def test_hostile_column_names_do_no_harm(tmp_path):
    name = "x'; DROP TABLE t; --\"\"'}"
    assert read_text(tmp_path, f'id,Libellé,"{name}"\n1,l,z\n', WANTED).rows == [(1, "1", "l", None)]


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), Path.mkdir, lambda path: None, os.mkfifo])
def test_what_is_not_a_regular_file_is_refused(tmp_path, make):
    make(tmp_path / "things.csv")
    with pytest.raises(DeliveryError, match="things.csv"):
        inspect(tmp_path / "things.csv", PLAIN, COLUMNS)


def test_a_file_that_changes_between_the_passes_is_an_accounting_error(tmp_path):
    path = tmp_path / "things.csv"
    path.write_text("id,name,note\n1,a\n")
    facts = inspect(path, PLAIN, COLUMNS)
    path.write_text("id,name,note\n1,a\n2,a\n")
    with (tmp_path / "r").open("wb") as out, pytest.raises(AccountingError):
        mend(path, PLAIN, facts, COLUMNS, out, Rejects(tmp_path / "x", "things.csv", facts.sha256))


def test_parquet_is_counted_by_its_own_metadata_and_damage_is_refused(tmp_path):
    path, format = tmp_path / "t.parquet", Format(name="p", type="parquet", required=("id",))
    pq.write_table(pa.table({"id": [1, 2], "name": ["a", None]}), path)
    assert (inspect(path, format, COLUMNS).rows, inspect(path, format, COLUMNS).header) == (2, ("id", "name"))
    damaged = path.read_bytes()
    assert refused(tmp_path, damaged[:-20], format).place["rule"] == "TRUNCATED"
    assert refused(tmp_path, "id,name\n1,a\n", format).place["rule"] == "NOT_PARQUET"
    assert refused(tmp_path, b"", format).place["rule"] == "EMPTY"
    pq.write_table(pa.table({"nothing": [1]}), path)
    assert refused(tmp_path, path.read_bytes(), format).place["rule"] == "HEADER"


def test_a_format_with_an_unknown_setting_or_column_is_refused():
    for settings in ({"colour": "red"}, {"delimiter": "::"}, {"delimiter": "é"}, {"columns": {"a": "stranger"}}, {"required": ["stranger"]},
                     {"columns": {"a": "id", "b": "id"}}, {"convention": {"comma": ","}}, {"quote": ","}, {"type": "xlsx"}, {"type": "xml"}, {"type": "parquet", "containers": ["zip"]}):
        with pytest.raises(Exception, match="format f"):
            formats_of({"f": settings}, COLUMNS)


@pytest.mark.skipif(not SHARED.exists(), reason="the shared inputs are not here")
@pytest.mark.parametrize(("file", "table", "format", "rows"), [
    ("focus/focus_1_0_sample_1000.csv", "cloud_billing", "focus_1_0_space", 1000),
    ("numecoeval_g4it/equipement_physique_light_2023-07-19.csv", "equipment_inventory", "g4it_1", 1971),
])
def test_the_real_inputs_are_counted_and_loaded_whole(tmp_path, file, table, format, rows):
    source, path = source_of(table), tmp_path / "real.csv"
    path.write_bytes((SHARED / "data" / "inputs" / file).read_bytes())
    found = read(path, source.formats[format], source.columns)
    assert (len(found.rows), found.rejects, found.facts.is_plain) == (rows, [], True)


STRUCTURAL = {"EMPTY", "NOT_CSV", "ENCODING", "NUL_BYTE", "DIALECT", "HEADER", "SCHEMA", "FIELD_COUNT", "QUOTE", "TRUNCATED", "CELL_SIZE"}
INVOICE = ("customer_id", "invoice_id", "invoice_date", "amount", "currency", "description")


def _own_cases():
    manifest = SHARED / "data" / "bad_inputs" / "MANIFEST.csv"
    if not manifest.exists():
        return []
    with manifest.open(newline="", encoding="utf-8") as lines:
        own = [row for row in csv.DictReader(lines) if row["path"].startswith("csv/own/") and (row["contract"], row["active"]) == ("invoice", "now")]
    return [(row["path"], row["outcomes"]) for row in own if "CONTROL_TOTAL" not in row["outcomes"]]  # trailers are not declared yet


@pytest.mark.parametrize(("path", "outcomes"), _own_cases())
def test_structural_faults_of_the_bad_inputs_end_as_their_manifest_says(tmp_path, path, outcomes):
    """Reasons of values (DATE, DOMAIN, TENANT …) are for later layers: there, only that no row is lost is asked for."""
    format = Format(name="invoice", required=INVOICE[:5], final_line_end="required")
    content = (SHARED / "data" / "bad_inputs" / path).read_bytes()
    try:
        found = read_text(tmp_path, content, format, columns=INVOICE)
    except DeliveryError as error:
        found, refusal = None, f"reject:{error.place['rule']}"
    if found is None:
        assert refusal in outcomes.split("|")
        return
    broken: dict[str, int] = {}
    for _, rule, _ in found.rejects:
        broken[rule] = broken.get(rule, 0) + 1
    tokens = [set(alternative.split("+")) for alternative in outcomes.split("|")]
    ours = {f"quarantine:{count}:{rule}" for rule, count in broken.items()} | {f"repair:{rule}" for rule in found.facts.repairs}
    expected = [{token for token in alternative if token.startswith(("quarantine", "repair")) and token.split(":")[-1] in STRUCTURAL} for alternative in tokens]
    assert ours in expected, json.dumps([path, outcomes, sorted(ours)])


def test_a_clean_file_needs_no_copy(tmp_path):
    (tmp_path / "things.csv").write_text("id,name,note\n1,a,b\n")
    assert delivered(tmp_path / "things.csv").readable is None


def test_a_file_that_is_mostly_broken_is_not_of_this_format(tmp_path):
    error = refused(tmp_path, HEADER + "\n" + '1,a 27" canary,b\n' * 5000)
    assert "more than half of the records are broken" in str(error)
