"""The SQL of every table of a domain, compiled from unbound inputs as a run gives them. Opens no connection.

What belongs here: compiling without a customer, for warm processes, benchmarks and readers of SQL. What does not: running it.
"""
from __future__ import annotations

from graphlib import TopologicalSorter
from types import ModuleType

import ibis
import ibis.expr.types as ir

from partitions.errors import ContractError
from platform_assets.composition import tables_of
from platform_assets.contracts import Contract
from platform_assets.tables import MONTHS, QUARANTINED_SHARE, REFERENCES, reference_contracts
from resources.accounting import SHARE_COLUMNS
from resources.expressions import sql_of, unbound, unbound_table
from resources.parameter_files import MONTHS_COLUMNS
from resources.storage import TableSpec, landing_name


def compile_all(domain: ModuleType) -> dict[str, tuple[TableSpec, str]]:
    """Table name -> (its spec, its SQL in the dialect of its store), in an order in which each reads earlier ones."""
    return {name: (spec, sql_of(made, "postgres" if spec.layer == "platinum" else "duckdb")) for name, (spec, made) in express_all(domain).items()}


def express_all(domain: ModuleType) -> dict[str, tuple[TableSpec, ir.Table]]:
    """Table name -> (its spec, its expression over unbound inputs), in an order in which each reads earlier ones."""
    tables = tables_of(domain)
    contracts: dict[tuple[str, ...], Contract] = {tuple(asset.key.path): made for asset, made in tables}
    contracts |= {(made.layer, made.table): made for made in reference_contracts()}
    read_by = {asset.key: set(asset.keys_by_input_name.values()) for asset, _ in tables}
    of_key = {asset.key: (asset, made) for asset, made in tables}
    expressed = {}
    for key in TopologicalSorter(read_by).static_order():
        if key not in of_key:
            continue
        asset, made = of_key[key]
        inputs = {name: _unbound(name, tuple(key.path), made, contracts) for name, key in asset.keys_by_input_name.items()}
        expressed[made.table] = (made.spec, asset.op.compute_fn.decorated_fn(**inputs))
    return expressed


def readable_sql(domain: ModuleType, table: str) -> str:
    """The SQL of one table, named `table` or `schema.table`, with indents; raises ContractError where there is none of that name."""
    for name, (spec, expression) in express_all(domain).items():
        if table in (name, spec.qualified):
            return str(ibis.to_sql(expression, dialect="postgres" if spec.layer == "platinum" else "duckdb"))
    raise ContractError("no table has this name", table=ascii(table)[:48], fix="such as greenit_gold.impact")


def _unbound(name: str, key: tuple[str, ...], made: Contract, contracts: dict[tuple[str, ...], Contract]):
    if key == tuple(MONTHS.path):
        return unbound(name, MONTHS_COLUMNS)
    if key == tuple(QUARANTINED_SHARE.path):
        return unbound(name, SHARE_COLUMNS)
    if key[0] == "landing":
        return unbound(landing_name(made.table), [(c.name, c.type) for c in made.columns])
    if key[0] in REFERENCES:
        return unbound(name, [(c.name, c.type) for c in contracts[key].columns])
    return unbound_table(contracts[key].spec)
