"""`strata release`: what a release will change, approving it, bringing it to customers, taking it back, telling them.

What belongs here: arguments, calls and words for people. What does not: trials (trial.py), other checkouts (recomputation.py), and what
follows from them (platform_assets/releases).
"""
from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from cli.audit import audited, reads_rows, refuse_without_reason
from cli.recomputation import Worktree, census_of, here, worktree
from partitions.customers import Customer, customer, load_customers
from partitions.errors import ReleaseError
from platform_assets.releases import approval, promotion, report
from platform_assets.releases.contract_changes import contract_changes
from platform_assets.releases.letters import draft_letter
from platform_assets.releases.movements import movements
from platform_assets.releases.plan import Plan, identity, plan_of
from resources import releases
from resources.postgres import BACKUP, WRITER, Postgres
from resources.settings import PROJECT, settings

DOMAIN = "greenit"
BASE = click.option("--base", required=True, metavar="COMMIT", help="The commit or tag whose figures are live.")
NAME = click.argument("name", metavar="RELEASE")
CUSTOMERS = click.argument("customer_ids", nargs=-1, metavar="[CUSTOMER...]")


@click.group("release")
def release() -> None:
    """What a release will change, before anybody sees it; approval; promotion customer by customer; going back."""


def _named(customer_ids: tuple[str, ...]) -> dict[str, Customer]:
    folder = settings().customers
    chosen = {name: customer(name, folder) for name in customer_ids} or load_customers(folder)
    return {name: found for name, found in chosen.items() if found.status != "leaving"}


# before


def planned(before: Worktree, old: dict[str, Any], new: dict[str, Any], everything: bool = False) -> Plan:
    """The plan between two censuses; contracts are compared where they lie."""
    files = [table["contract"]["file"] for table in new["tables"].values()]
    return plan_of(old, new, contract_changes(before.root, PROJECT, files), everything)


@release.command("plan")
@BASE
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def plan(base: str, output: str) -> None:
    """Which tables this checkout computes otherwise than COMMIT, why, and what has to be computed anew. Computes nothing."""
    with worktree(base, settings()) as before:
        found = planned(before, census_of(before, DOMAIN, settings()), census_of(here(), DOMAIN, settings()))
    if output == "json":
        click.echo(json.dumps(asdict(found), indent=1))
        return
    for name in sorted({*found.changed, *found.contracts, *found.removed}):
        click.echo(f"{name:<36} {', '.join(found.changed.get(name, ('removed',) if name in found.removed else ('contract',)))}")
        for line in (*found.files.get(name, ()), *found.contracts.get(name, ())):
            click.secho(f"    {line}", fg="red" if line.startswith("breaking") else None)
    for heading, names in (("parameters", found.parameters), ("shared code", found.shared), ("libraries", tuple(found.libraries))):
        if names:
            click.echo(f"{heading}: {', '.join(names)}")
    click.echo(f"{len(found.changed)} tables change, {len(found.computed)} have to be computed anew" if not found.is_empty
               else f"nothing that tables are computed by differs from {base}")


@release.command("impact")
@NAME
@CUSTOMERS
@BASE
@click.option("--everything", is_flag=True, help="Compute all tables, not only those that change and what is behind them.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for report.html and report.md.")
def impact(name: str, customer_ids: tuple[str, ...], base: str, everything: bool, out: Path | None) -> None:
    """Try this checkout as RELEASE: compute what it changes next to COMMIT on the same raw data, and say which figures move, by how much and why.
    Exit code 1 if a check fails."""
    from cli.main import started
    from cli.trial import stages_of, try_release
    from platform_assets.releases.explanation import explained
    from platform_assets.releases.gate import contracts_of
    from platform_assets.releases.impact import keep_told, recorded, show
    from resources.orchestrator import instance

    configured, declared = settings(), _named(customer_ids)
    approval.check_release(name)
    if releases.is_guarded(configured):
        raise ReleaseError("customers see this environment's figures, and a trial computes", fix="try the release in staging")
    postgres = started()
    with worktree(base, configured) as before:
        now = here()
        old, new = census_of(before, DOMAIN, configured), census_of(now, DOMAIN, configured)
        found = planned(before, old, new, everything)
        keys = [new["tables"][table]["key"] for table in found.computed]
        if keys:
            try_release(postgres, declared, contracts_of(DOMAIN), found, keys, stages_of(found, before, now),
                        (name, before.commit, identity(new)), click.echo)
        reasons = explained(found, before.root, before.commit)
        keep_told(configured, name, before.commit, identity(new), found, reasons)
    told = recorded(postgres, name, list(declared))
    click.echo(report.markdown(told))
    if out:
        write_report(told, out)
    for one, moved in told.movements.items():
        draft_letter(postgres, one, name, report.notice(name, moved, {cause for movement in moved for cause in movement.causes}, told.reasons))
    show(instance(postgres), told)
    sys.exit(not all(check.passed for check in report.checks(told)))


