"""`strata dev`: a sample of an installation with complete data, taken there and landed in dev."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from partitions.customers import customer, load_customers
from partitions.errors import EnvironmentPolicyError
from resources.environment import policy_of
from resources.postgres import WRITER, Postgres
from resources.settings import settings


class Share(click.ParamType):
    """`1%` or `0.01`, as a number over 0 and up to 1."""

    name = "share"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            share = float(value[:-1]) / 100 if isinstance(value, str) and value.endswith("%") else float(value)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail("a share is written 1% or 0.01, over 0 and up to 1", param, ctx)
        return share


def dev_group(started: Callable[..., Postgres]) -> click.Group:
    """The group; `started` opens the installation."""

    @click.group()
    def dev() -> None:
        """Data for development."""

    @dev.command("sample")
    @click.option("--customers", "count", type=click.IntRange(min=1), default=2, help="How many customers; always the same ones.")
    @click.option("--customer", "names", multiple=True, help="A customer by its id instead; repeatable.")
    @click.option("--rows", "share", type=Share(), default="1%", help="How much of each source's entities, such as 1%.")
    @click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder that the sample is written into; it must be new.")
    def take(count: int, names: tuple[str, ...], share: float, out: Path) -> None:
        """Write a sample of this installation's customers: rows that belong together, the same every time, confidential text masked. Changes nothing here."""
        from platform_assets.sampling import chosen, sample, write_manifest
        from resources.session import RunIdentity, Session

        if out.exists() and any(out.iterdir()):
            raise EnvironmentPolicyError("the folder holds something already, which a sample would be mixed with", file=str(out), fix="name a new folder")
        folder = settings().customers
        wanted = list(names) or chosen([one.id for one in load_customers(folder).values() if one.status == "active"], count)
        declared = {name: customer(name, folder) for name in wanted}
        postgres, made = started(), []
        for name, found in declared.items():
            session = Session(settings(), postgres, found, RunIdentity("sample", None, "sample", "sample"), only_looks=True)
            try:
                taken = sample(session, share, out)
            finally:
                session.close()
            click.echo(f"{name}: {sum(one.rows for one in taken):,} rows of {len({one.source for one in taken})} sources")
            made += taken
        write_manifest(out, made)
        click.echo(f"in dev: STRATA_CUSTOMERS={out / 'customers'} strata dev load {out}")

    @dev.command("load")
    @click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
    def load(folder: Path) -> None:
        """Land a sample that was taken elsewhere. The same one twice changes nothing."""
        from cli.customers import reconciled
        from platform_assets.landing import land_files
        from platform_assets.sampling import read_manifest

        if policy_of(settings()).data != "partial":
            raise EnvironmentPolicyError(f"{settings().environment} has complete data, and a sample would replace them", fix="load it in dev")
        deliveries = read_manifest(folder)
        declared = {name: customer(name, settings().customers) for name in sorted({one.customer for one in deliveries})}
        postgres = started()
        reconciled(postgres, declared)
        for one in deliveries:
            files, found = [folder / name for name in one.files], declared[one.customer]
            with postgres.connect(WRITER, customer=one.customer) as connection:
                made = land_files(connection, settings().landing_root, found, one.source, files, one.period, None)
            click.echo(f"{one.customer} {one.source} {one.period or ''}: {made.result}, {made.rows:,} rows")

    return dev
