"""XML documents: every element of one name is a record; its attributes and children are columns.

What belongs here: streaming a document without DTD and entities, and the second count of its records. What does not: columns (objects).

A child with children is a nested value, reached by a dotted path; a child that stands twice in one record breaks it (FIELD_COUNT). The
second count looks for start tags in the raw bytes, outside comments and CDATA, and knows nothing of the parser.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import ParseError  # noqa: S405 - the exception alone; parsing is defusedxml's

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from partitions.errors import AccountingError, DeliveryError
from resources.objects import Fault, Shape, json_text
from resources.readable import Readable
from resources.records import CELL_LIMIT_BYTES
from resources.source import Source

CHUNK_BYTES = 1 << 16
RECORD_LIMIT_BYTES = 16 << 20
DEPTH_LIMIT = 100
NO_ELEMENT = 3  # expat: no element found
UNCLOSED = (3, 4, 5, 6)  # expat: the text ends inside a token, an element or a character
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class Tree:
    """What the parser calls; collects finished records as dicts. `twice`: a name stood twice in the record."""

    def __init__(self, name: str) -> None:
        self.name, self.depth, self.size = name, 0, 0
        self.done: list[tuple[dict[str, Any], bool]] = []
        self._open: list[tuple[str, dict[str, Any], list[str], bool]] = []
        self._twice = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            raise Fault("DEPTH")
        name = tag.rpartition("}")[2]
        if self._open or name == self.name:
            if not self._open:
                self._twice = False
            is_nil = attributes.get(NIL) in ("true", "1")
            self._open.append((name, {key.rpartition("}")[2]: value for key, value in attributes.items() if key != NIL}, [], is_nil))

    def data(self, text: str) -> None:
        """Text between tags."""
        self.size += len(text)
        if self._open:
            self._open[-1][2].append(text)

    def end(self, _: str) -> None:
        """An element ends: a value of its parent, or a record."""
        self.depth -= 1
        if not self._open:
            return
        name, values, texts, is_nil = self._open.pop()
        text = "".join(texts)
        if not self._open:
            self.done.append((values, self._twice))
            self.size = 0
            return
        value: Any = values if values else (None if is_nil else text)
        if values and text.strip():
            value = {**values, "#text": text}
        siblings = self._open[-1][1]
        self._twice |= name in siblings
        siblings[name] = value

    def close(self) -> None:
        """The document ends."""


class StartTags:
    """The second count: start tags of one name in raw bytes."""

    def __init__(self, name: str) -> None:
        tag = re.escape(name.encode())
        self._token = re.compile(rb"<!--|<!\[CDATA\[|<(?:[^\s<>/!?:]+:)?" + tag + rb"(?=[\s/>])")
        self._until, self._rest, self.count = b"", b"", 0
        self._tail = len(name.encode()) + 128

    def feed(self, chunk: bytes, is_final: bool = False) -> None:
        """Count in the next bytes; what may be half a token waits for more."""
        data, at = self._rest + chunk, 0
        stop = len(data) if is_final else max(len(data) - self._tail, 0)
        while True:
            if self._until:
                end = data.find(self._until, at)
                if end < 0:
                    at = max(at, stop)
                    break
                at, self._until = end + len(self._until), b""
            found = self._token.search(data, at)
            if not found or found.start() >= stop:
                at = max(at, stop)
                break
            at = found.end()
            if found.group().startswith(b"<!"):
                self._until = b"-->" if found.group() == b"<!--" else b"]]>"
            else:
                self.count += 1
        self._rest = data[at:]


def parsed(source: Source, chunks: Iterator[bytes], tree: Any, limit: int = RECORD_LIMIT_BYTES) -> Iterator[None]:
    """Feed a parser that refuses DTD and entities; yields after each chunk. Raises DeliveryError."""
    parser = DefusedXMLParser(target=tree, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    fix = "export it again, without a DTD"
    try:
        for chunk in chunks:
            parser.feed(chunk)
            if tree.size > limit:
                raise source.refuse("CELL_SIZE", f"a record is longer than {limit >> 20} MiB", "check the name of the record in the format")
            yield
        parser.close()
        yield
    except DefusedXmlException as error:
        raise source.refuse("XML_DTD", "the file declares a DTD or an entity", fix) from error
    except ParseError as error:
        rule = "TRUNCATED" if error.code in UNCLOSED and tree.depth else "XML"
        raise source.refuse(rule, f"the XML is not well-formed (line {error.position[0]})", fix) from error
    except ValueError as error:  # an encoding that expat does not know
        raise source.refuse("ENCODING", "the XML is in an unknown encoding", "export it as UTF-8") from error


def read_elements(source: Source, shape: Shape, out: Readable) -> None:
    """Every element that the format names as record becomes a row."""
    tree, tags, before = Tree(shape.format.records), StartTags(shape.format.records), out.rows
    try:
        for _ in parsed(source, _chunks(source, tags), tree):
            for record, is_twice in tree.done:
                _keep(record, is_twice, shape, out)
            tree.done.clear()
    except Fault as fault:
        raise _too_deep(source) from fault
    tags.feed(b"", is_final=True)
    if tags.count != out.rows - before:
        raise AccountingError(f"{out.rows - before:,} records were read where {tags.count:,} were counted",
                              fix="keep the file and report it: reader and counter disagree (is a record nested in a record?)", **source.place)
    if not tags.count and source.bytes:
        _refuse_strange(source, shape)


def _refuse_strange(source: Source, shape: Shape) -> None:
    """A document without a single record is empty only if it is one list."""
    if source.bytes > CHUNK_BYTES:
        raise source.refuse("HEADER", f"there is no element called {shape.format.records}", "correct `records` in the format, or the export")


def _too_deep(source: Source) -> DeliveryError:
    return source.refuse("DEPTH", f"the file is nested deeper than {DEPTH_LIMIT}", "export a flat list of records")


def _chunks(source: Source, tags: StartTags) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        tags.feed(chunk)
        yield chunk


def _keep(record: dict[str, Any], is_twice: bool, shape: Shape, out: Readable) -> None:
    """A record as a row; what breaks it is kept as JSON text, for the parser has taken the tags."""
    try:
        if is_twice:
            raise Fault("FIELD_COUNT")
        cells = shape.cells(record, True)
    except Fault as fault:
        out.fault(fault.rule, json_text(record).encode(), fault.column)
    else:
        out.add(cells, sum(map(len, filter(None, cells))))


assert CELL_LIMIT_BYTES < RECORD_LIMIT_BYTES
