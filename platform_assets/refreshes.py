"""Refreshes: customers that are computed without anybody asking, because their schedule says so or something arrived.

What belongs here: who wants to be refreshed, who has to wait, and the sensor that sends the others as backfills. What does not: the
arithmetic of schedules (partitions/schedules.py), making a backfill (resources/backfills.py).

The sensor could lose its cursor and nothing would happen twice or never: what is due follows from the customers' files, the deliveries and
versions in the registry, and what was launched already. The cursor only says up to when all of that is settled.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg

from partitions.customers import CUSTOMERS, Customer, customer
from partitions.errors import CustomerError
from partitions.schedules import due_customers
from platform_assets.joining import state_of_folder
from platform_assets.selection import downstream_of, everything_of, tables_among
from resources import releases
from resources.backfills import Launched, failed_since, launched, new_order, parts_of, request_of, tags_of
from resources.failpoints import failpoint
from resources.parameter_state import state_hash, state_of
from resources.postgres import BACKUP, Postgres
from resources.sessions import AS_OF_TAG, PARAMETERS_TAG
from resources.settings import settings

TICK_SECONDS = 30
QUIET = timedelta(seconds=60)  # sources of one customer come together: the last one starts what all of them need
COMMITTED = timedelta(seconds=5)  # a delivery's moment is its transaction's start: a run that began right then may have missed it
LOOK_BACK = timedelta(minutes=10)  # a transaction is seen after its moment
TRIES = 3  # of backfills that fail before any run is made, as when the code location does not load
CAUSES = ("schedule", "delivery", "upstream")  # of two, the first one says what for

JOINED = "SELECT customer_id, applied_at FROM platform.customer WHERE customer_id = ANY(%s)"
DELIVERED = """SELECT customer_id, source, max(landed_at), bool_or(published) FROM platform.delivery d,
    LATERAL (SELECT EXISTS (SELECT FROM platform.publication p WHERE p.customer_id = d.customer_id) AS published) known
    WHERE customer_id = ANY(%s) AND state = 'accepted' AND landed_at > %s GROUP BY 1, 2"""
# Tables whose newest version was made from an older version of its input than the newest one that passed its checks.
OVERTAKEN = """WITH newest AS (SELECT DISTINCT ON (customer_id, table_name) customer_id, table_name, inputs FROM platform.table_version
        WHERE customer_id = ANY(%s) ORDER BY customer_id, table_name, version DESC)
    SELECT n.customer_id, n.table_name, p.run_id, p.created_at FROM newest n, jsonb_each_text(n.inputs) AS used(name, number),
    LATERAL (SELECT version, run_id, created_at FROM platform.table_version v WHERE v.customer_id = n.customer_id AND v.table_name = used.name
        AND verdict = 'passed' ORDER BY version DESC LIMIT 1) p
    WHERE p.version > used.number::bigint AND p.created_at > %s"""


@dataclass(frozen=True)
class Wish:
    """Tables of one customer that should be computed from all that was there at a moment, and not before it is `ripe`."""

    keys: frozenset[dg.AssetKey]
    since: datetime
    cause: str
    ripe: datetime = datetime.fromtimestamp(0, UTC)

    def joined(self, other: Wish) -> Wish:
        """One launch that does for both."""
        cause = min(self.cause, other.cause, key=CAUSES.index)
        return Wish(self.keys | other.keys, max(self.since, other.since), cause, max(self.ripe, other.ripe))


def sorted_out(wishes: Mapping[str, list[Wish]], found: Mapping[str, list[Launched]], now: datetime) -> tuple[dict[str, Wish], dict[str, list[Wish]]]:
    """Customer -> what to send now as one, and what has to wait: until it is ripe, or until the customer's run under way has ended. A wish
    that some launch covers is dropped."""
    go: dict[str, Wish] = {}
    wait: dict[str, list[Wish]] = {}
    for name, asked in wishes.items():
        left = [wish for wish in asked if not any(one.covers(wish.keys, wish.since) for one in found.get(name, ()))]
        is_busy = any(not one.is_over for one in found.get(name, ()))
        ripe = [] if is_busy else [wish for wish in left if wish.ripe <= now]
        if ripe:
            go[name] = reduce(Wish.joined, ripe)
        if unripe := [wish for wish in left if wish not in ripe]:
            wait[name] = unripe
    return go, wait


def scheduled(customers: Mapping[str, Customer], joined: Mapping[str, datetime], settled: datetime, now: datetime,
              everything: frozenset[dg.AssetKey]) -> dict[str, Wish]:
    """Wishes by schedule. A customer's ticks count from when its file was last applied: nothing is made up for who just joined, moved or resumed."""
    since = {name: max(at, settled) for name, at in joined.items()}
    return {name: Wish(everything, tick, "schedule") for name, tick in due_customers(customers, since, now).items()}


