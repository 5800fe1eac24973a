"""Behaviour of greenit/silver/web_page (HAR files) and web_traffic."""

import json
from datetime import date

import ibis
import pytest

from platform_assets.greenit.silver.service_words import page_name
from platform_assets.greenit.silver.web_page import web_page
from platform_assets.greenit.silver.web_traffic import web_traffic
from tests.conftest import SHARED

REAL = SHARED / "data/inputs/web/tgwf.har"
REQUEST = {"page_ref": "p", "started_at": "2024-06-01T10:00:00.000Z", "url": "https://shop.example/", "transfer_bytes": "1000"}
VIEWS = {"page": "https://Shop.example/", "day": "2024-06-01", "country": "France", "views": "100"}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


@pytest.fixture
def pages(bronze_of, rows):
    """(good pages, refused requests)."""

    def build(*changes):
        made = rows(web_page(bronze_of("web_page_loads", "har_1", REQUEST, *changes)), "page_id", "_row")
        return [line for line in made if not line["_rejects"]], [line for line in made if line["_rejects"]]

    return build


@pytest.fixture
def traffic(bronze_of, reference, rows):
    return lambda *changes: rows(web_traffic(bronze_of("web_analytics", "strata_1", VIEWS, *changes), reference("country")), "_row")


NAMES = [
    ("https://me:pw@Shop.Example/A/b/?q=1#x", "shop.example/A/b"), ("http://shop.example", "shop.example"), ("Shop.example/", "shop.example"),
    ("//shop.example//", "shop.example"), ("/pricing", "/pricing"), ("/", "/"), ("/?q=1", "/"), (" ", None), ("?q=1", None), ("data:", None), (None, None),
]  # fmt: skip


def test_a_page_is_named_by_host_and_path_alone(rows):
    made = ibis.memtable({"n": list(range(len(NAMES))), "url": [url for url, _name in NAMES]}, schema={"n": "int64", "url": "string"})
    assert [line["name"] for line in rows(made.mutate(name=page_name(made.url)), "n")] == [name for _url, name in NAMES]


def test_a_page_has_the_bytes_of_all_requests_of_a_load(pages):
    later = {"url": "https://cdn.example/a.css", "started_at": "2024-06-01T10:00:01.000Z"}
    # 1000 on the wire + (200 + 300) of header and body + 400 of a body whose header is not known + 500 decompressed + 0 inline
    (page,), bad = pages(
        {}, {**later, "transfer_bytes": None, "header_bytes": "200", "body_bytes": "300"},
        {**later, "transfer_bytes": "-1", "header_bytes": "-1", "body_bytes": "400", "content_bytes": "900"},
        {**later, "transfer_bytes": None, "body_bytes": "-1", "content_bytes": "500"}, {**later, "transfer_bytes": None, "url": "data:", "content_bytes": "77"},
    )  # fmt: skip
    assert bad == []
    assert (page["page_id"], page["transferred_bytes"], page["requests"], page["loads"]) == ("shop.example", 2400, 5, 1)
    assert (page["transfer_size_requests"], page["body_size_requests"], page["content_size_requests"]) == (2, 2, 1)


def test_a_page_that_was_loaded_twice_has_the_mean_of_its_loads(pages):
    # loads of 1000 and of 1000 + 501 bytes: 1250.5, to the even byte 1250
    (page,), _bad = pages({}, {"page_ref": "q"}, {"page_ref": "q", "transfer_bytes": "501", "started_at": "2024-06-01T10:00:09.000Z"})
    assert (page["loads"], page["requests"]) == (2, 2)
    assert page["transferred_bytes"] in (1250, 1251)


def test_the_page_of_a_load_is_the_first_request_by_time_and_files_are_loads_of_their_own(pages):
    other = {"_sha256": "cd" * 32, "url": "https://other.example/x"}
    good, _bad = pages({"url": "https://cdn.example/a.js", "started_at": "2024-06-01T10:00:05.000Z"}, {}, other)
    assert [(page["page_id"], page["requests"]) for page in good] == [("other.example/x", 1), ("shop.example", 2)]


BAD = [
    ({"transfer_bytes": None}, "MISSING_VALUE", "content_bytes"), ({"transfer_bytes": "-1", "body_bytes": "-1", "content_bytes": "-1"}, "MISSING_VALUE", "content_bytes"),
    ({"transfer_bytes": "big"}, "NUMBER_FORMAT", "transfer_bytes"), ({"body_bytes": "-7"}, "NUMBER_RANGE", "body_bytes"), ({"transfer_bytes": "1.5"}, "NUMBER_FORMAT", "transfer_bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rule", "column"), BAD)
