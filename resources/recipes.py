"""What a version of a table is made by, in one hash: equal recipes give equal rows, so a run that meets one again computes nothing.

What belongs here: naming everything that a table's rows depend on. What does not: comparing contents, which tells the same after the work
(lake.py, warehouse.py). A parameter file counts by its rows, so a changed factor makes anew what reads that file and nothing else.
"""
from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb
import ibis.expr.types as ir

from resources.compiled import digest
from resources.expressions import leaf_names
from resources.session import Session
from resources.storage import TableSpec

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1 << 20


def recipe(session: Session, spec: TableSpec, expression: ir.Table, dialect: str) -> str:
    """The hash; empty where a part has no name of its own: an expression with data in it, a source that is neither a version nor a file's rows."""
    expressed = digest_of(expression.op(), dialect)
    sources: dict[str, Any] = {}
    for name in leaf_names(expression):
        source = session.sources.get(name)
        sources[name] = source and (source.version.version if source.version else source.content)
    if expressed is None or None in sources.values():
        return ""
    parts = {"expression": expressed, "code": spec.code_version, "sources": sources, "corrections": session.newest_correction, "engine": duckdb.__version__}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def content_of_rows(rows: pa.Table) -> str:
    """A hash of rows in their order, with their names and types."""
    import pyarrow as pa

    found = hashlib.sha256(str(rows.schema).encode())
    with pa.ipc.new_stream(_Hashing(found), rows.schema) as stream:
        stream.write_table(rows.combine_chunks(), max_chunksize=CHUNK)
    return found.hexdigest()


class _Hashing:
    """A file that keeps the hash of what is written to it."""

    closed = False

    def __init__(self, found: Any) -> None:
        self.found = found

    def write(self, data: Any) -> int:
        self.found.update(data)
        return len(data)

    def flush(self) -> None: ...

    def close(self) -> None: ...


digest_of = lru_cache(maxsize=256)(digest)
