"""What each customer costs the platform: `platform.platform_cost`, from what its runs took up and what lies at rest.

What belongs here: amounts × prices, electricity and emissions, and writing them. What does not: metering (resources/usage.py), figures (parameters/
platform_*.csv, which an installation overlays), when it is done (upkeep.py). It is a table of the platform and of no domain: it moves with every run,
and so with no version (ADR 0020).
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import ibis
import ibis.expr.types as ir
import psycopg
from ibis import _
from psycopg import sql

from platform_assets.contracts import contract
from platform_assets.parameters import limits_of, rules_of
from platform_assets.tables import reference_contracts
from resources.expressions import sql_of, unbound
from resources.parameter_state import read_state, state_of
from resources.postgres import WRITER, Postgres
from resources.storage import pg_type

CONTRACT = contract(__file__)
TABLE = "platform.platform_cost"
AMOUNT = "decimal(38, 12)"
SECONDS_PER_HOUR, BYTES_PER_GB = 3600.0, 1e9
FIGURES = ("platform_price", "platform_energy", "platform_site", "grid_factor")
USAGE = {"month": "date", "wall_seconds": "decimal(18, 6)", "cpu_seconds": "decimal(18, 6)", "postgres_seconds": "decimal(18, 6)", "peak_bytes": "int64"}
STORAGE = {"month": "date", "landing_bytes": "int64", "lake_bytes": "int64", "warehouse_bytes": "int64"}
KEPT_MONTHS = 13  # of metered runs; costs of earlier months stay as they were computed last
# Days since the last look take the level of this one. Of shared tables a customer has its share of the rows that the server believes there are.
LEVEL = """INSERT INTO platform.storage (customer_id, day, landing_bytes, lake_bytes, warehouse_bytes)
    SELECT %(customer)s, days::date, (SELECT coalesce(sum(bytes), 0) FROM platform.delivery), (SELECT coalesce(sum(bytes), 0) FROM platform.lake_object),
        (SELECT coalesce(sum(pg_total_relation_size(c.oid) * least(own.rows / greatest(c.reltuples, own.rows, 1), 1)), 0)::bigint
         FROM (SELECT table_name, sum(row_count)::float8 AS rows FROM platform.table_version WHERE snapshot_id IS NULL GROUP BY 1) own
         JOIN pg_class c ON c.oid = to_regclass(own.table_name))
    FROM generate_series(coalesce((SELECT least(max(day) + 1, %(today)s) FROM platform.storage), %(today)s), %(today)s::date, interval '1 day') days
    ON CONFLICT (customer_id, day) DO UPDATE SET landing_bytes = excluded.landing_bytes, lake_bytes = excluded.lake_bytes,
        warehouse_bytes = excluded.warehouse_bytes"""

UNPRICED = """SELECT count(*) FROM (SELECT month, sum(cpu_seconds) / 3600 AS hours FROM platform.usage GROUP BY 1) u
    LEFT JOIN (SELECT month, amount FROM platform.platform_cost WHERE resource = 'cpu_hour') c USING (month)
    WHERE abs(u.hours - coalesce(c.amount, 0)) > 1e-9"""


@dataclass(frozen=True)
class Costs:
    """What was computed: customers, months with a cost and dollars in them; and months whose metered hours are not the cost's."""

    customers: int = 0
    months: int = 0
    cost_usd: Decimal = Decimal(0)
    unpriced: int = 0


def platform_cost(
    usage: ir.Table, storage: ir.Table, platform_price: ir.Table, platform_energy: ir.Table, platform_site: ir.Table, grid_factor: ir.Table
) -> ir.Table:
    """One row per month and resource. Memory is the highest of each part of a run for as long as that part took; storage is the mean over the
    days of the month. A resource without a price, electricity, site or grid in force has no row: `unpriced` counts it.
    """
    rows = amounts(usage, storage)
    price = in_force(platform_price, price_id="price_id", of="resource", price_usd="price_usd", per="per")
    energy = in_force(platform_energy, energy_id="energy_id", used_by="resource", kwh="value")
    site = in_force(platform_site, site_id="site_id", country_code="country_code", pue="value")
    met = rows.join(price, [rows.resource == price.of, *valid(rows, price)]).drop("first", "last")
    met = met.join(energy, [met.resource == energy.used_by, *valid(met, energy)]).drop("first", "last")
    met = met.join(site, valid(met, site)).drop("first", "last")
    met = met.join(newest_grid(grid_factor), "country_code")
    kwh = met.amount.cast("float64") * met.kwh * met.pue
    return met.select(
        "month", "resource", "amount", "per", cost_usd=(met.amount.cast("float64") * met.price_usd).cast(AMOUNT), energy_kwh=kwh.cast(AMOUNT),
        impact_kgco2e=(kwh * met.grid).cast(AMOUNT), price_id="price_id", energy_id="energy_id", site_id="site_id", grid_id="grid_id",
    )  # fmt: skip


