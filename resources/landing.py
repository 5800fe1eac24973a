"""Landing files as DuckDB reads them: raw text in contract column names, with their origin, and the broken records apart.

What belongs here: SQL over delivered files and the identity rows in = loaded + rejected + declared skips. What does not: which
deliveries count (deliveries), judging and mending files (inspection), types (silver).

`_row` is the 1-based number of the data record in the file. DuckDB 1.5.5 has `file_row_number` for Parquet only; for CSV a streaming
`row_number() OVER ()` is right (also with quoted line ends and with preserve_insertion_order off) and costs one thread instead of two
while parsing (332 against 523 MB/s); when the rows are written to Parquet it is no slower (4.0 s against 4.1 s a million lines).
`store_rejects` is not used: one open quote makes it join all lines to the end of the file into one reject, and a stray quote inside
a field passes unseen. `new_line` is not given: with '\\r\\n' or '\\n' DuckDB reads no row at all of a file of CR LF, without an error.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from partitions.errors import AccountingError, ContractError
from resources.formats import Format
from resources.records import RECORD_LIMIT_BYTES

ORIGIN = ("_extra", "_file", "_row", "_sha256", "_format")
REJECT_COLUMNS = "rule VARCHAR, column_name VARCHAR, value VARCHAR, raw VARCHAR, _file VARCHAR, _row BIGINT, _sha256 VARCHAR"
MAX_LINE_BYTES = 2_000_000
NEVER_NULL = "\x1a\x1b\x1a"  # DuckDB takes the empty field for null unless another token is given
assert RECORD_LIMIT_BYTES < MAX_LINE_BYTES


@dataclass(frozen=True)
class DeliveredFile:
    """One accepted file. `rows` are its data records with the `faulty` ones among them; `blank` lines are declared skips.

    Paths are relative to the landing root: `path` is the file as delivered; `readable` the mended copy that DuckDB reads instead, and
    `rejects` the Parquet file of the broken records; None where there is no need of them.
    """

    customer: str
    source: str
    period: date | None
    sequence: int
    file_name: str
    path: str
    sha256: str
    bytes: int
    rows: int
    faulty: int
    blank: int
    format: str
    header: tuple[str, ...]
    readable: str | None = None
    rejects: str | None = None


@dataclass(frozen=True)
class Loaded:
    """`relation` is a temporary view: contract columns as VARCHAR, then `_extra, _file, _row, _sha256, _format`; `_extra` holds undeclared
    columns as a JSON object, without nulls. `rejects_table` is temporary.

    `expected` has for each file's sha256 the rows that the view must give; hand what was written to `account`.
    """

    relation: str
    rejects_table: str
    rows: int
    rejected: int
    blank: int
    expected: Mapping[str, int]

    @property
    def counted(self) -> int:
        """Data records that the independent counter found: what must come out as loaded + rejected."""
        return self.rows + self.rejected


def load(connection: duckdb.DuckDBPyConnection, root: Path | str, deliveries: Sequence[DeliveredFile], formats: Mapping[str, Format],
         columns: Sequence[str], target: str) -> Loaded:
    """Make the view `target` over the delivered files and the table `<target>_rejects`. Reads no row of the files themselves.

    Works in a locked session that may read the landing directory of the customer. Rejects: `rule, column_name, value, raw, _file,
    _row, _sha256`. Raises AccountingError if the rejects are not those that were registered; ContractError for an unknown format.
    """
    rejects_table = f"{target}_rejects"
    deliveries = [_at(root, file) for file in deliveries]
    _load_rejects(connection, deliveries, rejects_table)
    parts = [_file_sql(connection, file, _format_of(file, formats), columns, rejects_table) for file in deliveries]
    nothing = ", ".join(f"NULL::{'BIGINT' if name == '_row' else 'VARCHAR'} AS {_name(name)}" for name in (*columns, *ORIGIN))
    empty = f"SELECT {nothing} WHERE false"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {_name(target)} AS {' UNION ALL '.join(parts) if parts else empty}")
    expected = {file.sha256: file.rows - file.faulty for file in deliveries}
    return Loaded(target, rejects_table, sum(expected.values()), sum(file.faulty for file in deliveries), sum(file.blank for file in deliveries), expected)


def account(loaded: Loaded, found: Mapping[str, int], **place: str) -> None:
    """Compare rows per file (sha256 -> rows, counted where they were written) with the independent count. Raises AccountingError."""
    for sha256 in sorted({*loaded.expected, *found}):
        expected, rows = loaded.expected.get(sha256, 0), found.get(sha256, 0)
        if expected != rows:
            raise AccountingError(
                f"{rows:,} rows were loaded where {expected:,} were counted in the file with sha256 {sha256[:12]}",
                fix="nothing was kept; keep the file and report it: the reader and the counter disagree", **place)


def counted(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, int]:
    """Rows per file of a relation that carries `_sha256`: what `account` wants."""
    return dict(connection.execute(f"SELECT _sha256, count(*) FROM {relation} GROUP BY ALL").fetchall())


def _at(root: Path | str, file: DeliveredFile) -> DeliveredFile:
    """The file with absolute paths, or places in an object store."""
    path, readable, rejects = (f"{str(root).rstrip('/')}/{name}" if name else None for name in (file.path, file.readable, file.rejects))
    return replace(file, path=path or "", readable=readable, rejects=rejects)


def _place(file: DeliveredFile) -> dict[str, str]:
    return {"customer": file.customer, "table": file.source, "file": file.file_name}


def _format_of(file: DeliveredFile, formats: Mapping[str, Format]) -> Format:
    if file.format not in formats:
        raise ContractError(f"format {file.format} is not declared", fix="declare it in the contract's `formats`", **_place(file))
    return formats[file.format]


def _load_rejects(connection: duckdb.DuckDBPyConnection, deliveries: Sequence[DeliveredFile], table: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {_name(table)} ({REJECT_COLUMNS})")
    for file in deliveries:
        found = 0
        if file.rejects:
            found = connection.execute(f"INSERT INTO {_name(table)} SELECT * FROM read_parquet({_text(file.rejects)})").fetchall()[0][0]
        if found != file.faulty:
            raise AccountingError(f"{found:,} broken records are kept, {file.faulty:,} are registered", fix="land the file again", **_place(file))


def _file_sql(connection: duckdb.DuckDBPyConnection, file: DeliveredFile, format: Format, columns: Sequence[str], rejects_table: str) -> str:
    if format.type == "parquet":
        return _parquet_sql(connection, file, format, columns)
    if format.type != "csv":
        return _readable_sql(file, format, columns)
    select = csv_sql(file, format, columns)
    if not file.faulty:
        return select
    return f"SELECT * FROM ({select}) WHERE _row NOT IN (SELECT _row FROM {_name(rejects_table)} WHERE _sha256 = {_text(file.sha256)})"


def csv_sql(file: DeliveredFile, format: Format, columns: Sequence[str]) -> str:
    """SELECT of one CSV file: nothing is sniffed, nothing typed, nothing skipped; file columns by position, so names cannot do harm."""
    fields = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(len(file.header)))
    read = (
        f"read_csv({_text(file.readable or file.path)}, auto_detect=false, header=true, strict_mode=true, columns={{{fields}}}, "
        f"delim={_text(format.delimiter)}, quote={_text(format.quote)}, escape={_text(format.quote)}, encoding='utf-8', "
        f"nullstr={_texts(format.null_tokens or [NEVER_NULL])}, max_line_size={MAX_LINE_BYTES})"
    )
    return _select({name: f"c{index}" for index, name in enumerate(file.header)}, columns, file, format, "row_number() OVER ()", read)


def _parquet_sql(connection: duckdb.DuckDBPyConnection, file: DeliveredFile, format: Format, columns: Sequence[str]) -> str:
    """SELECT of one Parquet file with every column as text; row numbers are the file's own."""
    read = f"read_parquet({_text(file.path)}, file_row_number=true)"
    found = connection.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()[: len(file.header)]
    texts = {name: _as_text(_name(column[0]), column[1], format.null_tokens) for name, column in zip(file.header, found, strict=True)}
    return _select(texts, columns, file, format, "file_row_number + 1", read)


