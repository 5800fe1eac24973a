"""Behaviours of Great Expectations on DuckDB that `platform_assets/expectations.py` works around."""
from __future__ import annotations

import duckdb
import pytest
import sqlalchemy as sa
from duckdb_engine import ConnectionWrapper
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import StaticPool


def judged(dialect: type | None, module, type: str, **kwargs):
    """One expectation on three rows ('abc', 'abd', NULL) in a DuckDB table `t`."""
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine
    from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.validator.validator import Validator

    con = duckdb.connect()
    con.execute("CREATE TABLE t AS SELECT unnest(['abc', 'abd', NULL]) AS a")
    engine = sa.create_engine("duckdb://", poolclass=StaticPool, creator=lambda: ConnectionWrapper(con.cursor()))
    if dialect:
        engine.dialect.__class__ = dialect
    made = SqlAlchemyExecutionEngine(engine=engine)
    if module:
        made.dialect_module = module
    validator = Validator(execution_engine=made, batches=[Batch(data=SqlAlchemyBatchData(execution_engine=made, query="SELECT * FROM t", create_temp_table=False))])
    validator._metrics_calculator._show_progress_bars = False
    configuration = ExpectationConfiguration(type=type, kwargs={**kwargs, "result_format": {"result_format": "BASIC", "partial_unexpected_count": 5}})
    return validator.graph_validate([configuration], runtime_configuration={"catch_exceptions": True})[0]


@pytest.fixture(scope="module")
def ours() -> type:
    from platform_assets.expectations import _AutocommitDialect

    return _AutocommitDialect


def raised(result) -> list[dict]:
    info = result.exception_info or {}
    found = [info] if "raised_exception" in info else list(info.values())
    return [entry for entry in found if entry["raised_exception"]]


def test_a_regular_expression_works_through_postgresqls_dialect_module(ours) -> None:
    kept = judged(ours, postgresql, "expect_column_values_to_match_regex", column="a", regex="^ab.$")
    broken = judged(ours, postgresql, "expect_column_values_to_match_regex", column="a", regex="^abc$")
    assert (kept.success, broken.success) == (True, False)
    assert (broken.result["unexpected_count"], broken.result["partial_unexpected_list"], broken.result["missing_count"]) == (1, ["abd"], 1)


def test_without_it_great_expectations_knows_no_regular_expression_of_duckdb(ours) -> None:
    result = judged(ours, None, "expect_column_values_to_match_regex", column="a", regex="^ab.$")
    assert not result.success
    assert raised(result)


def test_duckdb_and_postgresql_anchor_a_pattern_alike(installation) -> None:
    """`~` of DuckDB matches the whole text, that of PostgreSQL any part of it: patterns of contracts are anchored on both sides, so both agree."""
    from platform_assets import greenit
    from platform_assets.composition import tables_of

    assert duckdb.sql("SELECT 'xabc' ~ 'abc', 'xabc' ~ '.*abc'").fetchone() == (False, True)
    with installation.superuser() as connection:
        assert connection.execute("SELECT 'xabc' ~ 'abc', 'xabc' ~ '^abc$'").fetchone() == (True, False)
    patterns = [rule.kwargs["regex"] for _, made in tables_of(greenit) for rule in made.rules if "regex" in rule.kwargs]
    assert patterns
    assert [text for text in patterns if not (text.startswith("^") and text.endswith("$"))] == []


def test_a_metric_that_raised_looks_like_a_failure_without_result(ours) -> None:
    """So `exception_info` must be read; its shape is a dict of dicts, keyed by metric."""
    result = judged(ours, postgresql, "expect_column_values_to_not_be_null", column="no_such_column")
    assert (result.success, result.result) == (False, {})
    assert raised(result)
    assert "no_such_column" in raised(result)[0]["exception_message"]


@pytest.mark.parametrize(("type", "kwargs"), [
    ("expect_column_values_to_match_regex", {"column": "a", "regex": "^abc$"}), ("expect_column_values_to_not_be_null", {"column": "a"}),
    ("expect_column_values_to_be_in_set", {"column": "a", "value_set": ["abc"]}), ("expect_compound_columns_to_be_unique", {"column_list": ["a", "a"]}),
    ("expect_table_row_count_to_be_between", {"min_value": 1, "max_value": 2}), ("expect_column_values_to_not_be_null", {"column": "no_such_column"}),
])  # fmt: skip
def test_a_configuration_that_is_built_once_gives_the_same_result(ours, type: str, kwargs: dict) -> None:
    from great_expectations.expectations.expectation import Expectation

    from platform_assets.expectations import _configured_once

    as_it_comes, expected = Expectation.configuration, judged(ours, postgresql, type, **kwargs)
    with _configured_once():
        found = judged(ours, postgresql, type, **kwargs)
    assert (found.success, found.result, found.expectation_config.kwargs.keys()) == (expected.success, expected.result, expected.expectation_config.kwargs.keys())
    assert bool(raised(found)) == bool(raised(expected))
    assert Expectation.configuration is as_it_comes


def test_a_commit_drops_duckdbs_pending_result(ours) -> None:
    """With the stock dialect GX finds nothing to read; ours, which never commits, makes the same expectation work."""
    stock = judged(None, postgresql, "expect_column_values_to_be_in_set", column="a", value_set=["abc", "abd"])
    assert judged(ours, postgresql, "expect_column_values_to_be_in_set", column="a", value_set=["abc", "abd"]).success
    assert not stock.success
    assert "list index out of range" in str(raised(stock))
