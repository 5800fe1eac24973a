"""Behaviour of json_records, xml_records and objects: records that are trees become rows of text, and broken ones are set apart."""
from __future__ import annotations

import json

import pytest

from partitions.errors import AccountingError, DeliveryError
from resources.formats import Format
from resources.json_records import _Marks
from resources.source import Source
from resources.xml_records import StartTags

from .readers import read_text

JSON = Format(name="j", type="json", required=("id",))
LINES = Format(name="l", type="jsonl", required=("id",))
XML = Format(name="x", type="xml", records="thing", required=("id",))
TYPED = {"id": "string", "name": "number", "note": "boolean"}


def refusal(folder, text, format, **options) -> str:
    with pytest.raises(DeliveryError) as caught:
        read_text(folder, text, format, **options)
    assert "canary" not in str(caught.value)
    return caught.value.place["rule"]


def test_numbers_keep_their_digits_and_nested_values_are_json(tmp_path):
    found = read_text(tmp_path, '[{"id": 12345678901234567890123, "name": 0.10, "note": {"a": [1.50, null, true]}}, {"id": "é\\u20ac", "name": null}]', JSON)
    assert found.rows == [(1, "12345678901234567890123", "0.10", '{"a":[1.50,null,true]}'), (2, "é€", None, None)]


def test_empty_text_is_not_null_where_no_token_is_declared(tmp_path):
    assert read_text(tmp_path, '{"id": "", "name": null}\n', LINES.model_copy(update={"null_tokens": ()})).rows == [(1, "", None, None)]


@pytest.mark.parametrize(("line", "rule"), [
    ('{"id": "2"', "JSON"), ('{"id": "2",}', "JSON"), ("{'id': 2}", "JSON"), ('{"id": 02}', "JSON"), ('{"id": "2"} {"id": "3"}', "JSON"), ('{"id": "\t"}', "JSON"),
    ('{"id": "2", "id": "2"}', "JSON_DUP_KEY"), ('{"id": "2", "note": {"a": 1, "a": 1}}', "JSON_DUP_KEY"), ('{"id": NaN}', "NUMBER"), ('{"id": -Infinity}', "NUMBER"),
    ('{"id": 1e999}', "NUMBER"), ('{"id": "\\ud800"}', "UNICODE"), ('{"id": "\\u0000"}', "UNICODE"), ('{"id": "x\0"}', "NUL_BYTE"),
    ('{"id": ' + "[" * 100 + "]" * 100 + "}", "DEPTH"), ('{"id": "' + "x" * (1 << 20) + 'y"}', "CELL_SIZE"), ("[1]", "TYPE"), ("7", "TYPE"),
])
def test_a_broken_line_costs_its_own_row_and_no_neighbour(tmp_path, line, rule):
    found = read_text(tmp_path, '{"id": "1"}\n' + line + '\n{"id": "3"}\n', LINES)
    assert ([row[0] for row in found.rows], [(row, why) for row, why, _ in found.rejects]) == ([1, 3], [(2, rule)])


def test_a_hundred_levels_are_read(tmp_path):
    assert len(read_text(tmp_path, '{"id": ' + "[" * 99 + "]" * 99 + "}\n", LINES).rows) == 1


def test_undecodable_bytes_in_a_line_are_kept_as_bytes(tmp_path):
    assert read_text(tmp_path, b'{"id": "1"}\n{"id": "\xff"}\n', LINES).rejects == [(2, "ENCODING", "base64:eyJpZCI6ICL/In0=")]


def test_blank_lines_are_skips_and_a_cut_last_line_is_truncated(tmp_path):
    found = read_text(tmp_path, '{"id": "1"}\r\n\n  \n{"id": "2"}\n{"id": "3', LINES)
    assert (found.facts.rows, found.facts.blank, [row[:2] for row in found.rejects]) == (3, 2, [(3, "TRUNCATED")])


@pytest.mark.parametrize(("text", "rule"), [
    ('[{"id": "canary"}', "JSON"), ('[{"id": "canary"},]', "JSON"), ('[,{"id": "canary"}]', "JSON"), ('[{"id": "canary"}]]', "JSON"), ('[{"id": "canary"}] x', "JSON"),
    ('[{"id": NaN}]', "JSON"), ('{"id": "canary"', "JSON"), (b'[{"id": "\xff"}]', "ENCODING"), ('[{"id": "canary"}]'.encode("utf-16"), "ENCODING"),
    ("", "EMPTY"), ("\ufeff \n", "EMPTY"), ('[{"name": "canary"}]', "SCHEMA"), ('[{"other": "canary"}]', "HEADER"), ('[{"id": "1", "_row": 3}]', "HEADER"),
])
def test_a_document_that_is_broken_is_refused_whole(tmp_path, text, rule):
    assert refusal(tmp_path, text, JSON) == rule


