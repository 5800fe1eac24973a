"""Great Expectations on one version of a table, in the store where it lies. Imported only by a step that checks.

What belongs here: what GX needs to run on DuckDB and PostgreSQL, and reading its results. What does not: Dagster (checks.py).
"""
from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper
from duckdb_engine import Dialect as DuckDBDialect
from great_expectations.core.batch import Batch
from great_expectations.core.expectation_validation_result import ExpectationValidationResult
from great_expectations.execution_engine import SqlAlchemyExecutionEngine
from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
from great_expectations.expectations.expectation import ColumnMapExpectation, ColumnPairMapExpectation, Expectation, MulticolumnMapExpectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.registry import get_expectation_impl
from great_expectations.validator.metric_configuration import MetricConfiguration
from great_expectations.validator.validator import Validator
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import StaticPool

from platform_assets.contracts import Rule
from platform_assets.measures import QUERY, Look, expectation_of, relation
from platform_assets.validations import keep
from resources.facts import without_values
from resources.session import Session
from resources.storage import TableSpec
from resources.versions import Version

logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # what it logs stands in the results
SAMPLE = 5  # unexpected values shown of a public column
ABOUT_ROWS = (ColumnMapExpectation, ColumnPairMapExpectation, MulticolumnMapExpectation)
COLUMNS = "table.column_types"
CHECKED = "checked_rows"
FEW_ROWS = 200_000  # of a lake table, read once into the session: each query of the lake costs 7 CPU ms before the first row, and a suite has several


@dataclass(frozen=True)
class Outcome:
    """A rule's result. `error` says why it could not be evaluated; then `passed` is False."""

    passed: bool
    facts: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class _AutocommitDialect(DuckDBDialect):
    """DuckDB drops a pending result at commit, and GX reads results after SQLAlchemy has committed: so there is no commit."""

    supports_statement_cache = False

    def do_begin(self, dbapi_connection: Any) -> None: ...

    def do_commit(self, dbapi_connection: Any) -> None: ...

    def do_rollback(self, dbapi_connection: Any) -> None: ...


class _StoreEngine(SqlAlchemyExecutionEngine):
    """Takes a table's columns from its contract, as the write has proved them, instead of asking the store: 30 ms a table."""

    columns: tuple[str, ...] = ()

    def resolve_metrics(self, metrics_to_resolve: Iterable[MetricConfiguration], metrics: Any = None, runtime_configuration: dict | None = None) -> dict:
        asked = list(metrics_to_resolve)
        known = {metric.id: [{"name": name} for name in self.columns] for metric in asked if metric.metric_name == COLUMNS}
        others = [metric for metric in asked if metric.id not in known]
        return {**known, **(super().resolve_metrics(others, metrics, runtime_configuration) if others else {})}


def evaluate(session: Session, spec: TableSpec, rules: tuple[Rule, ...], version: Version) -> list[Outcome]:
    """The outcome of each rule on that version's rows, pushed down as SQL; in the order of `rules`."""
    if version.row_count == 0 and all(_is_about_rows(rule) for rule in rules):
        return _without_rows(session, spec, rules, version)
    engine = _engine(session, spec)
    engine.columns = tuple(c.name for c in spec.columns)
    look = Look(session, spec, version, _read_once(session, engine, spec, version) if spec.in_lake and version.row_count <= FEW_ROWS else None)
    data = SqlAlchemyBatchData(execution_engine=engine, query=look.rows[1:-1], create_temp_table=False)
    validator = Validator(execution_engine=engine, batches=[Batch(data=data)])  # type: ignore[arg-type] # GX's annotation leaves its own class out
    validator._metrics_calculator._show_progress_bars = False  # noqa: SLF001  no public switch without a data context
    configurations = [_configuration(rule, look) for rule in rules]
    with _configured_once():
        results = validator.graph_validate(configurations, runtime_configuration={"catch_exceptions": True})
    shown = {r.name for r in rules if _is_public(spec, r)}
    keep(session, spec, version, rules, results, shown)
    found = {r.expectation_config.meta["rule"]: _outcome(r, r.expectation_config.meta["rule"] in shown) for r in results}
    return [found.get(rule.name, Outcome(False, error="Great Expectations gave no result")) for rule in rules]


