"""Rows of a test contract judged as silver judges its own: typed reading by contract, then the contract's quarantine rules."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

import duckdb
import ibis

from platform_assets.conform import parsed
from platform_assets.contracts import Contract, contract
from platform_assets.rules import kept_back
from resources.formats import Convention
from resources.quarantine import ordered_rejects

SILVER = Path(__file__).parent / "contracts" / "silver"
ROWS = {"invoice": "invoice", "invoice_eu": "invoice", "archive": "invoice", "invoice_nokey": "invoice_nokey", "focus": "focus"}  # bronze -> silver contract


def row_contract(name: str) -> Contract | None:
    """The silver contract of a test contract; None where every row that was read is loaded."""
    return contract(SILVER / f"{ROWS[name]}.odcs.yaml") if name in ROWS else None


def judge_rows(connection: duckdb.DuckDBPyConnection, relation: str, name: str, conventions: dict[str, Convention]) -> tuple[int, Counter[str]]:
    """Rows of a loaded relation that silver takes, and those that it keeps back by their first reason."""
    made = row_contract(name)
    if made is None:
        return connection.execute(f'SELECT count(*) FROM "{relation}"').fetchall()[0][0], Counter()
    columns = [(column, kind) for column, kind, *_ in connection.execute(f'DESCRIBE "{relation}"').fetchall()]
    types = {"VARCHAR": "string", "BIGINT": "int64"}
    raw = ibis.table({column: types[kind] for column, kind in columns}, name=relation)
    judged = kept_back(parsed(raw, made, conventions, "FOCUS" if name == "focus" else None), made)
    found = connection.execute(f"SELECT {ordered_rejects()}[1].rule, count(*) FROM ({ibis.to_sql(judged, dialect='duckdb')}) GROUP BY 1").fetchall()
    loaded = sum(count for rule, count in found if rule is None)
    return loaded, Counter({rule: count for rule, count in found if rule is not None})
