"""What Great Expectations found on a version of a table, kept for Data Docs.

What belongs here: the shape that is kept in `platform.validation` and what of a result may be kept: counts always, values of public columns
alone (ARCHITECTURE 15). What does not: evaluating (expectations.py) and pages (datadocs.py). Nothing of Great Expectations is imported:
this runs for each table of each run and costs 2 ms.
"""
from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from psycopg.types.json import Jsonb

from platform_assets.contracts import Rule
from resources.facts import without_values
from resources.session import Session
from resources.storage import TableSpec
from resources.versions import Version

COUNTS = ("element_count", "unexpected_count", "unexpected_percent", "missing_count", "missing_percent")
SAMPLE = 5


def keep(session: Session, spec: TableSpec, version: Version, rules: Iterable[Rule], results: Iterable[Any], public: Iterable[str]) -> None:
    """Keep the results of a version's rules, in place of an earlier check of the same version. `public`: names of rules whose values may be shown."""
    found = {result.expectation_config.meta["rule"]: result for result in results}
    shown = set(public)
    kept = [_kept(rule, found.get(rule.name), rule.name in shown) for rule in rules]
    passed = sum(one["success"] for one in kept)
    document = {"suite_name": spec.qualified, "success": passed == len(kept), "results": kept, "meta": {},
                "statistics": {"evaluated_expectations": len(kept), "successful_expectations": passed, "unsuccessful_expectations": len(kept) - passed,
                               "success_percent": 100.0 * passed / len(kept) if kept else None}}
    session.lock.execute("""INSERT INTO platform.validation (customer_id, table_name, version, result) VALUES (%s, %s, %s, %s)
        ON CONFLICT (customer_id, table_name, version) DO UPDATE SET result = excluded.result, created_at = clock_timestamp()""",
                         [session.customer_id, spec.qualified, version.version, Jsonb(document)])


def kept(session: Session, spec: TableSpec, version: Version, rules: Iterable[Rule]) -> list[dict[str, Any]] | None:
    """The kept results of a version, one for each rule; None where there are none, a rule is no longer what was judged, or one raised an error."""
    found = session.lock.execute("SELECT result FROM platform.validation WHERE customer_id = %s AND table_name = %s AND version = %s",
                                 [session.customer_id, spec.qualified, version.version]).fetchone()
    results = found[0]["results"] if found else []
    same = [one["expectation_config"] for one in results] == [_configuration(rule) for rule in rules]
    return results if same and not any(one["exception_info"]["raised_exception"] for one in results) else None


def facts_of(one: dict[str, Any]) -> dict[str, Any]:
    """What a kept result tells of its rule: counts, and of public columns what was observed and a few values."""
    facts = {name: value for name, value in one["result"].items() if name != "partial_unexpected_list" and isinstance(value, int | float | str)}
    sample = one["result"].get("partial_unexpected_list")
    return {**facts, **({"sample": ", ".join(sample)} if sample else {})}


def _configuration(rule: Rule) -> dict[str, Any]:
    return {"type": rule.expectation, "kwargs": rule.kwargs,
            "meta": {"rule": rule.name, "severity": rule.severity, "description": rule.description, "engine": rule.engine}}


def _kept(rule: Rule, result: Any, is_public: bool) -> dict[str, Any]:
    """One rule's result in the shape of Great Expectations' own JSON."""
    return {
        "success": bool(result is not None and result.success),
        "expectation_config": _configuration(rule),
        "result": _masked(result.result or {}, is_public) if result is not None else {},
        "exception_info": {"raised_exception": bool(error := _error(result)), "exception_message": error, "exception_traceback": None},
    }


def _masked(result: dict[str, Any], is_public: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {name: result[name] for name in COUNTS if _is_plain(result.get(name))}
    if is_public:
        if _is_plain(result.get("observed_value")):
            kept["observed_value"] = result["observed_value"]
        kept["partial_unexpected_list"] = [str(value) for value in (result.get("partial_unexpected_list") or [])[:SAMPLE]]
    return kept


def _is_plain(value: Any) -> bool:
    """What JSON holds: PostgreSQL refuses the NaN that a share of no rows is."""
    return isinstance(value, str | int) or isinstance(value, float) and math.isfinite(value)


def _error(result: Any) -> str | None:
    if result is None:
        return "Great Expectations gave no result"
    info = result.exception_info or {}
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [entry for entry in entries if isinstance(entry, dict) and entry.get("raised_exception")]
    return without_values(str(raised[0].get("exception_message")))[:500] if raised else None
