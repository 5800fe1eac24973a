"""Contract rules as Dagster asset checks: one partitioned check step per table, pushed down by Great Expectations.

What belongs here: the check step and the meaning of a rule's result. What does not: the rules (contracts) and Great Expectations itself
(expectations.py, imported only where a check runs: its import costs 5–7 CPU seconds). Partitioned checks are a preview of Dagster: they are
confined to this module, and so is the silence about it.
"""
import warnings
from collections.abc import Iterator
from typing import Any

import dagster as dg

from partitions.customers import CUSTOMERS
from platform_assets.contracts import Contract, Rule
from platform_assets.releases import gate
from platform_assets.releases.movements import reported_of
from platform_assets.tables import TRANSIENT, asset_key
from platform_assets.validations import facts_of, kept
from resources import versions
from resources.accounting import FEW_ROWS, is_overfull, open_rows, quarantined_share
from resources.session import Session
from resources.sessions import permanent, session_of_step
from resources.storage import TableSpec
from resources.versions import Version

ACCOUNTING, QUARANTINED_SHARE, FRESHNESS = "row_accounting", "quarantined_share", "freshness"
SEVERITY = {"error": dg.AssetCheckSeverity.ERROR, "quarantine": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}


def checks_of(made: Contract) -> dg.AssetChecksDefinition:
    """All rules of one table as one step; `error` rules block this customer's downstream, and together they set the verdict.

    No rule can be run alone, since the verdict speaks for all; and Dagster's UI asks for no partition when it runs checks alone, so there it is
    rightly greyed out: `strata launch <customer> --checks-only` does it.
    """
    key, spec = asset_key(made), made.spec
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [_spec(key, ACCOUNTING, "Rows in are rows loaded + rows quarantined, wherever the table's accounting says so.", True)]
        if spec.max_quarantined_share is not None:
            allowed = f"At most {spec.max_quarantined_share:.0%} of the rows (or {FEW_ROWS} rows) wait in quarantine for a steward."
            specs += [_spec(key, QUARANTINED_SHARE, allowed, True)]
        if made.layer == "bronze":
            specs += [_spec(key, FRESHNESS, "The newest delivery is as recent as the customer's file expects.", False)]
        if reported_of(made):
            specs += [_spec(key, name, said, name == gate.EXPECTED) for name, said in gate.SAID.items()]
        specs += [_spec(key, r.name, r.description or in_words(r), r.severity == "error") for r in made.checked_rules]

        @dg.multi_asset_check(name="_".join([*key.path, "rules"]), specs=specs, retry_policy=TRANSIENT, required_resource_keys={"sessions"})
        def rules(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
            session = session_of_step(context, spec.qualified)
            version = session.written.get(spec.qualified) or versions.newest(session.lock, session.customer_id, spec.qualified)
            if version is None:
                raise dg.Failure(f"{spec.qualified} has no version to check for customer {session.customer_id}", allow_retries=False)
            results = [_accounting(key, version), *_share(key, spec, version), *_freshness(key, spec, session),
                       *(gate.judge(session, made, version, key) if reported_of(made) else ()),
                       *permanent(_evaluate)(session, spec, made.checked_rules, version, key)]
            failed = [r for r in results if not r.passed and r.severity == dg.AssetCheckSeverity.ERROR]
            versions.set_verdict(session.lock, session.customer_id, version, "failed" if failed else "passed")
            yield from results

    return rules


def in_words(rule: Rule) -> str:
    """A rule without a description of its own, as a sentence's beginning: what is expected, and the figures of it."""
    expected = rule.expectation.removeprefix("expect_").replace("_", " ")
    said = [f"{name.replace('_', ' ')} `{', '.join(map(str, value)) if isinstance(value, list) else value}`" for name, value in rule.kwargs.items()]
    return f"Expects {expected}: {', '.join(said)}"


def _spec(key: dg.AssetKey, name: str, description: str, blocking: bool) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=key, description=description, blocking=blocking, partitions_def=CUSTOMERS)


def _accounting(key: dg.AssetKey, version: Version) -> dg.AssetCheckResult:
    accounted = version.row_count + version.quarantined_count
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=ACCOUNTING,
        passed=version.rows_in is None or version.rows_in == accounted,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"rows_in": version.rows_in if version.rows_in is not None else "not counted for this accounting",
                  "rows": version.row_count, "quarantined": version.quarantined_count, "version": version.version},
    )


def _share(key: dg.AssetKey, spec: TableSpec, version: Version) -> Iterator[dg.AssetCheckResult]:
    """Whether so much of a table waits in quarantine that its figures have to wait too."""
    if spec.max_quarantined_share is not None:
        yield dg.AssetCheckResult(asset_key=key, check_name=QUARANTINED_SHARE, passed=not is_overfull(spec, version), severity=dg.AssetCheckSeverity.ERROR,
                                  metadata={"share": quarantined_share(version), "allowed": spec.max_quarantined_share, "open": open_rows(version)})


def _freshness(key: dg.AssetKey, spec: TableSpec, session: Session) -> Iterator[dg.AssetCheckResult]:
    """Whether this customer's source is late today; a source for which nothing is expected is not."""
    if spec.layer == "bronze":
        from platform_assets.freshness import freshness

        found = next((one for one in freshness(session.lock, session.customer) if one.source == spec.name), None)
        facts = {name: value for name, value in found.facts.items() if value} if found else {"state": "not delivered by this customer"}
        yield dg.AssetCheckResult(asset_key=key, check_name=FRESHNESS, passed=found is None or not found.is_late, severity=dg.AssetCheckSeverity.WARN,
                                  metadata=facts)


def _evaluate(session: Session, spec: TableSpec, rules: tuple[Rule, ...], version: Version, key: dg.AssetKey) -> list[dg.AssetCheckResult]:
    """Every rule's result; one that could not be evaluated is an ERROR, never a pass. A version that this run found unchanged keeps its results."""
    if not rules:
        return []
    if spec.qualified in session.unchanged and version.verdict != "pending" and (before := kept(session, spec, version, rules)):
        return [_result(key, rule, version, one["success"], {**facts_of(one), "judged": "as before: rows, rules and what they look at are the same"})
                for rule, one in zip(rules, before, strict=True)]
    from platform_assets.expectations import evaluate

    return [_result(key, rule, version, outcome.passed, outcome.facts, outcome.error)
            for rule, outcome in zip(rules, evaluate(session, spec, rules, version), strict=True)]


def _result(key: dg.AssetKey, rule: Rule, version: Version, passed: bool, facts: dict[str, Any], error: str | None = None) -> dg.AssetCheckResult:
    metadata = {"version": version.version, **facts, **({"could_not_be_evaluated": error} if error else {})}
    return dg.AssetCheckResult(asset_key=key, check_name=rule.name, passed=passed, severity=SEVERITY["error" if error else rule.severity], metadata=metadata)
