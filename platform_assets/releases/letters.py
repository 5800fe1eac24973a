"""Telling customers what changed: only what a steward has reviewed, and only who has the new figures.

What belongs here: keeping letters, and who gets one now. What does not: writing it (report.py), ways of sending (resources/sinks.py).
"""
from __future__ import annotations

from collections.abc import Mapping

from partitions.customers import Customer
from partitions.errors import NoticeError
from resources import releases
from resources.postgres import WRITER, Postgres
from resources.sinks import Message, sink_or_reason

SINCE = "\nThe figures of {release} are shown since {at:%Y-%m-%d %H:%M} UTC.\n"


def draft_letter(postgres: Postgres, customer: str, release: str, written: tuple[str, str] | None) -> None:
    """Keep what a customer will be told; a letter that its steward has read, or that was sent, stays as it is."""
    with postgres.connect(WRITER, customer=customer, autocommit=True) as connection:
        connection.execute("DELETE FROM platform.change_notice WHERE customer_id = %s AND release = %s AND reviewed_at IS NULL", [customer, release])
        if written:
            connection.execute("INSERT INTO platform.change_notice (customer_id, release, subject, body) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                               [customer, release, *written])


def send_letters(postgres: Postgres, customers: Mapping[str, Customer], domain: str, release: str) -> tuple[list[str], dict[str, str]]:
    """Who was sent the letter of a release, and who was not, with the reason. A customer without contacts is told by its steward."""
    sent, left = [], {}
    sink = sink_or_reason(postgres.settings)
    for name, found in customers.items():
        with postgres.connect(WRITER, customer=name, autocommit=True) as connection:
            row = connection.execute("SELECT subject, body, reviewed_at, sent_at FROM platform.change_notice WHERE customer_id = %s AND release = %s",
                                     [name, release]).fetchone()
            live = releases.newest(connection, name, domain)
            if row is None or row[3]:
                continue
            if row[2] is None or live is None or live.name != release:
                left[name] = "its steward has not reviewed it" if row[2] is None else f"its figures are not those of {release} yet"
                continue
            subject, letter = row[0], row[1] + SINCE.format(release=release, at=live.at)
            facts = {"customer": name, "kind": "change_notice", "release": release, "text": letter}
            try:
                for who, address in [(one.role, one.email) for one in found.contacts] or [(found.steward.name, found.steward.email)]:
                    sink.send(Message(who, address, subject, {}, facts, letter))
            except NoticeError as error:
                left[name] = error.problem
                continue
            connection.execute("UPDATE platform.change_notice SET sent_at = clock_timestamp() WHERE customer_id = %s AND release = %s", [name, release])
            sent.append(name)
    return sent, left
