"""Masking by keyed hash: what stands outside of production in place of a confidential text.

What belongs here: the key and the one function, in SQL and in Python. What does not: which columns are masked (their contracts' classification) and
where (production_lake.py, platform_assets/sampling.py).

HMAC-SHA256 (RFC 2104) of the text without surrounding blanks, since silver trims what it compares: equal texts stay equal and others differ, so
joins and keys hold. What says nothing stays as it is: NULL, and text of blanks alone. DuckDB has no HMAC, but sha256 of a blob. The key's two pads are
variables of the session, so no SQL text holds them.
"""
from __future__ import annotations

import hmac
import os
import secrets
from hashlib import sha256

import duckdb

from partitions.errors import SettingsError
from resources.settings import Settings

SECRET = "mask_key"  # noqa: S105  the name of its file
PREFIX = "masked_"
DIGITS = 32  # 128 bits: a billion texts meet once in 10^21
BLOCK, KEY_BYTES = 64, 32
INNER, OUTER = "strata_mask_inner", "strata_mask_outer"


def mask_key(settings: Settings) -> bytes:
    """The installation's key, made where there is none. Whoever copies an installation's masked data and wants them to join copies it too."""
    path = settings.secrets / SECRET
    if not path.exists():
        settings.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{SECRET}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES))
        try:
            os.link(draft, path)  # of two that make one at once the first stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if not KEY_BYTES <= len(key) <= BLOCK:
        raise SettingsError(f"the key of masks is no {KEY_BYTES} to {BLOCK} bytes in hexadecimal", file=path.name, fix="remove the file for a new key")
    return key


def masked(text: str | None, key: bytes) -> str | None:
    """The mask of one text; what masks(…) computes in SQL."""
    if text is None or not text.strip(" \t\r\n"):
        return text
    return PREFIX + hmac.new(key, text.strip(" \t\r\n").encode(), sha256).hexdigest()[:DIGITS]


def set_key(con: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Give a session the key, for SQL of `mask_sql`."""
    padded = key.ljust(BLOCK, b"\0")
    for variable, byte in ((INNER, 0x36), (OUTER, 0x5C)):
        con.execute(f"SET VARIABLE {variable} = ?::BLOB", [bytes(one ^ byte for one in padded)])


def mask_sql(expression: str) -> str:
    """SQL of the mask of a text expression, in a session that has the key."""
    bare = f"trim({expression}, ' ' || chr(9) || chr(13) || chr(10))"
    hashed = f"sha256(getvariable('{OUTER}') || unhex(sha256(getvariable('{INNER}') || encode({bare}))))"
    return f"CASE WHEN {bare} = '' THEN {expression} ELSE '{PREFIX}' || left({hashed}, {DIGITS}) END"
