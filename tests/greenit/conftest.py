"""What the tests of this domain share: bronze rows made by hand, the repository's parameters and vocabularies, months, results as dicts."""

import importlib
import inspect
import itertools
import shutil
from datetime import date, timedelta
from pathlib import Path

import ibis
import ibis.expr.operations as ops
import pyarrow as pa
import pytest

from platform_assets.contracts import contract
from resources.accounting import SHARE_COLUMNS
from resources.expressions import sql_of, unbound

PROJECT = Path(__file__).parents[2]
DOMAIN = PROJECT / "platform_assets" / "greenit"
NUMBERS = itertools.count()
ORIGIN = {"_file": "hand.csv", "_sha256": "ab" * 32}
LAPTOP = {
    "equipment_id": "e1", "model": "LATITUDE 5420", "manufacturer": "Dell", "item_type": "Laptop", "quantity": "2", "status": "In use",
    "ownership": None, "purchase_date": "2024-01-01", "retired_date": None, "exported_at": None, "country": "France", "site": "Paris",
    "datacentre": None, "org_unit": "IT", "energy_kwh_per_year": None, "unit_price": None, "currency": None,
    "condition": None, "cpu_model": None, "cpu_units": None, "cpu_cores": None, "cpu_tdp_watts": None, "ram_gb": None, "ssd_gb": None, "hdd_units": None,
    "power_watts": None, "expected_lifetime_years": None, "_format": "strata_1",
}  # fmt: skip
HOUR = {
    "AvailabilityZone": None, "BilledCost": "0.34", "BillingAccountId": "111", "BillingAccountName": None, "BillingCurrency": "USD",
    "BillingPeriodStart": "2024-09-01T00:00:00Z", "BillingPeriodEnd": "2024-10-01T00:00:00Z", "ChargeCategory": "Usage", "ChargeClass": None,
    "ChargeDescription": "$0.34 per On Demand Linux c5.2xlarge Instance Hour", "ChargeFrequency": "Usage-Based",
    "ChargePeriodStart": "2024-09-18T22:00:00Z", "ChargePeriodEnd": "2024-09-18T23:00:00Z", "CommitmentDiscountStatus": None,
    "ConsumedQuantity": "1", "ConsumedUnit": "Hours", "EffectiveCost": "0.34", "ListCost": "0.34", "ProviderName": "AWS", "RegionId": "us-east-1",
    "RegionName": "US East (N. Virginia)", "ResourceId": "i-1", "ServiceCategory": "Compute", "ServiceName": "Amazon Elastic Compute Cloud",
    "SkuId": "SKU", "SkuMeter": None, "SkuPriceDetails": None, "SubAccountId": "222", "Tags": None, "_format": "focus_1_0",
}  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def duck():
    """The session that memtables and references live in."""
    backend = ibis.duckdb.connect(threads=2)
    ibis.set_backend(backend)
    return backend


@pytest.fixture(scope="session")
def reference(duck):
    """`reference(name)`: a parameter or vocabulary of the repository, typed by its contract."""
    made = {}

    def load(name):
        if name not in made:
            path = next(PROJECT / kind / f"{name}.odcs.yaml" for kind in ("parameters", "vocabularies") if (PROJECT / kind / f"{name}.csv").exists())
            types = {column.name: column.type for column in contract(path).columns}
            csv = str(path).replace(".odcs.yaml", ".csv")
            duck.raw_sql(f"CREATE TABLE {name} AS SELECT * FROM read_csv('{csv}', header = true, columns = {types!r}, nullstr = '')")
            made[name] = duck.table(name)
        return made[name]

    return load


ARROW = {"varchar": pa.string(), "bigint": pa.int64(), "double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us"), "boolean": pa.bool_(),
         "decimal(38,12)": pa.decimal128(38, 12), "decimal(38,18)": pa.decimal128(38, 18)}  # fmt: skip


def as_table(rows, types):
    """Dicts as a table with exactly these columns; `types` are contract types, NULL where a row says nothing."""
    return ibis.memtable(pa.Table.from_pylist(rows, schema=pa.schema([(name, ARROW[kind]) for name, kind in types.items()])))


def raw(default, changes):
    rows = [{**ORIGIN, **default, **change, "_row": place} for place, change in enumerate(changes, 1)]
    return as_table(rows, {**dict.fromkeys([*default, "_file", "_sha256"], "varchar"), "_row": "bigint"})


@pytest.fixture
def inventory():
    """`inventory({...}, ...)`: bronze lines, each a laptop but for what it says."""
    return lambda *changes: raw(LAPTOP, changes)


@pytest.fixture
def billing():
    """`billing({...}, ...)`: bronze lines, each an hour of c5.2xlarge but for what it says."""
    return lambda *changes: raw(HOUR, changes)


@pytest.fixture
def table_of():
    """`table_of(layer, table, {...}, ...)`: rows typed by the table's contract, NULL where nothing is said."""

    def build(layer, table, *rows):
        return as_table(rows, {column.name: column.type for column in contract(DOMAIN / layer / f"{table}.odcs.yaml").columns})

    return build


@pytest.fixture
def shares_of():
    """`shares_of((source_table, rows_in, open_rows, quarantined_pct), ...)`: what a run counts behind its figures."""
    return lambda *shares: as_table([dict(zip(dict(SHARE_COLUMNS), share, strict=True)) for share in shares], dict(SHARE_COLUMNS))


@pytest.fixture
def months():
    """`months(first, until)`: calendar months of a window; the day `until` is no longer in it."""

    def build(first, until):
        rows, start = [], first.replace(day=1)
        while start < until:
            following = (start + timedelta(days=32)).replace(day=1)
            rows.append({"month_start": start, "month_end": min(following, until)})
            start = following
        return as_table(rows, {"month_start": "date", "month_end": "date"})

    return build


