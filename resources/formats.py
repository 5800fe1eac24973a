"""Named formats of a source: how a vendor writes a file, and how its text means numbers and dates.

What belongs here: the declaration (dialect, column map, conventions) as it stands in a bronze contract's customProperty `formats`.
What does not: reading files (landing) and the vendor's words for countries or types (vocabularies/).
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from partitions.errors import ContractError


@dataclass(frozen=True)
class Convention:
    """How text is to be read: patterns are strptime's; `group_mark` lists every mark that may group digits ("" = none).

    `date_patterns` and `timestamp_patterns`: further patterns that stand beside `date_pattern` and `timestamp_pattern` in one file, tried in
    order. A pattern's zeros are demanded unless it says `%-m` or `%-d`.
    """

    decimal_mark: str = "."
    group_mark: str = ""
    date_pattern: str = "%Y-%m-%d"
    timestamp_pattern: str = "%Y-%m-%dT%H:%M:%SZ"
    timestamp_patterns: tuple[str, ...] = ()
    date_patterns: tuple[str, ...] = ()

    @property
    def is_by_day(self) -> bool:
        """Whether a moment of this format is a day without a time."""
        return not any("%H" in pattern or "%I" in pattern for pattern in (self.timestamp_pattern, *self.timestamp_patterns))


class Trailer(BaseModel):
    """A last line of control totals, `#TRAILER,rows=12,sum=99.10`: `rows` names its row count, `sums` maps its other names to columns."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prefix: str = Field(min_length=1)
    rows: str = "rows"
    sums: dict[str, str] = {}


class Format(BaseModel):
    """One named format. `columns` maps vendor header -> contract column; a header of the contract's own name needs no entry.

    `ignore` lists headers that are known and not wanted ("" is the column after a trailing delimiter). `required` are contract
    columns whose header must be there; a null in them is silver's matter; `missing_column` is the reason given when one is not.
    `aliases`: headers that differ by case, blanks and invisible characters only are taken for the declared ones, as a repair.
    `containers`: gzip or zip around a text format; the plain file is always allowed. `amounts`: columns whose exact sum is kept.
    `constants`: what every row of a file says that has no such column (an AWS report does not name AWS): contract column -> text.

    CSV: `quote: ""` declares that nothing is quoted and a quote is text (inventories with inch marks); otherwise quoting is RFC 4180's
    and a quote inside an unquoted field breaks the record, or is text where `quote_mode: literal` says so. JSON: headers are dotted
    paths, `$` is the whole record, `records` the path of the list of records; `undeclared: drop` keeps nothing of what no name takes, also
    of broken records (a HAR is full of cookies), and `addresses` are columns of URLs that lose what stands for a visitor.
    XML: `records` is the name of the record's element. XLSX: `sheet` and `header_row`.
    `strict_types`: a Parquet column must have the contract's logical type, nothing is cast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    type: Literal["csv", "json", "jsonl", "xml", "xlsx", "parquet"] = "csv"
    containers: tuple[Literal["gzip", "zip"], ...] = ()
    quote_mode: Literal["strict", "literal"] = "strict"
    trailer: Trailer | None = None
    amounts: tuple[str, ...] = ()
    aliases: bool = False
    records: str = ""
    sheet: str = ""
    header_row: int = Field(default=1, ge=1)
    strict_types: bool = False
    undeclared: Literal["keep", "drop"] = "keep"
    addresses: tuple[str, ...] = ()
    missing_column: Literal["SCHEMA", "FOCUS"] = "SCHEMA"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    encoding: Literal["utf-8", "utf-16", "cp1252", "iso-8859-1"] = "utf-8"
    final_line_end: Literal["optional", "required"] = "optional"
    null_tokens: tuple[str, ...] = ("",)
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    ignore: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    convention: Convention = Convention()

    @field_validator("null_tokens", "ignore", "required", "containers", "amounts", "addresses", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("convention", mode="before")
    @classmethod
    def _as_convention(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = Convention.__dataclass_fields__
        lists = {name: value[name] for name in ("timestamp_patterns", "date_patterns") if name in value}
        wrong = {str(name) for name in value if name not in known or (name not in lists and not isinstance(value[name], str))}
        wrong |= {name for name, more in lists.items() if not isinstance(more, list) or not all(isinstance(one, str) for one in more)}
        if strangers := sorted(wrong):
            raise ValueError(f"unknown or not text: {', '.join(strangers)}; known: {', '.join(known)}")
        return Convention(**{**value, **{name: tuple(more) for name, more in lists.items()}})

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_plain_byte(cls, value: str) -> str:
        if not value.isascii() or (value and value in "\r\n\0 "):
            raise ValueError("must be one ASCII character, not a blank or a line end")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Format:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote must differ")
        targets = list(self.columns.values())
        if len(set(targets)) != len(targets):
            raise ValueError("two headers are mapped to one column")
        if doubled := sorted({*self.constants} & {*targets}):
            raise ValueError(f"mapped and constant: {', '.join(doubled)}")
        if self.trailer and self.type != "csv":
            raise ValueError("only CSV has a trailer")
        if self.containers and self.type in ("xlsx", "parquet"):
            raise ValueError(f"{self.type} is compressed already")
        if self.type != "json" and (self.undeclared == "drop" or self.addresses):
            raise ValueError("only JSON can drop what is undeclared and shorten addresses")
        if self.type == "xlsx" and not self.sheet or self.type == "xml" and not self.records:
            raise ValueError("xlsx declares its `sheet`, xml the name of its `records`")
        return self

    @property
    def summed(self) -> tuple[str, ...]:
        """Columns whose exact sum is kept: the declared amounts and those that a trailer controls."""
        return tuple(dict.fromkeys([*self.amounts, *(self.trailer.sums.values() if self.trailer else ())]))

    def column_of(self, header: str) -> str | None:
        """The contract column that a vendor header fills; None if the header is ignored."""
        return None if header in self.ignore else self.columns.get(header, header)

    def header_of(self, column: str) -> str:
        """The vendor header that fills a contract column (the first declared one)."""
        return next((header for header, target in self.columns.items() if target == column), column)


def formats_of(declared: Mapping[str, Mapping[str, Any]], columns: Iterable[str]) -> dict[str, Format]:
    """The formats that a contract declares, by name. `columns` are the contract's columns without the origin ones.

    Raises ContractError if a setting is unknown or a map names a column that the contract does not have.
    """
    known, formats = set(columns), {}
    for name, settings in declared.items():
        try:
            found = Format(name=name, **settings)
        except (ValidationError, TypeError) as error:
            raise ContractError(f"format {name} does not validate: {_reasons(error)}", fix="correct the contract's customProperty `formats`") from error
        strangers = sorted({*found.columns.values(), *found.constants, *found.required, *found.summed, *found.addresses} - known)
        if strangers:
            raise ContractError(f"format {name} names columns that the contract does not have: {', '.join(strangers)}", fix="use the contract's column names")
        formats[name] = found
    return formats


def _reasons(error: Exception) -> str:
    """Messages of a validation error without the values it met."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'format'}: {item['msg']}" for item in error.errors())
    return "settings must be a mapping"
