"""Customers as the folder declares them against customers as they stand: what would change, and changing it.

What belongs here: the one place that looks at partitions, roles, catalogs and landing folders together. What does not: reading customer
files and the partition keys themselves (partitions/customers.py), making roles (postgres.py), removing a customer (erasure.py): nothing of a
customer's data is ever deleted here.

A plan takes seven queries however many customers there are.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg
from psycopg import sql
from psycopg.rows import dict_row

from partitions.customers import CUSTOMERS, IDENTIFIER, Customer, reconcile
from resources.environment import policy_of
from resources.erasure_ledger import Erasure, entry_of, synchronized
from resources.failpoints import failpoint
from resources.postgres import LAKE_PREFIX, LAKE_READER_PREFIX, MIGRATOR, READER_PREFIX, SUPERUSER, Postgres, lake_reader_role, lake_role, reader_role
from resources.session_limits import differing, role_limits
from resources.settings import Settings

Action = Literal["add", "change", "remove", "drift", "refuse"]
RECORDED = ("status", "schedule", "time_zone", "size_class", "encrypted")
LIMITS = """SELECT r.rolname, r.rolconnlimit, coalesce(s.setconfig, '{}') FROM pg_roles r LEFT JOIN pg_db_role_setting s
    ON s.setrole = r.oid AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = %s) WHERE r.rolname ~ '^(lake|cust|read)_'"""
WORDS = {"active": "resume", "paused": "pause", "leaving": "retire"}


@dataclass(frozen=True)
class Change:
    """One line of a plan. `add`, `change` and `remove` are done by `apply`; `drift` is shown for a person; `refuse` can never be done."""

    action: Action
    customer: str
    what: str
    detail: str

    @property
    def is_applied(self) -> bool:
        return self.action in ("add", "change", "remove")


@dataclass(frozen=True)
class Standing:
    """Everything of customers that stands outside of their files, each by customer id."""

    partitions: frozenset[str]
    lakes: frozenset[str]  # role, its schema and its secret are there
    parts: Mapping[str, tuple[str, ...]]  # what there is, in words
    readers: frozenset[str]
    lake_readers: frozenset[str] | None  # None where the environment lends nobody its lakes
    encrypted: Mapping[str, bool]  # of catalogs that DuckLake has made
    recorded: Mapping[str, Mapping[str, Any]]
    limits: Mapping[str, tuple[int, Mapping[str, str]]]  # by role: connections and settings
    landings: frozenset[str]
    erased: tuple[Erasure, ...]


def standing(postgres: Postgres, instance: dg.DagsterInstance) -> Standing:
    """Look at every place once."""
    with postgres.connect(SUPERUSER, postgres.names.lake) as connection:
        stand = connection.execute(LIMITS, [postgres.names.warehouse]).fetchall()
        limits = {role: (connections, dict(said.split("=", 1) for said in settings)) for role, connections, settings in stand}
        schemas = {name for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ '^lake_' AND nspname = nspowner::regrole::text")}
        made = [name for (name,) in connection.execute("SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'ducklake_metadata'")]
        parts = [sql.SQL("SELECT {} AS role, value FROM {} WHERE key = 'encrypted'").format(name, sql.Identifier(name, "ducklake_metadata")) for name in made]
        encrypted = connection.execute(sql.SQL(" UNION ALL ").join(parts)).fetchall() if parts else []
    with postgres.connect(MIGRATOR) as connection, connection.cursor(row_factory=dict_row) as cursor:
        recorded = {row["customer_id"]: row for row in cursor.execute("SELECT * FROM platform.customer")}
    secrets = {path.name for path in postgres.settings.secrets.iterdir()} if postgres.settings.secrets.is_dir() else set()
    root = postgres.settings.landing_root
    places = {
        "partition": set(instance.get_dynamic_partitions(CUSTOMERS.name or "customer")),
        "lake role": _ids(limits, LAKE_PREFIX), "lake catalog": _ids(schemas, LAKE_PREFIX), "direct reader": _ids(limits, READER_PREFIX),
        "lake reader": _ids(limits, LAKE_READER_PREFIX),
        "landing folder": {path.name for path in root.iterdir() if IDENTIFIER.fullmatch(path.name)} if root.is_dir() else set(), "record": set(recorded),
    }
    known = set().union(*places.values())
    return Standing(
        frozenset(places["partition"]), frozenset(places["lake role"] & places["lake catalog"] & _ids(secrets, LAKE_PREFIX)),
        {name: tuple(place for place, ids in places.items() if name in ids) for name in known}, frozenset(places["direct reader"]),
        frozenset(places["lake reader"]) if policy_of(postgres.settings).lends_bronze else None,
        {role.removeprefix(LAKE_PREFIX): value == "true" for role, value in encrypted}, recorded, limits, frozenset(places["landing folder"]),
        tuple(synchronized(postgres)))


def plan(postgres: Postgres, instance: dg.DagsterInstance, customers: Mapping[str, Customer], *, whole: bool = True) -> list[Change]:
    """What would change, by customer. `whole`: `customers` is the whole folder, so whoever else stands is drift."""
    return compared(permitted(postgres.settings, customers), standing(postgres, instance), whole=whole)


def permitted(settings: Settings, customers: Mapping[str, Customer]) -> Mapping[str, Customer]:
    """Customers as this environment takes them: nobody's own tools log in where it is not customer-facing."""
    if policy_of(settings).customer_facing:
        return customers
    return {name: customer.model_copy(update={"direct_readers": False}) if customer.direct_readers else customer for name, customer in customers.items()}


