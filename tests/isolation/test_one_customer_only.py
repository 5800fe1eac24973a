"""A run of one customer touches one customer: every text value that three customers deliver carries a canary with its owner's id.

`iso_a2` is a prefix sibling of `iso_a`. What is looked through: Parquet files, warehouse rows, Dagster's events, error texts.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from dagster._serdes import serialize_value
from psycopg import sql

from partitions.errors import DeliveryError
from resources.postgres import READER, WRITER
from tests.installation import LIVE, Installation, billing, inventory

OWNERS = ("iso_b", "iso_a2", "iso_a")
OURS = "n.nspname = 'platform' OR starts_with(n.nspname, 'greenit_')"
OTHER_IDS = ["", " ", "ISO_A", "iso_a ", "%", "*", "iso_", "iso_a' OR '1'='1"]


def canary(name: str, number: Any) -> str:
    return f"CANARY-{name}-{number}"


def deliver(installation: Installation, name: str, folder: Path) -> None:
    """An inventory and a bill whose every free text is a canary; words that are looked up are real on one line and canaries on another."""
    marked = {column: canary(name, column) for column in ("model", "manufacturer", "site", "org_unit", "currency")}
    hosted = {**marked, "datacentre": canary(name, "datacentre")}
    rows = [{**marked, "equipment_id": canary(name, 1)}, {**hosted, "equipment_id": canary(name, 2), "item_type": canary(name, "type")},
            {**marked, "equipment_id": canary(name, 3), "country": canary(name, "country")}]  # the last one goes to quarantine
    installation.land(name, "equipment_inventory", [inventory(folder / f"{len(name)}{name[-1]}-i.csv", *rows)])
    free = ("SubAccountId", "ResourceId", "ResourceName", "Tags", "ServiceName", "ServiceCategory", "SkuId", "BillingAccountName", "ChargeFrequency")
    line = {column: canary(name, column) for column in free}
    odd = {**line, "ProviderName": canary(name, "provider"), "RegionId": canary(name, "region"), "ConsumedUnit": canary(name, "unit"),
           "ChargeDescription": canary(name, "description")}
    installation.land(name, "cloud_billing", [billing(folder / f"{len(name)}{name[-1]}-b.csv", canary(name, "owner"), line, odd)])


def others_state(installation: Installation) -> dict[str, Any]:
    """What must not change for the two other customers: versions, figures, every byte under their lake folders."""
    root = Path(installation.settings.lake_root)
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for name in OWNERS[:2] for path in sorted((root / name).rglob("*.parquet"))}
    return {"files": files, **{name: (installation.versions(name), installation.kpis(name)) for name in OWNERS[:2]}}


@pytest.fixture(scope="module")
def done(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All three customers have run, `iso_a` last; `before` is what the others had until then."""
    folder = tmp_path_factory.mktemp("isolation")
    for name in OWNERS:
        source = {"format": "focus_1_0", "accepted_owners": [canary(name, "owner")]}
        installation.declare(name, sources={"equipment_inventory": {"format": "strata_1"}, "cloud_billing": source})
        deliver(installation, name, folder)
    runs = {name: installation.run(name) for name in OWNERS[:2]}
    before = others_state(installation)
    runs["iso_a"] = installation.run("iso_a")
    return {"runs": runs, "before": before}


def relations(installation: Installation, kinds: str = "r") -> list[tuple[str, str]]:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        return connection.execute(f"""SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE ({OURS}) AND c.relkind::text = ANY(%s) ORDER BY 1, 2""", [list(kinds)]).fetchall()


def owners_in(text: str) -> set[str]:
    """Whose canaries stand in a text, in any case."""
    lowered = text.lower()
    return {name for name in OWNERS if canary(name, "").lower() in lowered}


def events(installation: Installation) -> dict[str, str]:
    """Customer -> everything that Dagster kept of its runs, as text."""
    found: dict[str, str] = {}
    for run in installation.instance.get_runs():
        if (name := run.tags.get("dagster/partition", "")) in OWNERS:
            kept = [serialize_value(run), *(serialize_value(entry) for entry in installation.instance.all_logs(run.run_id))]
            found[name] = found.get(name, "") + "\n".join(kept)
    return found


def test_all_three_customers_have_figures(done, installation: Installation) -> None:
    assert {name: run.failures for name, run in done["runs"].items()} == dict.fromkeys(OWNERS, {})
    assert all(run.success for run in done["runs"].values())
    assert all(len(installation.kpis(name)) > 0 for name in OWNERS)


def test_case_42_a_run_leaves_the_versions_figures_and_files_of_others_untouched(done, installation: Installation) -> None:
    assert done["before"]["iso_b"][0]
    assert done["before"]["files"]
    assert others_state(installation) == done["before"]


