"""Joining is one file: `plan` says what would change, `apply` does exactly that, and a second time there is nothing to do."""
from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest

from partitions.customers import CUSTOMERS, load_customers
from partitions.errors import CustomerError, QuotaError
from platform_assets.joining import joining_sensor
from resources.orchestrator import instance
from resources.postgres import lake_role, reader_role
from resources.reconciliation import Change, plan, settled
from tests.customers.conftest import Place
from tests.installation import inventory


def planned(place: Place, name: str) -> list[tuple[str, str]]:
    return [(change["action"], change["what"]) for change in place.json("customers", "plan") if change["customer"] == name]


def roles(place: Place, name: str) -> set[str]:
    with place.made.superuser() as connection:
        return {row[0] for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [[lake_role(name), reader_role(name)]])}


def test_a_new_file_is_planned_then_applied_then_there_is_nothing_to_do(place: Place) -> None:
    place.declare("joins", schedule="30 5 * * 1-5", direct_readers=True)
    everything = [("add", "lake"), ("add", "landing"), ("add", "direct reader"), ("add", "schedule"), ("add", "partition")]
    assert planned(place, "joins") == everything
    assert roles(place, "joins") == set()  # a plan changes nothing
    assert place.strata("customers", "plan", "--detailed-exitcode").exit_code == 2

    assert "+ joins" in place.done("customers", "apply")
    assert roles(place, "joins") == {"lake_joins", "cust_joins"}
    assert (place.made.settings.landing_root / "joins").is_dir()
    assert "joins" in instance(place.made.postgres).get_dynamic_partitions(CUSTOMERS.name)

    assert planned(place, "joins") == []
    assert place.done("customers", "apply").startswith("no changes")
    assert place.strata("customers", "plan", "--detailed-exitcode").exit_code == 0


