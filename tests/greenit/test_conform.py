"""Behaviour of conform.py: reading text exactly, or not at all."""

from datetime import date, datetime
from decimal import Decimal

import ibis
import pytest

from platform_assets.conform import REJECT, conformed, decimal_text, referring, rejects, to_date, to_decimal, to_timestamp, trimmed, unreadable, unrepeated
from resources.formats import Convention

NOTHING = ibis.null(f"array<{REJECT}>")
CONVENTIONS = {
    "point": Convention(timestamp_pattern="%Y-%m-%d %H:%M:%S"),
    "french": Convention(decimal_mark=",", group_mark=" \u00a0\u202f", date_pattern="%d/%m/%Y"),
    "german": Convention(decimal_mark=",", group_mark=".", date_pattern="%d.%m.%Y"),
}


def read(reader, format_, text):
    table = ibis.memtable({"text": [text], "format": [format_]}, schema={"text": "string", "format": "string"})
    return table.select(value=reader(table.text, table.format, CONVENTIONS)).to_pyarrow().to_pylist()[0]["value"]


def numbers(cases, scale=12):
    """The value of each (format, text)."""
    table = ibis.memtable({"place": range(len(cases)), "format": [case[0] for case in cases], "text": [case[1] for case in cases]})
    plain = table.mutate(plain=decimal_text(table.text, table.format, CONVENTIONS))
    return plain.select("place", value=to_decimal(plain.plain, scale)).order_by("place").to_pyarrow()["value"].to_pylist()


def test_a_number_is_read_by_its_format():
    cases = [
        ("point", "1.50", "1.5"), ("point", " 7 ", "7"), ("point", "-3.", "-3"), ("point", ".5", "0.5"), ("point", "100", "100"),
        ("point", "12345678901234567890.123456789012", "12345678901234567890.123456789012"),
        ("point", "0.10000000000000000000", "0.1"), ("point", "8.0E-7", "0.0000008"), ("point", "1e3", "1000"),
        ("french", "1 234,5", "1234.5"), ("french", "1\u202f234\u00a0567", "1234567"), ("french", "0,5", "0.5"), ("french", "1234,5", "1234.5"),
        ("german", "1.234,5", "1234.5"),
    ]  # fmt: skip
    assert numbers(cases) == [Decimal(value) for _format, _text, value in cases]


def test_what_breaks_the_convention_is_no_number():
    cases = [
        ("point", "1,5"), ("point", "1_000"), ("point", "inf"), ("point", "NaN"), ("point", "0x1F"), ("point", "1.2.3"), ("point", "12 €"), ("point", "1 000"),
        ("french", "1.5"), ("french", "12 34"), ("french", "1 234 5"), ("german", "1.5"), ("unknown format", "1"),
    ]  # fmt: skip
    assert numbers(cases) == [None] * len(cases)


def test_a_number_that_would_be_rounded_or_overflow_is_no_number():
    assert numbers([("point", text) for text in ("0.0000000000001", "1e-20", "1.23E-11", "99999999999999999999999999999999")]) == [None] * 4


def test_quantities_keep_fifteen_decimals():
    assert numbers([("point", "0.000068958200001")], scale=18) == [Decimal("0.000068958200001")]


@pytest.mark.parametrize(("format_", "text", "value"), [
    ("point", "2024-02-29", date(2024, 2, 29)), ("french", "29/02/2024", date(2024, 2, 29)),
    ("point", "2023-02-29", None), ("french", "30/02/2024", None), ("point", "2024-2-9", None), ("point", "29/02/2024", None), ("french", "2024-02-29", None),
])  # fmt: skip
def test_a_date_is_read_by_its_format_and_the_calendar(format_, text, value):
    assert read(to_date, format_, text) == value


@pytest.mark.parametrize(("text", "value"), [
    ("2020-07-08", date(2020, 7, 8)), ("20200708", date(2020, 7, 8)), ("08/07/2020", date(2020, 7, 8)), ("2020/07/08", None), ("20200231", None), ("31/02/2020", None),
])  # fmt: skip
def test_a_file_may_write_days_in_several_declared_notations_and_in_no_other(text, value):
    conventions = {"mixed": Convention(date_patterns=("%Y%m%d", "%d/%m/%Y"))}
    table = ibis.memtable({"text": [text]})
    assert table.select(value=to_date(table.text, ibis.literal("mixed"), conventions)).to_pyarrow().to_pylist() == [{"value": value}]


