"""A reader that looks all the while: what it must never see is noticed, not sampled afterwards (invariant I2).

What belongs here: the reader's thread. What does not: expectations of one test.
"""
from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from resources.postgres import READER
from tests.installation import Installation

SHOWN = """SELECT (SELECT count(DISTINCT publication_id) FROM platform.live_version), (SELECT count(DISTINCT version) FROM greenit_platinum.{table}_live),
    (SELECT count(*) FROM greenit_platinum.{table}_live), (SELECT count(*) FROM greenit_platinum.{table} t JOIN platform.live_version l USING (version)
        WHERE l.table_name = 'greenit_platinum.{table}')"""


@dataclass
class Reader:
    """What a reader saw: looks, those that were empty, those that were mixed, those that got no answer (a server that is away says so)."""

    looks: int = 0
    empty: int = 0
    mixed: int = 0
    unanswered: int = 0
    rows: set[int] = field(default_factory=set)


@contextmanager
def polling(installation: Installation, customer: str, table: str = "kpi_monthly") -> Iterator[Reader]:
    """A reader of a customer's live figures, from before until after; it opens a new connection where one was cut."""
    seen, ended = Reader(), threading.Event()

    def look() -> None:
        connection: psycopg.Connection | None = None
        while not ended.is_set():
            try:
                connection = connection or installation.postgres.connect(READER, customer=customer, autocommit=True)
                _, versions, rows, whole = connection.execute(SHOWN.format(table=table)).fetchone()
            except psycopg.Error:
                seen.unanswered += 1
                with suppress(psycopg.Error):  # it is broken already
                    connection and connection.close()
                connection = None
            else:
                seen.looks += 1
                seen.empty += not rows
                seen.mixed += versions > 1 or rows != whole
                seen.rows.add(rows)
            time.sleep(0.01)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
