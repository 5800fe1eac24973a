"""The check between a release and a customer's readers: its movements are those that were approved.

What belongs here: judging the version that a promotion has just made against what is live. What does not: what was approved (approval.py) and
turning away runs of customers that wait (resources/releases.py).
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from partitions.errors import ReleaseError
from platform_assets.contracts import Contract, contract
from platform_assets.releases.approval import approved, judged
from platform_assets.releases.movements import figures, movements
from platform_assets.releases.plan import identity_of
from platform_assets.tables import reference_files
from resources import releases, versions
from resources.session import Session
from resources.settings import PROJECT
from resources.versions import Version

EXPECTED, CAME = "release_movements_are_expected", "expected_movements_came"
SAID = {EXPECTED: "A release moves this customer's figures as its approval says, and not otherwise.",
        CAME: "What the approval of a release expects of this customer's figures has come."}
NAMES_SHOWN = 20


def installed(contracts: tuple[Contract, ...]) -> str:
    """What an approval of this installation is of (plan.identity)."""
    return identity_of({made.spec.qualified: made.fingerprint for made in contracts}, reference_files(), releases.libraries_of(PROJECT))


def judge(session: Session, made: Contract, version: Version, key: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """Both results for a reported table. Outside of a guarded environment, and where the release is no other, they pass."""
    live = releases.newest(session.lock, session.customer_id, made.domain)
    if not releases.is_guarded(session.settings) or not releases.is_waiting(live, session.run.made_by):
        for name in (EXPECTED, CAME):
            yield _result(key, name, True, {"release": live.name if live else "first publication"})
        return
    release = session.run.release or ""
    try:
        found = approved(release, installed(contracts_of(made.domain)))
        if session.customer_id in found.held:
            raise ReleaseError("its trial failed on this customer", fix="repair it, and try and approve the release again")
    except ReleaseError as error:
        yield _result(key, EXPECTED, False, {"release": release, "problem": str(error)})
        yield _result(key, CAME, True, {"release": release})
        return
    numbers = versions.live(session.lock, session.customer_id)
    before, after = (figures(session.lock, session.customer_id, [made], {made.spec.qualified: number})
                     for number in (numbers.get(made.spec.qualified, -1), version.version))
    moved = movements(before, [("code", after)])
    unexpected, missing = judged(found, session.customer_id, moved)
    yield _result(key, EXPECTED, not unexpected, {"release": release, "movements": len(moved), "unexpected": len(unexpected),
                                                  **_named("unexpected_kpis", [one.kpi for one in unexpected])})
    yield _result(key, CAME, not missing, {"release": release, "expected_lines_not_met": len(missing), **_named("kpis", [one.kpi for one in missing])})


def contracts_of(domain: str) -> tuple[Contract, ...]:
    """All contracts of a domain's tables."""
    return tuple(contract(path) for path in sorted((PROJECT / "platform_assets" / domain).glob("*/*.odcs.yaml")))


def _named(fact: str, kpis: list[str]) -> dict[str, Any]:
    names = sorted(set(kpis))
    return {fact: ", ".join(names[:NAMES_SHOWN]) + (" …" if len(names) > NAMES_SHOWN else "")} if names else {}


def _result(key: dg.AssetKey, name: str, passed: bool, facts: dict[str, Any]) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if name == EXPECTED else dg.AssetCheckSeverity.WARN
    return dg.AssetCheckResult(asset_key=key, check_name=name, passed=passed, severity=severity, metadata=facts)
