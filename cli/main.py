"""The `strata` command: what an operator does from the shell.

What belongs here: arguments, calls and words for people. What does not: anything that a run or another program needs too.
Every StrataError ends as one line on standard error and exit code 1.
"""
from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import click

from cli.audit import audit, audited, reads_rows, refuse_without_reason
from cli.backfill import backfill
from cli.components import serve as components
from cli.customers import customers, reconciled, refuse_erased, replayed
from cli.environment import environment
from cli.lake import lake_group, upgraded
from cli.parameters import parameters
from cli.quarantine import quarantine
from cli.release import release
from cli.sample import dev_group
from partitions.customers import customer, load_customers, refuse_paused
from partitions.errors import EnvironmentPolicyError, StrataError
from resources.postgres import READER, SUPERUSER, WRITER, Postgres
from resources.settings import settings


class Commands(click.Group):
    """A group whose commands turn our errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StrataError as error:
            click.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="strata-platform")
def strata() -> None:
    """Strata: every customer's data, from the raw file to the figure."""


def started(quiet: bool = True, guarded: bool = True) -> Postgres:
    """The running server, with roles, databases and migrations. Raises EnvironmentPolicyError where this environment does not run this code or
    the server is another one's; `guarded`: IsolationError where it would let one customer reach another."""
    from resources.checkout import refuse_checkout
    from resources.environment import policy_of
    from resources.migrations import migrate
    from resources.safeguards import refuse_unsafe

    refuse_checkout(policy_of(settings()))
    postgres = Postgres(settings())
    postgres.up()
    applied = migrate(postgres)
    if guarded:
        with postgres.connect(SUPERUSER) as connection:
            refuse_unsafe(connection, "warehouse", "server")
    if not quiet:
        click.echo(f"PostgreSQL runs for {settings().environment}; migrations applied: {', '.join(applied) or 'none missing'}")
    return postgres


@strata.command()
def up() -> None:
    """Start the embedded PostgreSQL, make roles and databases, apply migrations, upgrade lakes; remove again whoever was erased and came with a backup.

    Safe to repeat. The order is that of a release: what must hold first, then the warehouse (older code goes on with it), then the lakes."""
    postgres = started(quiet=False)
    replayed(postgres)
    sys.exit(not upgraded(postgres))


strata.add_command(environment)
strata.add_command(lake_group(started))
strata.add_command(dev_group(started))


@strata.command()
def down() -> None:
    """Stop the embedded PostgreSQL."""
    Postgres(settings()).down()
    click.echo("PostgreSQL stopped")


# customers

strata.add_command(customers)


# deliveries


@strata.command()
@click.argument("customer_id", metavar="CUSTOMER")
@click.argument("source")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--period", help="The month the files are about, YYYY-MM.")
@click.option("--sequence", type=click.IntRange(min=1), help="Which delivery of that period this is; default: the next.")
def land(customer_id: str, source: str, files: tuple[Path, ...], period: str | None, sequence: int | None) -> None:
    """Accept FILES as one delivery of a customer's SOURCE. The same files twice change nothing."""
    from platform_assets.landing import land_files
    from platform_assets.notices import tell
    from resources.orchestrator import instance

    found = customer(customer_id, settings().customers)
    postgres = started()
    refuse_erased(postgres, [found.id])
    try:
        with postgres.connect(WRITER, customer=found.id) as connection:
            made = land_files(connection, settings().landing_root, found, source, list(files), period, sequence, instance(postgres))
    finally:
        tell(postgres, {found.id: found}, with_stale=False)
    when = f" for {made.period:%Y-%m}" if made.period else ""
    click.echo(f"{found.id} {source}{when}, sequence {made.sequence}: {made.result}; {made.rows:,} rows, {made.faulty:,} of them to quarantine")


# runs


