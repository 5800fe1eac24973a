"""Every table of platinum on PostgreSQL, where runs compute it, and on DuckDB: the same rows, decimals to the last digit."""

from decimal import Context, Decimal

import pytest

from tests.greenit.estate import gold_of
from tests.greenit.platinum.conftest import PLATINUM, columns_of, inputs_of

PLACES, WIDE, SIZES = Decimal("1e-18"), Context(prec=60), ("value", "value_min", "value_max", "dq_weighted")


def keyed(name, rows):
    """Rows in the order of what they are called."""
    named = [column for column, kind in columns_of(name) if kind in ("varchar", "date")] + (["year", "rank"] if name in ("trajectory", "top_contributors") else [])
    return sorted(rows, key=lambda row: [str(row.get(column)) for column in named])


def differing(name, here, there):
    """(column, on PostgreSQL, on DuckDB) of the figures that are not the same; doubles may differ in the last digits, and so may the effects of a
    trend, which come of doubles: PostgreSQL makes decimals of their first 15 digits.
    """
    for column, kind in columns_of(name):
        one, other = here[column], there[column]
        is_double = kind == "double" or column.endswith("_effect")
        is_same = float(one) == pytest.approx(float(other), rel=1e-9, abs=1e-12) if is_double and None not in (one, other) else one == other
        if not is_same:
            yield column, one, other


def test_every_table_has_the_same_figures_on_both_engines(gold, table_of, months, rows, reference, platinum, in_postgres):
    known = {name: rows(table) for name, table in gold_of(gold, table_of, months, 3).items()}
    known["quarantined_share"] = [{"source_table": "cloud_billing", "rows_in": 7, "open_rows": 1, "quarantined_pct": 12.5}]
    known |= {name: rows(reference(name)) for name in ("target", "person_equivalent", "equivalent")}
    for name, lines in known.items():
        if name != "reconciliation":
            in_postgres.put(name, lines)
    # DuckDB's product of two decimals has 36 places and 38 digits: less than 100 kg. Shares of hosts are multiplied so; a ten-thousandth fits.
    known["impact"] = [{**row, **{name: (row[name] / 10_000).quantize(PLACES, context=WIDE) for name in SIZES}} for row in known["impact"]]
    in_postgres.put("impact", known["impact"])
    for name in PLATINUM:
        made = in_postgres.made(name)
        shares = [tuple(line.values()) for line in known["quarantined_share"]]
        said = {one: known[one] for one in inputs_of(name) if one not in ("target", "person_equivalent", "equivalent", "quarantined_share")}
        other = platinum(name, **said, **({"quarantined_share": shares} if "quarantined_share" in inputs_of(name) else {}))
        assert len(made) == len(other) > 0, name
        for here, there in zip(keyed(name, made), keyed(name, other), strict=True):
            assert not list(differing(name, here, there)), (name, here, there)
        known[name] = made
        in_postgres.put(name, made)
    assert all(isinstance(row["value"], Decimal) for row in known["kpi_monthly"])
