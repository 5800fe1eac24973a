"""Parquet as delivered: judged by its own metadata before a page is read, then every page read once with its checksum.

What belongs here: refusing what is not Parquet, too large, damaged, or of other types than the contract's. What does not: its values as
text (landing). Two readers count: pyarrow's decoder here, the footer's row groups, and at landing DuckDB.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resources.formats import Format
from resources.headers import Header, listed, parse_header
from resources.records import Dialect
from resources.source import FileFacts, Source

EXPANSION_LIMIT, SIZE_LIMIT_BYTES, SMALL_BYTES = 100, 2 << 30, 64 << 20
ROWS_PER_BYTE_LIMIT = 1000
BATCH_ROWS = 1 << 14
MAGIC = b"PAR1"


def inspect_parquet(path: Path, source: Source, format: Format, columns: Sequence[str], types: Mapping[str, str], drift: str) -> FileFacts:
    """Facts of one Parquet file. Raises DeliveryError."""
    _refuse_frame(path, source)
    source.drain()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _refuse_size(file.metadata, source)
            header = _header(file.schema_arrow, source, format, columns, types, drift)
            rows = _rows(file, source)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        if "CRC" in str(error):
            raise source.refuse("CHECKSUM", "a page of the Parquet file does not have its checksum", "deliver it again") from error
        raise source.refuse("PARQUET", "the Parquet file is damaged, or uses a feature that cannot be read", "deliver it again") from error
    return FileFacts(source.hash.hexdigest(), source.bytes, rows, header.names, {}, unexpected=header.unexpected)


def _refuse_frame(path: Path, source: Source) -> None:
    """Magic at both ends, and a footer that fits between them."""
    if not source.head:
        raise source.refuse("EMPTY", "the file has no content", "deliver a Parquet file")
    if not source.head.startswith(MAGIC) or source.size < 12:
        raise source.refuse("NOT_PARQUET", "the file is not Parquet", "export as Parquet, or let the customer's file name a CSV format")
    with path.open("rb") as file:
        file.seek(-8, 2)
        tail = file.read()
    if tail[4:] != MAGIC:
        raise source.refuse("TRUNCATED", "the Parquet file has no end", "deliver it again, whole")
    if int.from_bytes(tail[:4], "little") > source.size - 12:
        raise source.refuse("NOT_PARQUET", "the footer is longer than the file", "deliver it again")


def _refuse_size(metadata: pq.FileMetaData, source: Source) -> None:
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    size = sum(group.total_byte_size for group in groups)
    rows = sum(group.num_rows for group in groups)
    is_expanding = size > SMALL_BYTES and size > EXPANSION_LIMIT * source.size
    if is_expanding or size > SIZE_LIMIT_BYTES or rows > ROWS_PER_BYTE_LIMIT * source.size:
        raise source.refuse("BOMB", f"the file expands to {size >> 20:,} MiB and {rows:,} rows from {source.size:,} bytes", "deliver it in smaller files")


def _header(schema: pa.Schema, source: Source, format: Format, columns: Sequence[str], types: Mapping[str, str], drift: str) -> Header:
    header = parse_header(schema.names, Dialect(b",", b'"', 1), format, columns, source.refuse, drift)
    if format.strict_types:
        wrong = [field.name for field in schema if not _is_of(field.type, types.get(format.column_of(field.name) or "", ""))]
        if wrong:
            raise source.refuse("SCHEMA", f"columns of another type than the contract's: {listed(wrong)}", "export the declared types; nothing is cast")
    return header


def _is_of(found: pa.DataType, declared: str) -> bool:
    """Whether a column's type is the declared logical one; of an undeclared column only that it is not nested."""
    if pa.types.is_dictionary(found):
        found = found.value_type
    if declared == "string":
        return pa.types.is_string(found) or pa.types.is_large_string(found)
    checks = {"date": pa.types.is_date32, "number": pa.types.is_decimal, "integer": pa.types.is_integer, "timestamp": pa.types.is_timestamp,
              "boolean": pa.types.is_boolean}
    return checks[declared](found) if declared in checks else not pa.types.is_nested(found)


def _rows(file: pq.ParquetFile, source: Source) -> int:
    """Decode every page; the rows must be those that the footer declares, and text must be UTF-8."""
    rows = 0
    texts = [index for index, field in enumerate(file.schema_arrow) if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    for batch in file.iter_batches(BATCH_ROWS):
        rows += batch.num_rows
        for index in texts:
            try:
                batch.column(index).validate(full=True)
            except pa.ArrowInvalid as error:
                name = listed([file.schema_arrow.names[index]])
                raise source.refuse("SCHEMA", f"a text column is not UTF-8: {name}", "export text as UTF-8") from error
    declared = sum(file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups))
    if rows != declared:
        raise source.refuse("PARQUET", f"{rows:,} rows were read where the footer declares {declared:,}", "deliver it again")
    return rows
