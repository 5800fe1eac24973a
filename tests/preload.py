"""What forked test runs share: imports, and every table's expression and SQL, made once in the fork server. Opens no connection."""
from platform_assets import expectations, greenit  # noqa: F401
from platform_assets.composition import tables_of
from platform_assets.contracts import Contract
from platform_assets.tables import MONTHS, REFERENCES, reference_contracts
from resources.expressions import sql_of, unbound, unbound_table
from resources.storage import landing_name


def compile_all() -> dict[str, str]:
    """Table -> SQL, from unbound inputs as a run gives them."""
    tables = tables_of(greenit)
    contracts: dict[tuple[str, ...], Contract] = {tuple(asset.key.path): made for asset, made in tables}
    contracts |= {(made.layer, made.table): made for made in reference_contracts()}
    compiled = {}
    for asset, made in tables:
        inputs = {}
        for name, key in asset.keys_by_input_name.items():
            if key == MONTHS:
                inputs[name] = unbound("months", [("month_start", "date"), ("month_end", "date")])
            elif key.path[0] == "landing":
                inputs[name] = unbound(landing_name(made.table), [(c.name, c.type) for c in made.columns])
            elif key.path[0] in REFERENCES:
                inputs[name] = unbound(name, [(c.name, c.type) for c in contracts[tuple(key.path)].columns])
            else:
                inputs[name] = unbound_table(contracts[tuple(key.path)].spec)
        expression = asset.op.compute_fn.decorated_fn(**inputs)
        compiled[made.table] = sql_of(expression, "postgres" if made.layer == "platinum" else "duckdb")
    return compiled


compile_all()
