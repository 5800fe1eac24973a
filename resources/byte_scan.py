"""Looking for a customer in bytes: in files as they lie there, and in a fresh dump of every database.

What belongs here: what is looked for, reading it all, and counting. What does not: which places there are (erasure.py).

A compressed file of somebody else (Parquet, gzip) is read as it lies there: what it would unpack to is that customer's own matter.
"""
from __future__ import annotations

import mmap
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from partitions.errors import ErasureError
from resources.postgres import SUPERUSER, EmbeddedServer, Postgres

SCHEMAS_AT_ONCE = 200  # a dump locks every table it reads: 800 lake catalogs in one run out of max_locks_per_transaction (FINDINGS)
CHUNK_BYTES = 1 << 20
SHORTEST = 6  # characters of a word that is looked for besides the id: a shorter one stands anywhere
SHOWN = 5
OVERLAP = 4096  # bytes; longer than any word that is looked for


@dataclass(frozen=True)
class Scanned:
    """One place: how many files or dumps, how many bytes, how often the customer stands there, and where first."""

    place: str
    parts: int
    bytes: int
    hits: int
    first: tuple[str, ...] = ()


def token(customer: str) -> str:
    """A regular expression of the id as a word of its own, also as part of its roles' names; `acme_two` and `acme2` are others."""
    return f"(?<![A-Za-z0-9_])(?:lake_|cust_)?{re.escape(customer)}(?![A-Za-z0-9_])"


def needle(customer: str, words: Iterable[str]) -> re.Pattern[bytes]:
    """The id, and words that only this customer's data hold, such as its accounts."""
    return re.compile("|".join([token(customer), *(re.escape(word) for word in sorted(set(words)) if len(word) >= SHORTEST)]).encode())


def scan_files(place: str, root: Path, looked_for: re.Pattern[bytes], left_out: Iterable[Path] = ()) -> Scanned:
    """Every file below a folder (or one file), its path below it included."""
    apart = {path.resolve() for path in left_out}
    parts = size = hits = 0
    first: list[str] = []
    for path in _files(root):
        if path.resolve() in apart:
            continue
        name = str(path.relative_to(root)) if path != root else path.name
        content, found = _in_file(path, looked_for)
        found += len(looked_for.findall(os.fsencode(name)))
        parts, size, hits = parts + 1, size + content, hits + found
        first += [name] if found else []
    return Scanned(place, parts, size, hits, tuple(first[:SHOWN]))


def hits_in_blocks(blocks: Iterable[bytes], looked_for: re.Pattern[bytes]) -> tuple[int, int]:
    """Bytes and hits of a content that comes in blocks. A hit across a border counts once; OVERLAP bounds the length of what is looked for."""
    size = hits = 0
    kept, begin = b"", 0  # `begin`: where in `kept` counting goes on; what is before it only tells whether a word begins there
    for block in blocks:
        size, kept = size + len(block), kept + block
        until = len(kept) - OVERLAP
        for hit in looked_for.finditer(kept, begin):
            if hit.start() >= until:
                break
            hits, begin = hits + 1, hit.end()
        begin = max(begin, until, 0)
        cut = max(begin - 1, 0)
        kept, begin = kept[cut:], begin - cut
    return size, hits + sum(1 for _ in looked_for.finditer(kept, begin))


def scan_dump(place: str, postgres: Postgres, database: str, looked_for: re.Pattern[bytes]) -> Scanned:
    """A fresh dump of a database, schemas and rows, read as it is made."""
    with postgres.connect(SUPERUSER, database) as connection:
        schemas = [name for (name,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)' ORDER BY 1")]
    size = hits = parts = 0
    first: list[str] = []
    for start in range(0, len(schemas), SCHEMAS_AT_ONCE):
        for block in _dumped(postgres, database, schemas[start:start + SCHEMAS_AT_ONCE]):
            found = looked_for.findall(block)
            size, hits = size + len(block), hits + len(found)
            first += [_table_before(block, looked_for)] if found else []
        parts += 1
    return Scanned(place, parts, size, hits, tuple(dict.fromkeys(first))[:SHOWN])


def _files(root: Path) -> Iterator[Path]:
    if root.is_dir():
        yield from sorted(path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    elif root.exists():
        yield root


def _in_file(path: Path, looked_for: re.Pattern[bytes]) -> tuple[int, int]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size == 0:
        return 0, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return len(content), len(looked_for.findall(content))


def _dumped(postgres: Postgres, database: str, schemas: Sequence[str]) -> Iterator[bytes]:
    """pg_dump's text in whole lines. The password travels in the child's environment, the rest by its command line."""
    login = postgres.parameters(SUPERUSER, database)
    password = {"PGPASSWORD": login.pop("password")} if "password" in login else {}
    named = [word for schema in schemas for word in ("-n", f'"{schema}"')]
    words = " ".join(f"{key}='{value}'" for key, value in login.items())
    child = subprocess.Popen([str(EmbeddedServer.binaries() / "pg_dump"), "--no-password", *named, "-d", words],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **password})
    left = b""
    while chunk := child.stdout.read(CHUNK_BYTES):
        text, _, left = (left + chunk).rpartition(b"\n")
        yield text
    yield left
    if child.wait():
        raise ErasureError(f"the dump of {database} failed: {child.stderr.read().decode(errors='backslashreplace').strip()[-300:]}",
                           fix="repair that, then remove the customer once more")


def _table_before(block: bytes, looked_for: re.Pattern[bytes]) -> str:
    """Which table's rows the first find stands in, as far as the block says."""
    hit = looked_for.search(block)
    copies = re.findall(rb"^COPY (\S+) ", block[:hit.start() if hit else 0], re.MULTILINE)
    return copies[-1].decode() if copies else "rows of a long table, or a definition"
