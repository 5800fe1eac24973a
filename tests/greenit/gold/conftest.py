"""What tests of gold share: tables of silver to activities and their impacts in one call."""

from collections import defaultdict
from datetime import date

import ibis
import pyarrow as pa
import pytest

JUNE = date(2024, 6, 1)


@pytest.fixture
def june(months):
    return months(JUNE, date(2024, 7, 1))


@pytest.fixture
def made(gold, table_of, rows, june):
    """`made(<silver table>=[{...}, ...], months=, <parameter>=)`: activities by id, and impacts as dicts, of June 2024 unless months are given."""

    def compute(months=june, **given):
        silver = {name: table_of("silver", name, *said) for name, said in given.items() if isinstance(said, list)}
        both = silver | {name: table for name, table in given.items() if not isinstance(table, list)}
        activity = gold.activity(months=months, **both)
        impact = gold.impact(activity=activity, **{name: table for name, table in both.items() if name in ("equipment", "cloud_instance_component", "grid_factor")})
        return {(row["activity_id"], row["month_start"].month): row for row in rows(activity)}, rows(impact)

    return compute


def gwp(impacts, view="amortised", method=None):
    """activity_id -> {(phase, category, ghg_method): kg} of one view."""
    found = defaultdict(dict)
    for row in impacts:
        if row["criterion"] == "GWP" and row["accounting_view"] == view and method in (None, row["ghg_method"]):
            found[row["activity_id"]][row["phase"], row["category"], row["ghg_method"]] = float(row["value"])
    return dict(found)


@pytest.fixture(name="gwp")
def gwp_fixture():
    return gwp


@pytest.fixture
def with_row(reference):
    """`with_row(parameter, {...})`: the parameter with further rows; what a row does not say is that of its first row, or NULL."""
    def build(name, *changes):
        table = reference(name).to_pyarrow()
        lines = table.to_pylist()
        blank = lines[0] if lines else {column: None for column in table.column_names}
        return ibis.memtable(pa.Table.from_pylist([*lines, *({**blank, **change} for change in changes)], schema=table.schema))

    return build
