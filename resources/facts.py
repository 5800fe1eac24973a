"""What a materialization tells in Dagster's UI: counts, version, bytes, a chart, SQL. Never a value of a column that is not public."""
from __future__ import annotations

import hashlib
import re
from typing import Any

import dagster as dg

from resources.revision import code_commit, release_name
from resources.storage import TableSpec
from resources.versions import Version


def output_facts(spec: TableSpec, version: Version, sql: str | None = None, unchanged: bool = False) -> dict[str, Any]:
    """Metadata of one materialization. SQL goes by its hash: all tables have 1.1 MB of it, which each run would put into the event log."""
    facts: dict[str, Any] = {
        "dagster/row_count": version.row_count,
        "version": version.version,
        "content_hash": version.content_hash,
        "unchanged": unchanged,
        "quarantined": version.quarantined_count,
        **({"rejected": version.rejected_count} if version.rejected_count else {}),
        "inputs": dg.MetadataValue.json(version.inputs),
        "commit": code_commit(),
        **({"release": release} if (release := release_name()) else {}),
    }
    if version.as_of:
        facts["as_of"] = version.as_of.isoformat()
    if version.rows_in is not None:
        facts["rows_in"] = version.rows_in
    if version.snapshot_id is not None:
        facts["snapshot"] = version.snapshot_id
    if sql:
        facts["sql"] = f"{len(sql):,} characters, sha256 {hashlib.sha256(sql.encode()).hexdigest()[:12]}: `strata sql {spec.qualified}` prints it"
    return facts


def bars(title: str, counts: list[tuple[Any, int]]) -> dg.MetadataValue:
    """A small bar chart of counts by a public column or by rule, as Markdown that every Dagster UI shows."""
    most = max([1, *(count for _, count in counts)])
    lines = [f"| {title} | rows | |", "| --- | ---: | --- |"]
    lines += [f"| {label} | {count:,} | {'▇' * -(-20 * count // most)} |" for label, count in counts]
    return dg.MetadataValue.md("\n".join(lines))


def without_values(message: str) -> str:
    """The first line of an engine's error with everything quoted and every free number masked: both engines quote the row that they trip over.

    PostgreSQL puts whole rows into DETAIL, which is a later line; `DECIMAL(38,18)` and `INT32` stay.
    """
    first = message.strip().partition("\n")[0]
    masked = re.sub(r"""(["']).*\1""", "\u2026", first)
    return re.sub(r"(?<![\w(,.-])-?\d[\d.,eE+-]*", "\u2026", masked)
