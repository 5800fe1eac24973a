"""Behaviour of greenit/silver/site."""

import pytest

ROOM = {"site_id": "DC1", "name": "Room one", "kind": "Datacentre", "country": "France", "pue": "1.4", "wue_l_per_kwh": "0.35"}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_a_line_comes_out_typed_and_conformed_with_the_inventory_lines_that_stand_there(clean, delivered, table_of, rows):
    standing = table_of("silver", "equipment", {"site_id": "DC1"}, {"site_id": "DC1"}, {"site_id": "elsewhere"}, {"site_id": None})
    lines = rows(clean.site(delivered("site_register", ROOM, {"site_id": "HQ", "kind": "bureau", "country": "DE"}), equipment=standing), "_row")
    room, office = lines
    assert (room["kind"], room["is_datacentre"], room["country_code"], room["pue"], room["wue_l_per_kwh"]) == ("datacentre", True, "FRA", 1.4, 0.35)
    assert (room["equipment_lines"], office["equipment_lines"]) == (2, 0)
    assert (office["kind"], office["is_datacentre"], office["country_code"], office["pue"]) == ("office", False, "DEU", None)
    assert [line["_rejects"] for line in lines] == [None, None]


def test_a_colocation_room_is_a_datacentre_to_which_a_pue_applies(clean, delivered, rows):
    (line,) = rows(clean.site(delivered("site_register", {**ROOM, "kind": "hébergeur"})))
    assert (line["kind"], line["is_datacentre"]) == ("colocation", True)


def test_a_french_register_follows_its_own_convention(clean, delivered, rows):
    (line,) = rows(clean.site(delivered("site_register", {**ROOM, "_format": "fr_1", "kind": "centre de données", "country": "Suisse", "pue": "1,25", "wue_l_per_kwh": "0,3"})))
    assert (line["pue"], line["country_code"], line["_rejects"]) == (1.25, "CHE", None)


BAD = [
    ({"site_id": " "}, "MISSING_KEY", "site_id"), ({"kind": None}, "MISSING_VALUE", "kind"), ({"country": ""}, "MISSING_VALUE", "country"),
    ({"kind": "bunker"}, "DOMAIN", "kind"), ({"country": "Atlantis"}, "DOMAIN", "country"), ({"pue": "a"}, "NUMBER_FORMAT", "pue"),
    ({"pue": "1,4"}, "NUMBER_FORMAT", "pue"), ({"pue": "0.99"}, "NUMBER_RANGE", "pue"), ({"wue_l_per_kwh": "-0.1"}, "NUMBER_RANGE", "wue_l_per_kwh"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(clean, delivered, rows):
    bad = [{**ROOM, "site_id": f"bad {place}", **change} for place, (change, _rule, _column) in enumerate(BAD)]
    lines = rows(clean.site(delivered("site_register", {**ROOM, "site_id": "before"}, *bad, {**ROOM, "site_id": "after", "pue": "1.0"})), "_row")
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


@pytest.mark.parametrize("other", [{}, {"pue": "1.9"}])
def test_of_a_repeated_site_every_row_is_refused_also_an_equal_one(clean, delivered, rows, other):
    lines = rows(clean.site(delivered("site_register", ROOM, {**ROOM, "site_id": "DC1 ", **other}, {**ROOM, "site_id": "DC2"})), "_row")
    assert [found(line) for line in lines] == [[("DUPLICATE", "site_id")], [("DUPLICATE", "site_id")], []]
