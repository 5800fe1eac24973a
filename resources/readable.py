"""The readable copy of a delivery that DuckDB cannot read as it stands, and the broken records beside it.

What belongs here: writing both in batches (bounded memory) and numbering the records. What does not: finding the records (the readers)
and reading the copies back (landing).
"""
from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partitions.errors import DeliveryError
from resources.headers import listed
from resources.reasons import checked

REJECTS = pa.schema([(name, pa.int64() if name == "_row" else pa.string()) for name in ("rule", "column_name", "value", "raw", "_file", "_row", "_sha256")])
BATCH_ROWS, BATCH_CHARACTERS = 1 << 15, 1 << 24
HOPELESS_FAULTS = 1000
SYSTEMATIC_ROWS = 10
Refusal = Callable[[str, str, str], DeliveryError]


def refuse_hopeless(faults: Counter[str], records: int, refuse: Refusal) -> None:
    """Refuse a file that is mostly broken: it is not of this format."""
    if (broken := faults.total()) > HOPELESS_FAULTS and broken * 2 > records:
        rule = faults.most_common(1)[0][0]
        raise refuse(rule, "more than half of the records are broken", "choose the format that fits in the customer's file, or repair the export")


def raw_text(record: bytes) -> str:
    """Raw text of a broken record; where it is not UTF-8, or holds NUL, `base64:` and its bytes."""
    try:
        text = record.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    return "base64:" + base64.b64encode(record).decode() if "\0" in text else text


class Rejects:
    """The Parquet file of broken records; no file is made while there are none."""

    def __init__(self, path: Path, file_name: str, sha256: str) -> None:
        self.path, self.file_name, self.sha256 = path, file_name, sha256
        self.rows, self._size = 0, 0
        self._batch: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None

    def add(self, rule: str, row: int, raw: str, column: str | None = None) -> None:
        """Keep one broken record with its number in the file."""
        self._batch.append({"rule": checked(rule), "column_name": column, "raw": raw, "_file": self.file_name, "_row": row, "_sha256": self.sha256})
        self.rows += 1
        self._size += len(raw)
        if len(self._batch) >= BATCH_ROWS or self._size >= BATCH_CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, REJECTS, compression="zstd")
        self._writer.write_table(pa.Table.from_pylist(self._batch, schema=REJECTS))
        self._batch, self._size = [], 0

    def close(self) -> None:
        """Write what is left."""
        if self._batch:
            self._flush()
        if self._writer:
            self._writer.close()


class Readable:
    """A Parquet file of text columns under the file's own headers, with `_extra` and `_row`, and its rejects.

    Every record takes the next number, whether it is kept (`add`) or set apart (`fault`).
    """

    def __init__(self, path: Path, header: Sequence[str], rejects: Rejects, refuse: Refusal) -> None:
        self.header, self.rejects, self.refuse = tuple(header), rejects, refuse
        self.rows, self.blank = 0, 0
        self.faults: Counter[str] = Counter()
        self._first: tuple[str, str | None] | None = None
        self._is_one_fault = True
        schema = pa.schema([*((name, pa.string()) for name in self.header), ("_extra", pa.string()), ("_row", pa.int64())])
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
        self._schema, self._batch, self._numbers, self._size = schema, list[Sequence[str | None]](), list[int](), 0

    def add(self, cells: Sequence[str | None], size: int) -> None:
        """Keep a record: its cells in header order and `_extra` last. `size` is about its characters."""
        self.rows += 1
        self._batch.append(cells)
        self._numbers.append(self.rows)
        self._size += size
        if len(self._batch) >= BATCH_ROWS or self._size >= BATCH_CHARACTERS:
            self._flush()

    def fault(self, rule: str, raw: bytes, column: str | None = None) -> None:
        """Set a record apart."""
        self.rows += 1
        self.faults[rule] += 1
        self._first = self._first or (rule, column)
        self._is_one_fault &= self._first == (rule, column)
        refuse_hopeless(self.faults, self.rows, self.refuse)
        self.rejects.add(rule, self.rows, raw_text(raw), column)

    def refuse_systematic(self) -> None:
        """Refuse a file whose every record (10 or more) fails on one column for one reason: its export is wrong, not its rows."""
        if self._first and self._first[1] and self._is_one_fault and self.rows == self.faults.total() >= SYSTEMATIC_ROWS:
            rule, column = self._first
            raise self.refuse(rule, f"every record fails on the column {listed([str(column)])}", "correct the export, or the format in the customer's file")

    def _flush(self) -> None:
        columns = list(zip(*self._batch, strict=True)) if self._batch else [()] * (len(self.header) + 1)
        arrays = [pa.array(column, pa.string()) for column in columns]
        self._writer.write_batch(pa.record_batch([*arrays, pa.array(self._numbers, pa.int64())], schema=self._schema))
        self._batch, self._numbers, self._size = [], [], 0

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._writer.close()
        self.rejects.close()
