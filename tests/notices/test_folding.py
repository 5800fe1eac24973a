"""The same trouble is told once, told again if it lasts, and told anew if it comes back."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from partitions.customers import Customer
from resources import notices
from resources.notices import CLAIM, Notice, Sent, report, settle
from resources.postgres import READER, WRITER
from resources.sinks import FOLD, FileSink, Sink, SmtpSink, WebhookSink
from tests.installation import Installation
from tests.notices.conftest import customer_called

NOON = datetime(2024, 10, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TROUBLE = Notice("fold_a", "run_failed", "greenit_silver.equipment", "the disk is full", "make room", "run 1", link="http://127.0.0.1:3000/runs/1")
STEWARD = customer_called("fold_a")


def send(connection: psycopg.Connection, customer: Customer, sink: Sink, at: datetime) -> Sent:
    """With the window that an installation has by default: a day."""
    return notices.send(connection, customer, sink, at, FOLD)


@pytest.fixture
def register(installation: Installation) -> Iterator[psycopg.Connection]:
    with installation.postgres.connect(WRITER, customer="fold_a", autocommit=True) as connection:
        connection.execute("DELETE FROM platform.notice WHERE customer_id = 'fold_a'")
        yield connection


@pytest.fixture
def sink(tmp_path: Path) -> FileSink:
    return FileSink(tmp_path / "notices.jsonl")


def told(sink: FileSink) -> list[tuple[int, str]]:
    lines = [json.loads(line) for line in sink.path.read_text().splitlines()] if sink.path.exists() else []
    return [(line["seen"], line["first_at"]) for line in lines]


def test_the_same_trouble_within_a_day_is_counted_and_not_sent(register, sink) -> None:
    for number in range(3):
        report(register, replace(TROUBLE, occurrence=f"run {number}"), NOON + number * HOUR)
        send(register, STEWARD, sink, NOON + number * HOUR)
    assert told(sink) == [(1, NOON.isoformat())]
    assert register.execute("SELECT seen, sent_seen, first_at, last_at FROM platform.notice").fetchall() == [(3, 1, NOON, NOON + 2 * HOUR)]


def test_trouble_that_lasts_is_sent_once_more_after_the_window_with_how_often_it_was_seen(register, mail) -> None:
    by_mail = SmtpSink("127.0.0.1", mail.port, "strata@example.org")
    for number in range(3):
        report(register, replace(TROUBLE, occurrence=f"run {number}"), NOON + number * HOUR)
        send(register, STEWARD, by_mail, NOON + number * HOUR)
    assert send(register, STEWARD, by_mail, NOON + DAY - HOUR) == Sent(0, 0)
    assert send(register, STEWARD, by_mail, NOON + DAY) == Sent(1, 0)
    assert send(register, STEWARD, by_mail, NOON + 3 * DAY) == Sent(0, 0)  # nothing was seen since
    assert [mail["To"] for mail in mail.handler.mails] == ["Data steward <steward.fold_a@example.org>"] * 2
    assert "Seen        3 times since 2024-10-01 12:00 UTC" in mail.handler.mails[1].get_payload()


def test_the_same_occurrence_reported_twice_counts_once(register) -> None:
    for hours in (0, 1):
        report(register, TROUBLE, NOON + hours * HOUR)
    assert register.execute("SELECT seen, last_at FROM platform.notice").fetchall() == [(1, NOON)]


def test_trouble_that_was_settled_and_comes_back_is_told_anew(register, sink) -> None:
    report(register, TROUBLE, NOON)
    send(register, STEWARD, sink, NOON)
    assert settle(register, "fold_a", "run_failed", [TROUBLE.subject], NOON + HOUR) == 1
    report(register, replace(TROUBLE, occurrence="run 2"), NOON + 2 * HOUR)
    send(register, STEWARD, sink, NOON + 2 * HOUR)
    assert told(sink) == [(1, NOON.isoformat()), (1, (NOON + 2 * HOUR).isoformat())]


def test_settling_leaves_other_subjects_and_kinds_open(register) -> None:
    for notice in (TROUBLE, replace(TROUBLE, subject="greenit_gold.impact"), replace(TROUBLE, kind="quarantine_filled")):
        report(register, notice, NOON)
    settle(register, "fold_a", "run_failed", [TROUBLE.subject], NOON)
    rows = register.execute("SELECT kind, subject FROM platform.notice WHERE solved_at IS NULL ORDER BY kind").fetchall()
    assert rows == [("quarantine_filled", TROUBLE.subject), ("run_failed", "greenit_gold.impact")]


def test_what_a_sink_did_not_take_stays_unsent_and_leaves_at_the_next_try(register, webhook) -> None:
    hook = WebhookSink(webhook.url)
    for subject in ("greenit_gold.activity", "greenit_gold.impact"):
        report(register, replace(TROUBLE, subject=subject), NOON)
    webhook.answer = 503
    assert send(register, STEWARD, hook, NOON) == Sent(0, 2, "the webhook answered 503", is_down=True)
    assert len(webhook.posted) == 1  # one look is enough: the second would wait as long for nothing
    assert register.execute("SELECT sent_at, failure FROM platform.notice").fetchall() == [(None, "the webhook answered 503")] * 2
    webhook.answer = 200
    assert send(register, STEWARD, hook, NOON) == Sent(2, 0)
    assert send(register, STEWARD, hook, NOON) == Sent(0, 0)
    assert register.execute("SELECT failure FROM platform.notice").fetchall() == [(None,)] * 2


def test_a_notice_that_a_sink_refuses_holds_up_no_other(register, webhook) -> None:
    """422 is about this one message: the other is tried too."""
    for subject in ("greenit_gold.activity", "greenit_gold.impact"):
        report(register, replace(TROUBLE, subject=subject), NOON)
    webhook.answer = 422
    assert send(register, STEWARD, WebhookSink(webhook.url), NOON) == Sent(0, 2, "the webhook answered 422")
    assert len(webhook.posted) == 2


def test_trouble_that_is_over_before_it_was_sent_is_not_sent(register, sink) -> None:
    report(register, TROUBLE, NOON)
    settle(register, "fold_a", "run_failed", [TROUBLE.subject], NOON)
    assert (send(register, STEWARD, sink, NOON), told(sink)) == (Sent(0, 0), [])


def test_two_senders_at_a_time_send_once_and_a_dead_ones_claim_runs_out(installation: Installation, register, sink) -> None:
    class Meanwhile:
        """While the first sender is at it, a second one comes by."""

        def send(self, message) -> None:
            with installation.postgres.connect(WRITER, customer="fold_a", autocommit=True) as second:
                assert send(second, STEWARD, sink, NOON) == Sent(0, 0)
            raise KeyboardInterrupt

    report(register, TROUBLE, NOON)
    with pytest.raises(KeyboardInterrupt):
        send(register, STEWARD, Meanwhile(), NOON)
    assert send(register, STEWARD, sink, NOON + CLAIM) == Sent(0, 0)
    assert send(register, STEWARD, sink, NOON + CLAIM + HOUR) == Sent(1, 0)


def test_another_customers_notices_are_out_of_sight(installation: Installation, register, sink) -> None:
    report(register, TROUBLE, NOON)
    with installation.postgres.connect(WRITER, customer="fold_b", autocommit=True) as other:
        assert other.execute("SELECT count(*) FROM platform.notice").fetchone() == (0,)
        assert send(other, STEWARD, sink, NOON) == Sent(0, 0)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            report(other, TROUBLE, NOON)
    with installation.postgres.connect(READER, customer="fold_a") as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM platform.notice")
