"""What every domain's definitions.py is made of: finding its tables, and the parts that all domains share.

What belongs here: policy mapped once over all assets (jobs, references as external assets; retries stand in tables.py). What does not: anything one table says.
"""
from __future__ import annotations

import importlib
import pkgutil
from dataclasses import asdict
from types import ModuleType

import dagster as dg

from partitions.customers import CUSTOMERS
from platform_assets.checks import checks_of
from platform_assets.contracts import Contract, code_of, contract
from platform_assets.isolation import isolation_report, isolation_schedule
from platform_assets.joining import joining_sensor
from platform_assets.notices import run_sensors, stale_sensor
from platform_assets.parameters import limits_of, rules_of
from platform_assets.publication import publication_of
from platform_assets.quarantine import quarantine_of
from platform_assets.refreshes import refreshes_sensor
from platform_assets.releases.impact import release_impact
from platform_assets.tables import LAYERS, MONTHS, QUARANTINED_SHARE, input_key, owners_of, reference_contracts
from platform_assets.upkeep import upkeep_assets, upkeep_schedule
from resources.backfills import RUN_TAGS
from resources.checkout import refuse_checkout
from resources.environment import Policy, policy_here
from resources.lake import lake_io_manager
from resources.reference import reference_io_manager
from resources.sessions import AS_OF_TAG, PARAMETERS_TAG, sessions_of
from resources.storage import COLUMN_SCHEMA, folded
from resources.warehouse import warehouse_io_manager

EVERYTHING = f"""Everything of one customer: every table from bronze to platinum with its checks, then publication.

Choose the customer as the partition. The tag `{AS_OF_TAG}` (YYYY-MM-DD) sets the last day that figures cover, the tag `{PARAMETERS_TAG}` the commit
whose parameters they are computed by."""
IO_MANAGERS = {"lake": lake_io_manager, "warehouse": warehouse_io_manager, "reference": reference_io_manager}


def tables_of(domain: ModuleType) -> list[tuple[dg.AssetsDefinition, Contract]]:
    """Every table of a domain with its contract, in the order of the layers: a module in a layer's folder is a table if it has a contract."""
    found = []
    for layer in LAYERS:
        package = importlib.import_module(f"{domain.__name__}.{layer}")
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            asset = getattr(module, info.name, None)
            if isinstance(asset, dg.AssetsDefinition):
                found.append((asset, contract(module.__file__)))
    return found


def definitions_of(domain: ModuleType) -> dg.Definitions:
    """One code location: a domain's tables, checks, publication and the job that runs everything of a customer.

    Raises EnvironmentPolicyError where this environment does not run code like this. What starts work by itself is there only where the
    environment schedules."""
    policy = policy_here()
    refuse_checkout(policy)
    name = domain.__name__.rpartition(".")[2]
    tables = tables_of(domain)
    assets = [asset for asset, _ in tables]
    contracts = [made for _, made in tables]
    code = code_of(contracts)
    publication = publication_of(name, contracts)
    quarantine = quarantine_of(name, contracts)
    everything = dg.AssetSelection.groups(*LAYERS, "publication", "quarantine")
    return dg.Definitions(
        assets=[*assets, publication, quarantine, isolation_report(), release_impact(), *upkeep_assets(), *_references(assets, contracts)],
        asset_checks=[checks_of(made) for made in contracts],
        jobs=[dg.define_asset_job(f"{name}_customer", everything, partitions_def=CUSTOMERS, tags=RUN_TAGS,
                                  description=EVERYTHING)],
        resources={"sessions": sessions_of(name, code, [made.spec for made in contracts]), **IO_MANAGERS},
        schedules=[upkeep_schedule(), isolation_schedule()] if policy.automatic_scheduling else [],
        sensors=[*run_sensors(), joining_sensor(), *(starting_sensors(policy, everything, name, code) if policy.automatic_scheduling else [])],
        executor=dg.in_process_executor,
    )


def starting_sensors(policy: Policy, everything: dg.AssetSelection, domain: str, code: str) -> list[dg.SensorDefinition]:
    """What a living daemon does without being asked: refresh who is due, and tell who is late where deliveries are due at all."""
    return [refreshes_sensor(everything, domain, code), *([stale_sensor()] if policy.bronze_from == "deliveries" else [])]


def _references(assets: list[dg.AssetsDefinition], contracts: list[Contract]) -> list[dg.AssetSpec]:
    """External assets: what no run writes, so that the graph shows where figures come from."""
    wanted = {key for asset in assets for key in asset.keys_by_input_name.values()}
    made = [_landing(c) for c in contracts if c.layer == "bronze"]
    if MONTHS in wanted:
        made.append(dg.AssetSpec(MONTHS, group_name="calendar", owners=["team:platform"],
                                 description="Calendar months of the customer's reporting window, up to as_of."))
    if QUARANTINED_SHARE in wanted:
        made.append(dg.AssetSpec(QUARANTINED_SHARE, group_name="accounting", owners=["team:platform"], partitions_def=CUSTOMERS,
                                 description="Of every source behind the figures, the share of the delivered rows that is still in quarantine."))
    for found in reference_contracts():
        key = dg.AssetKey([found.layer, found.table])
        if key in wanted:
            metadata = {**found.spec.as_metadata(), "strata/limits": folded(limits_of(found)), "strata/row_rules": folded(asdict(rules_of(found)))}
            made.append(dg.AssetSpec(key, group_name=found.layer, description=found.odcs.description.purpose, metadata=metadata, kinds={"csv"},
                                     owners=owners_of(found), code_version=found.fingerprint))
    return [spec.with_io_manager_key("reference") for spec in made]


def _landing(made: Contract) -> dg.AssetSpec:
    columns = [dg.TableColumn(c.name, c.type, description=c.description) for c in made.columns]
    return dg.AssetSpec(input_key(made, "landing"), group_name="landing", partitions_def=CUSTOMERS, kinds={"file"}, owners=owners_of(made),
                        description=f"Delivered files of the source {made.table}, as they came: `strata land <customer> {made.table} <file>`.",
                        metadata={COLUMN_SCHEMA: dg.TableSchema(columns=columns)})