def compared(customers: Mapping[str, Customer], found: Standing, *, whole: bool = True) -> list[Change]:
    """The difference of declared and standing customers; reads nothing."""
    changes = [change for customer in customers.values() for change in _of(customer, found)]
    strangers = sorted(set(found.parts) - set(customers)) if whole else []
    way_out = "without a file: bring the file back, or `strata customers remove"
    return changes + [Change("drift", name, "no file", f"{', '.join(found.parts[name])} {way_out} {name}`") for name in strangers]


def _of(customer: Customer, found: Standing) -> list[Change]:
    name, before = customer.id, found.recorded.get(customer.id)
    if customer.status == "leaving":
        return _leaving(customer, found)
    if erasure := entry_of(found.erased, name):
        return [Change("refuse", name, "customer", f"this id was erased on {erasure.erased_at[:10]} and is never used again: choose another one")]
    if found.encrypted.get(name, customer.encrypted) != customer.encrypted:
        stands = "encrypted" if found.encrypted[name] else "not encrypted"
        return [Change("refuse", name, "lake", f"its lake is {stands}, which is decided before the first run: put `encrypted` back")]
    changes = []
    if name not in found.lakes:
        kind = "encrypted" if customer.encrypted else "not encrypted"
        changes.append(Change("add", name, "lake", f"role and catalog schema {lake_role(name)}, {kind}"))
    if name not in found.landings:
        changes.append(Change("add", name, "landing", f"folder {name}/"))
    if customer.direct_readers and name not in found.readers:
        changes.append(Change("add", name, "direct reader", f"role {reader_role(name)}"))
    if not customer.direct_readers and name in found.readers:
        changes.append(Change("remove", name, "direct reader", f"role {reader_role(name)}"))
    if found.lake_readers is not None and name not in found.lake_readers:
        changes.append(Change("add", name, "lake reader", f"role {lake_reader_role(name)}"))
    standing = [(wanted, found.limits[role]) for role, wanted in role_limits(customer).items() if role in found.limits]
    if how := "; ".join(filter(None, (differing(wanted, now) for wanted, now in standing))):
        changes.append(Change("change", name, "limits", how))
    changes += _recorded(customer, before)
    if name not in found.partitions:
        changes.append(Change("add", name, "partition", f"key {name}"))
    return changes


