"""The trial of a release: what lies between the live figures and the candidate's, computed one cause after the other on the same raw data.

What belongs here: the order of the stages, and what is kept of them. What does not: processes of other checkouts (recomputation.py),
comparing (platform_assets/releases/movements.py), words (release.py).

    live ─ data ─► base ─ code ─► … ─ libraries ─► … ─ parameters ─► candidate;  base again

The base at the end says whether it is equal to itself, what the same tables cost it when it writes them too, and leaves what it found.
Every stage computes the same tables: those that the release changes and all behind them. What they read besides is nobody's to change meanwhile:
if a version of bronze does, the customer's trial says so and counts as failed.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from cli.launching import JOB, MODULE
from cli.recomputation import Computed, Worktree, computed
from partitions.customers import Customer
from platform_assets.contracts import Contract
from platform_assets.releases.movements import Figures, figures, lake_difference, movements, table_difference
from platform_assets.releases.plan import Plan
from resources import versions
from resources.postgres import BACKUP, WRITER, Postgres
from resources.releases import Movement, Trial, keep_trial
from resources.session import RunIdentity, Session
from resources.sessions import AS_OF_TAG, RECOMPUTE_TAG
from resources.versions import Version

DOMAIN = "greenit"
USED = "SELECT coalesce(sum(cpu_seconds + postgres_seconds), 0) FROM platform.usage WHERE customer_id = %s AND run_id = %s AND part <> 'run'"


@dataclass(frozen=True)
class Stage:
    """What one cause adds: the checkout that computes, and the root of the parameters that it reads."""

    cause: str
    by: Worktree
    references: Path


@dataclass
class State:
    """Where a customer's trial stands. `last`: the versions after the newest stage that came out; `steps`: cause -> figures after it."""

    as_of: date
    bronze: dict[str, int]
    live: dict[str, int]
    steps: list[tuple[str, Figures]] = field(default_factory=list)
    base: dict[str, Version] = field(default_factory=dict)
    last: dict[str, Version] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    noise: int = 0
    base_seconds: float = 0.0
    candidate_seconds: float = 0.0
    is_over: bool = False


def stages_of(plan: Plan, base: Worktree, candidate: Worktree) -> list[Stage]:
    """The base, then a stage for each cause that there is; the last one is the candidate as it is."""
    causes = plan.causes() or ("code",)
    by = {"code": Stage("code", Worktree(candidate.root, base.python, candidate.commit), base.root),
          "libraries": Stage("libraries", candidate, base.root), "parameters": Stage("parameters", candidate, candidate.root)}
    found = [by[cause] for cause in causes]
    return [Stage("data", base, base.root), *found[:-1], Stage(found[-1].cause, candidate, candidate.root)]


def try_release(postgres: Postgres, customers: Mapping[str, Customer], contracts: Sequence[Contract], plan: Plan, keys: Sequence[Sequence[str]],
                stages: Sequence[Stage], names: tuple[str, str, str], tell: Callable[[str], None]) -> dict[str, tuple[Trial, list[Movement]]]:
    """Compute every stage for customers with published figures, compare, keep. `names`: of the release, its base, the candidate's identity."""
    with postgres.connect(BACKUP) as connection:
        states = {name: made for name in customers if (made := _standing(connection, name))}
    for name in sorted(set(customers) - set(states)):
        tell(f"{name}: nothing is published yet, so nothing can move")
    for stage in stages:
        _carry_out(postgres, stage, states, contracts, plan, keys, stage is stages[-1])
        tell(f"{stage.cause}: {sum(not s.is_over for s in states.values())} of {len(states)} customers computed by {stage.by.commit}")
    _measure_noise(postgres, stages[0], states, plan, keys)
    return {name: _kept(postgres, customers[name], state, contracts, plan, names) for name, state in states.items()}


def _standing(connection: psycopg.Connection, customer: str) -> State | None:
    live = versions.live(connection, customer)
    found = connection.execute("SELECT max(v.as_of) FROM platform.live_version l JOIN platform.table_version v USING (customer_id, table_name, version) "
                               "WHERE customer_id = %s", [customer]).fetchone()[0]
    return State(found, _bronze(connection, customer), live) if live and found else None


def _bronze(connection: psycopg.Connection, customer: str) -> dict[str, int]:
    return dict(connection.execute("SELECT table_name, max(version) FROM platform.table_version WHERE customer_id = %s AND table_name LIKE %s GROUP BY 1",
                                   [customer, "%\\_bronze.%"]).fetchall())