def delivered(connection: psycopg.Connection, customers: Mapping[str, Customer], graph: Any, settled: datetime,
              everything: frozenset[dg.AssetKey]) -> dict[str, Wish]:
    """Wishes by deliveries, of customers whose file says `triggers: [delivery]`: what depends on a source, or everything before the first
    publication. A customer that still delivers is left until it is quiet."""
    wishes: dict[str, Wish] = {}
    asked = _triggered(customers, "delivery")
    for name, source, at, published in connection.execute(DELIVERED, [asked, settled - LOOK_BACK]) if asked else ():
        keys = downstream_of(graph, {dg.AssetKey(["landing", source])}, everything) if published else everything
        wish = Wish(keys, at + COMMITTED, "delivery", at + QUIET)
        wishes[name] = wishes[name].joined(wish) if name in wishes else wish
    return wishes


def overtaken(connection: psycopg.Connection, instance: dg.DagsterInstance, customers: Mapping[str, Customer], graph: Any,
              settled: datetime, everything: frozenset[dg.AssetKey]) -> dict[str, Wish]:
    """Wishes by `triggers: [upstream]`: a table that somebody computed alone makes those behind it old. A run that had them in it and did not
    get there does not, nor does a look at an earlier day or by other parameters: it asked for exactly that."""
    wishes: dict[str, Wish] = {}
    asked = _triggered(customers, "upstream")
    tables = tables_among(everything)
    for name, table, run_id, at in connection.execute(OVERTAKEN, [asked, settled - LOOK_BACK]).fetchall() if asked else ():
        run, key = instance.get_run_by_id(run_id), tables.get(table)
        asked_for = run and ({AS_OF_TAG, PARAMETERS_TAG} & set(run.tags) or key in (run.asset_selection or everything))
        if key and not asked_for:
            wish = Wish(downstream_of(graph, {key}, everything) | {key}, at, "upstream")
            wishes[name] = wishes[name].joined(wish) if name in wishes else wish
    return wishes


def _triggered(customers: Mapping[str, Customer], cause: str) -> list[str]:
    return [name for name, found in customers.items() if found.status == "active" and cause in found.triggers]


@lru_cache(1)
def _declared(folder: Path, state: str) -> tuple[dict[str, Customer], int]:
    """The customers whose files can be read, and how many cannot: a merge that breaks one customer stops nobody else's schedule."""
    found, broken = {}, 0
    for path in sorted(folder.glob("*.yaml")):
        try:
            found[path.stem] = customer(path.stem, folder)
        except CustomerError:
            broken += 1
    return found, broken