def test_an_element_that_is_nested_too_deeply_is_set_apart(tmp_path):
    found = read_text(tmp_path, '[{"id": "1"}, ' + "[" * 200 + "]" * 200 + ', {"id": "3"}]', JSON)
    assert ([row[1] for row in found.rows], [row[:2] for row in found.rejects]) == (["1", "3"], [(2, "DEPTH")])


@pytest.mark.parametrize("space", ["", " ", "\r\n\t"])
def test_records_behind_a_declared_path_are_read_through_many_windows(tmp_path, space):
    """9,000 records of about 90 bytes are three windows of 256 KiB; quotes, escapes and brackets in text separate nothing."""
    records = [{"id": str(number), "name": 'a\\"],{[', "note": "é" * 20} for number in range(9000)]
    body = f",{space}".join(json.dumps(record, ensure_ascii=number % 2 == 0) for number, record in enumerate(records))
    text = f'{{"meta":{space}{{"data": [1, 2]}}, "data":{space}{{"count": 9000, "items"{space}:{space}[{body}{space}], "z": null}}}}{space}'
    found = read_text(tmp_path, text, JSON.model_copy(update={"records": "data.items"}))
    assert found.rows == [(number + 1, record["id"], record["name"], record["note"]) for number, record in enumerate(records)]


@pytest.mark.parametrize(("path", "text", "rule"), [
    ("a", '{"b": []}', "SCHEMA"), ("a", '{"a": 1}', "SCHEMA"), ("a", "[]", "JSON"), ("a.b", '{"a": {"b": [], "c"}}', "JSON"), ("a", '{"a": [], "a": []}', "JSON_DUP_KEY"),
])
def test_a_path_that_leads_to_no_list_is_refused(tmp_path, path, text, rule):
    assert refusal(tmp_path, text, JSON.model_copy(update={"records": path})) == rule


def test_an_empty_list_is_a_file_of_no_rows(tmp_path):
    assert (read_text(tmp_path, " [ ] \n", JSON).rows, read_text(tmp_path, "<things/>", XML).rows) == ([], [])


def test_dotted_headers_reach_into_objects_and_what_is_beside_them_is_kept(tmp_path):
    format = Format(name="d", type="jsonl", columns={"who.id": "id", "who.name.first": "name", "n": "note"}, required=("id",))
    line = {"who": {"id": "1", "name": {"first": "A", "last": "B"}, "age": 7}, "n": "x", "more": [1], "nothing": None}
    found = read_text(tmp_path, json.dumps(line) + "\n", format)
    assert found.rows == [(1, "1", "A", "x")]
    assert {name: json.loads(value) for name, value in found.extras.items()} == {1: {"who.name.last": "B", "who.age": 7, "more": [1]}}
    assert found.facts.unexpected == ("who.name.last", "who.age", "more", "nothing")


@pytest.mark.parametrize(("value", "expected"), [('"1,5"', "1,5"), ("1.50", "1.50"), ("null", None), ("1e999", "1e999"), ("true", "TYPE"), ("[1]", "TYPE"), ('{"v": 1}', "TYPE")])
def test_a_value_of_another_type_than_the_contracts_is_set_apart(tmp_path, value, expected):
    found = read_text(tmp_path, f'{{"id": "1", "name": {value}}}\n', LINES.model_copy(update={"strict_types": True}), types=TYPED)
    assert [row[2] for row in found.rows] + [row[1] for row in found.rejects] == [expected]


def test_the_second_count_refuses_to_agree_with_a_reader_that_loses_a_row(tmp_path, monkeypatch):
    from resources.readable import Readable

    monkeypatch.setattr(Readable, "add", lambda self, cells, size: None)
    for format, text in ((LINES, '{"id": "1"}\n'), (JSON, '[{"id": "1"}]'), (XML, "<a><thing id='1'/></a>")):
        with pytest.raises(AccountingError):
            read_text(tmp_path, text, format)


@pytest.mark.parametrize("text", ['"a\\\\",[1],{"b":"]"},"\\""', '"\\\\\\"",1', "[[],[]],{}"])
def test_commas_between_records_are_found_outside_strings_and_brackets(text):
    assert len(_Marks(text.encode()).commas) + 1 == len(json.loads(f"[{text}]"))


def test_attributes_children_and_nested_children_of_an_element_are_columns(tmp_path):
    text = """<?xml version="1.0"?><!-- <thing/> --><a xmlns="urn:x" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b>
      <thing id="1"><name>a &amp; <![CDATA[<thing>]]></name><note i:nil="true"/><size unit="m"><v>2</v></size></thing><thing id="2"><name/></thing></b></a>"""
    found = read_text(tmp_path, text, XML)
    assert found.rows == [(1, "1", "a & <thing>", None), (2, "2", None, None)]
    assert {row: json.loads(extra) for row, extra in found.extras.items()} == {1: {"size": {"unit": "m", "v": "2"}}}


