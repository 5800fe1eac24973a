"""Behaviour of greenit/silver/site."""

from platform_assets.greenit.silver.site import site


def test_sites_are_distinct_and_lines_without_one_make_none(table_of, rows):
    lines = table_of(
        "silver",
        "equipment",
        {"site_id": "DC1", "is_datacentre": True, "country_code": "FRA"},
        {"site_id": "DC1", "is_datacentre": True, "country_code": "FRA"},
        {"site_id": "Lyon", "is_datacentre": False, "country_code": None},
        {"site_id": None, "is_datacentre": False, "country_code": "FRA"},
    )
    assert rows(site(lines), "site_id") == [
        {"site_id": "DC1", "is_datacentre": True, "country_code": "FRA", "equipment_lines": 2},
        {"site_id": "Lyon", "is_datacentre": False, "country_code": None, "equipment_lines": 1},
    ]


def test_a_site_in_two_countries_gets_the_one_with_most_lines_then_the_first_by_code(table_of, rows):
    said = [("X", "FRA"), ("X", "DEU"), ("X", "FRA"), ("Y", "ESP"), ("Y", "BEL"), ("Z", None), ("Z", None), ("Z", "ITA")]
    lines = table_of("silver", "equipment", *({"site_id": name, "is_datacentre": False, "country_code": code} for name, code in said))
    assert [(line["site_id"], line["country_code"], line["equipment_lines"]) for line in rows(site(lines), "site_id")] == [
        ("X", "FRA", 3),
        ("Y", "BEL", 2),
        ("Z", "ITA", 3),
    ]
