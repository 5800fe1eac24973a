"""What a steward hears of: refused deliveries, failed runs, held-back publications, filled quarantines, missing deliveries.

What belongs here: reading them from Dagster's events and our tables, and Dagster's sensors that do so while a daemon lives. What does not:
the register and its folding (resources/notices.py), sending (resources/sinks.py). Without a daemon `strata launch`, `strata land` and
`strata notify` call the same functions.
"""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

import dagster as dg
import psycopg
from psycopg.rows import class_row

from partitions.customers import Customer, customer, load_customers
from partitions.errors import DeliveryError, StrataError, printable
from platform_assets.contracts import contract
from platform_assets.freshness import Freshness, freshness, today
from resources import versions
from resources.accounting import is_overfull, open_rows, quarantined_share
from resources.backfills import PARTITION_TAG
from resources.environment import policy_of
from resources.notices import Kind, Notice, Sent, report, send, settle
from resources.postgres import WRITER, Postgres
from resources.settings import PROJECT, settings
from resources.sinks import Sink, UnusableSink, fold_of, sink_or_reason
from resources.storage import TableSpec
from resources.versions import Version

UI_VARIABLE, UI = "STRATA_UI_URL", "http://127.0.0.1:3000"
TICK_SECONDS, STALE_SECONDS = 30, 300
EVENTS = {dg.DagsterEventType[name] for name in ("STEP_FAILURE", "STEP_SUCCESS", "ASSET_CHECK_EVALUATION")}
BLOCKED = "DagsterAssetCheckFailedError"  # how a step of checks ends where a blocking one did not pass
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def link(path: str) -> str:
    """An address in Dagster's pages, which `$STRATA_UI_URL` says how to reach."""
    return f"{os.environ.get(UI_VARIABLE, UI).rstrip('/')}/{path}"


# deliveries


def refused(connection: psycopg.Connection, customer: Customer, source: str, error: DeliveryError, subject: str) -> None:
    """Keep a refusal and open its notice, in a transaction. `subject`: what a later delivery would repair, such as a source's period."""
    rule, file, column = (str(error.place.get(name, "")) for name in ("rule", "file", "column"))
    with connection.transaction():
        number = connection.execute("""INSERT INTO platform.refusal (customer_id, source, file_name, rule, column_name, problem, fix)
            VALUES (%s, %s, %s, %s, nullif(%s, ''), %s, %s) RETURNING refusal_id""",
                                    [customer.id, source, printable(file), rule, printable(column), printable(error.problem), error.fix]).fetchone()[0]
        where = ", ".join(f"{name} {printable(value)}" for name, value in error.place.items() if name in ("file", "row", "column"))
        report(connection, Notice(customer.id, "delivery_refused", subject, f"[{where}] {printable(error.problem)}; what was delivered before still counts",
                                  error.fix, f"refusal {number}", rule, link(f"assets/landing/{source}?partition={customer.id}")), _now())


def accepted(connection: psycopg.Connection, customer: Customer, source: str, subject: str) -> None:
    """A new delivery came through: what was refused in its place is no trouble any more, and the source may be fresh again."""
    with connection.transaction():
        settle(connection, customer.id, "delivery_refused", [subject], _now())
        late = {one.source for one in freshness(connection, customer) if one.is_late}
        settle(connection, customer.id, "source_stale", {source} - late, _now())


def stale(connection: psycopg.Connection, customer: Customer, at: date | None = None) -> list[Freshness]:
    """Open a notice for every source that is late on a day (default: the customer's today), close those of the others; returns the late ones."""
    found, day = freshness(connection, customer, at), at or today(customer)
    for one in found:
        if one.is_late:
            fix = f"ask who delivers it, then `strata land {customer.id} {one.source} FILE`; how often it is due stands in customers/{customer.id}.yaml"
            report(connection, Notice(customer.id, "source_stale", one.source, one.problem, fix, f"day {day}", "freshness",
                                      link(f"assets/landing/{one.source}?partition={customer.id}")), _now())
    late = {one.source: one for one in found if one.is_late}
    opened = connection.execute("SELECT subject FROM platform.notice WHERE customer_id = %s AND kind = 'source_stale' AND solved_at IS NULL", [customer.id])
    settle(connection, customer.id, "source_stale", {source for (source,) in opened} - set(late), _now())  # also of a source that nobody expects any more
    return list(late.values())


# runs