def test_a_direct_reader_sees_live_figures_of_its_customer_alone_and_loses_its_role_with_the_key(place: Place) -> None:
    place.declare("reads", direct_readers=True)
    place.declare("read_not")
    place.done("customers", "apply")
    with place.made.superuser(place.made.postgres.names.warehouse) as connection:
        for name in ("reads", "read_not"):
            connection.execute("INSERT INTO platform.publication (customer_id, domain, run_id, versions) VALUES (%s, 'greenit', '', '{}')", [name])
            connection.execute("""INSERT INTO platform.table_version (customer_id, table_name, version, run_id, code_version, parameter_version, contract_version,
                inputs, row_count, quarantined_count, content_hash, fence) VALUES (%s, 't', 1, '', '', '', '', '{}', 0, 0, '', 1)""", [name])
            connection.execute("INSERT INTO platform.live_version (customer_id, table_name, version, publication_id) "
                               "SELECT customer_id, 't', 1, publication_id FROM platform.publication WHERE customer_id = %s", [name])
    with place.made.postgres.connect("cust_reads") as connection:
        assert connection.execute("SELECT customer_id FROM platform.live_version").fetchall() == [("reads",)]
        connection.execute("SET app.customer_id = 'read_not'")
        assert connection.execute("SELECT customer_id FROM platform.live_version").fetchall() == [("reads",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT 1 FROM platform.delivery")
    place.declare("reads", direct_readers=False)
    assert planned(place, "reads") == [("remove", "direct reader")]
    place.done("customers", "apply")
    assert roles(place, "reads") == {"lake_reads"}
    assert not (place.made.settings.secrets / "cust_reads").exists()


def test_pausing_moving_and_leaving_are_changes_of_a_record(place: Place) -> None:
    place.declare("moves", schedule="0 4 * * *")
    place.done("customers", "apply")
    place.declare("moves", schedule="0 6 * * *", status="paused", time_zone="America/New_York")
    details = {change["what"]: change["detail"] for change in place.json("customers", "plan") if change["customer"] == "moves"}
    assert details == {"status (pause)": "active -> paused", "schedule": "0 4 * * * -> 0 6 * * *", "time_zone": "Europe/Paris -> America/New_York"}
    place.done("customers", "apply")
    assert planned(place, "moves") == []
    place.declare("moves", status="leaving")
    assert ("change", "status (retire)") in planned(place, "moves")
    place.done("customers", "apply")
    assert planned(place, "moves") == [("drift", "leaving")]  # nothing is deleted until it is asked for
    assert roles(place, "moves") == {"lake_moves"}


def test_what_stands_without_a_file_is_shown_and_left_alone(place: Place) -> None:
    place.made.postgres.ensure_lake_role("stray")
    found = [change for change in place.json("customers", "plan") if change["customer"] == "stray"]
    assert [(change["action"], change["detail"].split(" without")[0]) for change in found] == [("drift", "lake role, lake catalog")]
    place.done("customers", "apply")
    assert roles(place, "stray") == {"lake_stray"}
    place.made.postgres.drop_role("lake_stray")
    assert planned(place, "stray") == []


@pytest.mark.parametrize(("key", "value", "words"), [
    ("schedule", "@daily", "five fields of cron"), ("schedule", "61 * * * *", "five fields of cron"), ("schedule", "0 0 30 2 *", "five fields of cron"),
    ("schedule", "0 0 * * * *", "five fields of cron"), ("quotas", {"lake_bytes": 0}, "quotas.lake_bytes"), ("quotas", {"lake_gb": 1}, "quotas.lake_gb"),
    ("contacts", [{"role": "Billing", "email": "nobody"}], "contacts.0.email"), ("encrypted", "yes please", "encrypted"),
])
def test_a_wrong_key_of_the_file_is_refused(place: Place, tmp_path: Path, key: str, value: object, words: str) -> None:
    place.declare("wrong", **{key: value})
    (place.folder / "wrong.yaml").rename(tmp_path / "wrong.yaml")
    with pytest.raises(CustomerError, match=words):
        load_customers(tmp_path)


def test_a_delivery_over_the_quota_is_refused_whole_and_the_one_before_still_counts(place: Place, tmp_path: Path) -> None:
    place.declare("limited", quotas={"delivery_rows": 2})
    place.done("customers", "apply")
    place.done("land", "limited", "equipment_inventory", inventory(tmp_path / "two.csv", {}, {}), "--period", "2024-09")
    refused = place.strata("land", "limited", "equipment_inventory", inventory(tmp_path / "three.csv", {}, {}, {}), "--period", "2024-10")
    assert refused.exit_code == 1
    assert "QuotaError: [customer limited, table equipment_inventory, rule QUOTA] 3 rows in the delivery, and the customer's quota is 2" in refused.output
    place.declare("limited", quotas={"delivery_bytes": 10})
    with pytest.raises(QuotaError, match="bytes in the delivery"):
        place.made.land("limited", "equipment_inventory", [inventory(tmp_path / "one.csv", {})], "2024-10")
    rows = place.made.query("SELECT period::text, sum(rows)::int AS rows FROM platform.delivery GROUP BY 1", customer="limited", role="strata_writer")
    assert rows == [{"period": "2024-09-01", "rows": 2}]


def test_a_lake_over_its_quota_takes_no_delivery(place: Place, tmp_path: Path) -> None:
    place.declare("full", quotas={"lake_bytes": 1000})
    place.done("customers", "apply")
    with place.made.postgres.connect("strata_writer", customer="full") as connection:
        connection.execute("INSERT INTO platform.lake_object (customer_id, path, table_name, sha256, bytes) VALUES ('full', 'a', 't', %s, 1001)", ["0" * 64])
    with pytest.raises(QuotaError, match="1,001 bytes in the lake, and the customer's quota is 1,000.*strata gc"):
        place.made.land("full", "equipment_inventory", [inventory(tmp_path / "one.csv", {})])


def test_the_daemon_follows_the_folder_after_a_merge(place: Place) -> None:
    place.declare("merged")
    sensor, dagster = joining_sensor(), instance(place.made.postgres)
    first = dg.build_sensor_context(dagster, cursor=None)
    assert "add: 4" in str(sensor(first).skip_message)  # lake, landing, schedule, partition
    assert "merged" in dagster.get_dynamic_partitions(CUSTOMERS.name)
    second = dg.build_sensor_context(dagster, cursor=first.cursor)
    assert "did not change" in str(sensor(second).skip_message)


def test_an_apply_of_one_customer_leaves_the_others_alone(place: Place) -> None:
    place.declare("named")
    place.declare("not_named")
    everyone = load_customers(place.folder)
    dagster = instance(place.made.postgres)
    done = settled(place.made.postgres, dagster, {"named": everyone["named"]}, whole=False)
    assert {change.customer for change in done} == {"named"}
    left = plan(place.made.postgres, dagster, everyone)
    assert Change("add", "not_named", "partition", "key not_named") in left
