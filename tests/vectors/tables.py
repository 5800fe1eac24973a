"""Tables for formulas: one row of columns, and the repository's parameters."""

import ibis

from platform_assets.contracts import contract
from tests.vectors.files import PROJECT


def one(**figures):
    """One row with a column per figure, as formulas meet them in an asset; a list is a row per entry."""
    kinds = {name: "string" if isinstance(figure, str) else "float64" for name, figure in figures.items()}
    return ibis.memtable([{name: figure if isinstance(figure, str) or figure is None else float(figure) for name, figure in figures.items()}], schema=kinds)


def figures(table, **formulas):
    """The formulas' results over the one row, as floats; NULL is None."""
    return table.select(**formulas).to_pyarrow().to_pylist()[0]


def reference_table(duck, name):
    """A parameter of the repository under the types of its contract."""
    path = PROJECT / "parameters" / f"{name}.odcs.yaml"
    types = {column.name: column.type for column in contract(path).columns}
    duck.raw_sql(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_csv('{path.with_name(name + '.csv')}', header = true, columns = {types!r}, nullstr = '')")
    return duck.table(name)