@pytest.mark.parametrize("name", OWNERS)
def test_case_38_a_customers_lake_files_hold_its_own_canaries_only(done, installation: Installation, name: str) -> None:
    files = list(Path(installation.settings.lake_path(name)).rglob("*.parquet"))
    raw = b"".join(path.read_bytes() for path in files).decode("latin-1")
    decoded = "".join(str(pq.read_table(path).to_pylist()) for path in files)  # compressed pages hide text from a search of bytes
    assert owners_in(decoded) == {name}
    assert owners_in(raw) <= {name}


@pytest.mark.parametrize("name", OWNERS)
def test_case_38_a_customers_warehouse_rows_hold_its_own_canaries_only(done, installation: Installation, name: str) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        text = ""
        for table in relations(installation):
            query = sql.SQL("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {} t WHERE customer_id = %s").format(sql.Identifier(*table))
            text += connection.execute(query, [name]).fetchone()[0]
    assert owners_in(text) == {name}


def test_cases_44_45_no_delivered_value_stands_in_any_event_of_dagster(done, installation: Installation) -> None:
    """Not even the customer's own: the rules on provider and currency fail on canaries, which are values of columns that are not public."""
    assert done["runs"]["iso_a"].checks["cloud_usage.provider__be_in_set"] is False
    assert done["runs"]["iso_a"].checks["equipment.currency__match_regex"] is False
    found = events(installation)
    assert set(found) == set(OWNERS)
    assert all("kpi_monthly" in text for text in found.values())
    assert {name: owners_in(text) for name, text in found.items()} == {name: set() for name in OWNERS}


def test_case_45_no_password_and_no_delivered_value_stands_in_any_event_or_log(done, installation: Installation) -> None:
    """Events of Dagster, and every log of the installation; the lake's files, the deliveries and the secrets themselves are apart."""
    home = installation.settings.home
    passwords = [path.read_text() for path in installation.settings.secrets.iterdir()]
    assert len(passwords) > 8
    logs = [home / "postgres" / "log", *(path for folder in ("dagster", "notices", "compiled") for path in (home / folder).rglob("*") if path.is_file())]
    told = {**events(installation), **{str(path): path.read_bytes().decode("latin-1") for path in logs}}
    assert len(told[str(logs[0])]) > 100
    assert [(place, word) for place, text in told.items() for word in passwords if word in text] == []
    assert {place: owners_in(text) for place, text in told.items() if owners_in(text)} == {}


def test_case_40_a_refused_file_of_another_customer_is_named_without_its_values(done, installation: Installation, tmp_path: Path) -> None:
    strange = billing(tmp_path / "bill.csv", canary("iso_b", "owner"), {"ServiceName": canary("iso_b", 1)})
    with pytest.raises(DeliveryError) as refused:
        installation.land("iso_a", "cloud_billing", [strange], "2024-10")
    assert owners_in(str(refused.value)) == set()
    assert "iso_a" in str(refused.value)
    assert not list((installation.settings.landing_root / "iso_a" / "cloud_billing").glob("2024-10/*"))


# the reader and the writer under row-level security

READABLE = ["greenit_platinum.kpi_monthly", "greenit_platinum.kpi_monthly_live", "greenit_platinum.top_contributors",
            "greenit_platinum.top_contributors_live", "platform.live_version"]


@pytest.mark.parametrize("relation", READABLE)
def test_cases_01_02_a_reader_sees_one_customer_and_without_one_nothing(done, installation: Installation, relation: str) -> None:
    query = f"SELECT DISTINCT customer_id FROM {relation}"
    assert [row["customer_id"] for row in installation.query(query, customer="iso_a")] == ["iso_a"]
    assert installation.query(query) == []
    with installation.postgres.connect(READER) as connection:
        for id in OTHER_IDS:
            connection.execute("SELECT set_config('app.customer_id', %s, false)", [id])
            assert (id, connection.execute(query).fetchall()) == (id, [])


def test_case_05_a_setting_local_to_a_transaction_ends_with_it(done, installation: Installation) -> None:
    query = "SELECT count(*) FROM platform.live_version"
    with installation.postgres.connect(READER, autocommit=True) as connection:
        with connection.transaction():
            connection.execute("SELECT set_config('app.customer_id', 'iso_a', true)")
            assert connection.execute(query).fetchone() == (LIVE,)
        assert connection.execute(query).fetchone() == (0,)


