"""Behaviour of resources/records.py and of DuckDB behind it: every record is counted once, broken ones by rule."""
from __future__ import annotations

import csv
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import resources.records
from partitions.errors import ContractError
from resources.formats import Format, formats_of
from resources.records import Dialect, windows

from .readers import PLAIN, read_text

HEAD = "id,name,note\n"


def rules(found):
    return [(row, rule) for row, rule, _ in found.rejects]


def test_a_quoted_line_end_is_inside_a_record(tmp_path):
    found = read_text(tmp_path, HEAD + '1,"two\nlines",a\n2,"crlf\r\nand ""quotes"", commas",b\n3,c,\n')
    assert found.rows == [(1, "1", "two\nlines", "a"), (2, "2", 'crlf\r\nand "quotes", commas', "b"), (3, "3", "c", None)]
    assert found.facts.is_plain


def test_ragged_records_are_set_apart_and_the_others_keep_their_number(tmp_path):
    found = read_text(tmp_path, HEAD + '1,a,b\n2,a\n3,"q\nz",c\n4,a,b,c\n5,a,b\n')
    assert [row[0] for row in found.rows] == [1, 3, 5]
    assert found.rejects == [(2, "FIELD_COUNT", "2,a"), (4, "FIELD_COUNT", "4,a,b,c")]


@pytest.mark.parametrize("broken", ['2,a"x,b', '2,"a"x,b', '2, "a",b', '2,"a,b', '2,a,b"', '2,"a" ,b', '2,a\rb,c'])
def test_a_stray_quote_costs_its_own_row_and_no_neighbour(tmp_path, broken):
    found = read_text(tmp_path, f'{HEAD}1,"a",b\n{broken}\n3,"a",b\n4,a,b\n5,"a","b"\n')
    assert found.rejects == [(2, "QUOTE", broken)]
    assert [row[0] for row in found.rows] == [1, 3, 4, 5]


def test_a_quote_that_never_closes_costs_one_row(tmp_path):
    body = "".join(f"{number},a,b\n" for number in range(2, 40))
    found = read_text(tmp_path, f'{HEAD}1,"open,b\n{body}')
    assert rules(found) == [(1, "QUOTE")]
    assert len(found.rows) == 38


def test_undecodable_bytes_and_nul_are_set_apart_with_their_bytes(tmp_path):
    found = read_text(tmp_path, HEAD.encode() + b"1,a,b\n2,caf\xe9,b\n3,\xc3\xa9,b\n4,\x00,b\n")
    assert found.rejects == [(2, "ENCODING", "base64:MixjYWbpLGI="), (4, "NUL_BYTE", "base64:NCwALGI=")]
    assert found.rows[1] == (3, "3", "é", "b")


def test_a_byte_order_mark_is_removed_and_recorded(tmp_path):
    found = read_text(tmp_path, b"\xef\xbb\xbf" + (HEAD + "1,a,b\n").encode())
    assert (found.rows, found.facts.repairs) == ([(1, "1", "a", "b")], ("ENCODING",))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_byte_order_mark_is_read(tmp_path, encoding):
    mark = "" if encoding == "utf-16" else "\ufeff"
    found = read_text(tmp_path, (mark + HEAD + '1,é,"😀\n"\n').encode(encoding))
    assert (found.rows, found.facts.repairs) == ([(1, "1", "é", "😀\n")], ("ENCODING",))


