"""Tables that a release has not reached: their newest version was made by other code or other parameters than there are now.

What belongs here: comparing the registry of versions with this installation. What does not: computing them again (cli/backfill.py).
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from partitions.customers import Customer
from platform_assets.selection import tables_among
from platform_assets.tables import REFERENCES
from resources.parameter_state import state_hash, state_of
from resources.postgres import BACKUP, Postgres

NEWEST = """SELECT DISTINCT ON (customer_id, table_name) customer_id, table_name, coalesce(last_code_version, code_version),
    coalesce(last_parameter_version, parameter_version) FROM platform.table_version
    WHERE customer_id = ANY(%s) ORDER BY customer_id, table_name, version DESC"""


def outdated(postgres: Postgres, graph: Any, everything: frozenset[dg.AssetKey], customers: Mapping[str, Customer]) -> dict[str, dict[dg.AssetKey, str]]:
    """Customer -> table -> why: `code` (its function, its contract or what they call), `parameters` (a file changed, of a table that reads
    parameters or vocabularies), `new` (it has no version yet). Who was never computed is not out of date. Raises ParameterError for a
    customer whose parameters cannot be read."""
    made: dict[str, dict[str, tuple[str, str]]] = {}
    with postgres.connect(BACKUP) as connection:
        for name, table, code, parameters in connection.execute(NEWEST, [list(customers)]):
            made.setdefault(name, {})[table] = (code, state_hash(parameters))
    tables = tables_among(everything)
    reading = {key for key in tables.values() if any(parent.path[0] in REFERENCES for parent in graph.get(key).parent_keys)}
    found: dict[str, dict[dg.AssetKey, str]] = {}
    for name, versions in made.items():
        now = state_hash(state_of(postgres.settings, name).name)
        for table, key in tables.items():
            code, parameters = versions.get(table, (None, None))
            why = "new" if code is None else "code" if code != graph.get(key).code_version else "parameters" if key in reading and parameters != now else None
            if why:
                found.setdefault(name, {})[key] = why
    return found
