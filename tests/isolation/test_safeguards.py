"""Attack cases 8 to 12, 14 and 21: every unsafe role, table, view, function, key and grant is refused at the start, by name and with a fix.

Each unsafe setting is really made, in a transaction that is undone; the settings are generated over everything that there is.
"""
from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from cli.main import strata
from partitions.errors import IsolationError
from resources import safeguards
from resources.postgres import BACKUP, LOADER, MIGRATOR, ORCHESTRATOR, READER, WRITER, lake_role, reader_role
from resources.safeguards import SAFEGUARDS, look, refuse_unsafe, unsafe_release
from tests.installation import Installation
from tests.isolation.canaries import RELATIONS, qualified
from tests.lake import session_for

LOGINS = (MIGRATOR, WRITER, READER, BACKUP, ORCHESTRATOR, lake_role("safe_a"), reader_role("safe_a"))
ATTRIBUTES = {"SUPERUSER": "is a superuser", "CREATEROLE": "may create roles", "CREATEDB": "may create databases", "REPLICATION": "may replicate",
              "BYPASSRLS": "by-passes row-level security"}
OF_A_TABLE = {
    "ALTER TABLE {} DISABLE ROW LEVEL SECURITY": "row-level security is off", "ALTER TABLE {} NO FORCE ROW LEVEL SECURITY": "it is not forced on the owner",
    "CREATE POLICY second ON {} USING (true)": "is a second permissive policy", "CREATE POLICY reading ON {} FOR SELECT TO strata_reader USING (true)": "is a second permissive policy",
    "DROP POLICY own_customer ON {}": "has no policy own_customer", "ALTER POLICY own_customer ON {} USING (true)": "has no policy own_customer",
    "ALTER POLICY own_customer ON {} WITH CHECK (true)": "has no policy own_customer", "ALTER POLICY migration ON {} TO PUBLIC": "is a second permissive policy",
    "ALTER TABLE {} OWNER TO strata_writer": "belongs to strata_writer", "GRANT SELECT ON {} TO PUBLIC": "to PUBLIC may SELECT", "GRANT SELECT (customer_id) ON {} TO PUBLIC": "to PUBLIC may SELECT",
    "GRANT TRUNCATE ON {} TO strata_writer": "TRUNCATE", "GRANT INSERT ON {} TO strata_reader": "INSERT", "GRANT SELECT ON {} TO strata_loader": "SELECT",
    "GRANT SELECT ON {} TO lake_safe_a": "to lake_safe_a may SELECT",
}
OF_A_VIEW = {"ALTER VIEW {} SET (security_invoker = false)": "reads as its owner", "ALTER VIEW {} RESET (security_invoker)": "reads as its owner",
             "ALTER VIEW {} OWNER TO strata_reader": "belongs to strata_reader", "GRANT SELECT ON {} TO PUBLIC": "to PUBLIC may SELECT"}