def test_a_declared_encoding_is_read(tmp_path):
    found = read_text(tmp_path, (HEAD + "1,é,€\n").encode("cp1252"), Format(name="old", encoding="cp1252"))
    assert found.rows == [(1, "1", "é", "€")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_both_line_ends_are_read_with_and_without_the_last_one(tmp_path, end, last):
    lines = ["id,name,note", "1,a,b", '2,"x\ny","crlf\r\n"', "3,,"]
    found = read_text(tmp_path, end.join(lines) + (end if last else ""))
    assert found.facts.is_plain
    assert found.rows == [(1, "1", "a", "b"), (2, "2", "x\ny", "crlf\r\n"), (3, "3", None, None)]


def test_mixed_line_ends_are_repaired_and_recorded(tmp_path):
    found = read_text(tmp_path, 'id,name,note\r\n1,a,b\n2,"x\r\ny",b\r\n3,a,b\n')
    assert found.rows == [(1, "1", "a", "b"), (2, "2", "x\r\ny", "b"), (3, "3", "a", "b")]
    assert found.facts.repairs == ("DIALECT",)


def test_blank_lines_are_declared_skips(tmp_path):
    found = read_text(tmp_path, HEAD + "\n1,a,b\n\n   \n2,a\n\n3,a,b\n\n")
    assert (found.facts.rows, found.facts.blank, rules(found)) == (3, 5, [(2, "FIELD_COUNT")])


def test_a_cell_over_a_mebibyte_is_set_apart(tmp_path):
    found = read_text(tmp_path, f'{HEAD}1,a,b\n2,"{"x" * (1 << 20)}y",b\n3,{"é" * (1 << 19)},b\n')
    assert rules(found) == [(2, "CELL_SIZE")]


def test_a_last_record_without_line_end_is_truncated_where_one_is_required(tmp_path):
    found = read_text(tmp_path, HEAD + "1,a,b\n2,a,b", Format(name="strict", final_line_end="required"))
    assert rules(found) == [(2, "TRUNCATED")]


def test_without_quoting_an_inch_mark_is_text(tmp_path):
    found = read_text(tmp_path, 'id;name;note\n1;MONITOR 27";b\n2;"a";13"/14"\n', Format(name="inch", delimiter=";", quote=""))
    assert found.rows == [(1, "1", 'MONITOR 27"', "b"), (2, "2", '"a"', '13"/14"')]


def test_only_declared_tokens_are_null(tmp_path):
    text = HEAD + '1,NULL,""\n2,null,n/a\n'
    assert read_text(tmp_path, text, Format(name="f", null_tokens=("NULL",))).rows == [(1, "1", None, ""), (2, "2", "null", "n/a")]
    assert read_text(tmp_path, text, Format(name="f", null_tokens=())).rows[0] == (1, "1", "NULL", "")
    assert read_text(tmp_path, text, Format(name="f", null_tokens=("", "n/a"))).rows == [(1, "1", "NULL", None), (2, "2", "null", None)]


def test_a_file_of_one_column_is_read(tmp_path):
    found = read_text(tmp_path, 'id\n1\n"a""b"\n\n3"\n', Format(name="f"))
    assert [row[:2] for row in found.rows] == [(1, "1"), (2, 'a"b')]
    assert (rules(found), found.facts.blank) == ([(3, "QUOTE")], 1)


def test_a_header_alone_has_no_rows(tmp_path):
    assert read_text(tmp_path, "id,name,note").rows == []


CELL = st.text(st.sampled_from('ab,"\n\r é;\\\t0'), max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(CELL, CELL, CELL), max_size=12), quoted=st.booleans(), crlf=st.booleans())
def test_any_table_that_python_writes_comes_back_cell_by_cell(tmp_path, table, quoted, crlf):
    if not quoted:  # Python 3.11 leaves a lone CR unquoted
        table = [tuple(cell.replace("\r", "") for cell in row) for row in table]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL, lineterminator="\r\n" if crlf else "\n")
    writer.writerows([("id", "name", "note"), *table])
    found = read_text(tmp_path, out.getvalue(), PLAIN)
    assert [row[1:] for row in found.rows] == [tuple(cell or None for cell in row) for row in table]


def _ragged(row, number):
    return ",".join(row[:2]) if number % 2 else ",".join([*row, "extra"])