def test_a_request_whose_bytes_cannot_be_told_is_kept_back_and_the_page_stays(pages, change, rule, column):
    (page,), (bad,) = pages({}, {"started_at": "2024-06-01T10:00:01.000Z", **change})
    assert (page["requests"], page["transferred_bytes"]) == (1, 1000)
    assert (rule, column) in found(bad)
    assert (bad["_row"], bad["_file"]) == (2, "hand")


def test_a_load_whose_first_address_is_unknown_belongs_to_no_page(pages):
    good, bad = pages({"url": None}, {"started_at": "2024-06-01T10:00:01.000Z"})
    assert (good, [found(line) for line in bad]) == ([], [[("MISSING_KEY", "url")]] * 2)


@pytest.mark.skipif(not REAL.exists(), reason="the real HAR is not on this machine")
def test_the_real_har_has_51_requests_and_704951_bytes_and_keeps_nothing_of_a_visitor(landed, rows):
    entries = json.loads(REAL.read_text(encoding="utf-8"))["log"]["entries"]
    assert len(entries) == 51
    bronze, broken, facts = landed(REAL, "web_page_loads", "har_1")
    assert (facts.rows, broken, bronze.count().execute()) == (51, [], 51)
    # the browser's own count of bytes on the wire, added up by hand from the file
    assert sum(entry["response"]["_transferSize"] for entry in entries) == 704_951
    (page,) = rows(web_page(bronze))
    assert (page["page_id"], page["transferred_bytes"], page["requests"], page["loads"]) == ("thegreenwebfoundation.org", 704_951, 51, 1)
    assert (page["transfer_size_requests"], page["_rejects"]) == (51, None)
    assert any("?" in entry["request"]["url"] for entry in entries)
    text = json.dumps(rows(bronze), default=str)
    assert [word for word in ("?", "cookie", "action_name", "Mozilla", "_extra\": \"") if word in text] == []


def test_a_har_without_wire_sizes_falls_back_to_header_and_body(landed, tmp_path, rows):
    path = tmp_path / "small.har"
    entry = {"startedDateTime": "2024-06-01T10:00:00Z", "request": {"url": "https://a.example/p?session=1"},
             "response": {"headersSize": 120, "bodySize": 880, "content": {"size": 5000, "text": "x" * 50}}}  # fmt: skip
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry, {**entry, "request": {}}, 3]}}), encoding="utf-8")
    bronze, broken, facts = landed(path, "web_page_loads", "har_1")
    assert (facts.rows, broken) == (3, [(3, "TYPE", "")])
    (page,) = rows(web_page(bronze))
    assert (page["page_id"], page["transferred_bytes"], page["requests"], page["body_size_requests"]) == ("a.example/p", 2000, 2, 2)


# web_traffic


def test_views_come_out_typed_by_page_day_and_country(traffic):
    (line,) = traffic({"bytes_per_view": "2500000", "first_view_share": "0.75", "reload_share": "0.02", "hosting_country": "de"})
    assert (line["page_id"], line["day"], line["country_code"], line["views"]) == ("shop.example", date(2024, 6, 1), "FRA", 100)
    assert (line["bytes_per_view"], line["first_view_share"], line["reload_share"], line["hosting_country_code"]) == (2_500_000.0, 0.75, 0.02, "DEU")
    assert line["_rejects"] is None


def test_visitors_without_a_country_are_the_worlds_and_other_gaps_stay_unknown(traffic):
    (line,) = traffic({"country": " "})
    assert [line[name] for name in ("country_code", "bytes_per_view", "first_view_share", "reload_share", "hosting_country_code")] == ["WLD", None, None, None, None]
    assert line["_rejects"] is None


TRAFFIC = [
    ({"page": None}, "MISSING_KEY", "page"), ({"day": "2024-06-31"}, "DATE", "day"), ({"views": "-1"}, "NUMBER_RANGE", "views"), ({"views": None}, "MISSING_VALUE", "views"),
    ({"country": "Atlantis"}, "DOMAIN", "country"), ({"hosting_country": "Atlantis"}, "DOMAIN", "hosting_country"), ({"reload_share": "2"}, "NUMBER_RANGE", "reload_share"),
    ({"first_view_share": "75 %"}, "NUMBER_FORMAT", "first_view_share"), ({"bytes_per_view": "-5"}, "NUMBER_RANGE", "bytes_per_view"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_views_and_not_the_clean_ones(traffic):
    lines = traffic({}, *({"page": f"shop.example/{place}", **change} for place, (change, *_why) in enumerate(TRAFFIC)), {"page": "z.example"})
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in TRAFFIC), []]


def test_addresses_that_differ_by_their_query_are_one_page_and_conflict(traffic):
    lines = traffic({"page": "shop.example/a?x=1"}, {"page": "shop.example/a?x=2", "views": "7"})
    assert [found(line) for line in lines] == [[("DUPLICATE", "country_code")]] * 2