def ended(connection: psycopg.Connection, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Open and close a customer's notices by how a run of it ended. Only the newest finished run speaks, and telling it twice changes nothing."""
    name = run.tags.get(PARTITION_TAG)
    newest = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: name}, statuses=FINISHED), limit=1) if name else []
    if not name or not newest or newest[0].run_id != run.run_id:
        return
    failures, succeeded, rules = _told(instance, run.run_id)
    found = [*_blocked(name, run, rules, failures), *_failed(name, run, failures)]
    if run.status == dg.DagsterRunStatus.FAILURE and not found:
        found.append(Notice(name, "run_failed", run.job_name, "the run ended before its work was done", f"`strata launch {name}` again", run.run_id,
                            link=link(f"runs/{run.run_id}")))
    quarantines, emptied = _quarantines(connection, name, run)
    for notice in [*found, *quarantines]:
        report(connection, notice, _now())
    over: dict[Kind, set[str]] = {
        "run_failed": {table_of(step) for step in succeeded} | ({run.job_name} if run.status == dg.DagsterRunStatus.SUCCESS else set()),
        "publication_blocked": {table for table, broken in rules.items() if not broken} | {table_of(s) for s in succeeded if s.endswith("__publication")},
        "quarantine_filled": emptied,
    }
    for kind, subjects in over.items():
        settle(connection, name, kind, subjects - {notice.subject for notice in found if notice.kind == kind}, _now())


def _told(instance: dg.DagsterInstance, run_id: str) -> tuple[dict[str, str], set[str], dict[str, list[str]]]:
    """Of a run's events: failed step -> why, the steps that succeeded, and table -> its broken `error` rules."""
    failures: dict[str, str] = {}
    succeeded: set[str] = set()
    rules: dict[str, list[str]] = {}
    for event in _events(instance, run_id):
        step = event.step_key or ""
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            succeeded.add(step)
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            data = event.step_failure_data
            failures[step] = data.user_failure_data.description or "it gave no reason" if data.user_failure_data else _class_of(data.error)
        else:
            check = event.asset_check_evaluation_data
            broken = rules.setdefault(_qualified(check.asset_key), [])
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                broken.append(check.check_name)
    return failures, succeeded, rules


def _events(instance: dg.DagsterInstance, run_id: str) -> Iterator[dg.DagsterEvent]:
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(run_id, cursor=cursor, of_type=EVENTS)
        cursor = page.cursor
        yield from (record.event_log_entry.dagster_event for record in page.records if record.event_log_entry.dagster_event)
        if not page.has_more:
            return


def _blocked(name: str, run: dg.DagsterRun, rules: Mapping[str, list[str]], failures: Mapping[str, str]) -> Iterator[Notice]:
    """A table whose `error` rules are broken holds its customer's new figures back, and so does a publication that refuses."""
    stays = "what was published before stays"
    for table, broken in rules.items():
        if broken:
            domain, _, rest = table.partition("_")
            page = link(f"assets/{domain}/{rest.replace('.', '/')}?view=checks")
            yield Notice(name, "publication_blocked", table, f"{len(broken)} of its rules are broken; {stays}",
                         "look at the rule's result, repair the source and land it again", run.run_id, ", ".join(sorted(broken)), page)
    for step, why in failures.items():
        if step.endswith("__publication"):
            yield Notice(name, "publication_blocked", table_of(step), f"{why}; {stays}", f"repair that, then `strata launch {name}`", run.run_id,
                         "publication", link(f"runs/{run.run_id}"))


def _failed(name: str, run: dg.DagsterRun, failures: Mapping[str, str]) -> Iterator[Notice]:
    for step, why in failures.items():
        is_told_above = step.endswith("__publication") or why == BLOCKED
        if not is_told_above:
            yield Notice(name, "run_failed", table_of(step), why, f"repair that, then `strata launch {name}`", run.run_id, link=link(f"runs/{run.run_id}"))


def _quarantines(connection: psycopg.Connection, name: str, run: dg.DagsterRun) -> tuple[list[Notice], set[str]]:
    """Notices of the tables that this run wrote with quarantined rows, and the tables it wrote without any."""
    with connection.cursor(row_factory=class_row(Version)) as cursor:
        wrote = cursor.execute(f"SELECT {', '.join(versions.COLUMNS)} FROM platform.table_version WHERE customer_id = %s AND run_id = %s ORDER BY version",
                               [name, run.run_id]).fetchall()
    filled = []
    for version in wrote:
        table, count = version.table_name, open_rows(version)
        if count:
            share, spec = quarantined_share(version), _spec_of(table)
            over = f", more than the {spec.max_quarantined_share:.2%} that its contract allows" if spec and is_overfull(spec, version) else ""
            filled.append(Notice(name, "quarantine_filled", table, f"{count:,} rows ({share:.2%}) are in quarantine{over}",
                                 f"`strata quarantine list {name}`, then fix, accept or reject them", run.run_id,
                                 "max_quarantined_share" if over else None, link(f"runs/{run.run_id}")))
    return filled, {version.table_name for version in wrote if not open_rows(version)}


