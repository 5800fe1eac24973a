"""Records that are trees (JSON objects, XML elements) as rows of text: which value fills which column, and what is left over.

What belongs here: dotted paths, the JSON type a column takes, exact text of numbers, `_extra`. What does not: parsing (json_records,
xml_records) and what a value means (silver).
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import isinf
from typing import Any

from resources.formats import Format
from resources.headers import COLUMN_LIMIT, Refusal, refuse_missing, refuse_undeclared
from resources.records import CELL_LIMIT_BYTES

WHOLE = "$"
VISITOR = re.compile(r"(?<=//)[^/?#@]*@|[?#].*", re.DOTALL)  # of a URL: user and password, query, fragment


class Number(str):
    """A number as it was written; never a float."""

    __slots__ = ()


ALLOWED: dict[str, tuple[type, ...]] = {  # a number or a flag may be written as text: silver judges that text
    "string": (str,), "date": (str,), "timestamp": (str,), "time": (str,), "number": (str, Number), "integer": (str, Number), "boolean": (str, bool),
    "object": (dict,), "array": (list,),
}
NUMERIC = ("number", "integer")


class Fault(Exception):
    """A record that cannot be a row; `column` is the header concerned."""

    def __init__(self, rule: str, column: str | None = None) -> None:
        super().__init__(rule)
        self.rule, self.column = rule, column


def is_overflow(number: str) -> bool:
    """Beyond the range of a double (1.8e308), which most readers would turn into infinity. Whole numbers of any length are exact."""
    return ("e" in number or "E" in number or "." in number) and isinf(float(number))


def text_of(value: Any) -> str | None:
    """A value as text: strings as they are, numbers as written, nested values as JSON. Raises Fault for a number beyond a double."""
    if value is None or type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if type(value) is Number:
        if is_overflow(value):
            raise Fault("NUMBER")
        return str(value)
    return json_text(value)


def json_text(value: Any) -> str:
    """JSON text with every number as it was written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if type(value) is Number:
        return text_of(value) or ""
    return json.dumps(value, ensure_ascii=False)


def refuse_large(cells: Iterable[str | None]) -> None:
    """Raises Fault for a cell over 1 MiB of UTF-8."""
    for text in cells:
        if text and len(text) * 4 > CELL_LIMIT_BYTES and len(text.encode("utf-8", "surrogatepass")) > CELL_LIMIT_BYTES:
            raise Fault("CELL_SIZE")


def address(url: str) -> str:
    """A URL without user, query and fragment; of a `data:` URL, which is its content, the scheme alone."""
    return "data:" if url.startswith("data:") else VISITOR.sub("", url)


class Shape:
    """How records of one format become rows: `header` are its declared names without the ignored ones."""

    def __init__(self, format: Format, columns: Sequence[str], types: Mapping[str, str], drift: str) -> None:
        self.format, self.drift = format, drift
        targets = set(format.columns.values())
        names = [*format.columns, *(column for column in columns if column not in targets)]
        self.header = tuple(name for name in names if name not in format.ignore)
        kinds = {name: types.get(format.column_of(name) or "", "") for name in self.header}
        self.allowed = [ALLOWED.get(kinds[name]) if format.strict_types else None for name in self.header]
        self.is_numeric = [kinds[name] in NUMERIC for name in self.header]
        self.keeps_rest = format.undeclared == "keep"
        self._addresses = [index for index, name in enumerate(self.header) if format.column_of(name) in format.addresses]
        self._fast = [(name, allowed is None or str in allowed) for name, allowed in zip(self.header, self.allowed, strict=True)]
        self.is_whole = self.header == (WHOLE,)
        self.nulls = frozenset(format.null_tokens)
        self.seen: dict[str, None] = {}
        self.strangers: dict[str, None] = {}
        self._tree = _tree([*self.header, *format.ignore])
        self._leaves = {name for name, branch in self._tree.items() if branch is None}
        self._is_flat = len(self._leaves) == len(self._tree)

    def cells(self, record: Any, is_large: bool) -> list[str | None]:
        """The cells in header order, then `_extra`. Raises Fault."""
        if not isinstance(record, dict):
            if not self.is_whole:
                raise Fault("TYPE")
            return [json_text(record), None]
        if self.is_whole:
            return [json_text(record), None]
        found: list[str | None] = []
        append, nulls, read = found.append, self.nulls, record.get if self._is_flat else partial(_at, record)
        for index, (name, takes_text) in enumerate(self._fast):
            value = read(name)
            if takes_text and type(value) is str:
                append(None if value in nulls else value)
            elif value is None:
                append(None)
            else:
                append(self._cell(name, value, self.allowed[index], self.is_numeric[index]))
        for index in self._addresses:
            found[index] = address(found[index] or "") or None
        found.append(self._extra(record))
        if is_large:
            refuse_large(found)
        return found

    def _cell(self, name: str, value: Any, allowed: tuple[type, ...] | None, is_numeric: bool) -> str | None:
        if allowed is not None and type(value) not in allowed:
            raise Fault("TYPE", name)
        if is_numeric and type(value) is Number:
            return str(value)
        text = text_of(value)
        return None if text in self.nulls else text

    def _extra(self, record: dict[str, Any]) -> str | None:
        """JSON object text of what no declared name takes, without nulls; None where there is nothing. Remembers names as they come."""
        keys = record.keys()
        if not keys <= self.seen.keys():
            self.seen.update(dict.fromkeys(keys))
        if not self.keeps_rest or (self._is_flat and keys <= self._leaves):
            return None
        left: dict[str, Any] = {}
        _left_over(record, self._tree, "", left)
        if not left:
            return None
        self.strangers.update(dict.fromkeys(left))
        if len(self.strangers) > COLUMN_LIMIT:
            raise Fault("SCHEMA")
        kept = {name: value for name, value in left.items() if value is not None}
        return json_text(kept) if kept else None

    def finish(self, records: int, refuse: Refusal) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Header and unexpected names of a file that was read to its end; refuses it for them. A file without records names nothing."""
        if self.is_whole or not records:
            return self.header if self.is_whole else (), ()
        names = tuple(name for name in self.header if name.split(".")[0] in self.seen or name in self.seen)
        strangers = tuple(self.strangers)
        if not names and self.header:
            rule = "HEADER" if self.format.missing_column == "SCHEMA" else self.format.missing_column
            raise refuse(rule, "no record has any of the declared names", f"deliver the columns of format {self.format.name}")
        refuse_missing(names, strangers, self.format, refuse)
        refuse_undeclared(strangers, self.drift, refuse)
        return names, strangers


def _tree(names: Sequence[str]) -> dict[str, Any]:
    """Dotted names as nested dicts; a leaf is None."""
    tree: dict[str, Any] = {}
    for name in names:
        *path, leaf = name.split(".")
        branch = tree
        for part in path:
            branch = branch.setdefault(part, {}) if branch.get(part, {}) is not None else {}
        branch.setdefault(leaf, None)
    return tree


def _at(record: Any, name: str) -> Any:
    """The value at a dotted path; a key that holds the dots itself goes first."""
    if name in record:
        return record[name]
    for part in name.split("."):
        if not isinstance(record, dict):
            return None
        record = record.get(part)
    return record


def _left_over(record: dict[str, Any], tree: dict[str, Any], prefix: str, left: dict[str, Any]) -> None:
    for key, value in record.items():
        if key not in tree:
            left[prefix + key] = value
        elif (branch := tree[key]) is not None:
            if isinstance(value, dict):
                _left_over(value, branch, f"{prefix}{key}.", left)
            elif value is not None:
                left[prefix + key] = value
