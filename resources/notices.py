"""Notices: trouble that a customer's steward should hear of, once, and again only if it lasts or comes back.

What belongs here: the register `platform.notice` and when an entry is sent. What does not: how it is sent (sinks.py) and what counts as
trouble (platform_assets/notices.py). A notice holds no value of a customer's data (ARCHITECTURE 15): customer, table, rule, what to do.

The same trouble (customer, kind, subject) again raises `seen` and is sent again only after the fold window. `settle` ends it; if it comes
back after that, it is new. Every function takes an autocommitting connection that is bound to the customer.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import psycopg
from psycopg.rows import dict_row

from partitions.customers import Customer
from partitions.errors import NoticeError, SinkDownError
from resources.sinks import Message, Sink

Kind = Literal["run_failed", "source_stale", "publication_blocked", "quarantine_filled", "delivery_refused"]
TITLES: dict[str, str] = {
    "run_failed": "a run failed", "source_stale": "a delivery is missing", "publication_blocked": "new figures are held back",
    "quarantine_filled": "rows are in quarantine", "delivery_refused": "a delivery was refused",
}
CLAIM = timedelta(minutes=2)  # longer than a sink may take: a sender that died leaves its notices to the next one


@dataclass(frozen=True)
class Notice:
    """One trouble. `subject`: the table, source or job it is about. `occurrence`: what it was seen at (a run, a refusal, a day), which
    counts once however often it is reported."""

    customer: str
    kind: Kind
    subject: str
    problem: str
    fix: str
    occurrence: str
    rule: str | None = None
    link: str = ""


@dataclass(frozen=True)
class Sent:
    """How many notices left, and how many a sink did not take; `failure` says why. `is_down`: it would take nobody else's either."""

    sent: int
    unsent: int
    failure: str | None = None
    is_down: bool = False


def report(connection: psycopg.Connection, notice: Notice, at: datetime) -> None:
    """Open the notice, or count the trouble once more where it is open already."""
    connection.execute("""
        INSERT INTO platform.notice AS n (customer_id, kind, subject, rule, problem, fix, link, occurrence, first_at, last_at)
        VALUES (%(customer)s, %(kind)s, %(subject)s, %(rule)s, %(problem)s, %(fix)s, %(link)s, %(occurrence)s, %(at)s, %(at)s)
        ON CONFLICT (customer_id, kind, subject) DO UPDATE SET
            rule = excluded.rule, problem = excluded.problem, fix = excluded.fix, link = excluded.link, occurrence = excluded.occurrence,
            seen = CASE WHEN n.solved_at IS NULL THEN n.seen + 1 ELSE 1 END,
            first_at = CASE WHEN n.solved_at IS NULL THEN n.first_at ELSE excluded.first_at END,
            last_at = CASE WHEN n.solved_at IS NULL THEN greatest(n.last_at, excluded.last_at) ELSE excluded.last_at END,
            sent_at = CASE WHEN n.solved_at IS NULL THEN n.sent_at END,
            sent_seen = CASE WHEN n.solved_at IS NULL THEN n.sent_seen ELSE 0 END,
            claimed_until = CASE WHEN n.solved_at IS NULL THEN n.claimed_until END,
            failure = CASE WHEN n.solved_at IS NULL THEN n.failure END,
            solved_at = NULL
        WHERE n.occurrence <> excluded.occurrence""", {**vars(notice), "at": at})


def settle(connection: psycopg.Connection, customer: str, kind: Kind, subjects: Collection[str], at: datetime) -> int:
    """End the trouble about these subjects; returns how many notices that closed. One that was never sent is not sent any more."""
    return connection.execute("UPDATE platform.notice SET solved_at = %s WHERE customer_id = %s AND kind = %s AND subject = ANY(%s) AND solved_at IS NULL",
                              [at, customer, kind, list(subjects)]).rowcount


def send(connection: psycopg.Connection, customer: Customer, sink: Sink, at: datetime, fold: timedelta) -> Sent:
    """Send what is due to the customer's steward. A sink that fails fails nothing: what it did not take stays unsent for the next time."""
    due, sent, failure, is_down = _claim(connection, customer.id, at, fold), 0, None, False
    for row in due:
        place = [customer.id, row["kind"], row["subject"], row["first_at"]]
        try:
            if not is_down:
                sink.send(message(customer, row))
        except NoticeError as error:
            failure, is_down = error.problem, isinstance(error, SinkDownError)
            said: str | None = error.problem
        else:
            said = failure if is_down else None
        if said:
            connection.execute("UPDATE platform.notice SET claimed_until = NULL, failure = %s "
                               "WHERE customer_id = %s AND kind = %s AND subject = %s AND first_at = %s", [said, *place])
        else:
            connection.execute("UPDATE platform.notice SET sent_at = %s, sent_seen = %s, claimed_until = NULL, failure = NULL "
                               "WHERE customer_id = %s AND kind = %s AND subject = %s AND first_at = %s", [at, row["seen"], *place])
            sent += 1
    return Sent(sent, len(due) - sent, failure, is_down)


def _claim(connection: psycopg.Connection, customer: str, at: datetime, fold: timedelta) -> list[dict]:
    """The open notices that are due, reserved for this sender, so that two senders at a time send each once."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("""UPDATE platform.notice SET claimed_until = %(until)s
            WHERE customer_id = %(customer)s AND solved_at IS NULL AND (claimed_until IS NULL OR claimed_until < %(at)s)
              AND (sent_at IS NULL OR (seen > sent_seen AND sent_at <= %(folded)s)) RETURNING *""",
                              {"customer": customer, "at": at, "until": at + CLAIM, "folded": at - fold}).fetchall()
    return sorted(rows, key=lambda row: (row["first_at"], row["kind"], row["subject"]))


def message(customer: Customer, row: dict) -> Message:
    """A row of the register as its steward reads it."""
    seen = f"{row['seen']} times since {row['first_at']:%Y-%m-%d %H:%M} UTC" if row["seen"] > 1 else f"{row['first_at']:%Y-%m-%d %H:%M} UTC"
    facts = {"customer": customer.id, "kind": row["kind"], "table": row["subject"].partition(" ")[0], "subject": row["subject"], "rule": row["rule"],
             "problem": row["problem"], "what_to_do": row["fix"], "seen": row["seen"], "first_at": row["first_at"].isoformat(),
             "last_at": row["last_at"].isoformat(), "link": row["link"] or None}
    said = {"Customer": customer.id, "About": row["subject"], "Rule": row["rule"], "What": row["problem"], "What to do": row["fix"], "Seen": seen,
            "Look": row["link"]}
    title = f"{customer.id}: {TITLES[row['kind']]} ({row['subject']})"
    return Message(customer.steward.name, customer.steward.email, title, {name: value for name, value in said.items() if value}, facts)