def _leaving(customer: Customer, found: Standing) -> list[Change]:
    """Nothing new for who leaves; what there is stays until it is removed on request."""
    if customer.id not in found.parts:
        return []
    before = found.recorded.get(customer.id)
    left = f"{', '.join(found.parts[customer.id])} of a leaving customer: `strata customers remove {customer.id}`"
    return [*(_recorded(customer, before) if before else []), Change("drift", customer.id, "leaving", left)]


def _recorded(customer: Customer, before: Mapping[str, Any] | None) -> list[Change]:
    """What a schedule and a status mean; other keys of the file are read where they are used."""
    if before is None:
        when = f"{customer.schedule} {customer.time_zone}" if customer.schedule else "only on request"
        return [Change("add", customer.id, "schedule", when + (", paused" if customer.status == "paused" else ""))]
    changes = []
    for key in RECORDED:
        was, now = before[key], getattr(customer, key)
        if was != now:
            what = f"status ({WORDS[now]})" if key == "status" else key
            changes.append(Change("change", customer.id, what, f"{_word(was)} -> {_word(now)}"))
    return changes


def _word(value: Any) -> str:
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def apply(postgres: Postgres, instance: dg.DagsterInstance, customers: Mapping[str, Customer], changes: list[Change]) -> list[Change]:
    """Do what a plan says, and nothing else; returns what was done. Safe to repeat after a crash: the partition key comes last, so nothing
    can be launched before all else stands."""
    customers = permitted(postgres.settings, customers)
    todo = [change for change in changes if change.is_applied]
    named: dict[str, list[str]] = {}
    for change in todo:
        named.setdefault(f"{change.action} {change.what}", []).append(change.customer)
    postgres.ensure_lake_roles(named.get("add lake", []))
    failpoint("joining.after_lakes")
    for name in named.get("add landing", []):
        (postgres.settings.landing_root / name).mkdir(parents=True, exist_ok=True)
    postgres.ensure_direct_readers(named.get("add direct reader", []))
    postgres.ensure_lake_readers(named.get("add lake reader", []))
    for name in named.get("remove direct reader", []):
        postgres.drop_role(reader_role(name))
    limited = {name for what in ("add lake", "add direct reader", "change limits") for name in named.get(what, [])}
    postgres.limit_roles({role: wanted for name in sorted(limited) for role, wanted in role_limits(customers[name]).items()})
    _record(postgres, [customers[name] for name in sorted({c.customer for c in todo if c.action == "change" or c.what == "schedule"})])
    if keys := named.get("add partition", []):
        failpoint("joining.before_partitions")
        reconcile(instance, {name: customers[name] for name in keys})
        failpoint("joining.after_partitions")
    return todo


def settled(postgres: Postgres, instance: dg.DagsterInstance, customers: Mapping[str, Customer], *, whole: bool = True) -> list[Change]:
    """Plan and apply at once; returns the plan. What is refused or drifts holds up nobody else."""
    changes = plan(postgres, instance, customers, whole=whole)
    apply(postgres, instance, customers, changes)
    return changes


def _record(postgres: Postgres, customers: list[Customer]) -> None:
    if not customers:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, RECORDED))
    updates = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(key)) for key in RECORDED)
    statement = sql.SQL("INSERT INTO platform.customer (customer_id, {}) VALUES ({}) "
                        "ON CONFLICT (customer_id) DO UPDATE SET {}, applied_at = clock_timestamp()")
    values = sql.SQL(", ").join([sql.Placeholder()] * (len(RECORDED) + 1))
    with postgres.connect(MIGRATOR) as connection:
        connection.cursor().executemany(statement.format(columns, values, updates), [[c.id, *(getattr(c, key) for key in RECORDED)] for c in customers])


def _ids(names: Iterable[str], prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
