"""From a figure back to the delivered rows: the impacts behind a KPI, their factors, and the raw rows behind each.

What belongs here: reading them at the versions that the live figures were computed from. What does not: which silver rows an activity is made of
(origins.py), what a KPI is (metrics.py), printing (cli/tracing.py). No edge is stored: a row is found by the keys and hashes that every layer keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _
from psycopg import sql
from psycopg.rows import dict_row

from partitions.errors import TraceError
from platform_assets.contracts import contract
from platform_assets.greenit.metrics import METRICS, Metric
from platform_assets.greenit.origins import ORIGINS, Origin
from platform_assets.greenit.platinum.kpi_dimension import DIMENSIONS, HOST_KEY, NONE
from resources import versions
from resources.expressions import unbound_table
from resources.lake import read
from resources.session import Session
from resources.settings import PROJECT
from resources.storage import TableSpec
from resources.versions import Version

DOMAIN = PROJECT / "platform_assets" / "greenit"
CELLS = {"method": "ghg_method", "view": "accounting_view", **{name: name for name in ("criterion", "scope", "category", "domain", "phase")}}
TABLES = ("gold.activity", "gold.impact", "gold.allocation", "platinum.kpi_monthly", "platinum.kpi_dimension")
AGREE = Decimal("1e-15")  # shares of hosts are rounded to 18 places; all other sums agree to the last digit


@dataclass(frozen=True)
class RawRow:
    """One delivered row: the file as it was named, its hash, the row in it, and the cells that are filled."""

    table: str
    file: str
    row: int
    sha256: str
    text: dict[str, str]


@dataclass(frozen=True)
class TracedImpact:
    """One row of `impact` with its activity, and the delivered rows behind it; `found` of `lines` rows were found in silver."""

    impact: dict[str, Any]
    activity: dict[str, Any]
    sentence: str
    lines: int
    found: int
    raw: tuple[RawRow, ...]


@dataclass(frozen=True)
class Trace:
    """A figure, the sum of the impacts behind it, and the largest of them. `figure` and `total` are in the impacts' unit, `value` in the KPI's."""

    metric: Metric
    month: date
    value: Decimal
    figure: Decimal
    total: Decimal
    impacts: int
    traced: tuple[TracedImpact, ...]
    versions: dict[str, int]
    parameter_version: str
    code_version: str

    @property
    def is_reconciled(self) -> bool:
        """The impacts add up to the figure, and every row that an activity counts was found."""
        return abs(self.figure - self.total) <= AGREE * abs(self.figure) and all(one.found == one.lines for one in self.traced)


def trace(session: Session, metric_id: str, month: date | None, dimensions: Mapping[str, str], limit: int, raw_limit: int) -> Trace:
    """The newest month's figure, or that of `month`, cut by `dimensions`; the `limit` largest impacts with up to `raw_limit` raw rows each.

    Raises TraceError for a KPI that is unknown or no sum of impacts, a dimension it does not have, and a month without figures.
    """
    metric = traceable(session, metric_id, dimensions)
    session.lock.execute("SET enable_nestloop = off")  # shared tables say little of one customer's months: loops took a second where hashing takes 0.1
    live = versions.live(session.lock, session.customer_id)
    tables = {name: live.get(f"greenit_{name}") for name in TABLES}
    if None in tables.values():
        raise TraceError("nothing is published yet", customer=session.customer_id, fix=f"strata launch {session.customer_id}")
    numbers = {name: int(number) for name, number in tables.items() if number is not None}
    month = month or newest_month(session, numbers["gold.impact"])
    largest = impacts_behind(session, metric, month, dimensions, numbers, limit)
    if not largest:
        raise TraceError("no impact is behind this figure", customer=session.customer_id, month=f"{month:%Y-%m}", fix="choose another month or dimension")
    figure = figure_of(session, metric, month, dimensions, numbers)
    total, impacts = largest[0]["total"], largest[0]["impacts"]
    made = version_of(session, "greenit_gold.activity", numbers["gold.activity"])
    traced = tuple(one_impact(session, row, made, raw_limit) for row in largest)
    state = version_of(session, "greenit_gold.impact", numbers["gold.impact"])
    return Trace(metric, month, figure * Decimal(str(metric.scale)), figure, total, impacts, traced, numbers, state.parameter_version, state.code_version)


def version_of(session: Session, table: str, number: int) -> Version:
    """A version that is registered, since something live was computed from it."""
    found = versions.numbered(session.lock, session.customer_id, table, number)
    if found is None:
        raise TraceError("a version behind the live figures is not registered", customer=session.customer_id, table=table, fix="launch the customer again")
    return found


def traceable(session: Session, metric_id: str, dimensions: Mapping[str, str]) -> Metric:
    """The KPI; a ratio is traced in its numerator."""
    found = next((one for one in METRICS if one.id == metric_id), None)
    if found is None or not found.is_traceable:
        known = ", ".join(one.id for one in METRICS if one.is_traceable)
        problem = "this KPI is no sum of impacts" if found else "there is no such KPI"
        raise TraceError(problem, customer=session.customer_id, kpi=ascii(metric_id)[:48], fix=f"one of {known}")
    if unknown := [name for name in dimensions if name not in (*CELLS, *DIMENSIONS, "application")]:
        raise TraceError("there is no such dimension", customer=session.customer_id, dimension=ascii(unknown[0])[:48],
                         fix=f"one of {', '.join([*CELLS, *DIMENSIONS, 'application'])}")  # fmt: skip
    return found


def newest_month(session: Session, impact_version: int) -> date:
    query = "SELECT max(month_start) FROM greenit_gold.impact WHERE customer_id = %s AND version = %s"
    found = session.lock.execute(query, [session.customer_id, impact_version]).fetchone()[0]
    if found is None:
        raise TraceError("the live figures are empty", customer=session.customer_id, fix="deliver a source, then launch the customer")
    return found


def conditions(metric: Metric, dimensions: Mapping[str, str], columns: Mapping[str, str]) -> tuple[list[sql.Composable], list[Any]]:
    """Where a metric's rows are, and the members that were asked for, over columns named as in `columns`; `(none)` is NULL."""
    wheres: list[sql.Composable] = []
    values: list[Any] = []
    for name, wanted in metric.of.where.items():
        wheres.append(sql.SQL("{} = ANY(%s)").format(sql.Identifier(*columns[name].split("."))))
        values.append(wanted if isinstance(wanted, list) else [wanted])
    for name, member in dimensions.items():
        if name in columns:
            column = sql.Identifier(*columns[name].split("."))
            wheres.append(sql.SQL("{} IS NULL" if member == NONE else "{} = %s").format(column))
            values += [] if member == NONE else [member]
    return wheres, values


