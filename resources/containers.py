"""Gzip and zip around a text format: unpacked whole, under limits, before anything in them is read.

What belongs here: which members there are, what is refused, and writing them beside the delivery. What does not: their content. The names
of members are judged and never used: the files written are numbered. All limits are checked while streaming.
"""
from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from resources.formats import Format
from resources.source import Source

EXPANSION_LIMIT, SIZE_LIMIT_BYTES = 100, 2 << 30
MEMBER_LIMIT = 1000
CHUNK_BYTES = 1 << 18
GZIP, ZIP, ENCRYPTED = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06"), 1
# what zipfile lets through from a damaged archive, found by changing bytes at random
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, OverflowError, struct.error)
DRIVE = re.compile(r"[A-Za-z]:")


def container_of(source: Source, format: Format) -> str | None:
    """The declared container that a file is, by its first bytes; None for any other content."""
    kind = "gzip" if source.head.startswith(GZIP) else "zip" if source.head.startswith(ZIP) else None
    return kind if kind in format.containers else None


def unpack(source: Source, kind: str, format: Format, folder: Path) -> list[Path]:
    """Write the members as `folder/0`, `folder/1` …, in archive order. Raises DeliveryError; nothing of a refused archive counts."""
    folder.mkdir()
    if kind == "zip":
        return _unzip(source, format, folder)
    target = folder / "0"
    with target.open("xb") as out:
        _copy(_gunzipped(source), out, source)
    return [target]


def _copy(chunks: Iterator[bytes], out: BinaryIO, source: Source, written: int = 0) -> int:
    """Write chunks until a limit is met; returns all bytes written so far."""
    limit, is_first = min(EXPANSION_LIMIT * source.size, SIZE_LIMIT_BYTES), True
    for chunk in chunks:
        if is_first and chunk.startswith((GZIP, *ZIP)):
            raise source.refuse("BOMB", "there is an archive in the archive", "deliver one level of compression")
        is_first, written = False, written + len(chunk)
        if written > limit:
            raise source.refuse("BOMB", f"the archive expands to more than {limit:,} bytes", f"at most {EXPANSION_LIMIT} times its size and 2 GiB are read")
        out.write(chunk)
    out.flush()
    return written


def _gunzipped(source: Source) -> Iterator[bytes]:
    """The members of a gzip file, one after the other, each with its checksum verified."""
    data, again = source.read(CHUNK_BYTES), "deliver it again"
    while data:
        if not data.startswith(GZIP[: len(data)]):
            raise source.refuse("ARCHIVE", "something follows the last gzip member", again)
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            try:
                chunk = member.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                rule = "CHECKSUM" if "incorrect" in str(error) and "check" in str(error) and "header" not in str(error) else "ARCHIVE"
                raise source.refuse(rule, "the gzip stream is damaged", again) from error
            data = member.unconsumed_tail
            if chunk:
                yield chunk
            if not member.eof and not data and not chunk:
                data = source.read(CHUNK_BYTES)
                if not data:
                    raise source.refuse("TRUNCATED", "the gzip stream ends too early", again)
        data = member.unused_data or source.read(CHUNK_BYTES)
        if len(data) < len(GZIP):
            data += source.read(CHUNK_BYTES)


def _unzip(source: Source, format: Format, folder: Path) -> list[Path]:
    targets: list[Path] = []
    try:
        with zipfile.ZipFile(source.raw) as archive:
            members = _members(archive, format, source)
            written = 0
            for number, member in enumerate(members):
                targets.append(folder / str(number))
                with archive.open(member) as packed, targets[-1].open("xb") as out:
                    written = _copy(iter(lambda packed=packed: packed.read(CHUNK_BYTES), b""), out, source, written)  # type: ignore[misc]  # mypy cannot type a lambda with a default
    except DAMAGE as error:
        rule = "CHECKSUM" if "CRC" in str(error) else "ARCHIVE"
        raise source.refuse(rule, "the zip archive is damaged or uses a feature that is not read", "deliver it again") from error
    return targets


def _members(archive: zipfile.ZipFile, format: Format, source: Source) -> list[zipfile.ZipInfo]:
    """The members to read; every one is judged before the first is."""
    found = archive.infolist()
    for member in found:
        if _is_leaving(member):
            raise source.refuse("PATH", "a member's path leaves the folder, or is a link", "deliver plain files")
    if len(found) > MEMBER_LIMIT or sum(member.file_size for member in found) > min(EXPANSION_LIMIT * source.size, SIZE_LIMIT_BYTES):
        raise source.refuse("BOMB", "the archive expands too far", f"at most {MEMBER_LIMIT} members, {EXPANSION_LIMIT} times its size and 2 GiB are read")
    if any(member.filename.lower().endswith((".zip", ".gz")) for member in found):
        raise source.refuse("BOMB", "there is an archive in the archive", "deliver one level of compression")
    if any(count > 1 for count in Counter(member.filename.casefold() for member in found).values()):
        raise source.refuse("ARCHIVE", "two members have one name", "name each member once")
    if any(member.flag_bits & ENCRYPTED for member in found):
        raise source.refuse("ARCHIVE", "the archive is encrypted", "deliver it without a password")
    files = [member for member in found if not member.is_dir()]
    if not files or any(not member.filename.endswith(f".{format.type}") for member in files):
        raise source.refuse("ARCHIVE", f"the archive does not hold .{format.type} files alone", f"pack nothing but .{format.type} files")
    return files


def _is_leaving(member: zipfile.ZipInfo) -> bool:
    """Absolute, with a drive, upwards, with a backslash or NUL, or a link or device."""
    name, mode = member.orig_filename, member.external_attr >> 16
    is_special = bool(stat.S_IFMT(mode)) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return is_special or name.startswith("/") or "\\" in name or "\0" in name or bool(DRIVE.match(name)) or ".." in name.split("/") or os.path.isabs(name)
