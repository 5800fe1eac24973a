"""Behaviour of greenit/silver/metered_usage."""

from datetime import date

SEPTEMBER = {"equipment_id": "s1", "start_date": "2024-09-01", "end_date": "2024-09-30", "energy_kwh": "182.5", "hours_on": "720", "cpu_pct": "34.2"}


def found(line):
    return [(reject["rule"], reject["column"]) for reject in line["_rejects"] or []]


def test_a_measurement_comes_out_typed_and_says_whether_the_inventory_has_its_line(clean, delivered, table_of, rows):
    known = table_of("silver", "equipment", {"equipment_id": "s1"}, {"equipment_id": "s3"})
    mine, strange = rows(clean.metered_usage(delivered("equipment_metering", SEPTEMBER, {**SEPTEMBER, "equipment_id": "s2"}), equipment=known), "_row")
    assert (mine["start_date"], mine["end_date"]) == (date(2024, 9, 1), date(2024, 9, 30))
    assert (mine["energy_kwh"], mine["hours_on"], mine["cpu_pct"], mine["is_in_inventory"], mine["_rejects"]) == (182.5, 720.0, 34.2, True, None)
    assert (strange["is_in_inventory"], strange["_rejects"]) == (False, None)


def test_one_figure_is_enough_and_the_others_stay_unknown(clean, delivered, rows):
    (line,) = rows(clean.metered_usage(delivered("equipment_metering", {**SEPTEMBER, "energy_kwh": None, "hours_on": ""})))
    assert (line["energy_kwh"], line["hours_on"], line["cpu_pct"], line["_rejects"]) == (None, None, 34.2, None)


BAD = [
    ({"equipment_id": " "}, "MISSING_KEY", "equipment_id"), ({"end_date": None}, "MISSING_VALUE", "end_date"),
    ({"start_date": "2024-09-31"}, "DATE", "start_date"), ({"end_date": "30/09/2024"}, "DATE_FORMAT", "end_date"),
    ({"end_date": "2024-08-31"}, "DATE_RANGE", "end_date"), ({"end_date": "2024-10-01"}, "DATE_RANGE", "end_date"),
    ({"start_date": "2023-09-01"}, "DATE_RANGE", "end_date"), ({"energy_kwh": "182,5"}, "NUMBER_FORMAT", "energy_kwh"),
    ({"energy_kwh": "-1"}, "NUMBER_RANGE", "energy_kwh"), ({"hours_on": "721.5"}, "NUMBER_RANGE", "hours_on"), ({"hours_on": "-1"}, "NUMBER_RANGE", "hours_on"),
    ({"cpu_pct": "100.1"}, "NUMBER_RANGE", "cpu_pct"), ({"energy_kwh": None, "hours_on": None, "cpu_pct": None}, "MISSING_VALUE", "energy_kwh"),
]  # fmt: skip


def test_each_rule_refuses_its_bad_row_and_not_the_clean_ones(clean, delivered, rows):
    bad = [{**SEPTEMBER, "equipment_id": f"bad {place}", **change} for place, (change, _rule, _column) in enumerate(BAD)]
    lines = rows(clean.metered_usage(delivered("equipment_metering", {**SEPTEMBER, "hours_on": "721"}, *bad, {**SEPTEMBER, "equipment_id": "after"})), "_row")
    assert [found(line) for line in lines] == [[], *([(rule, column)] for _change, rule, column in BAD), []]


def test_a_day_that_two_rows_of_a_line_name_is_refused_in_both(clean, delivered, rows):
    days = [("2024-09-01", "2024-09-10"), ("2024-09-11", "2024-09-20"), ("2024-09-20", "2024-09-30"), ("2024-08-01", "2024-08-31")]
    month = [{**SEPTEMBER, "hours_on": None, "start_date": first, "end_date": last} for first, last in days]
    lines = rows(clean.metered_usage(delivered("equipment_metering", *month, {**month[1], "equipment_id": "s2"})), "_row")
    assert [found(line) for line in lines] == [[], [("DUPLICATE", "start_date")], [("DUPLICATE", "start_date")], [], []]


def test_a_long_row_is_found_behind_a_short_one(clean, delivered, rows):
    """The whole of September, then its 5th, then its 10th: the third overlaps the first, not the second."""
    days = [("2024-09-01", "2024-09-30"), ("2024-09-05", "2024-09-05"), ("2024-09-10", "2024-09-10")]
    lines = rows(clean.metered_usage(delivered("equipment_metering", *({**SEPTEMBER, "hours_on": None, "start_date": a, "end_date": b} for a, b in days))), "_row")
    assert [found(line) for line in lines] == [[("DUPLICATE", "start_date")]] * 3


def test_a_broken_row_takes_no_good_one_with_it(clean, delivered, rows):
    broken = {**SEPTEMBER, "end_date": "2024-10-31"}
    lines = rows(clean.metered_usage(delivered("equipment_metering", SEPTEMBER, broken)), "_row")
    assert [found(line) for line in lines] == [[], [("DATE_RANGE", "end_date")]]
