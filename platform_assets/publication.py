"""The last asset of a domain: moves a customer's live pointers to checked versions, all at once or not at all.

What belongs here: what may go live. What does not: how pointers are stored (resources/versions.py).
"""
import dagster as dg

from partitions.customers import CUSTOMERS
from partitions.errors import PublicationError
from platform_assets.contracts import Contract
from platform_assets.tables import TRANSIENT, asset_key
from resources import versions
from resources.failpoints import failpoint
from resources.session import Session, fenced
from resources.sessions import permanent, session_of_step
from resources.versions import Version


def publication_of(domain: str, contracts: list[Contract]) -> dg.AssetsDefinition:
    """The asset `<domain>/publication` over all warehouse tables of a domain."""
    tables = sorted(made.spec.qualified for made in contracts if not made.spec.in_lake)

    @dg.asset(
        key=[domain, "publication"],
        deps=[asset_key(made) for made in contracts if not made.spec.in_lake],
        partitions_def=CUSTOMERS,
        required_resource_keys={"sessions"},
        group_name="publication",
        kinds={"postgres"},
        owners=["team:platform"],
        tags={"layer": "publication", "domain": domain},
        retry_policy=TRANSIENT,
        description="Shows readers the newest checked state of every gold and platinum table of a customer, in one transaction.",
    )
    def publication(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        session = session_of_step(context)
        number, shown = permanent(publish)(session, domain, tables)
        table = "\n".join(["| table | version |", "| --- | ---: |", *(f"| {name} | {version} |" for name, version in shown.items())])
        return dg.MaterializeResult(metadata={"publication": number or "unchanged", "live": dg.MetadataValue.md(table)})

    return publication


@fenced
def publish(session: Session, domain: str, tables: list[str]) -> tuple[int | None, dict[str, int]]:
    """Move all pointers of a domain for one customer; raises PublicationError. Returns the publication's number and what is live."""
    chosen = {name: _candidate(session, name) for name in tables}
    for version in chosen.values():
        for name, used in version.inputs.items():
            if name in chosen and chosen[name].version != used:
                raise PublicationError(f"it was computed from version {used} of {name}, not from version {chosen[name].version} that would go live",
                                       customer=session.customer_id, table=version.table_name, fix="materialize the table again, then publish")
    target = {name: version.version for name, version in chosen.items()}
    connection = session.warehouse
    failpoint("publication.before_move")
    with connection.transaction():
        connection.execute("SELECT platform.assert_fence(%s, %s)", [session.customer_id, session.fence])
        number = versions.point(connection, session.customer_id, domain, session.run.run_id, target)
        failpoint("publication.before_commit")
    failpoint("publication.after_commit")
    return number, target


def _candidate(session: Session, name: str) -> Version:
    """What this run wrote, else the newest with a passed verdict; a failed or unchecked version is refused."""
    written = session.written.get(name)
    if written is not None:
        verdict = session.lock.execute("SELECT verdict FROM platform.table_version WHERE customer_id = %s AND table_name = %s AND version = %s",
                                       [session.customer_id, name, written.version]).fetchone()[0]
        if verdict != "passed":
            raise PublicationError(f"the verdict of version {written.version} is {verdict}", customer=session.customer_id, table=name,
                                   fix="run the table's checks and repair what they find")
        return written
    found = versions.newest(session.lock, session.customer_id, name, passed=True)
    if found is None:
        raise PublicationError("no version of this table has passed its checks", customer=session.customer_id, table=name,
                               fix="materialize it with its checks first")
    return found