def _readable_sql(file: DeliveredFile, format: Format, columns: Sequence[str]) -> str:
    """SELECT of the readable copy of JSON, XML or a workbook: text columns, `_extra` and `_row`, written at landing."""
    place = {**_constants(format), **{format.column_of(name): _name(name) for name in file.header}}
    listed = ", ".join(f"{place.get(column, 'NULL::VARCHAR')} AS {_name(column)}" for column in columns)
    return f"SELECT {listed}{', ' if listed else ''}_extra, {_origin(file, '_row')} FROM read_parquet({_text(file.readable or '')})"


def _select(texts: Mapping[str, str], columns: Sequence[str], file: DeliveredFile, format: Format, row: str, read: str) -> str:
    """`texts`: for each header of the file the SQL of its value as text."""
    place = {**_constants(format), **{format.column_of(name): text for name, text in texts.items()}}
    known = set(columns)
    strange = {name: text for name, text in texts.items() if (column := format.column_of(name)) is not None and column not in known}
    listed = "".join(f"{place.get(column, 'NULL::VARCHAR')} AS {_name(column)}, " for column in columns)
    return f"SELECT {listed}{_extra_sql(strange)} AS _extra, {_origin(file, row)} FROM {read}"


def _constants(format: Format) -> dict[str | None, str]:
    """SQL of what the format says for a file that has no such column; a column that is there goes before it."""
    return {column: f"{_text(said)}::VARCHAR" for column, said in format.constants.items()}