@pytest.fixture
def year_2024(months):
    return months(date(2024, 1, 1), date(2025, 1, 1))


@pytest.fixture
def delivered():
    """`delivered(table, {...}, ...)`: bronze rows of a source, as text; NULL where nothing is said, format strata_1 unless a row names another."""

    def build(table, *changes):
        lines = [{**ORIGIN, "_format": "strata_1", **change, "_row": place} for place, change in enumerate(changes, 1)]
        return as_table(lines, {column.name: column.type for column in contract(DOMAIN / "bronze" / f"{table}.odcs.yaml").columns})

    return build


@pytest.fixture
def bronze_of_file(tmp_path):
    """`bronze_of_file(source, format, path)`: the bronze rows of a file, read as a delivery is; every record of it is a row."""
    from platform_assets.landing import source_contract
    from tests.landing.readers import read

    def build(source, format, path):
        said = source_contract(source)
        copy = Path(shutil.copy(path, tmp_path))
        found = read(copy, said.formats[format], said.columns, types=said.types)
        assert found.rejects == []
        lines = [{**ORIGIN, "_format": format, "_row": row, **dict(zip(said.columns, cells, strict=True))} for row, *cells in found.rows]
        return as_table(lines, {column.name: column.type for column in contract(DOMAIN / "bronze" / f"{source}.odcs.yaml").columns})

    return build


@pytest.fixture
def clean(reference, table_of):
    """`clean.<table>(bronze, <other table>=…)`: a table of silver with the repository's vocabularies; other tables that it looks up in are empty."""
    import importlib
    import inspect

    class Clean:
        def __getattr__(self, table):
            asset = getattr(importlib.import_module(f"platform_assets.greenit.silver.{table}"), table)
            names = list(inspect.signature(asset.op.compute_fn.decorated_fn).parameters)

            def call(bronze, **given):
                others = {n: table_of("silver", n) for n in names[1:] if n not in given and (DOMAIN / "silver" / f"{n}.py").exists()}
                return asset(bronze, **{n: given[n] if n in given else others[n] if n in others else reference(n) for n in names[1:]})

            return call

    return Clean()


COMPILED = {}  # table of gold -> its inputs by name, and its SQL, as a run compiles it: once per process


def compiled(name):
    """The inputs of a gold table and its SQL over tables of these names."""
    if name not in COMPILED:
        asset = getattr(importlib.import_module(f"platform_assets.greenit.gold.{name}"), name)
        inputs = {one: contract(found) for one in inspect.signature(asset.op.compute_fn.decorated_fn).parameters for found in [contract_of(one)] if found}
        columns = {one: [(column.name, column.type) for column in made.columns] for one, made in inputs.items()}
        if "months" in inspect.signature(asset.op.compute_fn.decorated_fn).parameters:
            columns["months"] = [("month_start", "date"), ("month_end", "date")]
        expression = asset(**{one: unbound(one, kinds) for one, kinds in columns.items()})
        COMPILED[name] = (list(columns), sql_of(expression, "duckdb"))
    return COMPILED[name]


def contract_of(name):
    """Where the contract of an input is: a table of silver or gold, a parameter or a vocabulary; None for months."""
    places = [DOMAIN / "silver", DOMAIN / "gold", PROJECT / "parameters", PROJECT / "vocabularies"]
    return next((place / f"{name}.odcs.yaml" for place in places if (place / f"{name}.odcs.yaml").exists()), None)


@pytest.fixture
def gold(duck, reference, table_of):
    """`gold.<table>(<input>=…)`: a gold table with the repository's parameters and empty tables of silver, or others by name. Inputs come by
    position or name; the result is a table of the session."""

    class Gold:
        def __getattr__(self, name):
            wanted, sql = compiled(name)
            order = inspect.signature(getattr(importlib.import_module(f"platform_assets.greenit.gold.{name}"), name).op.compute_fn.decorated_fn).parameters

            def call(*made, **given):
                given = {**dict(zip(order, made, strict=False)), **given}
                for one in wanted:
                    put(one, given[one] if one in given else other(one))
                made = f"made_{name}_{next(NUMBERS)}"
                duck.raw_sql(f'CREATE TEMP TABLE {made} AS {sql}')
                return duck.table(made)

            return call

    def other(name):
        place = contract_of(name)
        return table_of(place.parent.name, name) if place.parent.parent == DOMAIN else reference(name)

    def put(name, rows):
        """An input under its own name, in a schema that goes before the parameters' tables."""
        if not isinstance(rows.op(), ops.PhysicalTable) or rows.get_name() != name:
            arrow = rows.to_pyarrow()
            duck.raw_sql(f'DROP VIEW IF EXISTS temp."{name}"')
            duck.con.register(name, arrow)
        else:
            duck.raw_sql(f'DROP VIEW IF EXISTS temp."{name}"')

    return Gold()


@pytest.fixture
def rows():
    """`rows(table, *order)`: the result as dicts."""
    return lambda table, *order: (table.order_by(*order) if order else table).to_pyarrow().to_pylist()


@pytest.fixture
def with_coverage(gold):
    """`with_coverage(activity)`: its rows in order, and for each whether anything of it is in `impact`."""

    def look(made):
        reached = gold.impact(made).select("activity_id", "month_start").distinct().to_pyarrow().to_pylist()
        found = {(row["activity_id"], row["month_start"]) for row in reached}
        ordered = sorted(made.to_pyarrow().to_pylist(), key=lambda row: (row["activity_id"], row["month_start"]))
        return [{**row, "is_covered": (row["activity_id"], row["month_start"]) in found} for row in ordered]

    return look