@pytest.mark.parametrize("statement", [
    "SELECT 1 FROM greenit_gold.impact", "SELECT 1 FROM greenit_gold.impact_live", "SELECT 1 FROM platform.table_version", "SELECT 1 FROM platform.delivery",
    "INSERT INTO greenit_platinum.kpi_monthly (customer_id) VALUES ('iso_a')", "UPDATE greenit_platinum.kpi_monthly SET value = 0",
    "DELETE FROM greenit_platinum.kpi_monthly", "TRUNCATE greenit_platinum.kpi_monthly", "UPDATE platform.live_version SET version = 1",
    "CREATE TEMP TABLE mine (a int)", "CREATE TABLE platform.mine (a int)", "CREATE SCHEMA mine", "CREATE FUNCTION pg_temp.f() RETURNS int RETURN 1",
    "SELECT platform.take_fence('iso_a', 'x')", "CALL platform.protect('platform.fence')", "SELECT nextval('platform.version_number')",
    "COPY (SELECT 1) TO PROGRAM 'true'", "SELECT pg_read_file('PG_VERSION')", "SELECT lo_import('/etc/hostname')", "SET ROLE strata_writer",
    "SET SESSION AUTHORIZATION postgres", "SELECT 1 FROM pg_authid",
])
def test_cases_15_16_20_the_reader_may_not(done, installation: Installation, statement: str) -> None:
    with installation.postgres.connect(READER, customer="iso_a") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_case_16_switching_row_security_off_is_an_error_and_no_data(done, installation: Installation) -> None:
    with installation.postgres.connect(READER, customer="iso_a") as connection:
        connection.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="affected by row-level security"):
            connection.execute("SELECT 1 FROM greenit_platinum.kpi_monthly_live")


def test_case_13_a_writer_cannot_insert_a_row_of_another_customer(done, installation: Installation) -> None:
    for table in relations(installation):
        refused = pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security|permission denied for table")
        with installation.postgres.connect(WRITER, customer="iso_a") as connection, refused:
            connection.execute(sql.SQL("INSERT INTO {} (customer_id) VALUES ('iso_b')").format(sql.Identifier(*table)))


def test_case_13_a_writer_can_neither_move_nor_reach_rows_of_another_customer(done, installation: Installation) -> None:
    with installation.postgres.connect(WRITER, customer="iso_a") as connection:
        assert connection.execute("DELETE FROM greenit_platinum.kpi_monthly WHERE customer_id = 'iso_a2'").rowcount == 0
        assert connection.execute("UPDATE platform.table_version SET verdict = 'failed' WHERE customer_id <> 'iso_a'").rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute("UPDATE platform.live_version SET customer_id = 'iso_b'")


# the catalog: what protects tables that nobody has written yet


def test_case_09_row_level_security_is_enabled_and_forced_on_every_table_of_ours(done, installation: Installation) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute(f"""SELECT n.nspname || '.' || c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ({OURS}) AND c.relkind IN ('r', 'p')""").fetchall()
    assert len(rows) >= 9  # five of platform, two of gold, two of platinum
    assert [name for name, is_forced in rows if not is_forced] == []


def test_case_11_every_table_has_the_two_policies_and_no_other(done, installation: Installation) -> None:
    own, migration = "(customer_id = ( SELECT platform.customer() AS customer))", "true"
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute("SELECT schemaname, tablename, policyname, roles::text, cmd, qual, with_check FROM pg_policies").fetchall()
    assert {row[2:] for row in rows} == {("own_customer", "{public}", "ALL", own, own), ("migration", "{strata_migrator}", "ALL", migration, migration)}
    assert {row[:2] for row in rows} == set(relations(installation))


def test_case_10_every_view_reads_as_its_reader_and_nothing_is_materialized(done, installation: Installation) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        views = connection.execute(f"""SELECT c.relname, c.relkind, coalesce('security_invoker=true' = ANY(c.reloptions), false) FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE ({OURS}) AND c.relkind IN ('v', 'm')""").fetchall()
    assert len(views) >= 4
    assert [name for name, kind, is_invoker in views if kind == b"m" or kind == "m" or not is_invoker] == []


def test_case_10_no_function_runs_as_its_owner(done, installation: Installation) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute("SELECT proname, prosecdef FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
                                  "WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')").fetchall()
    assert len(rows) >= 4
    assert [name for name, is_definer in rows if is_definer] == []


def test_case_14_customer_id_comes_first_in_every_unique_index(done, installation: Installation) -> None:
    """Else a unique violation would tell that another customer has a value."""
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute(f"""SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            WHERE i.indisunique AND ({OURS})""").fetchall()
    assert len(rows) >= 7
    assert [index for index, first in rows if first != "customer_id"] == []


def test_case_09_no_other_schema_of_the_warehouse_holds_tables(done, installation: Installation) -> None:
    """A table of ours in a schema that the queries above do not know would escape them; `public` holds the migration tool's own."""
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        rows = connection.execute(f"""SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT ({OURS}) AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'""").fetchall()
        assert rows == [("public",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege), installation.postgres.connect(READER) as reader:
            reader.execute("SELECT 1 FROM public.flyway_schema_history")