def _extra_sql(texts: Mapping[str, str]) -> str:
    """The undeclared columns as the text of a JSON object without nulls; NULL where all of them are. Nothing is computed without any."""
    if not texts:
        return "NULL::VARCHAR"
    members = ", ".join(f"{_text(name)}, {text}" for name, text in texts.items())
    return f"CASE WHEN coalesce({', '.join(texts.values())}) IS NOT NULL THEN json_merge_patch('{{}}', json_object({members}))::VARCHAR END"


def _origin(file: DeliveredFile, row: str) -> str:
    return f"{_text(file.file_name)} AS _file, {row} AS _row, {_text(file.sha256)} AS _sha256, {_text(file.format)} AS _format"


def _as_text(column: str, kind: str, null_tokens: Sequence[str]) -> str:
    """Text without loss: timestamps as ISO 8601 in UTC (`2024-09-01T00:00:00Z`, a fraction only where there is one), nested as JSON."""
    if kind == "VARCHAR":
        return f"CASE WHEN {column} NOT IN ({', '.join(map(_text, null_tokens))}) THEN {column} END" if null_tokens else column
    if kind.startswith("TIMESTAMP"):
        moment = f"make_timestamp(epoch_us({column}))" if "ZONE" in kind else column
        # DuckDB 1.5.5 keeps nanoseconds in TIMESTAMP_NS alone; epoch_ns of the others overflows before 1678 and after 2262
        part, unit = ("epoch_ns", 1_000_000_000) if kind == "TIMESTAMP_NS" else ("epoch_us", 1_000_000)
        part, digits = f"(({part}({moment}) % {unit} + {unit}) % {unit})", len(str(unit)) - 1
        fraction = f"CASE WHEN {part} = 0 THEN '' ELSE '.' || rtrim(lpad({part}::VARCHAR, {digits}, '0'), '0') END"
        return f"strftime(date_trunc('second', {moment}::TIMESTAMP), '%Y-%m-%dT%H:%M:%S') || {fraction} || 'Z'"
    if kind == "BLOB":
        return f"coalesce(try(decode({column})), 'base64:' || base64({column}))"
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
        return f"to_json({column})::VARCHAR"
    return f"{column}::VARCHAR"


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _texts(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(_text, texts)) + "]"
