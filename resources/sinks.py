"""Sinks: the ways by which a notice reaches a steward: a file of JSON lines, a mail server, a webhook.

What belongs here: choosing the installation's sink from the environment, and sending one message. What does not: what is worth a message
and when (notices.py).

    STRATA_NOTIFY           file (default: `$STRATA_HOME/notices/<environment>.jsonl`), smtp://host:port, smtps://host:port, https://…
    STRATA_NOTIFY_FROM      sender's address, for mail
    STRATA_NOTIFY_USER, STRATA_NOTIFY_PASSWORD     login of the mail server, where it asks for one
    STRATA_NOTIFY_TOKEN     bearer token of the webhook, where it asks for one
    STRATA_NOTIFY_FOLD_HOURS     how long trouble that lasts is not told again; 24 by default

Mail to another machine goes through TLS, a webhook through https; plain connections are for loopback. No error shows an address or a secret.
"""
from __future__ import annotations

import json
import os
import smtplib
import ssl
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit

from partitions.errors import NoticeError, SettingsError, SinkDownError
from resources.settings import Settings

VARIABLE = "STRATA_NOTIFY"
SECONDS = 10
FOLD, MOST_FOLD_HOURS = timedelta(hours=24), 24 * 366
LOOPBACK = ("127.0.0.1", "::1", "localhost")
HEADER_CHARACTERS = 200
RETRY = "repair the sink; `strata notify` sends what is left"


@dataclass(frozen=True)
class Message:
    """What is sent: to whom, a title, lines for people (label -> text), and the same as facts for programs. A `letter` is sent as it was written."""

    name: str
    address: str
    title: str
    lines: Mapping[str, str]
    facts: Mapping[str, Any]
    letter: str | None = None

    @property
    def text(self) -> str:
        if self.letter is not None:
            return self.letter
        width = max(map(len, self.lines)) + 2
        return "\n".join(f"{label:<{width}}{one_line(value, None)}" for label, value in self.lines.items()) + "\n"


class Sink(Protocol):
    """Takes a message, or raises NoticeError; SinkDownError where it would take no other one either."""

    def send(self, message: Message) -> None: ...


def one_line(text: str, limit: int | None = HEADER_CHARACTERS) -> str:
    """Text without line breaks and other control characters, cut: fit for a header."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:limit]


@dataclass(frozen=True)
class FileSink:
    """One JSON object per line, readable by its owner alone."""

    path: Path

    def send(self, message: Message) -> None:
        line = json.dumps({"to": message.address, "title": one_line(message.title), **message.facts}, ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(line.encode())  # one write: lines of two processes do not mix
        except OSError as error:
            raise SinkDownError(f"the file of notices cannot be written: {type(error).__name__}", fix=RETRY) from error


@dataclass(frozen=True)
class SmtpSink:
    """A mail server: `smtps` speaks TLS from the start, `smtp` after STARTTLS, and in the clear only to loopback."""

    host: str
    port: int
    sender: str
    implicit_tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def send(self, message: Message) -> None:
        mail = EmailMessage()
        mail["From"] = Address("Strata", addr_spec=self.sender)
        mail["To"] = Address(one_line(message.name), addr_spec=message.address)
        mail["Subject"] = one_line(f"[Strata] {message.title}")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        try:
            with self._connect() as server:
                if self.user:
                    server.login(self.user, self.password or "")
                server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:  # its text may quote an address
            kind = NoticeError if isinstance(error, (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError)) else SinkDownError
            raise kind(f"the mail server did not take the notice: {type(error).__name__}", fix=RETRY) from None

    def _connect(self) -> smtplib.SMTP:
        if self.implicit_tls:
            return smtplib.SMTP_SSL(self.host, self.port, timeout=SECONDS, context=ssl.create_default_context())
        server = smtplib.SMTP(self.host, self.port, timeout=SECONDS)
        if self.host not in LOOPBACK:
            server.starttls(context=ssl.create_default_context())
        return server


@dataclass(frozen=True)
class WebhookSink:
    """A POST of JSON; anything but a 2xx answer is a failure, a redirect too: what is told to one address goes to no other."""

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    def send(self, message: Message) -> None:
        body = json.dumps({"to": message.address, "title": one_line(message.title), "text": message.text, **message.facts}).encode()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        loopback = [urllib.request.ProxyHandler({})] if urlsplit(self.url).hostname in LOOPBACK else []
        opener = urllib.request.build_opener(_NoRedirect, *loopback)
        try:
            opener.open(urllib.request.Request(self.url, body, headers), timeout=SECONDS).close()  # noqa: S310  sink_of allows http(s) only
        except HTTPError as error:
            kind = NoticeError if error.code in (400, 413, 422) else SinkDownError
            raise kind(f"the webhook answered {error.code}", fix=RETRY) from None
        except (OSError, HTTPException, ValueError) as error:
            raise SinkDownError(f"the webhook did not answer: {type(error).__name__}", fix=RETRY) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """None lets the redirect end as an HTTPError."""


@dataclass(frozen=True)
class UnusableSink:
    """Stands for a sink whose settings cannot work: a run or a landing goes on, and its notices wait."""

    problem: str

    def send(self, _message: Message) -> None:
        raise SinkDownError(self.problem, fix=RETRY)


def fold_of(environment: Mapping[str, str] = os.environ) -> timedelta:
    """How long the same trouble is folded; the default also where the setting is wrong, since `sink_of` refuses that and nothing is sent."""
    given = environment.get(f"{VARIABLE}_FOLD_HOURS", "")
    return timedelta(hours=int(given)) if _is_fold(given) else FOLD


def _is_fold(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_FOLD_HOURS


def sink_or_reason(settings: Settings) -> Sink:
    """The installation's sink, or one that takes nothing and says why."""
    try:
        return sink_of(settings)
    except SettingsError as error:
        return UnusableSink(str(error))


