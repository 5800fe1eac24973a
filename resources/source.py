"""A delivered file as a stream of bytes, hashed as it is read, and the facts that a reader finds in it.

What belongs here: opening a file without following links, its encoding, the judgement by its first bytes, and `FileFacts`. What does
not: records (records, json_records, xml_records, workbooks), archives (containers), headers.
"""
from __future__ import annotations

import codecs
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Self

from partitions.errors import DeliveryError
from resources.formats import Format
from resources.reasons import refusal

BOMS = (  # those of UTF-32 begin like those of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)
PLAIN_CONTROLS = b"\t\n\r\f\x1b"
SAMPLE_BYTES = 4096
WHOLE_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class FileFacts:
    """Facts of one file. `rows` are data records, the broken ones (`faulty`) among them; `blank` lines and a trailer are declared skips.

    `is_plain`: DuckDB reads the file as it stands; otherwise it needs the readable copy. `faults`: number of broken records per rule.
    `unexpected`: headers that the format does not know (their values go to `_extra`). `notes`: what was seen and not read, such as
    other sheets. `trailer`: control totals as written, by their names.
    """

    sha256: str
    bytes: int
    rows: int
    header: tuple[str, ...]
    faults: dict[str, int]
    blank: int = 0
    repairs: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    is_plain: bool = True
    notes: tuple[str, ...] = ()
    trailer: Mapping[str, str] = field(default_factory=dict)

    @property
    def faulty(self) -> int:
        return sum(self.faults.values())


class Source:
    """A file as a stream of UTF-8 without BOM, hashed as it is read. Symbolic links and anything that is not a file are refused."""

    def __init__(self, path: Path, format: Format | None, **place: Any) -> None:
        """Without a format the file is bytes."""
        self.place = {**place, "file": path.name}
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            problem = "the file is a symbolic link" if path.is_symlink() else f"the file cannot be opened ({os.strerror(error.errno or 0)})"
            raise self.refuse("PATH", problem, "name an existing, readable file") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self.refuse("PATH", "this is not a regular file", "name a file")
        self.raw: BinaryIO = os.fdopen(descriptor, "rb", buffering=0)
        self.size = os.fstat(descriptor).st_size
        self.hash, self.bytes, self.repairs = hashlib.sha256(), 0, list[str]()
        self.head = self._pull(SAMPLE_BYTES)
        self._decoder: codecs.IncrementalDecoder | None = None
        if format and format.type == "csv":
            self._set_encoding(format)
        elif format and format.type in ("json", "jsonl", "xml"):
            self._set_unicode(format)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.raw.close()

    @property
    def is_transcoded(self) -> bool:
        return self._decoder is not None

    def _pull(self, size: int) -> bytes:
        chunk = self.raw.read(size) or b""
        self.hash.update(chunk)
        self.bytes += len(chunk)
        return chunk

    def _set_encoding(self, format: Format) -> None:
        mark, found = next(((mark, name) for mark, name in BOMS if self.head.startswith(mark)), (b"", format.encoding))
        if not self.head.removeprefix(mark).strip():
            raise self.refuse("EMPTY", "the file has no content", "deliver a file with a header line")
        if found == "utf-32":
            raise self.refuse("ENCODING", "the file is UTF-32", f"export it as {format.encoding}")
        judge_content(self.head[len(mark) :], found, self)
        if mark or found != "utf-8":
            self.repairs.append("ENCODING")
        if found == "utf-8":
            self.head = self.head[len(mark) :]
        else:
            self._decoder = codecs.getincrementaldecoder(found)("strict")

    def _set_unicode(self, format: Format) -> None:
        """JSON and XML are UTF-8; a byte order mark is removed."""
        mark, found = next(((mark, name) for mark, name in BOMS if self.head.startswith(mark)), (b"", "utf-8"))
        kind = format.type.upper()
        if found != "utf-8" or (len(self.head) > 3 and self.head[:4].count(0) in (2, 3)):
            raise self.refuse("ENCODING", f"the file is {kind} in another encoding than UTF-8", "export it as UTF-8")
        self.head = self.head[len(mark) :]
        if not self.head.strip() and self.bytes == self.size:
            raise self.refuse("EMPTY", "the file has no content", "deliver a file with records")
        if mark:
            self.repairs.append("ENCODING")

    def refuse(self, rule: str, problem: str, fix: str) -> DeliveryError:
        """A refusal that names this file."""
        return refusal(rule, problem, fix, **self.place)

    def read(self, size: int, /) -> bytes:
        """Up to about `size` bytes of UTF-8; empty at the end. Raises DeliveryError where a declared encoding does not hold."""
        while True:
            chunk, self.head = self.head or self._pull(size), b""
            if self._decoder is None:
                return chunk
            try:
                text = self._decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                raise self.refuse("ENCODING", "the file is not in its declared encoding", "declare the encoding in the format, or export as UTF-8") from error
            if text or not chunk:
                return text.encode("utf-8", "surrogatepass")

    def drain(self) -> None:
        """Read to the end, for the hash alone."""
        while self._pull(WHOLE_FILE_BYTES):
            pass


def judge_content(head: bytes, encoding: str, source: Source) -> None:
    """Refuse what is not text of records, by its first 4 KiB: UTF-16 without BOM, binary, HTML, JSON."""
    if encoding == "utf-16":
        return
    if len(head) > 3 and min(head[0::2].count(0), 1) + min(head[1::2].count(0), 1) == 1 and head.count(0) * 3 > len(head):
        raise source.refuse("ENCODING", "the file looks like UTF-16 without a byte order mark", "export it as UTF-8")
    odd = sum(octet < 32 and octet not in PLAIN_CONTROLS for octet in head)
    if encoding == "utf-8":
        odd += head.decode("utf-8", "replace").count("\ufffd")
    if odd * 10 > len(head):
        raise source.refuse("NOT_CSV", "the file is binary, not CSV", "export the table as CSV")
    start = head.lstrip()[:1]
    if start in (b"<", b"{", b"["):
        kind = "HTML or XML" if start == b"<" else "JSON"
        raise source.refuse("NOT_CSV", f"the file is {kind}, not CSV", "look at what the export returned: often a login page or an error message")