NEW = {
    "a table without protection": ("CREATE TABLE platform.more (customer_id text NOT NULL)", "row_security: platform.more row-level security is off"),
    "a table in another schema": ("CREATE SCHEMA more; CREATE TABLE more.rows (customer_id text NOT NULL)", "row_security: more.rows row-level security is off"),
    "a table in public": ("CREATE TABLE public.more (customer_id text NOT NULL)", "row_security: public.more row-level security is off"),
    "a table of nobody": ("CREATE TABLE platform.more (a int)", "no customer_id that is never NULL"),
    "a customer that may be NULL": ("CREATE TABLE platform.more (customer_id text); CALL platform.protect('platform.more')", "no customer_id that is never NULL"),
    "a partition": ("CREATE TABLE platform.more (customer_id text NOT NULL) PARTITION BY LIST (customer_id); CALL platform.protect('platform.more');"
                    "CREATE TABLE platform.more_a PARTITION OF platform.more FOR VALUES IN ('a'); GRANT SELECT ON platform.more_a TO strata_writer", "platform.more_a row-level security is off"),
    "a materialized view": ("CREATE MATERIALIZED VIEW platform.more AS SELECT * FROM platform.fence", "views: platform.more is materialized"),
    "a view of the owner": ("CREATE VIEW platform.more AS SELECT * FROM platform.fence", "views: platform.more reads as its owner"),
    "a key across customers": ("CREATE UNIQUE INDEX more ON platform.delivery (sha256)", "unique_keys: platform.more is unique across customers"),
    "a function of the owner": ("CREATE FUNCTION platform.more() RETURNS bigint LANGUAGE sql SECURITY DEFINER RETURN 1", "functions: platform.more() runs as its owner"),
    "a function for everybody": ("CREATE FUNCTION platform.more() RETURNS bigint LANGUAGE sql RETURN 1", "functions: platform.more() may be called by PUBLIC"),
    "another customer of the session": ("CREATE OR REPLACE FUNCTION platform.customer() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT current_setting('app.customer_id', true) $$",
                                        "platform.customer() is not the one of the migrations"),
    "a schema to make tables in": ("GRANT CREATE ON SCHEMA platform TO strata_writer", "grants: schema platform to strata_writer may CREATE"),
    "public for everybody": ("GRANT USAGE ON SCHEMA public TO PUBLIC", "grants: schema public to PUBLIC may USAGE"),
    "privileges on tables to come": ("ALTER DEFAULT PRIVILEGES FOR ROLE strata_migrator GRANT SELECT ON TABLES TO strata_reader", "hands out privileges on tables to come"),
    "a database for everybody": ("DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO PUBLIC', current_database()); END $$", "to PUBLIC may CONNECT"),
    "a loader without its guard": ("ALTER TABLE greenit_gold.impact DROP CONSTRAINT loads_own_customer", "greenit_gold.impact to strata_loader may INSERT"),
    "a loader of platinum": ("GRANT INSERT ON greenit_platinum.trend TO strata_loader", "greenit_platinum.trend to strata_loader may INSERT"),
    "a loader that logs in": ("ALTER ROLE strata_loader LOGIN", "roles: strata_loader may log in"),
    "a reader among writers": (f"GRANT {WRITER} TO {READER}", "memberships: strata_reader in strata_writer"),
    "a writer among migrators": (f"GRANT {MIGRATOR} TO {WRITER}", "memberships: strata_writer in strata_migrator"),
    "a writer who loads": (f"GRANT {LOADER} TO {WRITER}", "memberships: strata_writer in strata_loader"),
    "a customer who becomes the writer": (f"GRANT {WRITER} TO lake_safe_a WITH SET TRUE", "memberships: lake_safe_a in strata_writer"),
    "a customer who is another one": ("GRANT lake_safe_b TO lake_safe_a", "memberships: lake_safe_a in lake_safe_b"),
    "a reader who administers": (f"GRANT {READER} TO cust_safe_a WITH ADMIN TRUE", "memberships: cust_safe_a in strata_reader"),
    "a stranger among readers": (f"CREATE ROLE stranger LOGIN; GRANT {READER} TO stranger", "memberships: stranger in strata_reader"),
    "a role of ours that reads everything": (f"GRANT pg_read_all_data TO {READER}", "memberships: strata_reader in pg_read_all_data"),
    "a login without a password": ("CREATE ROLE lake_safe_c LOGIN", "passwords: lake_safe_c has no password"),
}


@pytest.fixture(scope="module")
def prepared(installation: Installation) -> Installation:
    for name in ("safe_a", "safe_b"):
        installation.declare(name)
    installation.postgres.ensure_direct_readers(["safe_a"])
    return installation


@pytest.fixture
def unsafe(prepared: Installation) -> Iterator[psycopg.Connection]:
    """A superuser whose changes are undone."""
    with prepared.postgres.connect("postgres") as connection:
        yield connection
        connection.rollback()


def refused(connection: psycopg.Connection, statement: str | sql.Composed) -> str:
    """What the start says of an unsafe setting, which is undone at once."""
    with connection.transaction(force_rollback=True):
        connection.execute(statement)
        with pytest.raises(IsolationError) as error:
            refuse_unsafe(connection, "warehouse", "server")
    assert error.value.fix
    return str(error.value)


