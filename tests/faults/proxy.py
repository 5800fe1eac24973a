"""A proxy before PostgreSQL's socket that cuts a connection at a COMMIT: the client never learns whether it was carried out.

What belongs here: moving bytes and cutting. What does not: expectations. Threads, for a test has a handful of connections.
"""
from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

SOCKET = ".s.PGSQL.5432"


class CommitCutter:
    """Listens in `folder` and passes everything on to the server in `server`; after `arm()` the next COMMIT is carried out and its answer swallowed,
    or, with `is_carried_out` false, swallowed itself."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder, self.is_carried_out = folder, True
        self.server, self.cuts, self._armed = server, 0, threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(32)
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self) -> None:
        self._armed.set()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(self.server / SOCKET))
                cut = threading.Event()
                threading.Thread(target=self._pass, args=(client, server, cut, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, cut, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, cut: threading.Event, from_client: bool) -> None:
        with suppress(OSError):  # either end may go first: that is what a cut is
            while data := source.recv(1 << 16):
                if from_client and self._armed.is_set() and b"COMMIT" in data:
                    self._armed.clear()
                    cut.set()
                    self.cuts += 1
                    if not self.is_carried_out:
                        break
                if not from_client and cut.is_set():
                    break  # the server has carried it out; nobody hears of it
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):  # gone already
                end.shutdown(socket.SHUT_RDWR)
            end.close()
