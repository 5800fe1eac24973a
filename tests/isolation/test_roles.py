"""What the roles are from the first start on: who may log in how, and what each role owns."""
from __future__ import annotations

import stat

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from resources.postgres import BACKUP, LOADER, MIGRATOR, ORCHESTRATOR, READER, ROLE_OPTIONS, SUPERUSER, WRITER, lake_role
from tests.installation import Installation

CUSTOMERS = ("role_a", "role_b")


@pytest.fixture(scope="module")
def prepared(installation: Installation) -> Installation:
    for name in CUSTOMERS:
        installation.declare(name)
        installation.postgres.ensure_lake_role(name)  # a second time changes nothing
    return installation


def test_no_line_of_pg_hba_trusts_anybody(prepared: Installation) -> None:
    with prepared.superuser() as connection:
        rules = connection.execute("SELECT auth_method, error FROM pg_hba_file_rules").fetchall()
    assert rules
    assert set(rules) == {("scram-sha-256", None)}


def test_every_login_has_a_scram_verifier(prepared: Installation) -> None:
    with prepared.superuser() as connection:
        rows = connection.execute("SELECT rolname, coalesce(rolpassword, '') FROM pg_authid WHERE rolcanlogin").fetchall()
        assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)
    assert {SUPERUSER, *ROLE_OPTIONS, *map(lake_role, CUSTOMERS)} <= {name for name, _ in rows}
    assert [name for name, verifier in rows if not verifier.startswith("SCRAM-SHA-256$")] == []


def test_secrets_are_readable_by_their_owner_alone(prepared: Installation) -> None:
    folder = prepared.settings.secrets
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert {lake_role(name) for name in CUSTOMERS} <= {file.name for file in files}
    assert {file.name: oct(stat.S_IMODE(file.stat().st_mode)) for file in files} == {file.name: "0o600" for file in files}
    assert len({file.read_text() for file in files}) == len(files)


def test_the_server_listens_on_no_network_address(prepared: Installation) -> None:
    with prepared.superuser() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == (str(prepared.settings.runtime),)


@pytest.mark.parametrize("role", [SUPERUSER, MIGRATOR, WRITER, lake_role("role_b")])
@pytest.mark.parametrize("password", ["", "wrong"])
def test_nobody_gets_in_without_the_right_password(prepared: Installation, role: str, password: str) -> None:
    login = {**prepared.postgres.parameters(role, prepared.postgres.names.lake), "password": password}
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(make_conninfo(**login))


def test_case_08_attributes_of_our_roles(prepared: Installation) -> None:
    with prepared.superuser() as connection:
        rows = connection.execute("""SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles
            WHERE starts_with(rolname, 'strata_') OR starts_with(rolname, 'lake_') ORDER BY 1""").fetchall()
        members = connection.execute("""SELECT roleid::regrole::text, member::regrole::text, inherit_option, set_option, admin_option
            FROM pg_auth_members WHERE member::regrole::text !~ '^pg_'""").fetchall()
    assert [row[0] for row in rows if any(row[1:5])] == []
    assert [row[0] for row in rows if row[5]] == [BACKUP, LOADER]
    assert [found[:2] for found in members if not found[1].startswith("lake_") and found[0] != READER] == [("pg_read_all_data", BACKUP)]
    assert all(found[1].startswith("cust_") for found in members if found[0] == READER)  # customers' own tools, of whom other tests have some
    customers = {found for found in members if found[1].startswith("lake_")}
    assert {found[1] for found in customers} == {row[0] for row in rows if row[0].startswith("lake_")}
    assert {found[1] for found in customers if found[0] == WRITER} == {found[1] for found in customers if found[0] == LOADER}
    assert {(found[0], *found[2:]) for found in customers} == {
        (WRITER, True, False, False),  # its privileges, never its identity
        (LOADER, False, True, False),  # its identity while rows arrive, and no privilege otherwise
    }


def test_case_33_a_lake_role_owns_its_schema_and_nothing_else(prepared: Installation) -> None:
    with prepared.superuser(prepared.postgres.names.lake) as connection:
        owned = connection.execute("SELECT nspowner::regrole::text, nspname FROM pg_namespace WHERE starts_with(nspname, 'lake_role_') ORDER BY 1").fetchall()
        assert owned == [("lake_role_a", "lake_role_a"), ("lake_role_b", "lake_role_b")]
        assert connection.execute("SELECT has_schema_privilege('lake_role_a', 'lake_role_b', 'usage'), has_schema_privilege('lake_role_a', 'public', 'create'), "
                                  "has_database_privilege('lake_role_a', current_database(), 'create'), has_database_privilege('lake_role_a', %s, 'connect')",
                                  [prepared.postgres.names.warehouse]).fetchone() == (False, False, False, True)


def test_case_08_only_the_migrator_owns_what_migrations_made(prepared: Installation) -> None:
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        owners = connection.execute("""SELECT DISTINCT c.relowner::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'platform' OR starts_with(n.nspname, 'greenit_')""").fetchall()
    assert owners == [(MIGRATOR,)]


@pytest.mark.parametrize(("role", "reached"), [
    (WRITER, {"warehouse"}), (READER, {"warehouse"}), (BACKUP, {"warehouse"}), (ORCHESTRATOR, {"dagster"}), (MIGRATOR, {"warehouse"}),
    (lake_role("role_a"), {"lake", "warehouse"}),
])
def test_case_20_each_role_reaches_its_own_database(prepared: Installation, role: str, reached: set[str]) -> None:
    names = vars(prepared.postgres.names)
    with prepared.superuser() as connection:
        allowed = {kind for kind, name in names.items() if connection.execute("SELECT has_database_privilege(%s, %s, 'connect')", [role, name]).fetchone()[0]}
    assert allowed == reached