def impacts_behind(
    session: Session, metric: Metric, month: date, dimensions: Mapping[str, str], numbers: Mapping[str, int], limit: int
) -> list[dict[str, Any]]:
    """The `limit` largest rows of the live impact that the figure sums, each with the `total` and number (`impacts`) of all; by application a host's
    row counts with its share.
    """
    columns = {**{name: f"i.{column}" for name, column in CELLS.items()}, **{name: f"a.{column}" for name, column in DIMENSIONS.items()}}
    wheres, values = conditions(metric, dimensions, columns)
    member = dimensions.get("application")
    shared: sql.Composable = sql.SQL("")
    share: sql.Composable = sql.SQL("i.value")
    if member is not None:
        shared = sql.SQL("""LEFT JOIN (SELECT parent_id, application_id, sum(share) AS share FROM greenit_gold.allocation
            WHERE customer_id = {0} AND version = {1} AND allocation_key = {2} GROUP BY 1, 2) h ON h.parent_id = i.activity_id""").format(
            sql.Literal(session.customer_id), sql.Literal(numbers["gold.allocation"]), sql.Literal(HOST_KEY))  # fmt: skip
        share = sql.SQL("i.value * coalesce(h.share, 1)")
        wheres.append(sql.SQL("coalesce(h.application_id, a.application_id, {}) = {}").format(sql.Literal(NONE), sql.Literal(member)))
    query = sql.SQL("""SELECT i.*, {share} AS value, sum({share}) OVER () AS total, count(*) OVER () AS impacts
        FROM greenit_gold.impact i JOIN greenit_gold.activity a ON a.customer_id = i.customer_id AND a.version = {activity}
            AND a.activity_id = i.activity_id AND a.month_start = i.month_start {shared}
        WHERE i.customer_id = {customer} AND i.version = {impact} AND i.month_start = {month} AND {wheres}
        ORDER BY abs({share}) DESC, i.activity_id COLLATE "C", i.phase, i.category LIMIT {limit}""").format(
        share=share, activity=sql.Literal(numbers["gold.activity"]), shared=shared, customer=sql.Literal(session.customer_id),
        impact=sql.Literal(numbers["gold.impact"]), month=sql.Literal(month), limit=sql.Literal(limit),
        wheres=sql.SQL(" AND ").join(wheres))  # fmt: skip
    with session.lock.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def figure_of(session: Session, metric: Metric, month: date, dimensions: Mapping[str, str], numbers: Mapping[str, int]) -> Decimal:
    """What readers see: the sum of the live cells, of kpi_monthly or, by a member, of kpi_dimension."""
    by_member = [name for name in dimensions if name not in CELLS]
    table = "kpi_dimension" if by_member else "kpi_monthly"
    columns = {name: name for name in CELLS if not by_member or name in ("criterion", "method", "view", "domain")}
    if len(by_member) > 1 or (by_member and any(name not in columns for name in [*metric.of.where, *(n for n in dimensions if n in CELLS)])):
        raise TraceError("no table holds this figure", customer=session.customer_id, kpi=metric.id,
                         fix="ask for one member, of a KPI over all scopes and phases")  # fmt: skip
    wheres, values = conditions(metric, {name: member for name, member in dimensions.items() if name in columns}, columns)
    if by_member:
        wheres.append(sql.SQL("dimension = {} AND member = {}").format(sql.Literal(by_member[0]), sql.Literal(dimensions[by_member[0]])))
    query = sql.SQL("SELECT coalesce(sum(value), 0) FROM {} WHERE customer_id = {} AND version = {} AND period = {} AND {}").format(
        sql.Identifier("greenit_platinum", table), sql.Literal(session.customer_id), sql.Literal(numbers[f"platinum.{table}"]), sql.Literal(month),
        sql.SQL(" AND ").join(wheres))  # fmt: skip
    return session.lock.execute(query, values).fetchone()[0]


