"""The report on isolation: what keeps customers apart, looked at and tried now, over every role and table. An asset of the platform.

What belongs here: which questions make up the report, and how Dagster shows it. What does not: the questions (resources/safeguards.py,
resources/probes.py) and words for a terminal (cli/isolation.py).

It has no partitions: the catalog's questions are each one query over all customers, and a hole is everybody's. Sessions are opened for one
customer of each kind (size class, encryption), because all sessions of a kind are made alike; the command takes names. What Dagster keeps
holds counts, tables and roles and no customer's id: it stays when a customer leaves.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import dagster as dg

from partitions.customers import Customer, load_customers
from resources.postgres import SUPERUSER, Postgres
from resources.probes import Tried, look_at_folders, look_at_secrets, neighbour_of, try_rows, try_session
from resources.safeguards import SAFEGUARDS, look, unsafe_release
from resources.settings import settings

SCHEDULE = "isolation"
NIGHTLY = "30 3 * * *"  # UTC, an hour after the upkeep
KEY = dg.AssetKey(["platform", "isolation_report"])
SHOWN = 20
MADE = "SELECT substr(relnamespace::regnamespace::text, 6) FROM pg_class WHERE relname = 'ducklake_metadata' AND relnamespace::regnamespace::text ~ '^lake_'"
TRIED = {  # name -> cases, what holds, fix
    "release": ((18,), "The server's release does not show rows of others in planner statistics.", "install the newest minor release"),
    "sessions": ((30, 31, 33, 52), "A run's session reads no other path, catalog, login or address, and changes none of its settings.",
                 "compare resources/sandbox.py and the roles with the released ones, and open no session until it is settled"),
    "rows": ((1, 13, 20), "No login shows a row of another customer, and without a customer none at all.", "CALL platform.protect('<table>') in a migration"),
    "folders": ((30,), "No symbolic link lies in a customer's landing or lake folder.", "remove the link, and find out who put it there"),
    "secrets": ((58,), "Passwords are readable by their owner alone.", "chmod 600 the file, 700 its folder"),
}


@dataclass(frozen=True)
class Line:
    """One question of the report: what must hold, how many things were looked at, and those where it does not."""

    name: str
    cases: tuple[int, ...]
    says: str
    fix: str
    looked_at: int
    problems: tuple[str, ...]

    @property
    def facts(self) -> dict[str, Any]:
        return {"name": self.name, "cases": list(self.cases), "says": self.says, "fix": self.fix, "looked_at": self.looked_at, "problems": list(self.problems)}


def report(postgres: Postgres, customers: Mapping[str, Customer], chosen: Sequence[str] = ()) -> list[Line]:
    """Everything, now. `chosen`: whose sessions to open; default: the first customer of each kind. Changes nothing, waits for no run."""
    with postgres.connect(SUPERUSER) as connection:
        looked = look(connection, "warehouse", "server")
        release = Tried("the server", unsafe_release(connection.info.server_version))
    with postgres.connect(SUPERUSER, postgres.names.lake) as connection:
        looked += look(connection, "lake")
        made = {name for (name,) in connection.execute(MADE)}
    lines = []
    for guard in SAFEGUARDS:
        of_guard = [one for one in looked if one.safeguard is guard]
        lines.append(Line(guard.name, guard.cases, guard.says, guard.fix, len(of_guard), tuple(f"{o.subject} {o.problem}" for o in of_guard if o.problem)))
    opened = [customers[name] for name in chosen if name in made] if chosen else _of_each_kind(customers, made)
    tried = {
        "release": [release],
        "sessions": list(chain.from_iterable(try_session(postgres, one, neighbour_of(one.id, customers)) for one in opened)),
        "rows": list(chain.from_iterable(try_rows(postgres, one.id, neighbour_of(one.id, customers)) for one in opened)),
        "folders": list(chain.from_iterable(look_at_folders(postgres, name) for name in customers)),
        "secrets": list(look_at_secrets(postgres)),
    }
    for name, (cases, says, fix) in TRIED.items():
        problems = tuple(f"{one.subject} {one.problem}" for one in tried[name] if one.problem)
        lines.append(Line(name, cases, says, fix, len(tried[name]), problems))
    return lines


def _of_each_kind(customers: Mapping[str, Customer], made: set[str]) -> list[Customer]:
    """The first customer of each size class and encryption whose lake has a catalog."""
    kinds: dict[tuple[str, bool], Customer] = {}
    for name in sorted(set(customers) & made):
        kinds.setdefault((customers[name].size_class, customers[name].encrypted), customers[name])
    return list(kinds.values())


def isolation_report() -> dg.AssetsDefinition:
    """The asset, with a check for each question."""
    specs = [dg.AssetCheckSpec(name, asset=KEY, description=says) for name, says in _said().items()]

    @dg.asset(key=KEY, check_specs=specs, group_name="platform", kinds={"postgres", "duckdb"}, owners=["team:platform"],
              description="What keeps customers apart: roles, row-level security, views, functions, keys, grants and logins, and what sessions are "
                          "refused. Each question is a check; `strata isolation` shows the same with names, and ends with 1 if anything was found.")
    def isolation_report():  # Dagster takes no annotation of one value where checks are outputs too
        configured = settings()
        lines = report(Postgres(configured), load_customers(configured.customers))
        results = [dg.AssetCheckResult(passed=not line.problems, check_name=line.name, severity=dg.AssetCheckSeverity.ERROR, metadata=check_metadata(line))
                   for line in lines]
        return dg.MaterializeResult(metadata=metadata(lines), check_results=results)

    return isolation_report


def isolation_schedule() -> dg.ScheduleDefinition:
    """Every night after the upkeep, while a daemon lives."""
    job = dg.define_asset_job(SCHEDULE, dg.AssetSelection.assets(KEY), description="Looks whether customers are still kept apart: `strata isolation`.")
    return dg.ScheduleDefinition(name=SCHEDULE, job=job, cron_schedule=NIGHTLY, execution_timezone="UTC", default_status=dg.DefaultScheduleStatus.RUNNING)


def record(instance: dg.DagsterInstance, lines: Sequence[Line]) -> None:
    """Show in Dagster what a command has found."""
    instance.report_runless_asset_event(dg.AssetMaterialization(KEY, metadata=metadata(lines)))
    for line in lines:
        instance.report_runless_asset_event(dg.AssetCheckEvaluation(asset_key=KEY, check_name=line.name, passed=not line.problems,
                                                                    severity=dg.AssetCheckSeverity.ERROR, metadata=check_metadata(line)))


def metadata(lines: Sequence[Line]) -> dict[str, Any]:
    rows = [f"| {line.name} | {line.says} | {', '.join(map(str, line.cases))} | {line.looked_at:,} | {len(line.problems):,} |" for line in lines]
    table = "\n".join(["| question | what holds | attack cases | looked at | findings |", "| --- | --- | --- | ---: | ---: |", *rows])
    return {"report": dg.MetadataValue.md(table), "looked_at": sum(line.looked_at for line in lines), "findings": sum(len(line.problems) for line in lines)}


def check_metadata(line: Line) -> dict[str, Any]:
    found = {"looked_at": line.looked_at, "findings": len(line.problems)}
    if not line.problems:
        return found
    return {**found, "found": "; ".join(without_customers(text) for text in line.problems[:SHOWN]), "fix": line.fix}


def without_customers(text: str) -> str:
    """A finding whose roles and customers are no longer told apart: Dagster's log outlives a customer."""
    return re.sub(r"^[a-z][a-z0-9_]*: ", "…: ", re.sub(r"\b(lake|cust)_[a-z][a-z0-9_]*|\bof (?!nobody)[a-z][a-z0-9_]*", _kind, text))


def _kind(found: re.Match[str]) -> str:
    return f"{found[1]}_…" if found[1] else "of …"


def _said() -> dict[str, str]:
    """Question -> what must hold."""
    return {**{guard.name: guard.says for guard in SAFEGUARDS}, **{name: says for name, (_, says, _) in TRIED.items()}}
