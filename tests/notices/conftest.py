"""Real receivers of notices on loopback: a mail server and a web server."""
from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler

from partitions.customers import Customer, Source, Steward


class Inbox(MessageHandler):
    """Keeps what arrives."""

    def __init__(self) -> None:
        super().__init__(EmailMessage)
        self.mails: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.mails.append(message)


def free_port(host: str) -> int:
    """A port that was free a moment ago: aiosmtpd connects to the number that it is given."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


@pytest.fixture
def mail() -> Iterator[Controller]:
    """A mail server without TLS; what it took is in `mail.handler.mails`."""
    controller = Controller(Inbox(), hostname="127.0.0.1", port=free_port("127.0.0.1"))
    controller.start()
    yield controller
    with suppress(RuntimeError):  # a test has stopped it already
        controller.stop(no_assert=True)


@dataclass
class Hook:
    """A web server that answers as told and keeps what was posted."""

    url: str
    answer: int = 204
    posted: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.posted.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(hook.answer)
            if 300 <= hook.answer < 400:
                self.send_header("Location", f"{hook.url}/elsewhere")
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            """Says nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook = Hook(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hook
    server.shutdown()
    server.server_close()


def customer_called(id: str, steward: str = "Data steward") -> Customer:
    return Customer(id=id, name=id, status="active", country="FR", currency="EUR", time_zone="Europe/Paris", steward=Steward(name=steward, email=f"steward.{id}@example.org"),
                    sources={"cloud_billing": Source(format="focus_1_0")})
