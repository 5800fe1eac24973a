"""Whatever bytes arrive, a file is accepted or refused for a reason of the list: no other error comes out, and nothing stays behind."""
from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitions.errors import DeliveryError
from resources import staging
from resources.formats import Format
from resources.reasons import REASONS, checked

from .readers import COLUMNS, PLAIN, staged_file

TEXT = b'id,name,note\n1,"a ""b""\nc",2024-01-01\n2,b,\n' * 3
LINES = b'{"id": "1", "name": [1.5, {"a": "\\u20ac"}], "new": null}\n{"id": "2"}\n'


def _workbook(parts: dict[str, bytes] | None = None) -> bytes:
    """A workbook; with `parts`, the same with other content in them."""
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.active.title = "Things"
    for row in (["id", "name", "note"], ["1", 2.5, True], ["2", "=1", None]):
        book.active.append(row)
    book.save(out)
    if not parts:
        return out.getvalue()
    changed = io.BytesIO()
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.get(name, old.read(name)))
    return changed.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", TEXT)
    return out.getvalue()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2"], "name": [[1], None], "x": [1.5, None]}), out)
    return out.getvalue()


def _part(name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(_workbook())) as archive:
        return archive.read(name)


SHEET = "xl/worksheets/sheet1.xml"
WORKBOOK = Format(name="f", type="xlsx", sheet="Things")
KINDS = {
    "csv": (TEXT, PLAIN, None), "gzip": (gzip.compress(TEXT, mtime=0), Format(name="f", containers=("gzip",)), None), "zip": (_zip(), Format(name="f", containers=("zip",)), None),
    "jsonl": (LINES, Format(name="f", type="jsonl"), None), "json": (b"[" + LINES.strip().replace(b"\n", b",") + b"]", Format(name="f", type="json"), None),
    "xml": (b"<a><r id='1'><name>x<![CDATA[y]]></name></r><r id='2'/></a>", Format(name="f", type="xml", records="r"), None),
    "xlsx": (_workbook(), WORKBOOK, None), "sheet": (_part(SHEET), WORKBOOK, SHEET), "book": (_part("xl/workbook.xml"), WORKBOOK, "xl/workbook.xml"),
    "styles": (_part("xl/styles.xml"), WORKBOOK, "xl/styles.xml"), "parquet": (_parquet(), Format(name="f", type="parquet"), None),
}
CHANGE = st.tuples(st.integers(0, 1 << 16), st.sampled_from(["set", "cut", "insert", "end"]), st.binary(min_size=1, max_size=4) | st.sampled_from([b'"', b"<", b"[", b"{", b"\0", b"9"]))


def damaged(content: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    for place, verb, octets in changes:
        at = place % max(len(content), 1)
        behind = {"set": at + len(octets), "cut": at + 3 * len(octets), "insert": at, "end": len(content)}[verb]
        content = content[:at] + (b"" if verb in ("cut", "end") else octets) + content[behind:]
    return content


@pytest.mark.parametrize("kind", list(KINDS))
@settings(max_examples=40, deadline=None)
@given(changes=st.lists(CHANGE, min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused_by_a_reason(tmp_path_factory, kind, changes):
    content, format, part = KINDS[kind]
    folder: Path = tmp_path_factory.mktemp("damaged")
    path = folder / "t.bin"
    path.write_bytes(_workbook({part: damaged(content, changes)}) if part else damaged(content, changes))
    source = staging.SourceContract("things", "snapshot", COLUMNS, {format.name: format}, owner_column="id")
    refused: DeliveryError | None = None
    try:
        staged = staged_file(path, format)
        staging.examine(staged, format, source, "acme", ("1", "2"), {"customer": "acme", "table": "things"})
    except DeliveryError as error:
        refused = error
    assert refused is None or (refused.place["rule"] in REASONS and refused.fix)


def test_a_reason_that_is_not_in_the_list_cannot_be_given():
    with pytest.raises(ValueError, match="NO_SUCH"):
        checked("NO_SUCH")