def one_impact(session: Session, impact: dict[str, Any], made: Version, raw_limit: int) -> TracedImpact:
    """An impact with its activity, its formula in words and its raw rows."""
    with session.lock.cursor(row_factory=dict_row) as cursor:
        query = "SELECT * FROM greenit_gold.activity WHERE customer_id = %s AND version = %s AND activity_id = %s AND month_start = %s"
        place = [session.customer_id, made.version, impact["activity_id"], impact["month_start"]]
        activity: dict[str, Any] = cursor.execute(query, place).fetchone() or {}
    found, raw = rows_behind(session, activity, made, raw_limit)
    return TracedImpact(impact, activity, sentence(impact, activity), activity["lines"], found, tuple(raw))


def rows_behind(session: Session, activity: Mapping[str, Any], made: Version, raw_limit: int = 0) -> tuple[int, list[RawRow]]:
    """How many of the rows that an activity counts (`lines`) are found in silver, and up to `raw_limit` delivered rows of each of its tables."""
    raw: list[RawRow] = []
    found = 0
    for origin in ORIGINS[activity["source"]]:
        places, count = silver_rows(session, origin, activity, made, raw_limit)
        found += count if origin.is_counted else 0
        raw += raw_rows(session, origin.table, places, made)
    return found, raw


def spec_of_table(layer: str, table: str) -> TableSpec:
    return contract(DOMAIN / layer / f"{table}.odcs.yaml").spec


def silver_rows(session: Session, origin: Origin, activity: Mapping[str, Any], made: Version, limit: int) -> tuple[list[tuple[str, int]], int]:
    """(sha256, row) of the silver rows behind an activity, the first `limit` in order, and how many there are; of a table without origin, none."""
    specs = [spec_of_table("silver", name) for name in (origin.table, *origin.beside)]
    read_from = [input_of(session, made, spec) for spec in specs]
    for spec, version in zip(specs, read_from, strict=True):
        if version is None:
            return [], 0
        read(session, spec, version)
    chosen = origin.rows(*(unbound_table(spec) for spec in specs), activity)
    count = session.con.execute(asked_once(chosen.agg(rows=_.count()))).fetchone()[0]
    if "_sha256" not in chosen.columns:
        return [], count
    places = session.con.execute(asked_once(chosen.select("_sha256", "_row").distinct().order_by("_sha256", "_row").limit(limit))).fetchall()
    return places, count


