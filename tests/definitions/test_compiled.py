"""SQL kept on disk: an expression finds its own SQL in every process, and never another's."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pytest

from platform_assets import greenit
from platform_assets.compilation import express_all
from resources.compiled import digest, keep, kept
from resources.expressions import COMPILED, sql_of
from resources.settings import PROJECT

ROWS = ibis.table({"a": "int64", "b": "string"}, name="rows")
ALL = """
import json
from platform_assets import greenit
from platform_assets.compilation import express_all
from resources.compiled import digest
print(json.dumps({name: digest(made.op(), "duckdb") for name, (_, made) in express_all(greenit).items()}))
"""


@ibis.udf.scalar.builtin
def left_pad(text: str, width: int) -> str: ...


@ibis.udf.scalar.builtin(name="right_pad")
def right(text: str, width: int) -> str: ...


@ibis.udf.scalar.python
def doubled(number: int) -> int:
    return 2 * number


def of(expression: ir.Expr) -> str | None:
    return digest(expression.op(), "duckdb")


def test_every_table_has_the_same_digest_in_another_process() -> None:
    """Which orders its sets in another way and takes ibis's counters from another number on."""
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    before = "import ibis; t = ibis.table({'a': 'int64'}, name='t'); [t.view() for _ in range(9)]"
    done = subprocess.run([sys.executable, "-c", before + ALL], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True)
    there = json.loads(done.stdout)
    here = {name: of(made) for name, (_, made) in express_all(greenit).items()}
    assert there == here
    assert None not in here.values()
    assert len(set(here.values())) == len(here)


CHANGES = [
    ROWS, ROWS.select("a"), ROWS.select("b"), ROWS.select(b="a"), ROWS.filter(ROWS.a > 1), ROWS.filter(ROWS.a >= 1), ROWS.filter(ROWS.a > 2), ROWS.filter(ROWS.a > 1.0),
    ROWS.mutate(c=ibis.literal(1)), ROWS.mutate(c=ibis.literal(True)), ROWS.mutate(c=ibis.literal("1")), ROWS.mutate(c=ibis.literal(1, "int64")),
    ROWS.mutate(c=ROWS.a.cast("decimal(38, 12)")), ROWS.mutate(c=ROWS.a.cast("decimal(38, 18)")), ROWS.mutate(c=ibis.null("string")),
    ROWS.drop("a"), ROWS.drop("b"), ROWS.order_by("a"), ROWS.order_by(ibis.desc("a")), ROWS.limit(1), ROWS.limit(2), ROWS.union(ROWS), ROWS.union(ROWS, distinct=True),
    ROWS.mutate(c=left_pad(ROWS.b, 3)), ROWS.mutate(c=left_pad(ROWS.b, 4)), ROWS.mutate(c=right(ROWS.b, 3)),
    ibis.table({"a": "int32", "b": "string"}, name="rows").select("a"), ibis.table({"a": "int64", "b": "string"}, name="lines").select("a"),
    ibis.table({"a": "int64", "b": "string"}, name="rows", database="other").select("a"),
    ROWS.join(ROWS.view(), "a", how="left").select("a"), ROWS.join(ROWS.view(), "a").select("a"),
]  # fmt: skip


def test_what_compiles_to_other_sql_has_another_digest() -> None:
    found = [of(made) for made in CHANGES]
    assert None not in found
    assert len(set(found)) == len(CHANGES)
    assert digest(ROWS.op(), "postgres") != of(ROWS)


@pytest.mark.parametrize("made", [ibis.memtable({"a": [1]}), ROWS.mutate(c=doubled(ROWS.a)), ibis.duckdb.connect().sql("SELECT 1 AS a")], ids=["data", "python", "sql"])
def test_an_expression_with_content_of_its_own_has_no_digest(made: ir.Table) -> None:
    assert of(made) is None


def test_sql_is_read_back_byte_by_byte(tmp_path: Path) -> None:
    statement = "SELECT '\r\n', '\r', '\n', 'é漢', '\\'"
    keep(tmp_path / COMPILED, "x", statement)
    assert kept(tmp_path / COMPILED, "x") == statement
    assert kept(tmp_path / COMPILED, "y") is None
    assert [path.name for path in (tmp_path / COMPILED).iterdir()] == ["x.sql"]


def test_kept_sql_is_taken_and_new_sql_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_HOME", str(tmp_path))
    first, second = ROWS.filter(ROWS.a > 101), ROWS.filter(ROWS.a > 102)
    statement = sql_of(first, "duckdb")
    assert kept(tmp_path / COMPILED, str(of(first))) == statement == str(ibis.to_sql(first, dialect="duckdb", pretty=False))
    keep(tmp_path / COMPILED, str(of(second)), "SELECT 'from the disk'")
    assert sql_of(second, "duckdb") == "SELECT 'from the disk'"


def test_a_home_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_HOME", str(tmp_path))
    (tmp_path / COMPILED).write_text("a file where the folder should be")
    made = ROWS.filter(ROWS.a > 103)
    assert sql_of(made, "duckdb") == str(ibis.to_sql(made, dialect="duckdb", pretty=False))
