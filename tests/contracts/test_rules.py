"""Every rule of every contract: kept by clean rows, broken by the one bad row built for it, judged by Great Expectations in the table's own store.

Rows are built from the contracts (building.py), so a new rule is covered when it is written.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg
import ibis
import pytest
from psycopg import sql

from platform_assets import greenit
from platform_assets.checks import ACCOUNTING, FRESHNESS, QUARANTINED_SHARE, SEVERITY, checks_of
from platform_assets.composition import tables_of
from platform_assets.contracts import Contract, Rule
from platform_assets.measures import KINDS
from platform_assets.releases import gate
from platform_assets.releases.movements import reported_of
from platform_assets.rules import kept_back
from resources.reasons import ROW_ORDER
from resources.session import Session
from resources.versions import Version
from tests.contracts.building import TWINS, WHOLE_TABLE, as_arrow, broken_rows, clean_rows
from tests.installation import Installation
from tests.lake import session_for

CONTRACTS = {f"{made.layer}/{made.table}": made for _, made in tables_of(greenit)}
RULES = [(table, rule) for table, made in CONTRACTS.items() for rule in made.rules]
ROW_RULES = [(table, rule) for table, rule in RULES if rule.severity == "quarantine"]
STORED_RULES = [(table, rule) for table, rule in RULES if rule.severity != "quarantine" and rule.engine != "strata"]  # the others: test_measures.py
NAME = "rules_scratch"


@pytest.fixture(scope="module")
def session(installation: Installation) -> Iterator[Session]:
    installation.declare(NAME)
    made = session_for(installation, NAME)
    yield made
    made.close()


class Store:
    """Rows of a scratch customer put under a version of a table, straight into its store."""

    def __init__(self, session: Session) -> None:
        self.session, self.number, self.made = session, 0, set[str]()

    def version(self, made: Contract, rows: list[dict]) -> Version:
        self.number += 1
        spec, con = made.spec, self.session.con
        found = Version(spec.qualified, self.number, "test", "test", "test", "test", None, row_count=len(rows))
        if not spec.in_lake:
            self._into_postgres(made, rows)
            return found
        columns = ", ".join(f'"{c.name}" {c.type}' for c in spec.columns)
        con.register("given", as_arrow(spec, rows))
        con.execute("BEGIN")
        if spec.qualified not in self.made:
            con.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{spec.schema}")
            con.execute(f"CREATE TABLE lake.{spec.qualified} ({columns})")
            self.made.add(spec.qualified)
        con.execute(f"DELETE FROM lake.{spec.qualified}")
        con.execute(f"INSERT INTO lake.{spec.qualified} BY NAME SELECT * FROM given")
        con.execute("COMMIT")
        return replace(found, snapshot_id=con.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()[0])

    def _into_postgres(self, made: Contract, rows: list[dict]) -> None:
        names = ["customer_id", "version", *(c.name for c in made.columns)]
        insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(made.spec.schema, made.table), sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join([sql.Placeholder()] * len(names)))
        with self.session.warehouse.cursor() as cursor:
            cursor.executemany(insert, [[NAME, self.number, *(row[c.name] for c in made.columns)] for row in rows])
        self.session.warehouse.commit()


@pytest.fixture(scope="module")
def store(session: Session) -> Store:
    return Store(session)


def evaluate(session: Session, made: Contract, rules: tuple[Rule, ...], version: Version):
    from platform_assets.expectations import evaluate as judge

    outcomes = judge(session, made.spec, rules, version)
    assert [rule.name for rule, outcome in zip(rules, outcomes, strict=True) if outcome.error] == [], [o.error for o in outcomes]
    return outcomes


def test_every_table_has_rules_on_its_own_columns() -> None:
    assert {table for table, made in CONTRACTS.items() if not made.rules} == set()
    for table, made in CONTRACTS.items():
        known = {c.name for c in made.columns}
        named = {value for rule in made.rules for key, value in rule.kwargs.items() if key in ("column", "column_A", "column_B")}
        assert named <= known, table
        assert len({rule.name for rule in made.rules}) == len(made.rules), table


@pytest.mark.parametrize("table", CONTRACTS)
def test_a_clean_table_keeps_every_rule(session: Session, store: Store, table: str) -> None:
    made = CONTRACTS[table]
    version = store.version(made, clean_rows(made))
    rules = tuple(rule for rule in made.rules if rule.engine != "strata")
    outcomes = evaluate(session, made, rules, version)
    assert [rule.name for rule, outcome in zip(rules, outcomes, strict=True) if not outcome.passed] == []


@pytest.mark.parametrize(("table", "rule"), ROW_RULES, ids=[f"{table}-{rule.name}" for table, rule in ROW_RULES])
def test_a_quarantine_rule_keeps_back_exactly_the_one_bad_row_built_for_it(table: str, rule: Rule) -> None:
    made = CONTRACTS[table]
    rows = kept_back(ibis.memtable(as_arrow(made.spec, broken_rows(made, rule))), made).to_pyarrow().to_pylist()
    assert sorted([entry["check"] for entry in row["_rejects"] or []] for row in rows) == [*[[]] * (len(rows) - 1), [rule.name]]
    assert {entry["rule"] for row in rows for entry in row["_rejects"] or []} <= set(ROW_ORDER)


@pytest.mark.parametrize(("table", "rule"), STORED_RULES, ids=[f"{table}-{rule.name}" for table, rule in STORED_RULES])
def test_a_rule_fails_on_exactly_the_one_bad_row_built_for_it(session: Session, store: Store, table: str, rule: Rule) -> None:
    made = CONTRACTS[table]
    outcome = evaluate(session, made, (rule,), store.version(made, broken_rows(made, rule)))[0]
    assert not outcome.passed
    if rule.expectation not in WHOLE_TABLE:
        assert outcome.facts["unexpected_count"] == TWINS.get(rule.expectation, 1)


@pytest.mark.parametrize("table", ["silver/equipment", "gold/impact"])
def test_a_rule_that_cannot_be_evaluated_is_an_error_and_no_pass(session: Session, store: Store, table: str) -> None:
    """In both stores: a column that does not exist, and a comparison that the engine refuses; the good rule beside them still passes."""
    from platform_assets.expectations import evaluate as judge

    made = CONTRACTS[table]
    good = made.rules[-1]
    absent = Rule("absent", "expect_column_values_to_not_be_null", {"column": "no_such_column"}, "warn", "")
    strange = Rule("strange", "expect_no_such_thing", {"column": made.columns[0].name}, "warn", "")
    version = store.version(made, clean_rows(made))
    kept, broken = judge(session, made.spec, (good, absent), version)
    assert (kept.passed, kept.error) == (True, None)
    assert not broken.passed
    assert broken.error
    assert judge(session, made.spec, (good,), version)[0].passed  # the connection is still usable
    with pytest.raises(Exception, match="expect_no_such_thing"):
        judge(session, made.spec, (strange,), version)


@pytest.mark.parametrize(("table", "text", "number"), [("silver/equipment", "model", "quantity"), ("gold/impact", "activity_id", "value")])
def test_no_value_of_a_column_that_is_not_public_stands_in_an_outcome(session: Session, store: Store, table: str, text: str, number: str) -> None:
    """A set of numbers asked of text makes an engine quote the text in its error; the maximum of a column is one of its values."""
    from platform_assets.expectations import evaluate as judge

    made = CONTRACTS[table]
    rows = clean_rows(made)
    rows = [{**row, text: f"CANARY {place}, isn't it", number: 987654321} for place, row in enumerate(rows)]
    wrong = Rule("wrong", "expect_column_values_to_be_in_set", {"column": text, "value_set": [1, 2]}, "error", "")
    bounded = Rule("bounded", "expect_column_max_to_be_between", {"column": number, "max_value": 0}, "error", "")
    outcomes = judge(session, made.spec, (wrong, bounded), store.version(made, rows))
    assert [outcome.passed for outcome in outcomes] == [False, False]
    assert outcomes[0].error
    assert outcomes[1].error is None
    assert "CANARY" not in str(outcomes), outcomes
    assert "987654321" not in str(outcomes), outcomes


def test_values_of_a_public_column_are_shown_and_few(session: Session, store: Store) -> None:
    made = CONTRACTS["gold/impact"]
    rule = next(rule for rule in made.rules if rule.name == "phase__be_in_set")
    rows = [{**row, "phase": f"phase {number}"} for number, row in enumerate(clean_rows(made, 9))]
    outcome = evaluate(session, made, (rule,), store.version(made, rows))[0]
    assert outcome.facts["unexpected_count"] == 9
    assert outcome.facts["sample"] == "phase 0, phase 1, phase 2, phase 3, phase 4"


@pytest.mark.parametrize("table", CONTRACTS)
def test_error_blocks_and_warning_warns(table: str) -> None:
    made = CONTRACTS[table]
    assert SEVERITY == {"error": dg.AssetCheckSeverity.ERROR, "quarantine": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}
    specs = {spec.name: spec.blocking for spec in checks_of(made).check_specs}
    share = {QUARANTINED_SHARE: True} if made.spec.max_quarantined_share is not None else {}
    fresh = {FRESHNESS: False} if made.layer == "bronze" else {}
    judged = {gate.EXPECTED: True, gate.CAME: False} if reported_of(made) else {}
    assert specs == {ACCOUNTING: True, **share, **fresh, **judged, **{rule.name: rule.severity == "error" for rule in made.rules if rule.severity != "quarantine"}}


def test_every_severity_and_every_kind_of_ours_is_in_use() -> None:
    assert {rule.severity for _, rule in RULES} == {"error", "quarantine", "warn"}
    assert {rule.expectation for _, rule in RULES if rule.engine == "strata"} <= set(KINDS)
