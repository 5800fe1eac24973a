"""The asset `<domain>/quarantine`: what is kept back of one customer, as counts that Dagster's UI shows. Never a value.

What belongs here: counting. What does not: showing rows or deciding about them (`strata quarantine`, cli/quarantine.py).
"""
import dagster as dg

from partitions.customers import CUSTOMERS
from platform_assets.contracts import Contract
from platform_assets.tables import TRANSIENT, asset_key
from resources.sessions import permanent, session_of_step
from resources.stewardship import tally

GROUP = "quarantine"


def quarantine_of(domain: str, contracts: list[Contract]) -> dg.AssetsDefinition:
    """The asset `<domain>/quarantine` over all tables of a domain that can keep rows back. Nothing depends on it, so it blocks nothing."""
    keeping = [made for made in contracts if made.layer != "platinum"]
    specs = [made.spec for made in keeping]

    @dg.asset(
        key=[domain, "quarantine"],
        deps=[asset_key(made) for made in keeping],
        partitions_def=CUSTOMERS,
        required_resource_keys={"sessions"},
        group_name=GROUP,
        kinds={"duckdb"},
        owners=["team:platform"],
        tags={"layer": GROUP, "domain": domain},
        retry_policy=TRANSIENT,
        code_version="1",
        description="Rows that wait for the steward, were rejected, accepted or fixed, by table and rule: `strata quarantine list <customer>`.",
    )
    def quarantine(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        counted = permanent(tally)(session_of_step(context), specs)
        lines = [f"| {table} | {rule} | {column or ''} | {waiting:,} | {rejected:,} |" for table, rule, column, waiting, rejected in counted.by_rule]
        table = "\n".join(["| table | rule | column | open | rejected |", "| --- | --- | --- | ---: | ---: |", *lines])
        return dg.MaterializeResult(metadata={
            "open": counted.open, "rejected": counted.rejected, "accepted": counted.accepted, "fixed": counted.fixed, "waiting_for_replay": counted.waiting,
            "by_rule": dg.MetadataValue.md(table)})

    return quarantine