def sink_of(settings: Settings, environment: Mapping[str, str] = os.environ) -> Sink:
    """The installation's sink; raises SettingsError for one that cannot work or would send in the clear."""
    wanted = environment.get(VARIABLE) or "file"
    if (fold := environment.get(f"{VARIABLE}_FOLD_HOURS")) and not _is_fold(fold):
        raise SettingsError(f"{VARIABLE}_FOLD_HOURS is no number of hours", fix=f"give a whole number from 1 to {MOST_FOLD_HOURS}")
    if wanted == "file":
        return FileSink(settings.home / "notices" / f"{settings.environment}.jsonl")
    try:
        parts = urlsplit(wanted)
        port = parts.port
    except ValueError:
        raise SettingsError(f"{VARIABLE} is no address", fix="write file, smtp://host:port, smtps://host:port or https://…") from None
    if not parts.hostname or parts.scheme not in ("smtp", "smtps", "http", "https"):
        raise SettingsError(f"{VARIABLE} names no sink", fix="write file, smtp://host:port, smtps://host:port or https://…")
    if parts.username or parts.password:
        raise SettingsError(f"{VARIABLE} holds a login", fix=f"use {VARIABLE}_USER and {VARIABLE}_PASSWORD, or {VARIABLE}_TOKEN")
    if parts.scheme in ("http", "https"):
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            raise SettingsError(f"{VARIABLE} would send notices in the clear", fix="use https")
        return WebhookSink(wanted, environment.get(f"{VARIABLE}_TOKEN"))
    return _smtp(parts, port, environment)


def _smtp(parts: SplitResult, port: int | None, environment: Mapping[str, str]) -> SmtpSink:
    sender = environment.get(f"{VARIABLE}_FROM", "")
    try:
        Address(addr_spec=sender)
    except (ValueError, IndexError):
        sender = ""
    if not sender:
        raise SettingsError(f"{VARIABLE}_FROM is no address", fix="set it to the sender of the notices, such as strata@example.org")
    tls = parts.scheme == "smtps"
    return SmtpSink(parts.hostname or "", port or (465 if tls else 587), sender, tls, environment.get(f"{VARIABLE}_USER"),
                    environment.get(f"{VARIABLE}_PASSWORD"))
