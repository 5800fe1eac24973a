"""Behaviour of containers, workbooks and staging: archives are unpacked under limits, and a workbook's cells say exactly what they hold."""
from __future__ import annotations

import gzip
import io
import json
import stat
import zipfile
import zlib
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partitions.errors import DeliveryError
from resources.formats import Format

from .readers import COLUMNS, read, read_text

PACKED = Format(name="p", containers=("gzip", "zip"), required=("id",))
SHEET = Format(name="s", type="xlsx", sheet="Things", required=("id",), strict_types=True)
TYPES = {"id": "string", "name": "number", "note": "date"}
TEXT = b"id,name,note\n1,a,b\n2,a\n3,a,b\n"


def refusal(folder: Path, content: bytes, format: Format = PACKED, **options) -> str:
    before = {*folder.iterdir(), folder / options.get("name", "things.csv")}
    with pytest.raises(DeliveryError) as caught:
        read_text(folder, content, format, **options)
    assert all(path.name.startswith("staged") for path in {*folder.iterdir()} - before), "something was written outside the work folder"
    return caught.value.place["rule"]


def plain_id(value: object) -> str:
    """An id that is the same in every worker: archives hold the time at which they were made."""
    return value if isinstance(value, str) else "file"


def zipped(*members: tuple[str, bytes], mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


@pytest.mark.parametrize("pack", [lambda text: text, lambda text: gzip.compress(text, mtime=0), lambda text: zipped(("a.csv", text)),
                                  lambda text: gzip.compress(text[:15], mtime=0) + gzip.compress(text[15:], mtime=0)])
def test_an_archive_gives_the_rows_of_the_plain_file(tmp_path, pack):
    found = read_text(tmp_path, pack(TEXT), PACKED)
    assert found.rows == [(1, "1", "a", "b"), (3, "3", "a", "b")]
    assert found.rejects == [(2, "FIELD_COUNT", "2,a")]
    assert found.facts.bytes == len(pack(TEXT))


def test_the_members_of_a_zip_are_numbered_through_and_loaded_together(tmp_path):
    found = read_text(tmp_path, zipped(("b.csv", TEXT), ("a/", b""), ("a/c.csv", b"id,name,note\r\n4,x,y\r\n")), PACKED)
    assert [row[:2] for row in found.rows] == [(1, "1"), (3, "3"), (4, "4")]


def test_json_lines_are_read_out_of_archives(tmp_path):
    format = Format(name="l", type="jsonl", containers=("zip", "gzip"))
    assert len(read_text(tmp_path, zipped(("a.jsonl", b'{"id": 1}\n'), ("b.jsonl", b'{"id": 2}\nx\n')), format).rows) == 2
    assert len(read_text(tmp_path, gzip.compress(b'{"id": 1}'), format).rows) == 1


LINK = stat.S_IFLNK | 0o777
HEADER_ONLY = b"id,name,note\n"


@pytest.mark.parametrize(("content", "rule"), [
    (zipped(("../a.csv", TEXT)), "PATH"), (zipped(("/a.csv", TEXT)), "PATH"), (zipped(("C:a.csv", TEXT)), "PATH"), (zipped(("a\\..\\b.csv", TEXT)), "PATH"),
    (zipped(("a.csv", b"/etc/hostname"), mode=LINK), "PATH"), (zipped(("a.csv", TEXT), ("A.csv", TEXT)), "ARCHIVE"), (zipped(("a.csv", TEXT), ("b.txt", TEXT)), "ARCHIVE"),
    (zipped(("a.csv", TEXT), ("b.csv", b"id,name\n1,2\n")), "ARCHIVE"), (zipped(), "ARCHIVE"), (zipped(("a.csv", zipped(("b.csv", TEXT)))), "BOMB"),
    (gzip.compress(gzip.compress(TEXT)), "BOMB"), (zipped(("a.csv", bytes(1 << 20))), "BOMB"), (gzip.compress(b"a" * (1 << 20)), "BOMB"),
    (gzip.compress(TEXT)[:-9], "TRUNCATED"), (gzip.compress(TEXT)[:-1], "TRUNCATED"), (gzip.compress(TEXT)[:-8] + b"\0" * 8, "CHECKSUM"),
    (gzip.compress(TEXT) + b"more", "ARCHIVE"), (gzip.compress(TEXT) + b"m", "ARCHIVE"), (zipped(("a.csv", TEXT))[:60], "ARCHIVE"), (gzip.compress(b""), "EMPTY"),
], ids=plain_id)
def test_a_hostile_or_damaged_archive_is_refused_whole(tmp_path, content, rule):
    assert refusal(tmp_path, content) == rule


def test_a_changed_byte_in_a_zip_is_found_by_its_checksum(tmp_path):
    content = bytearray(zipped(("a.csv", TEXT)))
    at = content.index(zlib.crc32(TEXT).to_bytes(4, "little"))
    while at >= 0:
        content[at] ^= 1
        at = content.find(zlib.crc32(TEXT).to_bytes(4, "little"), at + 1)
    assert refusal(tmp_path, bytes(content)) == "CHECKSUM"


def test_an_archive_that_is_not_declared_is_not_read(tmp_path):
    assert refusal(tmp_path, gzip.compress(TEXT * 50), Format(name="plain")) == "NOT_CSV"


def workbook(rows: list[list], is_1904: bool = False, **sheets: list[list]) -> bytes:
    book = openpyxl.Workbook()
    if is_1904:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.title = "Things"
    for row in rows:
        book.active.append(row)
    for name, others in sheets.items():
        other = book.create_sheet(name)
        for row in others:
            other.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def sheet(folder: Path, *rows: list, **options):
    return read_text(folder, workbook([["id", "name", "note"], *rows], **options), SHEET, name="things.xlsx", types=TYPES)


@pytest.mark.parametrize("is_1904", [False, True])
def test_cells_become_exact_text_in_both_date_systems(tmp_path, is_1904):
    found = sheet(tmp_path, ["007", 603.3099999999999, date(2025, 1, 13)], ["b", 12, "2025-01-14"], ["c", -0.00001, None], is_1904=is_1904, Other=[[1]])
    assert found.rows == [(1, "007", "603.31", "2025-01-13"), (2, "b", "12", "2025-01-14"), (3, "c", "-0.00001", None)]
    assert found.facts.notes == ("sheet Other",)


@pytest.mark.parametrize(("row", "rule"), [
    (["2", "=1+1", None], "CELL"), (["2", "#N/A", None], "CELL"), (["2", "12,5", None], "CELL"), ([2, 1, None], "CELL"), (["2", True, None], "CELL"),
    (["2", 1234567890123456, None], "CELL"), (["2", 1, 45000], "CELL"), (["2", 1, datetime(2025, 1, 1, 18)], "DATE"), (["2", 1, None, "beyond"], "FIELD_COUNT"),
])
def test_a_cell_without_an_exact_value_of_its_type_costs_its_row(tmp_path, row, rule):
    found = sheet(tmp_path, ["1", 1, None], row, ["3", 3, None])
    assert ([row[0] for row in found.rows], [row[:2] for row in found.rejects]) == ([1, 3], [(2, rule)])


def test_serial_60_is_no_day(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "Things"
    book.active.append(["id", "note"])
    for serial in (59, 60, 61):
        book.active.append(["x", serial])
        book.active.cell(book.active.max_row, 2).number_format = "yyyy-mm-dd"
    book.save(tmp_path / "b.xlsx")
    found = read(tmp_path / "b.xlsx", SHEET, types=TYPES)
    assert ([row[3] for row in found.rows], [row[:2] for row in found.rejects]) == (["1900-02-28", "1900-03-01"], [(2, "DATE")])


def test_undeclared_columns_of_a_sheet_are_kept_and_blank_rows_are_skips(tmp_path):
    content = workbook([["id", "colour", "size"], ["1", "red", 2.5], [None, None], ["2", None, None]])
    found = read_text(tmp_path, content, SHEET, name="t.xlsx", types=TYPES)
    assert [row[:2] for row in found.rows] == [(1, "1"), (2, "2")]
    assert (found.extras, found.facts.unexpected) == ({1: '{"colour":"red","size":"2.5"}'}, ("colour", "size"))


@pytest.mark.parametrize(("content", "rule"), [
    (b"", "EMPTY"), (b"PK\x03\x04rubbish", "NOT_XLSX"), (zipped(("a.csv", TEXT)), "NOT_XLSX"), (b"\xd0\xcf\x11\xe0" + bytes(600), "NOT_XLSX"),
    (workbook([["Report"], ["id", "name"]]), "HEADER"), (workbook([["name"], [1]]), "SCHEMA"), (workbook([]), "HEADER"), (workbook([["id", "ID"]]), "HEADER"),
], ids=plain_id)
def test_what_is_not_the_declared_sheet_is_refused(tmp_path, content, rule):
    assert refusal(tmp_path, content, SHEET, name="t.xlsx", types=TYPES) == rule
    assert refusal(tmp_path, workbook([["id"]]), SHEET.model_copy(update={"sheet": "None"}), name="u.xlsx") == "SCHEMA"


def test_a_control_total_is_checked_and_its_line_is_a_skip(tmp_path):
    control = {"prefix": "#TRAILER", "rows": "rows", "sums": {"sum": "name"}}
    format = Format(name="t", delimiter=";", trailer=control, convention={"decimal_mark": ",", "group_mark": "."}, final_line_end="required")
    body = "id;name;note\n1;1.000,10;x\n2;-0,1;y\n"
    from resources import staging

    from .readers import staged_file

    def examined(text: str) -> staging.Examined:
        path = tmp_path / "t.csv"
        path.write_text(text)
        source = staging.SourceContract("things", "snapshot", COLUMNS, {"t": format})
        return staging.examine(staged_file(path, format), format, source, "acme", (), {"customer": "acme", "table": "things"})

    found = read_text(tmp_path, body + "#TRAILER;rows=2;sum=1000,00\n", format)
    assert (len(found.rows), found.facts.blank) == (2, 1)
    assert {name: str(total.normalize()) for name, total in examined(body + "#TRAILER;rows=2;sum=1000,0").sums.items()} == {"name": "1E+3"}
    for trailer in ("rows=3;sum=1000", "rows=2;sum=1000,01", "rows=2", "rows=2;sum=NaN", "rows=2;sum=x", "rows=two;sum=1000"):
        with pytest.raises(DeliveryError) as caught:
            examined(body + f"#TRAILER;{trailer}\n")
        assert caught.value.place["rule"] == "CONTROL_TOTAL"


def test_a_quote_inside_an_unquoted_field_is_text_where_that_is_declared(tmp_path):
    format = Format(name="q", quote_mode="literal")
    found = read_text(tmp_path, 'id,name,note\n1,27" wide,"a ""b"", c"\n2,a"b"c,"x\ny"\n3,"","5"""\n4,"a"b,c\n5,"",x"\n', format.model_copy(update={"null_tokens": ()}))
    assert found.rows == [(1, "1", '27" wide', 'a "b", c'), (2, "2", 'a"b"c', "x\ny"), (3, "3", "", '5"'), (5, "5", "", 'x"')]
    assert [row[:2] for row in found.rejects] == [(4, "QUOTE")]


def test_headers_that_differ_by_blanks_and_case_are_repaired_where_that_is_declared(tmp_path):
    text = "\u200b ID,Na\u00a0me,note \n1,a,b\n"
    with pytest.raises(DeliveryError):
        read_text(tmp_path, text, Format(name="f", required=("id",)))
    found = read_text(tmp_path, text.replace("Na\u00a0me", "Name"), Format(name="f", required=("id",), aliases=True))
    assert (found.rows, found.facts.repairs) == ([(1, "1", "a", "b")], ("HEADER",))


def test_undeclared_columns_are_kept_without_nulls(tmp_path):
    found = read_text(tmp_path, 'id,new,"o\'d ""x"""\n1,a,\n2,,\n3,,"q""q"\n', Format(name="f"))
    assert {row: json.loads(text) for row, text in found.extras.items()} == {1: {"new": "a"}, 3: {"o'd \"x\"": 'q"q'}}


@pytest.mark.parametrize("content", ["id,_row\n1,2\n", "id,_extra\n1,2\n"])
def test_a_reserved_name_is_refused(tmp_path, content):
    assert refusal(tmp_path, content.encode(), Format(name="f")) == "HEADER"


def test_undeclared_columns_of_parquet_are_kept_as_text(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["1", "2"], "raw": pa.array([b"\xff", None]), "more": [{"a": 1.5}, None], "when": [datetime(1960, 1, 1, 0, 0, 0, 500000), None]}), path)
    found = read(path, Format(name="p", type="parquet"))
    assert {row: json.loads(text) for row, text in found.extras.items()} == {1: {"raw": "base64:/w==", "more": '{"a":1.5}', "when": "1960-01-01T00:00:00.5Z"}}


@pytest.mark.parametrize(("column", "is_allowed"), [
    (pa.array(["1"]), True), (pa.array(["1"], pa.large_string()), True), (pa.array(["1"]).dictionary_encode(), True), (pa.array([1]), False), (pa.array([b"1"]), False),
])
def test_strict_types_cast_nothing(tmp_path, column, is_allowed):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": column}), path)
    format = Format(name="p", type="parquet", strict_types=True)
    if is_allowed:
        assert read(path, format, types=TYPES).rows == [(1, "1", None, None)]
    else:
        assert refusal(tmp_path, path.read_bytes(), format, name="t.parquet", types=TYPES) == "SCHEMA"


def test_a_parquet_file_that_expands_too_far_is_refused_before_a_page_is_read(tmp_path):
    path = tmp_path / "bomb.parquet"
    pq.write_table(pa.table({"id": pa.array(["x" * 1_000_000] * 120)}), path, compression="zstd", use_dictionary=False)
    assert refusal(tmp_path, path.read_bytes(), Format(name="p", type="parquet"), name="t.parquet") == "BOMB"