def _carry_out(postgres: Postgres, stage: Stage, states: dict[str, State], contracts: Sequence[Contract], plan: Plan, keys: Sequence[Sequence[str]],
               is_last: bool) -> None:
    """One stage for all whose trial goes on. A stage between that does not come out leaves its share to the next one; the first and the last must."""
    going = {name: state for name, state in states.items() if not state.is_over}
    if not going:
        return
    done = _computed(postgres, stage, going, keys)
    with postgres.connect(BACKUP) as connection:
        for name, state in going.items():
            made = done[name]
            if made.problems and not is_last and stage.cause != "data":
                state.problems[stage.cause] = f"apart it cannot be computed, so its share is with the next cause: {next(iter(made.problems.values()))}"
                continue
            if made.problems:
                state.problems.update(made.problems)
                state.is_over = True
                continue
            state.last = {table: found for table in plan.computed if (found := versions.newest(connection, name, table))}
            if is_last:
                state.candidate_seconds = _seconds(connection, name, made)
            numbers = {**state.live, **{table: version.version for table, version in state.last.items()}}
            state.steps.append((stage.cause, figures(connection, name, contracts, numbers)))
            if stage.cause == "data":
                state.base = state.last


def _computed(postgres: Postgres, stage: Stage, going: Mapping[str, State], keys: Sequence[Sequence[str]]) -> dict[str, Computed]:
    tags = {name: {AS_OF_TAG: state.as_of.isoformat(), RECOMPUTE_TAG: "true"} for name, state in going.items()}
    return computed(stage.by, stage.references, MODULE, JOB, keys, tags, postgres.settings)


def _seconds(connection: psycopg.Connection, customer: str, made: Computed) -> float:
    """CPU seconds of a stage's tables and their rules, and those in which it waited for PostgreSQL."""
    return float(connection.execute(USED, [customer, made.run]).fetchone()[0])


def _measure_noise(postgres: Postgres, stage: Stage, states: Mapping[str, State], plan: Plan, keys: Sequence[Sequence[str]]) -> None:
    """The base against itself: tables that come out otherwise the second time are noise, and there must be none."""
    again = {name: state for name, state in states.items() if state.base}
    done = _computed(postgres, stage, again, keys) if again else {}
    with postgres.connect(BACKUP) as connection:
        for name, state in again.items():
            if done[name].problems:
                state.problems["(base again)"] = f"the base could not be computed twice: {next(iter(done[name].problems.values()))}"
                state.is_over = True
                continue
            newest = {table: versions.newest(connection, name, table) for table in plan.computed}
            state.noise = sum(bool(state.base.get(table) and found and found.content_hash != state.base[table].content_hash) for table, found in newest.items())
            state.base_seconds = _seconds(connection, name, done[name])


def _kept(postgres: Postgres, customer: Customer, state: State, contracts: Sequence[Contract], plan: Plan,
          names: tuple[str, str, str]) -> tuple[Trial, list[Movement]]:
    release, base, candidate = names
    with postgres.connect(WRITER, customer=customer.id, autocommit=True) as connection:
        if _bronze(connection, customer.id) != state.bronze and not any(".bronze." in table for table in plan.computed):
            state.problems["(data)"] = "a run changed the raw data while the trial went on: try again"
            state.is_over = True
        live = figures(connection, customer.id, contracts, state.live)
        moved = [] if state.is_over else movements(live, state.steps)
        tables = {} if state.is_over else _differences(postgres, connection, customer, state, contracts)
        made = Trial(base, candidate, "failed" if state.is_over else "compared", state.problems, tables, state.bronze, state.as_of, state.noise,
                     state.base_seconds, state.candidate_seconds)
        keep_trial(connection, customer.id, release, made, moved)
    return made, moved


def _differences(postgres: Postgres, connection: psycopg.Connection, customer: Customer, state: State, contracts: Iterable[Contract]) -> dict[str, Any]:
    """Table -> how the candidate's rows differ from the base's, of those that do."""
    found: dict[str, Any] = {}
    session: Session | None = None
    try:
        for made in contracts:
            spec = made.spec
            before, after = state.base.get(spec.qualified), state.last.get(spec.qualified)
            if before is None or after is None:
                found |= {spec.qualified: {"new": after.row_count}} if after and not before else {}
            elif before.content_hash != after.content_hash:
                if spec.in_lake:
                    session = session or Session(postgres.settings, postgres, customer, RunIdentity("release", None, "release", "release"), only_looks=True)
                    found[spec.qualified] = lake_difference(session, spec, before, after)
                else:
                    found[spec.qualified] = table_difference(connection, customer.id, spec, before, after)
    finally:
        if session:
            session.close()
    return found