BREAKS = {
    "FIELD_COUNT": lambda row, number: _ragged(row, number),
    "QUOTE": lambda row, number: f'{row[0]},"{row[1]}" x,{row[2]}' if number % 2 else f'{row[0]},{row[1]}y"z,{row[2]}',
    "NUL_BYTE": lambda row, number: f"{row[0]},{row[1]}\0,{row[2]}",
    "ENCODING": lambda row, number: f"{row[0]},\udcff{row[1]},{row[2]}",
}
WORD = st.text(st.sampled_from("abcxyz 0é"), min_size=1, max_size=8)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), size=st.integers(1, 40), crlf=st.booleans())
def test_k_broken_rows_are_exactly_those_k_and_the_others_are_identical(tmp_path, data, size, crlf):
    table = [(str(number), data.draw(WORD), data.draw(WORD)) for number in range(size)]
    broken = data.draw(st.dictionaries(st.integers(0, size - 1), st.sampled_from(sorted(BREAKS)), max_size=size))
    lines = ["id,name,note"]
    for number, row in enumerate(table):
        whole = f'{row[0]},"{row[1]}\n{row[1]}",{row[2]}'
        lines.append(BREAKS[broken[number]](row, number) if number in broken else whole)
    text = ("\r\n" if crlf else "\n").join(lines) + ("\r\n" if crlf else "\n")
    found = read_text(tmp_path, text.encode("utf-8", "surrogateescape"))
    assert rules(found) == [(number + 1, rule) for number, rule in sorted(broken.items())]
    assert found.rows == [(number + 1, row[0], f"{row[1]}\n{row[1]}", row[2]) for number, row in enumerate(table) if number not in broken]


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from('ab,"\n\r'), max_size=60), window=st.integers(1, 20))
def test_windows_of_any_size_find_the_same_records(text, window):
    data, dialect = text.encode(), Dialect(b",", b'"', 2)

    def found(size):
        kept = resources.records.WINDOW_BYTES, resources.records.SMALL_WINDOW_BYTES
        resources.records.WINDOW_BYTES = resources.records.SMALL_WINDOW_BYTES = size
        try:
            return [(w.record(i), w.faults.get(i), i in w.blanks) for w in windows(io.BytesIO(data), dialect) for i in range(len(w.ends))]
        finally:
            resources.records.WINDOW_BYTES, resources.records.SMALL_WINDOW_BYTES = kept

    whole = found(1 << 17)
    assert found(window) == whole
    joined = b"".join(record for record, _, _ in whole)
    assert len(joined) <= len(data) <= len(joined) + 2 * len(whole)  # nothing lost but line ends


@pytest.mark.parametrize("insertion_order", [True, False])
def test_row_numbers_are_the_files_own_on_two_threads_over_many_buffers(tmp_path, insertion_order):
    # 60,000 records × about 1.2 kB = 70 MB: several of DuckDB's 32 MB buffers, both threads
    rows, fill = 60_000, "x" * 1150
    text = HEAD + "".join(f'{number},"line\n{number}",{fill}\n' for number in range(1, rows + 1))
    text = text.replace("\n777,", "\n777,broken,", 1)
    found = read_text(tmp_path, text, insertion_order=insertion_order)
    assert all(row[0] == int(row[1]) for row in found.rows)
    assert rules(found) == [(777, "FIELD_COUNT")]
    assert len(found.rows) == rows - 1


def test_a_constant_fills_a_column_that_the_file_lacks_and_never_one_that_is_there(tmp_path):
    format = Format(name="c", constants={"name": "AWS", "note": "Usage"}, required=("id", "note"))
    assert read_text(tmp_path, "id\n1\n", format).rows == [(1, "1", "AWS", "Usage")]
    assert read_text(tmp_path, "id,name\n1,Oracle\n2,\n", format).rows == [(1, "1", "Oracle", "Usage"), (2, "2", None, "Usage")]


def test_a_format_refuses_a_constant_for_a_mapped_or_an_unknown_column():
    with pytest.raises(ContractError, match="mapped and constant: id"):
        formats_of({"f": {"columns": {"ID": "id"}, "constants": {"id": "1"}}}, ("id",))
    with pytest.raises(ContractError, match="columns that the contract does not have: provider"):
        formats_of({"f": {"constants": {"provider": "AWS"}}}, ("id",))


def test_further_patterns_are_a_list_of_texts():
    with pytest.raises(ContractError, match="timestamp_patterns"):
        formats_of({"f": {"convention": {"timestamp_patterns": "%Y"}}}, ("id",))
    with pytest.raises(ContractError, match="date_patterns"):
        formats_of({"f": {"convention": {"date_patterns": ["%Y", 7]}}}, ("id",))
    made = formats_of({"f": {"convention": {"timestamp_pattern": "%-m/%-d/%Y", "timestamp_patterns": ["%Y-%m-%d"]}}, "g": {}}, ("id",))
    assert (made["f"].convention.timestamp_patterns, made["f"].convention.is_by_day, made["g"].convention.is_by_day) == (("%Y-%m-%d",), True, False)
