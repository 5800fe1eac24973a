"""The last asset of a domain: moves a customer's live pointers to checked versions, all at once or not at all; and moving them back.

What belongs here: what may go live, again too. What does not: how pointers are stored (resources/versions.py).
"""
import dagster as dg
from psycopg.types.json import Jsonb

from partitions.customers import CUSTOMERS
from partitions.errors import PublicationError
from platform_assets.contracts import Contract
from platform_assets.tables import TRANSIENT, asset_key
from resources import releases, versions
from resources.failpoints import failpoint
from resources.session import Session, fenced
from resources.sessions import permanent, session_of_step
from resources.versions import Version
from resources.warehouse import stands


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
    _refuse_held(session, target)
    connection = session.warehouse
    failpoint("publication.before_move")
    with connection.transaction():
        connection.execute("SELECT platform.assert_fence(%s, %s)", [session.customer_id, session.fence])
        number = versions.point(connection, session.customer_id, domain, session.run.run_id, target)
        _record_release(session, domain)
        failpoint("publication.before_commit")
    failpoint("publication.after_commit")
    return number, target


def _record_release(session: Session, domain: str) -> None:
    """Write down, where it is news, by which release the customer's live figures are made."""
    found, made_by = releases.newest(session.warehouse, session.customer_id, domain), session.run.made_by
    if found and found.made_by == made_by:
        return
    cause = "first" if found is None else "promoted" if session.run.release else "unguarded"
    newest = session.warehouse.execute("SELECT max(publication_id) FROM platform.publication WHERE customer_id = %s AND domain = %s",
                                       [session.customer_id, domain]).fetchone()[0]
    named = releases.Release(session.run.release or session.run.code_commit, cause, made_by.code, made_by.parameters, made_by.libraries, newest,
                             session.run.run_id)
    releases.record(session.warehouse, session.customer_id, domain, named)


def _refuse_held(session: Session, target: dict[str, int]) -> None:
    """Figures that were rolled back stay until a person releases them: the next run, by the same code, would publish what was taken back."""
    held = session.lock.execute("SELECT table_name, version FROM platform.live_version WHERE customer_id = %s AND is_pinned", [session.customer_id]).fetchall()
    if any(target.get(name, version) != version for name, version in held):
        raise PublicationError("this customer's figures were rolled back and are held as they are", customer=session.customer_id,
                               fix=f"repair what was published, then `strata rollback {session.customer_id} --release` and launch")


@fenced
def roll_back(session: Session, domain: str, to: int | None = None) -> tuple[int, int, int]:
    """Make an earlier publication live again and hold it; raises PublicationError. Returns its number, the new publication's and the tables moved.

    Without `to` it is the newest one that shows something else than what is live, so that a second roll-back takes the first one back. Only
    pointers of the warehouse move: the lake's head stays, and every version says which snapshot it read.
    """
    shown = {name: version for name, version in versions.live(session.lock, session.customer_id).items() if name.startswith(f"{domain}_")}
    found = session.lock.execute("""SELECT publication_id, versions FROM platform.publication WHERE customer_id = %s AND domain = %s
        AND publication_id = coalesce(%s::bigint, publication_id) AND (%s::bigint IS NOT NULL OR versions <> %s) ORDER BY publication_id DESC LIMIT 1""",
                                 [session.customer_id, domain, to, to, Jsonb(shown)]).fetchone()
    if found is None:
        problem = "nothing else was ever published" if to is None else f"there is no publication {to} of this customer"
        raise PublicationError(problem, customer=session.customer_id, fix="launch the customer by the code and parameters that you want")
    earlier, target = found
    for name, number in target.items():
        version = versions.numbered(session.lock, session.customer_id, name, number)
        if version is None or not stands(session.lock, session.customer_id, version):
            raise PublicationError(f"version {number}, which publication {earlier} showed, is gone", customer=session.customer_id, table=name,
                                   fix="only what is live and what was live before it is kept; launch by the parameters of then")
    mine = [session.customer_id, sorted(target)]
    with session.warehouse.transaction():
        session.warehouse.execute("SELECT platform.assert_fence(%s, %s)", [session.customer_id, session.fence])
        number = versions.point(session.warehouse, session.customer_id, domain, session.run.run_id, target)
        if number is None and set(target) == set(shown):
            raise PublicationError(f"publication {earlier} shows what is live", customer=session.customer_id, fix="name another one")
        session.warehouse.execute("DELETE FROM platform.live_version WHERE customer_id = %s AND table_name <> ALL(%s) AND table_name LIKE %s",
                                  [*mine, f"{domain}\\_%"])  # a table that came later was not there then
        session.warehouse.execute("UPDATE platform.live_version SET is_pinned = true WHERE customer_id = %s AND table_name = ANY(%s)", mine)
    return earlier, number or earlier, sum(shown.get(name) != version for name, version in target.items())


@fenced
def release(session: Session, domain: str) -> int:
    """Let publications move the pointers again; returns how many were held."""
    session.assert_fence()
    return session.lock.execute("UPDATE platform.live_version SET is_pinned = false WHERE customer_id = %s AND is_pinned AND table_name LIKE %s",
                                [session.customer_id, f"{domain}\\_%"]).rowcount


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
