"""As much of Kubernetes' API as a launcher of pods asks: Jobs are taken and shown, pods are none. What it was given is kept for the test to read."""
from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ApiServer:
    """`jobs`: name -> manifest, as they were posted. `finished`: names that have succeeded."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.finished: set[str] = set()
        self.port = 0

    def shown(self, name: str) -> dict[str, Any]:
        return {**self.jobs[name], "status": {"succeeded": 1} if name in self.finished else {"active": 1}}


@contextmanager
def api_server() -> Iterator[ApiServer]:
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.jobs[job["metadata"]["name"]] = job
            self._answer(201, job)

        def do_GET(self) -> None:
            name = self.path.split("?")[0].rstrip("/").removesuffix("/status").rpartition("/")[2]
            if name in state.jobs:
                self._answer(200, state.shown(name))
            else:
                self._answer(200 if name in ("pods", "jobs") else 404, {"kind": "List", "apiVersion": "v1", "items": []})

        def _answer(self, code: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
