"""Kinds of rules of our own that look beyond a table's rows: its history, the tables it came from, the words it may use.

What belongs here: one function for each kind, which turns an entry of a contract (`engine: strata`) into a Great Expectations type with
its arguments; SQL that finds what breaks the rule, in words that DuckDB and PostgreSQL share. What does not: rules on single rows
(rules.py) and evaluating them (expectations.py). A new kind is one function with `@kind`.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from partitions.errors import ContractError
from platform_assets.contracts import Rule
from platform_assets.rules import words
from resources import versions
from resources.session import Session
from resources.settings import PROJECT
from resources.storage import TableSpec
from resources.versions import Version

Expectation = tuple[str, dict[str, Any]]
QUERY = "unexpected_rows_expectation"
HISTORY = 12  # earlier versions that a volume is compared with


@dataclass(frozen=True)
class Look:
    """One version of a table, as a kind sees it: the session of its customer, the table, the version, and where its rows lie if not in the store."""

    session: Session
    spec: TableSpec
    version: Version
    read_once: str | None = None

    @property
    def rows(self) -> str:
        """The version's rows, as SQL."""
        return self.read_once or relation(self.session, self.spec.qualified, self.version)

    @property
    def before(self) -> Version | None:
        """The newest other version with a passed verdict."""
        return next(iter(versions.history(self.session.lock, self.session.customer_id, self.spec.qualified, self.version.version, 1)), None)

    def other(self, table: str) -> str:
        """Another table of the same store, as this version saw it; raises ContractError if there is none."""
        name = table if "." in table else f"{self.spec.schema}.{table}"
        known = versions.numbered(self.session.lock, self.session.customer_id, name, self.version.inputs.get(name))
        if known is None:
            raise ContractError("a rule names a table that has no version", customer=self.session.customer_id, table=self.spec.qualified, column=name,
                                fix="materialize that table first, or correct the rule")
        return relation(self.session, name, known)


Kind = Callable[..., Expectation]
KINDS: dict[str, Kind] = {}


def kind(function: Kind) -> Kind:
    """Make a function a kind of rule, under its own name."""
    KINDS[function.__name__] = function
    return function


def expectation_of(rule: Rule, look: Look) -> Expectation:
    """What Great Expectations is to evaluate for a rule. Raises ContractError for a kind that does not exist."""
    if rule.engine != "strata":
        return rule.expectation, rule.kwargs
    if rule.expectation not in KINDS:
        raise ContractError(f"there is no kind of rule called {rule.expectation}", table=look.spec.qualified, fix=f"known: {', '.join(sorted(KINDS))}")
    return KINDS[rule.expectation](look, **rule.kwargs)


def relation(session: Session, qualified: str, version: Version) -> str:
    """One version's rows as a parenthesised SELECT of its store."""
    if version.snapshot_id is not None:
        return f"(SELECT * FROM lake.{qualified} AT (VERSION => {int(version.snapshot_id)}))"
    return f"(SELECT * FROM {qualified} WHERE customer_id = '{session.customer_id}' AND version = {int(version.version)})"


def unexpected(sql: str) -> Expectation:
    """Rows of the query are what breaks the rule. It names its rows itself (GX's `{batch}` has an alias in one store and none in the other); the
    comment keeps GX from warning that it does not."""
    return QUERY, {"unexpected_rows_query": sql.replace("{", "{{").replace("}", "}}") + " /* {batch} */"}


@kind
def references(look: Look, column: str, table: str, key: str) -> Expectation:
    """Every value of `column` stands in `key` of a vocabulary, a parameter file or another table of the same store."""
    if (known := words(table, key)) is not None:
        return "expect_column_values_to_be_in_set", {"column": column, "value_set": list(known)}
    there = f'SELECT "{key}" FROM {look.other(table)} known'
    return unexpected(f'SELECT "{column}", count(*) AS rows FROM {look.rows} t WHERE "{column}" IS NOT NULL AND "{column}" NOT IN ({there}) GROUP BY 1')