def relations(connection: psycopg.Connection, kinds: str) -> list[str]:
    return [f"{schema}.{name}" for schema, name in connection.execute(RELATIONS, [list(kinds)])]


def test_this_installation_is_safe_and_everything_in_it_was_looked_at(prepared: Installation, unsafe: psycopg.Connection) -> None:
    refuse_unsafe(unsafe, "warehouse", "server")
    looked: dict[str, list[str]] = {}
    for one in look(unsafe, "warehouse", "server"):
        looked.setdefault(one.safeguard.name, []).append(one.subject)
    assert set(relations(unsafe, "rp")) == set(looked["row_security"]) <= set(looked["owners"])
    assert set(relations(unsafe, "v")) == set(looked["views"])
    assert {*LOGINS, LOADER} <= set(looked["roles"])
    assert len(looked["policies"]) == 3 * len(looked["row_security"])  # that there is one, and each of the two
    with prepared.superuser(prepared.postgres.names.lake) as connection:
        found = look(connection, "lake")
    assert [one for one in found if one.problem] == []
    assert {"lake_safe_a", "lake_safe_b", "schema public"} <= {one.subject for one in found}
    assert {guard.name for guard in SAFEGUARDS} == {*looked, "lake_catalogs"}


def test_any_role_may_ask_about_the_warehouse_and_only_a_superuser_about_logins(prepared: Installation) -> None:
    with prepared.postgres.connect(lake_role("safe_a")) as connection:
        assert len(look(connection, "warehouse")) > 300
        assert look(connection, "server") == []
        refuse_unsafe(connection, "server")


@pytest.mark.parametrize("role", LOGINS)
def test_case_08_an_attribute_of_a_role_that_reaches_others_is_refused(unsafe: psycopg.Connection, role: str) -> None:
    for attribute, words in ATTRIBUTES.items():
        if (role, attribute) != (BACKUP, "BYPASSRLS"):  # it dumps every customer's rows, and writes none
            assert f"roles: {role} {words}" in refused(unsafe, f"ALTER ROLE {role} {attribute}")


@pytest.mark.parametrize(("statement", "words"), OF_A_TABLE.items(), ids=OF_A_TABLE)
def test_cases_09_11_20_what_is_unsafe_at_any_table_is_refused(unsafe: psycopg.Connection, statement: str, words: str) -> None:
    for table in relations(unsafe, "rp"):
        told = refused(unsafe, sql.SQL(statement).format(qualified(table)))
        assert table in told
        assert words in told


@pytest.mark.parametrize(("statement", "words"), OF_A_VIEW.items(), ids=OF_A_VIEW)
def test_case_10_what_is_unsafe_at_any_view_is_refused(unsafe: psycopg.Connection, statement: str, words: str) -> None:
    for view in relations(unsafe, "v"):
        told = refused(unsafe, sql.SQL(statement).format(qualified(view)))
        assert view in told
        assert words in told


def test_case_10_any_function_that_runs_as_its_owner_is_refused(unsafe: psycopg.Connection) -> None:
    functions = [name for (name,) in unsafe.execute("SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'platform'")]
    assert len(functions) >= 6
    for function in functions:
        assert "runs as its owner" in refused(unsafe, f"ALTER ROUTINE {function} SECURITY DEFINER")


@pytest.mark.parametrize(("statement", "words"), NEW.values(), ids=NEW)
def test_cases_08_to_14_what_is_new_and_unsafe_is_refused(unsafe: psycopg.Connection, statement: str, words: str) -> None:
    assert words in refused(unsafe, statement)


@pytest.mark.parametrize("statement", [
    "CREATE TABLE platform.more (customer_id text NOT NULL); CALL platform.protect('platform.more'); ALTER TABLE platform.more OWNER TO strata_migrator",
    "CREATE POLICY narrower ON platform.fence AS RESTRICTIVE USING (fence > 0)", "CREATE INDEX more ON platform.delivery (sha256)", "CREATE ROLE stranger LOGIN SUPERUSER",
])  # fmt: skip
def test_what_is_new_and_safe_is_not_refused(unsafe: psycopg.Connection, statement: str) -> None:
    """A table made by the rules, a policy that only takes away, an index that is no key, a superuser of somebody else's server."""
    unsafe.execute(statement)
    refuse_unsafe(unsafe)