def test_a_child_that_stands_twice_breaks_its_record(tmp_path):
    found = read_text(tmp_path, '<a><thing id="1"><name>x</name><name>y</name></thing><thing id="2"/></a>', XML)
    assert ([row[1] for row in found.rows], [row[:2] for row in found.rejects]) == (["2"], [(1, "FIELD_COUNT")])


@pytest.mark.parametrize(("text", "rule"), [
    ('<!DOCTYPE a [<!ENTITY x "canary">]><a><thing id="&x;"/></a>', "XML_DTD"), ('<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>', "XML_DTD"),
    ('<a><thing id="canary"/>', "TRUNCATED"), ('<a><thing id="canary"></b></a>', "XML"), ("plain canary", "XML"), ("", "EMPTY"),
    ("<d>" * 101 + "</d>" * 101, "DEPTH"), ("<a><thing id='canary'/></a>".encode("utf-16"), "ENCODING"), ("<a><thing><name>canary</name></thing></a>", "SCHEMA"),
])
def test_xml_that_is_hostile_or_broken_is_refused_whole(tmp_path, text, rule):
    assert refusal(tmp_path, text, XML) == rule


@pytest.mark.parametrize("size", [1, 7, 64])
def test_start_tags_are_counted_across_chunks(size):
    raw, tags = b'<a><!-- <thing> --><x:thing a="1"/><thing\n/><things/><![CDATA[<thing>]]><thing>' + b" " * 300 + b"</thing></a>", StartTags("thing")
    for start in range(0, len(raw), size):
        tags.feed(raw[start : start + size])
    tags.feed(b"", is_final=True)
    assert tags.count == 3


def test_an_undeclared_column_is_refused_where_the_source_is_frozen(tmp_path):
    for format, text in ((LINES, '{"id": "1", "new": 1}\n'), (XML, '<a><thing id="1" new="1"/></a>'), (Format(name="c"), "id,new\n1,1\n")):
        assert refusal(tmp_path, text, format, drift="freeze") == "SCHEMA"


def test_a_stream_of_records_stays_within_bounded_buffers(tmp_path):
    """A line of 17 MiB is refused before it is held whole."""
    path = tmp_path / "long.jsonl"
    path.write_bytes(b'{"id": "' + b"x" * (17 << 20) + b'"}\n')
    with pytest.raises(DeliveryError) as caught:
        read_text(tmp_path, path.read_bytes(), LINES)
    assert caught.value.place["rule"] == "CELL_SIZE"
    assert Source(path, None).size > 17 << 20


def test_a_file_whose_every_row_has_the_same_fault_in_one_column_is_refused(tmp_path):
    strict = LINES.model_copy(update={"strict_types": True})
    line = '{"id": "1", "name": true}\n'
    assert refusal(tmp_path, line * 10, strict, types=TYPED) == "TYPE"
    assert len(read_text(tmp_path, line * 9, strict, types=TYPED).rejects) == 9
    assert len(read_text(tmp_path, line * 10 + '{"id": 2, "name": 1}\n', strict, types=TYPED).rejects) == 11


def test_a_format_can_drop_what_is_undeclared_and_what_stands_for_a_visitor_in_an_address(tmp_path):
    """A HAR is full of cookies, and its URLs of sessions: neither is loaded, not even from a record that breaks a rule."""
    har = Format(name="h", type="json", records="log.entries", columns={"request.url": "id", "_size": "name"}, undeclared="drop", addresses=("id",), required=("id",))
    urls = ["https://me:secret@a.example/x?s=secret#secret", "data:text/plain,secret", "https://a.example/b@c", None]
    entries = [{"request": {"url": url, "cookies": ["secret"]}, "_size": 5, "_initiator": "https://a.example/?secret"} for url in urls]
    broken = '{"request": {"url": "https://a.example/?secret"}, "secret": 1, "secret": 2}'
    found = read_text(tmp_path, f'{{"log": {{"pages": [{{"title": "secret"}}], "entries": [{json.dumps(entries)[1:-1]}, {broken}]}}}}', har)
    assert found.rows == [(1, "https://a.example/x", "5", None), (2, "data:", "5", None), (3, "https://a.example/b@c", "5", None), (4, None, "5", None)]
    assert (found.extras, found.rejects) == ({}, [(5, "JSON_DUP_KEY", "")])
    assert found.facts.unexpected == ()


@pytest.mark.parametrize("said", [{"undeclared": "drop"}, {"addresses": ("id",)}])
def test_only_json_drops_and_shortens(said):
    for kind in ({"type": "csv"}, {"type": "jsonl"}, {"type": "xml", "records": "thing"}):
        with pytest.raises(ValueError, match="only JSON can drop"):
            Format(name="x", **kind, **said)