@contextmanager
def _configured_once() -> Iterator[None]:
    """GX builds an expectation's configuration anew whenever it looks an argument up, some 60 times for each: a quarter of a suite's CPU seconds. In
    here it is built once; nobody writes into one (tests/characterization/test_great_expectations.py)."""
    as_it_comes = Expectation.configuration
    built: dict[int, tuple[Expectation, ExpectationConfiguration]] = {}  # with the expectation, whose id is its own only as long as it lives

    def configuration(expectation: Expectation) -> ExpectationConfiguration:
        if id(expectation) not in built:
            built[id(expectation)] = expectation, as_it_comes.fget(expectation)  # type: ignore[attr-defined]  # a property's function
        return built[id(expectation)][1]

    Expectation.configuration = property(configuration)  # type: ignore[assignment, method-assign]  # replaced on purpose, for as long as a suite is judged
    try:
        yield
    finally:
        Expectation.configuration = as_it_comes  # type: ignore[method-assign]  # and put back


def _is_about_rows(rule: Rule) -> bool:
    """Whether a rule says something of each row by itself, so that a table without rows keeps it."""
    return rule.engine != "strata" and issubclass(get_expectation_impl(rule.expectation), ABOUT_ROWS)


def _without_rows(session: Session, spec: TableSpec, rules: tuple[Rule, ...], version: Version) -> list[Outcome]:
    """What Great Expectations finds on no rows, without asking the store: a customer who does not bring a source has such tables."""
    counted = {"element_count": 0, "unexpected_count": 0}
    configurations = [ExpectationConfiguration(type=rule.expectation, kwargs=rule.kwargs, meta={"rule": rule.name}) for rule in rules]
    keep(session, spec, version, rules, [ExpectationValidationResult(success=True, expectation_config=made, result=counted) for made in configurations], set())
    return [Outcome(True, dict(counted)) for _ in rules]


def _configuration(rule: Rule, look: Look) -> ExpectationConfiguration:
    kind, kwargs = expectation_of(rule, look)
    return ExpectationConfiguration(type=kind, kwargs={**kwargs, "result_format": _result_format(look.spec, rule)}, meta={"rule": rule.name})


def _engine(session: Session, spec: TableSpec) -> _StoreEngine:
    """One engine for each store and session, kept because a collected one closes its connection."""
    name = "lake" if spec.in_lake else "warehouse"
    if name not in session.checkers:
        session.checkers[name] = _lake_engine(session) if spec.in_lake else _warehouse_engine(session)
    return session.checkers[name]


def _lake_engine(session: Session) -> _StoreEngine:
    cursor = session.con.cursor()
    engine = sa.create_engine("duckdb://", poolclass=StaticPool, creator=lambda: ConnectionWrapper(cursor))
    engine.dialect.__class__ = _AutocommitDialect
    made = _StoreEngine(engine=engine)
    made.dialect_module = postgresql  # GX knows no regular expressions for DuckDB; `~` means the same there for whole matches
    return made


def _warehouse_engine(session: Session) -> _StoreEngine:
    return _StoreEngine(engine=sa.create_engine("postgresql+psycopg://", poolclass=StaticPool, creator=lambda: session.warehouse))


def _read_once(session: Session, engine: _StoreEngine, spec: TableSpec, version: Version) -> str:
    """A lake version's rows as a temporary table of the connection that checks."""
    with engine.engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE OR REPLACE TEMP TABLE {CHECKED} AS SELECT * FROM {relation(session, spec.qualified, version)}")
    return f"(SELECT * FROM {CHECKED})"


def _is_public(spec: TableSpec, rule: Rule) -> bool:
    """Whether a rule's values may be shown: each column it names is public; a rule on the whole table names none."""
    named = {value for key, value in rule.kwargs.items() if key in ("column", "column_A", "column_B")} | set(rule.kwargs.get("column_list") or ())
    return named <= set(spec.public_columns)


def _result_format(spec: TableSpec, rule: Rule) -> dict[str, Any]:
    """Counts always; values only of a public column, and few."""
    return {"result_format": "BASIC", "partial_unexpected_count": SAMPLE if _is_public(spec, rule) else 0}


def _outcome(result: Any, is_public: bool) -> Outcome:
    info = result.exception_info or {}
    if "raised_exception" in info:
        info = {"": info}
    raised = [entry for entry in info.values() if isinstance(entry, dict) and entry.get("raised_exception")]
    if raised or (not result.success and not result.result):
        return Outcome(False, error=without_values(str(raised[0].get("exception_message")))[:500] if raised else "no result")
    is_query = result.expectation_config.type == QUERY  # what it observes is a number of rows
    known = ("unexpected_count", "element_count", "unexpected_percent", *(["observed_value"] if is_public or is_query else []))
    facts = {name: result.result[name] for name in known if isinstance(result.result.get(name), int | float | str)}
    if is_public and (sample := result.result.get("partial_unexpected_list")):
        facts["sample"] = ", ".join(str(value) for value in sample[:SAMPLE])
    return Outcome(bool(result.success), facts)