def amounts(usage: ir.Table, storage: ir.Table) -> ir.Table:
    """`month`, `resource`, `amount` in the unit of its price."""
    busy = usage.group_by("month").agg(
        cpu_hour=_.cpu_seconds.sum().cast("float64") / SECONDS_PER_HOUR, postgres_hour=_.postgres_seconds.sum().cast("float64") / SECONDS_PER_HOUR,
        memory_gb_hour=(_.peak_bytes.cast("decimal(38, 6)") * _.wall_seconds).sum().cast("float64") / SECONDS_PER_HOUR / BYTES_PER_GB,
    )  # fmt: skip
    lying = (storage.landing_bytes + storage.lake_bytes + storage.warehouse_bytes).cast("decimal(38, 6)")
    stored = storage.mutate(lying=lying).group_by("month").agg(byte_days=_.lying.sum().cast("float64"))
    following = (stored.month.cast("timestamp") + ibis.interval(months=1)).date()
    month_days = following.delta(stored.month, unit="day").cast("float64")
    stored = stored.mutate(storage_gb_month=stored.byte_days / BYTES_PER_GB / month_days)
    parts = [(busy, name) for name in ("cpu_hour", "postgres_hour", "memory_gb_hour")] + [(stored, "storage_gb_month")]
    return ibis.union(*(part.select("month", resource=ibis.literal(name), amount=part[name].cast(AMOUNT)) for part, name in parts))


def in_force(figures: ir.Table, **take: str) -> ir.Table:
    return figures.select(first="valid_from", last="valid_to", **take)


def valid(rows: ir.Table, figures: ir.Table) -> list[ir.BooleanValue]:
    """The figure is in force on the first day of the row's month."""
    return [rows.month >= figures["first"], figures["last"].isnull() | (rows.month <= figures["last"])]


def newest_grid(grid_factor: ir.Table) -> ir.Table:
    """Each country's newest factor: the platform runs now, and factors are published years later."""
    newest = ibis.window(group_by="country_code", order_by=ibis.desc("factor_year"))
    ranked = grid_factor.filter(_.criterion == "GWP").mutate(place=ibis.row_number().over(newest))
    return ranked.filter(_.place == 0).select("country_code", "grid_id", grid="value")


def computed(postgres: Postgres, customers: Iterable[str], today: date) -> Costs:
    """Look at the storage of every customer and compute its costs anew, each in a transaction that sees that customer alone; metered runs of long ago go."""
    state = state_of(postgres.settings, None)
    contracts = {made.table: made for made in reference_contracts()}
    figures = {name: (made := contracts[name], read_state(state, made.layer, made.spec, limits_of(made), rules_of(made))) for name in FIGURES}
    tables = {name: unbound(name, [(c.name, c.type) for c in made.columns]) for name, (made, _rows) in figures.items()}
    statement = sql_of(platform_cost(unbound("usage", USAGE.items()), unbound("storage", STORAGE.items()), **tables), "postgres")
    done = Costs()
    for name in customers:
        with postgres.connect(WRITER, customer=name) as connection:
            connection.execute("SET LOCAL search_path = pg_temp, platform")
            for table, (made, rows) in figures.items():
                columns = ", ".join(f'"{c.name}" {pg_type(c.type)}' for c in made.columns)
                connection.execute(f'CREATE TEMP TABLE "{table}" ({columns}) ON COMMIT DROP')
                with connection.cursor().copy(f'COPY "{table}" FROM STDIN') as copy:
                    for row in rows.to_pylist():
                        copy.write_row([row[c.name] for c in made.columns])
            done = _added(done, _replaced(connection, name, statement, today))
    return done


def _replaced(connection: psycopg.Connection, customer: str, statement: str, today: date) -> Costs:
    """One customer's rows of the months that are still metered, in the open transaction."""
    year, month = divmod(today.year * 12 + today.month - 1 - KEPT_MONTHS, 12)
    first = date(year, month + 1, 1)
    connection.execute(LEVEL, {"customer": customer, "today": today})
    connection.execute("DELETE FROM platform.usage WHERE month < %s", [first])
    connection.execute("DELETE FROM platform.storage WHERE month < %s", [first])
    connection.execute(f"DELETE FROM {TABLE} WHERE month >= %s", [first])
    columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in CONTRACT.columns)
    connection.execute(sql.SQL("INSERT INTO platform.platform_cost (customer_id, {0}) SELECT {1}, {0} FROM ({2}) computed").format(
        columns, sql.Literal(customer), sql.SQL(statement)))
    months, cost = connection.execute(f"SELECT count(DISTINCT month), coalesce(sum(cost_usd), 0) FROM {TABLE} WHERE month >= %s", [first]).fetchone() or (0, 0)
    return Costs(1, months, Decimal(cost), connection.execute(UNPRICED).fetchone()[0])


def _added(one: Costs, other: Costs) -> Costs:
    return Costs(one.customers + other.customers, one.months + other.months, one.cost_usd + other.cost_usd, one.unpriced + other.unpriced)