def test_a_word_is_conformed_by_its_vocabulary_and_what_is_not_known_stays_so():
    vocabulary = ibis.memtable({"alias": ["calcul"], "kind": ["compute"]})
    rows = ibis.memtable({"place": [1, 2, 3], "word": [" Calcul ", "quantum", None]}).mutate(_rejects=NOTHING)
    judged = conformed(rows, "word", vocabulary, "kind", is_required=True).order_by("place").to_pyarrow().to_pylist()
    assert [row["word__known"] for row in judged] == ["compute", None, None]
    assert [[reject["rule"] for reject in row["_rejects"] or []] for row in judged] == [[], ["DOMAIN"], ["MISSING_VALUE"]]


def test_a_row_that_names_what_another_table_does_not_have_is_refused_and_one_that_names_nothing_is_not():
    rows = ibis.memtable({"place": [1, 2, 3], "host": ["a", "b", None]}).mutate(_rejects=NOTHING)
    judged = referring(rows, "host", ibis.memtable({"id": ["a", "c"]}), "id").order_by("place").to_pyarrow().to_pylist()
    assert [[(reject["rule"], reject["check"]) for reject in row["_rejects"] or []] for row in judged] == [[], [("DOMAIN", "host__is_known")], []]


def test_of_a_repeated_key_every_row_is_refused_and_half_a_key_is_none():
    rows = ibis.memtable({"place": [1, 2, 3, 4, 5], "a": ["x", "x", "y", None, None], "b": [1, 1, 1, 1, 1]}).mutate(_rejects=NOTHING)
    judged = unrepeated(rows, "a", "b").order_by("place").to_pyarrow().to_pylist()
    assert [[reject["rule"] for reject in row["_rejects"] or []] for row in judged] == [["DUPLICATE"], ["DUPLICATE"], [], [], []]


def test_a_timestamp_with_another_zone_is_not_taken_for_utc():
    assert read(to_timestamp, "point", "2024-09-18 22:00:00") == datetime(2024, 9, 18, 22)
    assert read(to_timestamp, "french", "2024-09-18T22:00:00Z") == datetime(2024, 9, 18, 22)
    assert read(to_timestamp, "french", "2024-09-18T22:00:00+02:00") is None


def test_rejects_list_every_broken_rule_with_its_raw_text_and_stay_null_for_good_rows():
    table = ibis.memtable({"a": ["", "x"], "b": ["?", "y"]})
    made = table.select(found=rejects((trimmed(table.a).isnull(), "MISSING_VALUE", "a", table.a), (table.b == "?", "DOMAIN", "b", table.b)))
    bad, good = made.to_pyarrow().to_pylist()
    assert [(entry["rule"], entry["column"], entry["value"]) for entry in bad["found"]] == [("MISSING_VALUE", "a", ""), ("DOMAIN", "b", "?")]
    assert good["found"] is None


def test_an_empty_cell_is_missing_and_not_unreadable():
    table = ibis.memtable({"a": [" ", "x"]})
    assert table.select(bad=unreadable(table.a, ibis.null("date"))).to_pyarrow().to_pylist() == [{"bad": False}, {"bad": True}]


def test_the_first_pattern_that_fits_reads_a_moment_and_unpadded_ones_say_so():
    conventions = {"days": Convention(timestamp_pattern="%-m/%-d/%Y", timestamp_patterns=("%Y-%m-%d",)),
                   "moments": Convention(timestamp_pattern="%Y-%m-%dT%H:%MZ", timestamp_patterns=("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%gZ"))}  # fmt: skip
    cases = [("days", "9/2/2023", datetime(2023, 9, 2)), ("days", "12/31/2023", datetime(2023, 12, 31)), ("days", "2023-09-02", datetime(2023, 9, 2)),
             ("days", "2023-9-2", None), ("days", "2/29/2023", None), ("moments", "2023-11-13T10:00Z", datetime(2023, 11, 13, 10)),
             ("moments", "2023-11-13T10:00:05Z", datetime(2023, 11, 13, 10, 0, 5)), ("moments", "2023-11-13T10:00:05.250Z", datetime(2023, 11, 13, 10, 0, 5, 250000)),
             ("moments", "9/2/2023", None), ("strangers", "2023-11-13T10:00Z", None)]  # fmt: skip
    table = ibis.memtable({"place": range(len(cases)), "format": [case[0] for case in cases], "text": [case[1] for case in cases]})
    found = table.select("place", value=to_timestamp(table.text, table.format, conventions)).order_by("place").to_pyarrow()["value"].to_pylist()
    assert found == [case[2] for case in cases]