def asked_once(expression: ir.Table) -> str:
    """SQL of an expression with one activity's values in it: kept nowhere, or a few traces would push out what runs compile once."""
    return str(ibis.to_sql(expression, dialect="duckdb"))


def input_of(session: Session, made: Version, spec: TableSpec) -> Version | None:
    """The version of a table that another version was computed from."""
    number = made.inputs.get(spec.qualified)
    return versions.numbered(session.lock, session.customer_id, spec.qualified, number) if number is not None else None


def raw_rows(session: Session, table: str, places: Sequence[tuple[str, int]], made: Version) -> list[RawRow]:
    """The bronze rows at these places, at the version that silver read."""
    silver = input_of(session, made, spec_of_table("silver", table))
    if not places or silver is None:
        return []
    found = []
    for qualified in silver.inputs:
        layer, _dot, name = qualified.partition(".")
        if layer != "greenit_bronze":
            continue
        spec = spec_of_table("bronze", name)
        version = version_of(session, qualified, silver.inputs[qualified])
        wanted = ", ".join(f"('{sha}', {int(row)})" for sha, row in places)
        of_version = f"lake.{qualified} AT (VERSION => {version.snapshot_id})"
        cursor = session.con.execute(f"SELECT * FROM {of_version} WHERE (_sha256, _row) IN ({wanted}) ORDER BY _sha256, _row")
        names = [column[0] for column in cursor.description]
        for values in cursor.fetchall():
            row = dict(zip(names, values, strict=True))
            text = {column: str(value) for column, value in row.items() if value is not None and not column.startswith("_")}
            found.append(RawRow(spec.name, row["_file"], row["_row"], row["_sha256"], text))
    return found


def sentence(impact: Mapping[str, Any], activity: Mapping[str, Any]) -> str:
    """The calculation of a row in words and figures, which multiply to its value."""
    amount, unit, amount_unit = number(impact["amount"]), impact["unit"], impact["amount_unit"]
    product = f"{amount} {amount_unit} × {number(impact['factor_value'])} {unit}/{amount_unit} = {number(impact['value'])} {unit}"
    drivers = amount_in_words(impact, activity)
    return f"{drivers}; {product}" if drivers else product


def amount_in_words(impact: Mapping[str, Any], activity: Mapping[str, Any]) -> str:
    """What the amount was multiplied from."""
    unit = impact["amount_unit"]
    if unit == "kWh" and impact["criterion"] == "WU":
        return f"{number(activity['energy_kwh'])} kWh of IT; factor = WUE {number(activity['wue'])} + PUE {number(activity['pue'])} × water of the grid"
    if unit == "kWh":
        losses = " × share lost on the way" if impact["method_id"] == "A7-losses" else ""
        return f"{number(activity['energy_kwh'])} kWh of IT × PUE {number(activity['pue'])}{losses}"
    if unit == "item":
        share = activity["embodied_share"] if impact["accounting_view"] == "amortised" else 1
        rate = f" × {number(activity['condition_rate'])} (refurbished)" if activity["condition"] == "refurbished" and impact["phase"] == "manufacturing" else ""
        return f"{number(activity['quantity'])} items × rate {number(activity['usage_rate'])}{rate} × share of the life {number(share)}"
    if unit == "USD of 2022":
        return f"{number(activity['cost'])} {activity['currency'] or ''}".strip() if activity["cost"] is not None else "price of the devices"
    copies = f" × {number(activity['copies'])} copies" if activity["copies"] not in (None, 1.0) else ""
    return f"{number(activity['quantity'])} {activity['quantity_unit']}{copies}" if activity["quantity"] is not None else ""


def number(value: Any) -> str:
    """Six significant digits."""
    return "unknown" if value is None else f"{float(value):,.6g}"