def wishes_of(postgres: Postgres, instance: dg.DagsterInstance, graph: Any, everything: frozenset[dg.AssetKey],
              settled: datetime, now: datetime) -> tuple[dict[str, list[Wish]], dict[str, Customer], int]:
    """What every customer wants now, the customers, and how many files could not be read."""
    folder = postgres.settings.customers
    declared, broken = _declared(folder, state_of_folder(folder))
    keys = set(instance.get_dynamic_partitions(CUSTOMERS.name or "customer"))
    customers = {name: found for name, found in declared.items() if name in keys}
    with postgres.connect(BACKUP) as connection:
        joined: dict[str, datetime] = dict(connection.execute(JOINED, [list(customers)]).fetchall())
        asked = (scheduled(customers, joined, settled, now, everything), delivered(connection, customers, graph, settled, everything),
                 overtaken(connection, instance, customers, graph, settled, everything))
    wishes: dict[str, list[Wish]] = {}
    for found in asked:
        for name, wish in found.items():
            wishes.setdefault(name, []).append(wish)
    return wishes, customers, broken


def waiting(postgres: Postgres, names: list[str], domain: str, code: str) -> set[str]:
    """Of some customers those whom the installed release has not reached: their runs would be refused (resources/releases.py)."""
    if not names or not releases.is_guarded(postgres.settings):
        return set()
    found = set()
    with postgres.connect(BACKUP) as connection:
        for name in names:
            here = releases.MadeBy(code, state_hash(state_of(postgres.settings, name).name), releases.libraries_here())
            if releases.is_waiting(releases.newest(connection, name, domain), here):
                found.add(name)
    return found


def refresh(postgres: Postgres, instance: dg.DagsterInstance, graph: Any, everything: frozenset[dg.AssetKey], cursor: str | None,
            now: datetime, domain: str = "", code: str = "") -> tuple[list[dg.RunRequest], str, str]:
    """One look: the backfills to make, up to when all is settled (the next cursor), and what happened in words without names, which Dagster
    keeps after a customer has left."""
    settled = datetime.fromisoformat(cursor) if cursor else datetime.fromtimestamp(0, UTC)
    wishes, customers, broken = wishes_of(postgres, instance, graph, everything, settled, now)
    first = min((wish.since for asked in wishes.values() for wish in asked), default=now)
    go, wait = sorted_out(wishes, launched(instance, wishes, first), now)
    tried = {cause: failed_since(instance, cause, first) for cause in {wish.cause for wish in go.values()}}
    given_up = [name for name, wish in go.items() if tried[wish.cause].get(name, 0) >= TRIES]
    unpromoted = waiting(postgres, sorted(go), domain, code)
    go = {name: wish for name, wish in go.items() if name not in unpromoted}
    requests = []
    for cause in CAUSES:
        wanted = {name: wish.keys for name, wish in go.items() if wish.cause == cause and name not in given_up}
        requests += [request_of(part, tags_of(new_order(cause, now), cause, part)) for part in parts_of(wanted, customers)]
    counted = Counter(wish.cause for name, wish in go.items() if name not in given_up)
    said = [f"{number} by {cause}" for cause, number in counted.items()] + [f"{number} {word}" for number, word in (
        (len(wait), "wait for more files or for their run to end"), (len(unpromoted), "wait for the promotion of a release"),
        (len(given_up), "given up"), (broken, "files cannot be read")) if number]
    still_open = [wish.since for name in {*wait, *go} - set(given_up) for wish in wishes[name]]
    return requests, (min([now, *still_open]) - timedelta(microseconds=1)).isoformat(), ", ".join(said) or "nobody is due"


def refreshes_sensor(selection: dg.AssetSelection, domain: str, code: str) -> dg.SensorDefinition:
    """Sends customers that are due as real backfills, one per size class and set of tables."""

    @dg.sensor(name="refreshes", asset_selection=selection, minimum_interval_seconds=TICK_SECONDS, default_status=dg.DefaultSensorStatus.RUNNING,
               description="Starts backfills of the customers that are due by their schedule, or by a trigger that their file names.")
    def refreshes(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        graph = context.repository_def.asset_graph
        requests, cursor, said = refresh(Postgres(settings()), context.instance, graph, everything_of(graph, selection), context.cursor, datetime.now(UTC),
                                         domain, code)
        if requests:
            failpoint("refreshes.before_request")
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else dg.SkipReason(said), cursor=cursor)

    return refreshes