@kind
def registers(look: Look, column: str, table: str, key: str) -> Expectation:
    """Every value of `key` in another table of the same store stands in `column` here. A register without a row registers nothing: nothing is compared."""
    here = f'SELECT "{column}" FROM {look.rows} known'
    return unexpected(f'SELECT "{key}", count(*) AS rows FROM {look.other(table)} t WHERE "{key}" IS NOT NULL AND "{key}" NOT IN ({here}) '
                      f"AND EXISTS ({here}) GROUP BY 1")


@kind
def volume(look: Look, max_change: float, min_history: int = 3) -> Expectation:
    """The number of rows lies within `max_change` (0.5: half) of the median of this customer's own last versions; no bound before there are
    `min_history` of them."""
    counts = sorted(v.row_count for v in versions.history(look.session.lock, look.session.customer_id, look.spec.qualified, look.version.version, HISTORY))
    if len(counts) < min_history:
        return "expect_table_row_count_to_be_between", {"min_value": 0}
    median = counts[len(counts) // 2]
    return "expect_table_row_count_to_be_between", {"min_value": int(median * (1 - max_change)), "max_value": round(median * (1 + max_change))}


@kind
def distribution(look: Look, column: str, max_distance: float, min_rows: int = 100) -> Expectation:
    """How a column's values are spread differs from this customer's version before by at most `max_distance` (0 to 1).

    Text: total variation distance (half the sum of the differences of shares). Numbers and dates: Kolmogorov–Smirnov (the greatest
    difference of the two cumulative shares). Without a version before, or with fewer than `min_rows` rows in one, nothing is compared.
    """
    before = look.before
    if before is None or min(before.row_count, look.version.row_count) < min_rows:
        return "expect_table_row_count_to_be_between", {"min_value": 0}
    type_of = {c.name: c.type for c in look.spec.columns}
    was = relation(look.session, look.spec.qualified, before)
    shares = (f'SELECT "{column}" AS value, sum(now) * 1.0 / {max(look.version.row_count, 1)} AS now, sum(was) * 1.0 / {max(before.row_count, 1)} AS was '
              f'FROM (SELECT "{column}", 1 AS now, 0 AS was FROM {look.rows} n UNION ALL SELECT "{column}", 0, 1 FROM {was} w) both_versions GROUP BY 1')
    if type_of[column] in ("varchar", "boolean"):
        distance = f"SELECT sum(abs(now - was)) / 2 AS distance FROM ({shares}) s"
    else:
        running = f"SELECT abs(sum(now) OVER (ORDER BY value) - sum(was) OVER (ORDER BY value)) AS gap FROM ({shares}) s WHERE value IS NOT NULL"
        distance = f"SELECT max(gap) AS distance FROM ({running}) r"
    return unexpected(f"SELECT distance FROM ({distance}) d WHERE distance > {float(max_distance)}")


@kind
def conservation(look: Look, column: str, table: str, raw: str) -> Expectation:
    """The sum of the raw amounts of a bronze table = the sum of `column` here + the raw amounts of the rows in this table's quarantine.

    The raw text is read by the engine itself and not by silver's functions, so that one controls the other; what is no number counts 0 on
    both sides.
    """
    source = look.other(f"{look.spec.domain}_bronze.{table}")
    amount = _amount(_conventions(look, table), f'"{raw}"', '"_format"')
    kept_back = _amount(_conventions(look, table), f"raw->>'{raw}'", "raw->>'_format'")
    quarantine = (f"SELECT coalesce(sum({kept_back}), 0) FROM lake.{look.spec.schema}.quarantine AT (VERSION => {look.version.snapshot_id}) "
                  f"WHERE table_name = '{look.spec.name}'")
    sums = (f'SELECT (SELECT coalesce(sum({amount}), 0) FROM {source} b) AS delivered, '
            f'(SELECT coalesce(sum("{column}"), 0) FROM {look.rows} t) AS loaded, ({quarantine}) AS kept_back')
    return unexpected(f"SELECT * FROM ({sums}) s WHERE delivered <> loaded + kept_back")


def _conventions(look: Look, table: str) -> dict[str, tuple[str, str]]:
    """Format -> (decimal mark, group marks) of a bronze table."""
    from platform_assets.contracts import contract

    made = contract(PROJECT / "platform_assets" / look.spec.domain / "bronze" / f"{table}.odcs.yaml")
    return {name: (found.convention.decimal_mark, found.convention.group_mark) for name, found in made.formats.items()}


def _amount(conventions: dict[str, tuple[str, str]], text: str, format: str) -> str:
    """SQL of a raw amount as DECIMAL(38,18). Through DECIMAL(18,12) where it fits: that cast is forty times faster, and it rounds without a word,
    so a number of more than 12 places or with an exponent does not go through it."""
    marks = set(conventions.values())
    plain = text
    if marks != {(".", "")}:
        cases = " ".join(f"WHEN '{name}' THEN {_pointed(text, *found)}" for name, found in sorted(conventions.items()))
        plain = f"CASE {format} {cases} END"
    is_short = f"(length({plain}) - strpos({plain}, '.') <= 12 OR strpos({plain}, '.') = 0) AND NOT contains(lower({plain}), 'e')"
    return f"coalesce(CASE WHEN {is_short} THEN try_cast({plain} AS DECIMAL(18,12))::DECIMAL(38,18) END, try_cast({plain} AS DECIMAL(38,18)), 0)"


def _pointed(text: str, decimal_mark: str, group_marks: str) -> str:
    for mark in group_marks:
        text = f"replace({text}, '{mark}', '')"
    return text if decimal_mark == "." else f"replace({text}, '{decimal_mark}', '.')"


@kind
def reconciliation(look: Look, column: str, table: str, other: str, by: Sequence[str] = (), where: str = "true", other_where: str = "true",
                   tolerance: float = 0.0) -> Expectation:
    """The sums of `column` here and of `other` in another table of the same store are equal, in total or for each value of `by`.

    `by` entries are column names, or `here=there` where the names differ. `tolerance` is relative.
    """
    pairs = [(name.partition("=")[0], name.partition("=")[2] or name.partition("=")[0]) for name in by]
    here = ", ".join(f'"{mine}" AS k{n}' for n, (mine, _) in enumerate(pairs)) or "1 AS k0"
    there = ", ".join(f'"{theirs}" AS k{n}' for n, (_, theirs) in enumerate(pairs)) or "1 AS k0"
    keys = ", ".join(f"k{n}" for n in range(max(len(pairs), 1)))
    both = (f'SELECT {here}, "{column}" AS one, NULL AS two FROM {look.rows} t WHERE {where} UNION ALL '
            f'SELECT {there}, NULL, "{other}" FROM {look.other(table)} o WHERE {other_where}')
    sums = f"SELECT {keys}, coalesce(sum(one), 0) AS one, coalesce(sum(two), 0) AS two FROM ({both}) rows_of_both GROUP BY {keys}"
    return unexpected(f"SELECT * FROM ({sums}) s WHERE abs(one - two) > {tolerance} * abs(two)")


@kind
def agreement(look: Look, where: str = "true") -> Expectation:
    """Rows of `expected`, `actual`, `difference` and `tolerance` agree: the difference is within the tolerance, which is relative."""
    return unexpected(f"SELECT * FROM {look.rows} t WHERE ({where}) AND abs(difference) > tolerance * abs(expected)")


@kind
def bridge(look: Look, of: str, to: str, effects: Sequence[str]) -> Expectation:
    """The effects add up to the difference of two columns, to the last digit."""
    summed = " + ".join(f'"{effect}"' for effect in effects)
    return unexpected(f'SELECT * FROM {look.rows} t WHERE "{of}" - "{to}" <> {summed}')