def write_report(told: report.Told, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(report.markdown(told), encoding="utf-8")
    (out / "report.html").write_text(report.page(told), encoding="utf-8")
    click.echo(f"open {out / 'report.html'}")


@release.command("report")
@NAME
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for report.html and report.md.")
def report_command(name: str, out: Path) -> None:
    """The newest trial of RELEASE as a page and as Markdown."""
    from cli.main import started
    from platform_assets.releases.impact import recorded

    write_report(recorded(started(), approval.check_release(name)), out)


@release.command("approve")
@NAME
@click.option("--by", required=True, help="Who answers for it: a role, such as data-steward.")
@click.option("--why", required=True, help="Why the figures may move.")
@click.option("--slower", is_flag=True, help="Although the candidate costs more than the check allows.")
def approve(name: str, by: str, why: str, slower: bool) -> None:
    """Write releases/RELEASE/expected.yaml from its newest trial, to be reviewed and merged. What the trial did not see will be held back."""
    from cli.main import started
    from platform_assets.releases.gate import contracts_of, installed
    from platform_assets.releases.impact import recorded

    told = recorded(started(), approval.check_release(name))
    here = installed(contracts_of(DOMAIN))
    if told.candidate != here:
        raise ReleaseError(f"{name} has changed since it was tried: {told.candidate} was tried, {here} is checked out",
                           fix=f"try it again: `strata release impact {name} --base {told.base}`")
    broken = [check for check in report.checks(told) if not check.passed and not (slower and check.name == "performance")]
    held = [customer for customer, trial in told.trials.items() if trial.outcome == "failed"]
    if blocking := [check for check in broken if check.name != "functional" or len(held) == len(told.trials)]:
        raise ReleaseError(f"its trial does not pass: {'; '.join(f'{check.name}: {check.found}' for check in blocking)}",
                           fix="repair what it found, and try it again")
    made = approval.approval(name, told.base, told.candidate, by, why, datetime.now(UTC).date(), told.movements, held, told.reasons)
    path = approval.written(made)
    click.echo(f"{path}: {len(made.movements)} lines for {len(told.trials) - len(held)} customers; review and merge it" +
               (f"; not for {', '.join(held)}, on whom the trial failed" if held else ""))


# with customers


@release.command("status")
@CUSTOMERS
@click.option("--format", "output", type=click.Choice(["table", "json"]), default="table")
def status(customer_ids: tuple[str, ...], output: str) -> None:
    """By which release each customer's live figures are made, since when, and who waits for the installed one."""
    from cli.main import started

    found = promotion.standing(started(), _named(customer_ids), DOMAIN)
    if output == "json":
        click.echo(json.dumps({name: {"release": live and live.name, "since": live and live.at, "cause": live and live.cause, "waits": waits}
                               for name, (live, waits) in found.items()}, indent=1, default=str))
        return
    for name, (live, waits) in found.items():
        said = f"{live.name:<24} {live.cause:<12} {live.at:%Y-%m-%d %H:%M}" if live else "nothing published yet"
        click.echo(f"{name:<24} {said}" + (click.style("  waits for the installed release", fg="yellow") if waits else ""))


@release.command("promote")
@NAME
@CUSTOMERS
@click.option("--ring", type=click.IntRange(1, 9), help="This ring alone; default: one after the other, as long as nobody is held back.")
@click.option("--go-on", is_flag=True, help="With the next ring although somebody of this one was held back.")
def promote(name: str, customer_ids: tuple[str, ...], ring: int | None, go_on: bool) -> None:
    """Bring customers to the approved RELEASE that is installed: compute on the raw data that their live figures have, judge, publish.
    A customer whose figures move otherwise than approved is held back, alone. Exit code 1 if anybody is."""
    from cli.main import started
    from platform_assets.releases.gate import contracts_of, installed

    declared = _named(customer_ids)
    if not releases.is_guarded(settings()):
        raise ReleaseError("here every run publishes by what is installed", fix="promote where customers see the figures: STRATA_ENVIRONMENT=prod")
    expected = approval.approved(approval.check_release(name), installed(contracts_of(DOMAIN)))
    postgres = started()
    waiting = {one: declared[one] for one, (_, waits) in promotion.standing(postgres, declared, DOMAIN).items() if waits}
    for one in [one for one, found in waiting.items() if found.status == "paused"]:
        click.echo(f"{one} is paused: promote it when it goes on")
        del waiting[one]
    if not waiting:
        click.echo("nobody waits for it")
        return
    is_held = False
    for number, names in promotion.rings(waiting):
        if ring not in (None, number):
            continue
        click.secho(f"ring {number}: {', '.join(names)}", bold=True)
        held = _promoted(postgres, expected, names)
        is_held |= bool(held)
        if held and not go_on:
            click.secho(f"stopped: {', '.join(held)} held back; what is live there stays. Later rings wait (--go-on reaches them)", fg="red")
            break
    sys.exit(is_held)


def _promoted(postgres: Postgres, expected: approval.Expectations, customers: list[str]) -> list[str]:
    """Launch customers' promotions, and write what each of them will be told; returns who was held back."""
    from cli.launching import carried_out, job_of, launch_of_keys
    from platform_assets.greenit.definitions import defs
    from platform_assets.outdated import outdated
    from resources.sessions import AS_OF_TAG, RELEASE_TAG

    folder, graph = settings().customers, defs.resolve_asset_graph()
    everything = frozenset(job_of().asset_layer.asset_graph.executable_asset_keys)
    done: dict[str, bool] = {}
    with postgres.connect(BACKUP) as connection:
        days: dict[str, date] = dict(connection.execute("SELECT l.customer_id, max(v.as_of) FROM platform.live_version l JOIN platform.table_version v "
                                       "USING (customer_id, table_name, version) WHERE l.customer_id = ANY(%s) GROUP BY 1", [customers]).fetchall())
    for one in customers:
        before = promotion.live_figures(postgres, one, DOMAIN)
        renewed = frozenset(key for key, why in outdated(postgres, graph, everything, {one: customer(one, folder)}).get(one, {}).items() if why == "code")
        tags = {RELEASE_TAG: expected.release, **({AS_OF_TAG: days[one].isoformat()} if days.get(one) else {})}
        done |= carried_out(postgres, launch_of_keys(promotion.promoted_tables(everything, renewed), tags), [one])
        if done[one]:
            audited(postgres, one, "release promote", expected.release, 0, why=f"{expected.approved.by}: {expected.approved.why}")
            moved = movements(before, [("code", promotion.live_figures(postgres, one, DOMAIN))])
            draft_letter(postgres, one, expected.release, report.notice(expected.release, moved, expected.causes(one, moved), expected.reasons))
    return [one for one, ok in done.items() if not ok]


@release.command("rollback")
@NAME
@CUSTOMERS
@reads_rows
def rollback(name: str, customer_ids: tuple[str, ...], who: str | None, why: str) -> None:
    """Show customers the figures of before RELEASE again, at once; without names everybody who has it. Then install the code of before."""
    from cli.main import started
    from cli.quarantine import opened

    reached = promotion.standing(started(), _named(customer_ids), DOMAIN)
    chosen = customer_ids or [one for one, (live, _) in reached.items() if live and live.name == name]
    if not chosen:
        raise ReleaseError(f"nobody has the figures of {ascii(name)[:64]}", fix="`strata release status` says whose they are")
    for one in chosen:
        refuse_without_reason(settings(), one, why)
        with opened(one, "release") as session:
            earlier, moved = promotion.take_back(session, DOMAIN, name)
            audited(session.postgres, one, "release rollback", name, 0, who, why)
        click.echo(f"{one}: the figures of {earlier} are live again, {moved} tables moved; it waits until a release is promoted or the code of before is back")


# what customers are told


@release.command("notice")
@NAME
@click.argument("customer_id", metavar="CUSTOMER")
@click.option("--edit", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Replace its text by this file's.")
@click.option("--reviewed-by", metavar="ROLE", help="The steward has read it: it may be sent.")
def notice(name: str, customer_id: str, edit: Path | None, reviewed_by: str | None) -> None:
    """What CUSTOMER is told of RELEASE: shown, edited, or marked as reviewed by its steward."""
    from cli.main import started

    found, postgres = customer(customer_id, settings().customers), started()
    with postgres.connect(WRITER, customer=found.id, autocommit=True) as connection:
        if edit:
            connection.execute("UPDATE platform.change_notice SET body = %s, reviewed_by = NULL, reviewed_at = NULL "
                               "WHERE customer_id = %s AND release = %s AND sent_at IS NULL", [edit.read_text(encoding="utf-8"), found.id, name])
        if reviewed_by:
            connection.execute("UPDATE platform.change_notice SET reviewed_by = %s, reviewed_at = clock_timestamp() "
                               "WHERE customer_id = %s AND release = %s AND sent_at IS NULL", [reviewed_by, found.id, name])
        row = connection.execute("SELECT subject, body, reviewed_by, sent_at FROM platform.change_notice WHERE customer_id = %s AND release = %s",
                                 [found.id, name]).fetchone()
    if row is None:
        raise ReleaseError(f"there is no notice of {ascii(name)[:64]}", customer=found.id, fix="none of its figures moves, or the release was not tried here")
    subject, body, reviewer, sent = row
    audited(postgres, found.id, "release notice", name, len(body.splitlines()), why=f"reviewed by {reviewed_by}" if reviewed_by else "")
    click.echo(f"{subject}\n\n{body}")
    click.echo(f"sent {sent:%Y-%m-%d %H:%M}" if sent else f"reviewed by {reviewer}; not sent" if reviewer else "not reviewed yet: --reviewed-by ROLE")


@release.command("tell")
@NAME
@CUSTOMERS
def tell(name: str, customer_ids: tuple[str, ...]) -> None:
    """Send the reviewed notices of RELEASE to customers who have its figures."""
    from cli.main import started
    from platform_assets.releases.letters import send_letters

    sent, left = send_letters(started(), _named(customer_ids), DOMAIN, name)
    for one, why in left.items():
        click.secho(f"{one}: not sent: {why}", fg="yellow")
    click.echo(f"{len(sent)} notices sent" + (f": {', '.join(sent)}" if sent else ""))