def _spec_of(table: str) -> TableSpec | None:
    """A table as its contract declares it; None for one that is gone."""
    schema, _, name = table.partition(".")
    domain, _, layer = schema.rpartition("_")
    path = PROJECT / "platform_assets" / domain / layer / f"{name}.odcs.yaml"
    return contract(path).spec if path.exists() else None


def table_of(step: str) -> str:
    """`greenit__silver__equipment` -> `greenit_silver.equipment`; a step that writes no table stays as it is."""
    parts = step.split("__")
    return f"{parts[0]}_{parts[1]}.{parts[2]}" if len(parts) == 3 else step


def _qualified(key: dg.AssetKey) -> str:
    return table_of("__".join(key.path))


def _class_of(error: object) -> str:
    """The innermost error's class: its text may quote a row."""
    while getattr(error, "cause", None):
        error = error.cause  # type: ignore[attr-defined]  # SerializableErrorInfo has it
    return str(getattr(error, "cls_name", None) or "an error without a name")


def _now() -> datetime:
    return datetime.now(UTC)


# sending


def tell(postgres: Postgres, customers: Mapping[str, Customer], *, with_stale: bool = True, at: date | None = None) -> dict[str, Sent]:
    """Judge the freshness of customers, where deliveries come at all, and send what is due to their stewards. A sink that is down is asked once, not
    once per customer."""
    judges = with_stale and policy_of(postgres.settings).bronze_from == "deliveries"
    sink: Sink = sink_or_reason(postgres.settings)
    sent: dict[str, Sent] = {}
    for name, found in customers.items():
        with postgres.connect(WRITER, customer=name, autocommit=True) as connection:
            if judges:
                stale(connection, found, at)
            sent[name] = send(connection, found, sink, _now(), fold_of())
        if sent[name].is_down:
            sink = UnusableSink(sent[name].failure or "the sink is down")
    return sent


def tell_of_newest_run(postgres: Postgres, instance: dg.DagsterInstance, names: list[str]) -> None:
    """What each customer's newest finished run is worth telling, told now: for a launch that no daemon watches."""
    for name in names:
        for run in instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: name}, statuses=FINISHED), limit=1):
            tell_of_run(postgres, instance, run)


def tell_of_run(postgres: Postgres, instance: dg.DagsterInstance, run: dg.DagsterRun) -> Sent | None:
    """Register how a run ended and send what is due; None for a run of no customer."""
    name = run.tags.get(PARTITION_TAG)
    if not name:
        return None
    found = customer(name, postgres.settings.customers)
    with postgres.connect(WRITER, customer=name, autocommit=True) as connection:
        ended(connection, instance, run)
        return send(connection, found, sink_or_reason(postgres.settings), _now(), fold_of())


# Dagster


def run_sensors() -> list[dg.SensorDefinition]:
    """How a living daemon tells after each run that fails or succeeds."""
    return [_run_sensor("failed_runs", dg.DagsterRunStatus.FAILURE), _run_sensor("finished_runs", dg.DagsterRunStatus.SUCCESS)]


def stale_sensor() -> dg.SensorDefinition:
    """How a living daemon tells every few minutes what is stale or was not sent."""

    @dg.sensor(name="stale_sources", minimum_interval_seconds=STALE_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING,
               description="Tells stewards which deliveries are missing, and sends again what a sink did not take.")
    def stale_sources(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        configured = settings()
        sent = tell(Postgres(configured), load_customers(configured.customers))
        return dg.SkipReason(f"{sum(s.sent for s in sent.values())} notices sent, {sum(s.unsent for s in sent.values())} unsent")

    return stale_sources


def _run_sensor(name: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(name=name, run_status=status, minimum_interval_seconds=TICK_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING,
                          description="Tells the customer's steward how a run ended.")
    def told(context: dg.RunStatusSensorContext) -> dg.SkipReason:
        try:
            sent = tell_of_run(Postgres(settings()), context.instance, context.dagster_run)
        except StrataError as error:  # such as a customer whose file is gone: nobody is left to be told
            return dg.SkipReason(str(error))
        return dg.SkipReason(f"{sent.sent} notices sent, {sent.unsent} unsent" if sent else "a run of no customer")

    return told