@strata.command()
@click.argument("customer_ids", nargs=-1, required=True, metavar="CUSTOMER...")
@click.option("--select", "selection", help="Dagster's asset selection, such as 'key:greenit/gold/*' or 'group:silver'.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Last day that figures cover; default: the newest delivered period's end.")
@click.option("--parameters", "pin", metavar="COMMIT", help="Compute by parameters, vocabularies, overlays of this commit or of a version's state.")
@click.option("--checks-only", is_flag=True, help="Evaluate the rules of the newest versions again; compute nothing.")
@click.option("--even-if-paused", is_flag=True, help="Also customers whose file says that they are paused.")
def launch(customer_ids: tuple[str, ...], selection: str | None, as_of: Any, pin: str | None, checks_only: bool, even_if_paused: bool) -> None:
    """Compute and publish customers: queued while a Dagster daemon lives, else here. Exit code 1 if any failed; the others finish."""
    from cli.launching import launch_all
    from cli.parameters import pinned_for

    declared = {name: customer(name, settings().customers) for name in customer_ids}
    postgres = started()
    refuse_erased(postgres, declared)
    for found in declared.values():
        refuse_paused(found, even_if_paused)
    reconciled(postgres, declared)
    outcomes = launch_all(postgres, list(declared), selection, as_of.date() if as_of else None, checks_only, pinned_for(declared, pin), even_if_paused)
    sys.exit(1 if any(not ok for ok in outcomes.values()) else 0)


strata.add_command(backfill)
strata.add_command(release)


# what people are told


def _declared(customer_ids: tuple[str, ...]) -> dict[str, Any]:
    """The named customers, or all."""
    folder = settings().customers
    return {name: customer(name, folder) for name in customer_ids} or load_customers(folder)


@strata.command()
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), help="The day to judge; default: today, by each customer's time zone.")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def freshness(customer_ids: tuple[str, ...], at: Any, output: str) -> None:
    """Which sources are stale, since when, and whose steward to call. Exit code 1 if one is stale or never came."""
    from cli.freshness import show_freshness
    from resources.environment import policy_of

    if policy_of(settings()).bronze_from == "production":
        raise EnvironmentPolicyError(f"{settings().environment} takes no deliveries, so none is late", fix="ask in production")
    declared = _declared(customer_ids)  # a wrong id is refused before anything is started
    sys.exit(show_freshness(started(), declared, at.date() if at else None, output == "json"))


@strata.command()
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
@click.option("--at", type=click.DateTime(["%Y-%m-%d"]), help="The day to judge freshness; default: today, by each customer's time zone.")
def notify(customer_ids: tuple[str, ...], at: Any) -> None:
    """Tell stewards what is stale and whatever is not sent yet, through the sink that STRATA_NOTIFY names. Exit code 1 if one did not take it."""
    from platform_assets.notices import tell

    declared = _declared(customer_ids)
    sent = tell(started(), declared, at=at.date() if at else None)
    for name, found in sent.items():
        click.echo(f"{name}: {found.sent} notices sent" + (f", {found.unsent} unsent: {found.failure}" if found.unsent else ""))
    sys.exit(any(found.unsent for found in sent.values()))


@strata.command()
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder that the site is written into.")
def datadocs(customer_ids: tuple[str, ...], out: Path) -> None:
    """Write Data Docs: pages that show every table's rules and what the newest check found. They need no network."""
    from cli.datadocs import build_datadocs

    declared = _declared(customer_ids)
    build_datadocs(started(), declared, out)


# figures


@strata.command()
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
@click.option("--period", type=click.DateTime(["%Y-%m"]), help="One month; default: all in JSON, the newest in a table.")
@reads_rows
def kpis(customer_id: str, output: str, period: Any, who: str | None, why: str) -> None:
    """A customer's live KPIs, as readers see them. That you looked is kept in the audit log."""
    from cli.figures import kpi_rows, kpi_table

    found = customer(customer_id, settings().customers)
    refuse_without_reason(settings(), found.id, why)
    postgres = started()
    with postgres.connect(READER, customer=found.id) as connection:
        rows = kpi_rows(connection, period.date() if period else None)
    audited(postgres, found.id, "kpis", f"{period:%Y-%m}" if period else "", len(rows), who, why)
    if output == "json":
        click.echo(json.dumps(rows, indent=1, default=_plain))
    else:
        kpi_table(found.id, rows)


@strata.command()
@click.argument("customer_id", metavar="[CUSTOMER]", required=False)
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
@reads_rows
def metrics(customer_id: str | None, output: str, who: str | None, why: str) -> None:
    """A customer's live KPIs of the newest month; without a customer what every KPI is: name, formula, unit."""
    from cli.tracing import metric_rows, print_metric_rows, print_metrics

    if customer_id is None:
        print_metrics()
        return
    found = customer(customer_id, settings().customers)
    refuse_without_reason(settings(), found.id, why)
    postgres = started()
    with postgres.connect(READER, customer=found.id) as connection:
        rows = metric_rows(connection)
    audited(postgres, found.id, "metrics", "", len(rows), who, why)
    if output == "json":
        click.echo(json.dumps(rows, indent=1, default=_plain))
    else:
        print_metric_rows(found.id, rows)