@pytest.mark.parametrize(("statement", "words"), [
    ("ALTER SCHEMA lake_safe_a OWNER TO lake_safe_b", "lake_safe_a belongs to lake_safe_b"), ("GRANT USAGE ON SCHEMA lake_safe_a TO lake_safe_b", "lake_safe_a is open to lake_safe_b"),
    ("GRANT USAGE ON SCHEMA lake_safe_a TO PUBLIC", "lake_safe_a is open to PUBLIC"), ("CREATE TABLE lake_safe_a.more (a int)", "lake_safe_a has tables of postgres"),
    ("CREATE TABLE lake_safe_a.more (a int); ALTER TABLE lake_safe_a.more OWNER TO lake_safe_a; GRANT SELECT ON lake_safe_a.more TO lake_safe_b", "has tables open to lake_safe_b"),
    ("GRANT USAGE ON SCHEMA public TO PUBLIC", "schema public is open to PUBLIC"),
])  # fmt: skip
def test_case_33_a_lake_catalog_that_another_role_reaches_is_found(prepared: Installation, statement: str, words: str) -> None:
    with prepared.postgres.connect("postgres", prepared.postgres.names.lake) as connection:
        connection.execute(statement)
        assert any(words in f"{one.subject} {one.problem}" for one in look(connection, "lake", only_problems=True))
        connection.rollback()


@pytest.mark.parametrize(("version", "is_safe"), [(180000, True), (180004, True), (190000, True), (170006, True), (170005, False), (160010, True), (160009, False), (150014, False), (140019, False)])
def test_a_server_that_leaks_or_is_too_old_is_refused(version: int, is_safe: bool) -> None:
    """PostgreSQL 15.14 is patched, but its grants know no SET FALSE: a customer's role could become the writer."""
    assert (unsafe_release(version) is None) == is_safe


def test_case_21_a_server_that_trusts_a_role_is_refused_at_the_login_and_at_the_start(prepared: Installation) -> None:
    rules = prepared.settings.home / "postgres" / "pg_hba.conf"
    kept = rules.read_text()
    with prepared.superuser(prepared.postgres.names.warehouse) as connection:
        try:
            rules.write_text(f"local all {lake_role('safe_b')} trust\n{kept}")
            connection.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
            with pytest.raises(IsolationError, match="lets lake_safe_b in without asking"):
                prepared.postgres.connect(lake_role("safe_b"))
            with pytest.raises(IsolationError, match=r"authentication: line 1 lets lake_safe_b in by trust"):
                refuse_unsafe(connection, "server")
            prepared.postgres.connect(lake_role("safe_a")).close()
        finally:
            rules.write_text(kept)
            connection.execute("SELECT pg_reload_conf(), pg_sleep(0.3)")
        refuse_unsafe(connection, "server")


def test_no_session_and_no_command_is_opened_beside_an_unsafe_role(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once per process: this one has looked already, so it forgets."""
    monkeypatch.setattr(safeguards, "_looked_at", set())
    with prepared.superuser() as connection:
        connection.execute("CREATE ROLE lake_unsafe BYPASSRLS")
        try:
            session = session_for(prepared, "safe_a")
            with pytest.raises(IsolationError, match="roles: lake_unsafe by-passes row-level security"):
                session.lock  # noqa: B018
            session.close()
            done = CliRunner().invoke(strata, ["kpis", "safe_a"])
            assert done.exit_code == 1
            assert re.match(r"IsolationError: roles: lake_unsafe by-passes.* Fix: ALTER ROLE", done.output)
        finally:
            connection.execute("DROP ROLE lake_unsafe")
    session = session_for(prepared, "safe_a")
    session.lock.execute("SELECT 1")
    session.close()
    assert len(safeguards._looked_at) == 1
