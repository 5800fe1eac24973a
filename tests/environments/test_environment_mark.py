"""A server and a database belong to one environment, whatever a variable says."""
from __future__ import annotations

import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.errors import EnvironmentPolicyError
from resources.environment_mark import mark_of, refuse_other_environment
from resources.migrations import TABLE, migrate
from resources.postgres import READER, WRITER, Postgres, lake_role
from resources.session import locked
from tests.installation import Installation


def databases_of(installation: Installation) -> set[str]:
    with installation.superuser() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


@pytest.mark.parametrize("other", ["staging", "prod"])
def test_an_environment_that_is_pointed_at_anothers_server_makes_nothing_there(installation: Installation, other: str) -> None:
    before = databases_of(installation)
    wrong = Postgres(replace(installation.settings, environment=other, allow=frozenset(), dsn=f"host={installation.settings.runtime} user=postgres "
                             f"password={installation.postgres.password('postgres')}"))
    with pytest.raises(EnvironmentPolicyError, match=f"this is {other}, and the server holds databases of dev"):
        wrong.up()
    assert databases_of(installation) == before


def test_a_command_says_so_and_ends_with_1(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.checkout.refuse_checkout", lambda policy: None)  # this checkout has changes; the server is what is asked here
    monkeypatch.setenv("STRATA_ENVIRONMENT", "prod")
    monkeypatch.delenv("STRATA_ALLOW")
    done = CliRunner().invoke(strata, ["up"])
    assert done.exit_code == 1
    assert "EnvironmentPolicyError: this is prod, and the server holds databases of dev" in done.output


def test_every_role_reads_what_a_warehouse_says_it_is(installation: Installation) -> None:
    installation.declare("marked")
    for role in (READER, WRITER, lake_role("marked")):
        with installation.postgres.connect(role) as connection:
            assert mark_of(connection) == "dev"


@pytest.fixture
def remarked(installation: Installation):
    """As if production's dump had been restored under dev's name."""
    def mark(environment: str) -> None:
        with installation.superuser(installation.postgres.names.warehouse) as connection:
            connection.execute(f"COMMENT ON SCHEMA platform IS 'environment: {environment}'")
    mark("prod")
    yield installation
    mark("dev")


def test_a_copy_of_productions_warehouse_is_not_devs(remarked: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    remarked.declare("copied")
    said = re.escape("this is dev, and the database holds the warehouse of prod")
    with pytest.raises(EnvironmentPolicyError, match=said):
        migrate(remarked.postgres)
    monkeypatch.setattr("resources.safeguards._looked_at", set())  # a run's process is a fresh one
    with pytest.raises(EnvironmentPolicyError, match=said):
        locked(remarked.postgres, "copied").close()
    checked = CliRunner().invoke(strata, ["env", "check"])
    assert checked.exit_code == 1
    assert "broken  this is dev, and the database holds the warehouse of prod" in checked.output


def test_a_database_without_a_mark_is_marked_by_the_next_start(installation: Installation) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        connection.execute("COMMENT ON SCHEMA platform IS NULL")
    migrate(installation.postgres)
    with installation.postgres.connect(READER) as connection:
        assert mark_of(connection) == "dev"
        refuse_other_environment(connection, "dev")


def test_the_table_and_what_holds_are_printed(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    installation.declare("faces", direct_readers=True)
    installation.postgres.ensure_direct_readers(["faces"])
    checked = CliRunner().invoke(strata, ["env", "check"])
    assert checked.exit_code == 0, checked.output
    assert re.search(r"automatic scheduling +no +yes +yes", checked.output)
    assert re.search(r"customer-facing +no +no +yes", checked.output)
    assert "holds   the server holds databases of dev alone" in checked.output
    assert "holds   no applied migration was changed; none to apply" in checked.output
    monkeypatch.setenv("STRATA_ALLOW", "automatic_scheduling")
    checked = CliRunner().invoke(strata, ["env", "check"])
    assert checked.exit_code == 1
    assert re.search(r"broken  logins of customers' own tools: .*cust_faces", checked.output)


def test_an_edited_migration_is_found_by_looking_alone(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        edit = f"UPDATE {TABLE} SET checksum = checksum + %s WHERE version = '001'"
        connection.execute(edit, [1])
        checked = CliRunner().invoke(strata, ["env", "check"])
        connection.execute(edit, [-1])
    assert checked.exit_code == 1
    assert "broken  [file migrations/V001__platform.sql] this file was changed after it was applied" in checked.output


def test_nobody_gets_a_login_of_its_own_where_customers_are_not_faced(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    from resources.reconciliation import plan

    shut = Postgres(replace(installation.settings, allow=frozenset()))
    found = installation.declare("unfaced", direct_readers=True)
    for postgres, wanted in ((installation.postgres, True), (shut, False)):
        planned = [change.what for change in plan(postgres, installation.instance, {found.id: found}, whole=False)]
        assert ("direct reader" in planned) == wanted