@strata.command()
@click.argument("customer_id", metavar="CUSTOMER")
@click.argument("kpi")
@click.option("--month", type=click.DateTime(["%Y-%m"]), help="The month; default: the newest.")
@click.option("--dimension", "dimensions", multiple=True, metavar="NAME=MEMBER", help="Cut the figure, such as domain=cloud or org_unit=Sales; repeatable.")
@click.option("--limit", type=click.IntRange(min=1), default=3, help="Largest impacts to show.")
@click.option("--raw", type=click.IntRange(min=0), default=3, help="Raw rows to show for each.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
@reads_rows
def trace(customer_id: str, kpi: str, month: Any, dimensions: tuple[str, ...], limit: int, raw: int, output: str, who: str | None, why: str) -> None:
    """Lead a published figure back to the delivered rows: impacts, factors with their sources, parameters, files and rows. That you looked is kept in
    the audit log.

    Exit code 1 if the impacts do not add up to the figure, or a row that they count is not found.
    """
    from cli.quarantine import opened
    from cli.tracing import figures_named, print_trace, trace_as_json
    from partitions.errors import TraceError
    from platform_assets.greenit.tracing import trace as traced

    if wrong := [text for text in dimensions if "=" not in text]:
        raise TraceError("a dimension is written NAME=MEMBER", customer=customer_id, dimension=ascii(wrong[0])[:48], fix="such as --dimension domain=cloud")
    refuse_without_reason(settings(), customer_id, why)
    with opened(customer_id) as session:
        found = traced(session, kpi, month.date() if month else None, dict(text.split("=", 1) for text in dimensions), limit, raw)
        audited(session.postgres, customer_id, "trace", f"{found.metric.id} {found.month:%Y-%m}", sum(len(one.raw) for one in found.traced), who, why)
    named = [one.impact[name] for one in found.traced for name in ("factor_id", "grid_id") if one.impact[name]]
    figures = figures_named(named, customer_id, found.parameter_version)
    if output == "json":
        click.echo(trace_as_json(found, figures))
    else:
        print_trace(customer_id, found, figures)
    sys.exit(0 if found.is_reconciled else 1)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else float(value)


@strata.command()
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--to", type=int, metavar="PUBLICATION", help="The publication to show again; default: the one before.")
@click.option("--release", "released", is_flag=True, help="Move nothing; let the next run publish again.")
@click.option("--domain", default="greenit", help="Whose figures; default: greenit.")
@reads_rows
def rollback(customer_id: str, to: int | None, released: bool, domain: str, who: str | None, why: str) -> None:
    """Show readers what a customer's figures were before the newest publication, at once, and hold them there until --release."""
    from cli.quarantine import opened
    from platform_assets.publication import release as let_publish
    from platform_assets.publication import roll_back

    refuse_without_reason(settings(), customer_id, why)
    with opened(customer_id, "rollback") as session:
        if released:
            held = let_publish(session, domain)
            audited(session.postgres, customer_id, "rollback --release", domain, 0, who, why)
            click.echo(f"{customer_id}: {held} tables released; `strata launch {customer_id}` publishes again" if held else f"{customer_id}: nothing is held")
            return
        earlier, number, moved = roll_back(session, domain, to)
        audited(session.postgres, customer_id, "rollback", f"{domain}, publication {earlier}", 0, who, why)
    click.echo(f"{customer_id}: publication {earlier} is live again as publication {number}, {moved} tables moved. It is held: "
               f"`strata rollback {customer_id} --release` lets runs publish again")


@strata.command()
@click.argument("table", metavar="TABLE")
def sql(table: str) -> None:
    """The SQL that a table is computed by, such as greenit_gold.impact, made readable."""
    from platform_assets import greenit
    from platform_assets.compilation import readable_sql

    click.echo(readable_sql(greenit, table))


# quarantine, and who looked

strata.add_command(quarantine)
strata.add_command(audit)


# upkeep


strata.add_command(parameters)


@strata.command()
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def isolation(customer_ids: tuple[str, ...], output: str) -> None:
    """Look at all that keeps customers apart, and try to get across: roles, policies, views, grants, sessions. Exit code 1 if anything is found.

    Sessions are opened for one customer of each kind, or for those named. Changes nothing and waits for no run."""
    from cli.isolation import show_isolation

    declared = load_customers(settings().customers)
    for name in customer_ids:
        customer(name, settings().customers)
    sys.exit(not show_isolation(started(guarded=False), declared, customer_ids, output == "json"))


@strata.command()
@click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")
@click.option("--contents", is_flag=True, help="Read every file of lake and landing through and compare its sha256.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text")
def verify(customer_ids: tuple[str, ...], contents: bool, output: str) -> None:
    """Look for what must never be: half a publication, lost rows or files, leftovers, runs without a process, sums that differ. Exit code 1 if found.

    Changes nothing. A customer whose run is under way is passed over."""
    from cli.verification import show_invariants

    declared = _declared(customer_ids)
    sys.exit(not show_invariants(started(), declared, contents, output == "json"))


@strata.command("draft-migration")
@click.argument("contract_file", type=click.Path(exists=True, path_type=Path))
def draft_migration(contract_file: Path) -> None:
    """Print the SQL that makes a new warehouse table from its contract; edit it into migrations/V###__name.sql."""
    from platform_assets.contracts import contract
    from platform_assets.drafting import draft

    click.echo(draft(contract(contract_file.resolve())))


@strata.command()
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Newest unpublished versions of each table to keep too.")
def gc(keep: int) -> None:
    """Remove versions that are neither live, previous nor pinned, and the lake's files that nothing refers to."""
    from platform_assets.collection import collect

    postgres = started()
    done = collect(postgres, settings(), keep)
    for name, found in done.items():
        if isinstance(found, StrataError):
            click.secho(f"{name}: {type(found).__name__}: {found}", fg="red", err=True)
        else:
            click.echo(f"{name}: {found.versions} versions and {found.rows:,} rows removed, {found.files} files released")
    sys.exit(1 if any(isinstance(found, StrataError) for found in done.values()) else 0)


@strata.command()
def upkeep() -> None:
    """What the schedule `upkeep` does every night: gc, Dagster's old runs forgotten, everybody's costs computed, invariants verified. Exit code 1 if
    something was left or found."""
    from cli.verification import show_invariants
    from platform_assets.collection import collect
    from platform_assets.upkeep import cost, history
    from resources.orchestrator import instance

    postgres = started()
    instance(postgres)  # Dagster makes its tables when it is first opened
    done = collect(postgres, settings())
    for name, found in done.items():
        if isinstance(found, StrataError):
            click.secho(f"{name}: {type(found).__name__}: {found}", fg="red", err=True)
    collected = [found for found in done.values() if not isinstance(found, StrataError)]
    click.echo(f"{sum(one.versions for one in collected)} versions and {sum(one.rows for one in collected):,} rows of {len(collected)} customers removed")
    gone, costs = history(postgres), cost(postgres)
    click.echo(f"{gone.runs} runs, {gone.events:,} events and {gone.backfills} backfills of more than {settings().history_days} days ago forgotten")
    click.echo(f"costs of {costs.customers} customers computed: {costs.cost_usd:.4f} USD in the months that are metered")
    if costs.unpriced:
        click.secho(f"{costs.unpriced} months have hours without a price: complete parameters/platform_*.csv", fg="red", err=True)
    holds = show_invariants(postgres, load_customers(settings().customers))
    sys.exit(bool(costs.unpriced) or len(collected) < len(done) or not holds)


@strata.command()
@click.option("--port", type=int, default=3000)
def ui(port: int) -> None:
    """Serve Dagster on loopback: webserver, daemon and code server. Ctrl-C ends it."""
    from cli.environment import say_what_is_off
    from cli.serving import serve

    postgres = started()
    reconciled(postgres, load_customers(settings().customers))
    say_what_is_off(postgres.settings)
    serve(postgres, port)


strata.add_command(components)


@strata.command()
def demo() -> None:
    """Three sample customers, from generated files to published KPIs."""
    from cli.demonstration import demonstrate

    demonstrate(reconciled, started(quiet=False))


def main() -> None:
    strata()


if __name__ == "__main__":
    main()
