"""Behaviour of resources/deliveries.py: all or nothing, by period and sequence and never by arrival."""
from __future__ import annotations

import os
import random
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

import resources.deliveries
from partitions.customers import load_customers
from partitions.errors import AccountingError, DeliveryError
from resources.deliveries import effective, land, newest_period_end, safe_name
from resources.formats import Format
from resources.landing import account, counted, load
from resources.storage import landing_name
from samples.generate import generate

from .conftest import customer_of, source_of
from .readers import COLUMNS, delivered, locked_session

INVENTORY, BILLING = source_of("equipment_inventory"), source_of("cloud_billing")
REQUIRED = list(BILLING.formats["focus_1_0"].required)


def inventory_file(folder: Path, name: str, *ids: str) -> Path:
    path = folder / name
    path.write_text("equipment_id,item_type,quantity,status,purchase_date,country\n" + "".join(f"{id},laptop,1,in use,2024-01-01,FR\n" for id in ids))
    return path


def billing_file(folder: Path, name: str, *owners: str, cost: str = "1.00") -> Path:
    path = folder / name
    rows = [",".join({"BillingAccountId": owner, "BilledCost": cost}.get(column, "x") for column in REQUIRED) for owner in owners]
    path.write_text("\n".join([",".join(REQUIRED), *rows]) + "\n")
    return path


def landed_names(registry, source=INVENTORY, customer="acme"):
    return [(file.file_name, file.period and f"{file.period:%Y-%m}", file.sequence) for file in effective(registry, customer, source.name, source.mode)]


def all_files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) if root.exists() else []


def registered(registry) -> int:
    return registry.execute("SELECT count(*) FROM platform.delivery").fetchone()[0]


def test_the_same_files_again_change_nothing(registry, tmp_path):
    root, customer = tmp_path / "landing", customer_of()
    files = [inventory_file(tmp_path, "a.csv", "1"), inventory_file(tmp_path, "b.csv", "2")]
    first = land(registry, root, customer, INVENTORY, files, "2024-09")
    before = all_files(root)
    again = land(registry, root, customer, INVENTORY, files[::-1], "2024-09")
    assert (first.result, again.result, first.sequence, again.sequence) == ("new", "unchanged", 1, 1)
    assert (all_files(root), registered(registry), again.files) == (before, 2, first.files)
    assert before[0].startswith("acme/equipment_inventory/2024-09/1-")


def test_a_delivery_is_durable_and_read_only(registry, tmp_path):
    root = tmp_path / "landing"
    landed = land(registry, root, customer_of(), INVENTORY, [inventory_file(tmp_path, "a.csv", "1")])
    path = root / landed.files[0].path
    assert path.parent.name == "snapshot"
    assert path.stat().st_mode & 0o777 == 0o444
    registry.rollback()
    assert registered(registry) == 1


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_arrival_does_not_matter(registry, tmp_path, seed):
    root, customer = tmp_path / "landing", customer_of()
    periods = [("2024-06", 1), ("2024-06", 2), ("2024-07", 1), ("2024-08", 1), ("2024-08", 2), ("2024-08", 3)]
    order = [(period, sequence, str(number)) for number, (period, sequence) in enumerate(periods)] * 2
    random.Random(seed).shuffle(order)
    for period, sequence, cost in order:
        land(registry, root, customer, BILLING, [billing_file(tmp_path, f"{period}-{sequence}.csv", "100", cost=cost)], period, sequence)
        land(registry, root, customer, INVENTORY, [inventory_file(tmp_path, f"i{period}-{sequence}.csv", cost)], period, sequence)
    assert landed_names(registry, BILLING) == [("2024-06-2.csv", "2024-06", 2), ("2024-07-1.csv", "2024-07", 1), ("2024-08-3.csv", "2024-08", 3)]
    assert landed_names(registry) == [("i2024-08-3.csv", "2024-08", 3)]
    assert newest_period_end(registry, "acme") == date(2024, 8, 31)


def test_without_a_sequence_a_correction_takes_the_next_one(registry, tmp_path):
    root, customer = tmp_path / "landing", customer_of()
    for number in ("1", "2"):
        landing = land(registry, root, customer, INVENTORY, [inventory_file(tmp_path, f"{number}.csv", number)], "2024-09")
        assert landing.sequence == int(number)
    with pytest.raises(DeliveryError, match="sequence 1 of this period holds other files"):
        land(registry, root, customer, INVENTORY, [inventory_file(tmp_path, "3.csv", "3")], "2024-09", 1)
    assert landed_names(registry) == [("2.csv", "2024-09", 2)]


@pytest.mark.parametrize("owners", [("100", "200"), ("100", "", "200"), ("100 ",), ("100", "１００"), ("*",)])
def test_a_file_with_a_foreign_owner_is_refused_whole(registry, tmp_path, owners):
    good = billing_file(tmp_path, "good.csv", "100")
    with pytest.raises(DeliveryError, match="BillingAccountId") as caught:
        land(registry, tmp_path / "landing", customer_of(), BILLING, [good, billing_file(tmp_path, "bad.csv", *owners)], "2024-09")
    assert caught.value.place["file"] == "bad.csv"
    assert caught.value.place["row"] == len(owners)
    assert (all_files(tmp_path / "landing"), registered(registry)) == ([], 0)


def test_a_row_without_owner_is_left_to_silver(registry, tmp_path):
    landed = land(registry, tmp_path / "landing", customer_of(), BILLING, [billing_file(tmp_path, "gap.csv", "100", "")], "2024-09")
    assert landed.rows == 2
    assert registry.execute("SELECT owners FROM platform.delivery").fetchall() == [(["100"],)]


@pytest.mark.parametrize("options", [
    {"period": "2024-13"}, {"period": "2024-9"}, {"period": "../.."}, {"period": date(2024, 9, 2)}, {"period": None},
    {"period": "2024-09", "sequence": 0}, {"period": "2024-09", "files": []},
])
def test_a_wrong_call_is_refused_and_leaves_nothing(registry, tmp_path, options):
    given = {"files": [billing_file(tmp_path, "a.csv", "100")], **options}
    with pytest.raises(DeliveryError) as caught:
        land(registry, tmp_path / "landing", customer_of(), BILLING, **given)
    assert caught.value.place["customer"] == "acme"
    assert (all_files(tmp_path / "landing"), registered(registry)) == ([], 0)


def test_one_bad_file_refuses_its_companions(registry, tmp_path):
    (tmp_path / "page.csv").write_text("<html>")
    with pytest.raises(DeliveryError, match="HTML") as caught:
        land(registry, tmp_path / "landing", customer_of(), INVENTORY, [inventory_file(tmp_path, "a.csv", "1"), tmp_path / "page.csv"])
    assert caught.value.place["file"] == "page.csv"
    assert (all_files(tmp_path / "landing"), registered(registry)) == ([], 0)


def test_a_symbolic_link_is_refused(registry, tmp_path):
    (tmp_path / "link.csv").symlink_to(inventory_file(tmp_path, "a.csv", "1"))
    with pytest.raises(DeliveryError, match="symbolic link"):
        land(registry, tmp_path / "landing", customer_of(), INVENTORY, [tmp_path / "link.csv"])


def test_a_file_that_counts_in_another_period_is_refused(registry, tmp_path):
    root, file = tmp_path / "landing", billing_file(tmp_path, "a.csv", "100")
    land(registry, root, customer_of(), BILLING, [file], "2024-08")
    with pytest.raises(DeliveryError, match="2024-08"):
        land(registry, root, customer_of(), BILLING, [file], "2024-09")
    with pytest.raises(DeliveryError, match="given twice"):
        land(registry, root, customer_of(), BILLING, [file, file], "2024-09")


@pytest.mark.parametrize("failing", ["_move", "_insert", "_sync"])
def test_a_failure_on_the_way_leaves_nothing_behind(registry, tmp_path, monkeypatch, failing):
    calls, original = [], getattr(resources.deliveries, failing)

    def fails(*arguments):
        calls.append(1)
        if len(calls) == (1 if failing == "_sync" else 2):
            raise OSError("disk full")
        return original(*arguments)

    monkeypatch.setattr(resources.deliveries, failing, fails)
    with pytest.raises(OSError, match="disk full"):
        land(registry, tmp_path / "landing", customer_of(), INVENTORY, [inventory_file(tmp_path, "a.csv", "1"), inventory_file(tmp_path, "b.csv", "2")])
    assert (all_files(tmp_path / "landing"), registered(registry)) == ([], 0)


def test_what_another_customer_landed_stays_out_of_sight(registry, tmp_path):
    root = tmp_path / "landing"
    land(registry, root, customer_of("acme"), INVENTORY, [inventory_file(tmp_path, "canary.csv", "1")], "2024-09")
    assert effective(registry, "globex", INVENTORY.name, INVENTORY.mode) == []
    assert newest_period_end(registry, "globex") is None
    assert land(registry, root, customer_of("globex"), INVENTORY, [inventory_file(tmp_path, "canary.csv", "1")]).result == "new"


@pytest.mark.parametrize(("name", "safe"), [
    ("inventory 2024.csv", "inventory_2024.csv"), ("../../etc/passwd", "etc_passwd"), ("Été;rm -rf.csv", "Ete_rm_-rf.csv"), (".hidden", "hidden"),
    ("日本", "file"), ("a" * 300 + ".csv", "a" * 76 + ".csv"), ("x\n[ok].csv", "x_ok_.csv"),
])
def test_a_file_name_is_made_harmless(name, safe):
    assert safe_name(name) == safe


def test_the_samples_land_and_load_with_their_bad_rows_apart(registry, tmp_path):
    root, customers = tmp_path / "landing", load_customers(Path(__file__).parents[2] / "customers")
    sources = {name: source_of(name) for found in customers.values() for name in found.sources}
    for delivery in generate(tmp_path / "samples"):
        if delivery.source not in sources:
            continue
        files = [tmp_path / "samples" / name for name in delivery.files]
        assert land(registry, root, customers[delivery.customer], sources[delivery.source], files, delivery.period, delivery.sequence).result == "new"
    expected = {
        ("acme", "equipment_inventory"): (308, {"FIELD_COUNT": 1, "QUOTE": 1}), ("acme", "cloud_billing"): (2080, {}),
        ("globex", "equipment_inventory"): (303, {}), ("globex", "cloud_billing"): (2160, {}),
        ("initech", "equipment_inventory"): (303, {}), ("initech", "cloud_billing"): (0, {}),
        ("acme", "equipment_metering"): (64, {}), ("globex", "equipment_metering"): (31, {}), ("initech", "equipment_metering"): (49, {}),
        ("acme", "virtual_machines"): (95, {}), ("globex", "applications"): (86, {}), ("initech", "site_register"): (4, {}), ("acme", "organisation"): (11, {}),
    }
    for (id, name), (rows, rules) in expected.items():
        with locked_session(root / id) as session:
            loaded = load(session, root, effective(registry, id, name, sources[name].mode), sources[name].formats, sources[name].columns, landing_name(name))
            account(loaded, counted(session, landing_name(name)))
            found = dict(session.execute(f"SELECT rule, count(*) FROM {loaded.rejects_table} GROUP BY 1").fetchall())
        assert (loaded.rows, found) == (rows, rules), (id, name)
    assert landed_names(registry, customer="initech") == [("assets_2024-09_v2.csv", "2024-09", 2)]


def test_parquet_becomes_text_without_loss(registry, tmp_path):
    root, folder = tmp_path / "landing", tmp_path / "samples"
    delivery = next(delivery for delivery in generate(folder) if (delivery.customer, delivery.source) == ("globex", "cloud_billing"))
    globex = load_customers(Path(__file__).parents[2] / "customers")["globex"]
    land(registry, root, globex, BILLING, [folder / name for name in delivery.files], delivery.period)
    with locked_session(root / "globex") as session:
        load(session, root, effective(registry, "globex", "cloud_billing", "period"), BILLING.formats, BILLING.columns, "landing_b")
        rows = session.execute("SELECT _row, BilledCost, ChargePeriodStart FROM landing_b WHERE _file LIKE '%aws%' ORDER BY _row").fetchall()
    table = pq.read_table(folder / delivery.files[0]).to_pylist()
    assert [(row[0], row[2]) for row in rows] == [(number, f"{row['ChargePeriodStart']:%Y-%m-%dT%H:%M:%SZ}") for number, row in enumerate(table, 1)]
    assert [Decimal(row[1]) for row in rows] == [row["BilledCost"] for row in table]


def test_timestamps_nested_values_and_odd_types_keep_their_meaning(tmp_path):
    path = tmp_path / "t.parquet"
    duckdb.sql(f"""COPY (SELECT TIMESTAMP '2024-09-01 12:30:00.000120' AS id, {{'a': 1, 'b': [1, 2]}} AS name,
        1234567890123456789012345678.0000000001::DECIMAL(38, 10) AS note
        UNION ALL SELECT TIMESTAMP '1969-12-31 23:59:59.5', NULL, -0.5) TO '{path}'""")
    format = Format(name="p", type="parquet")
    with locked_session(tmp_path) as session:
        load(session, tmp_path, [delivered(path, format, COLUMNS)], {"p": format}, COLUMNS, "landing_t")
        rows = session.execute("SELECT * EXCLUDE (_file, _sha256, _format) FROM landing_t ORDER BY _row").fetchall()
    assert rows[0][:3] == ("2024-09-01T12:30:00.00012Z", '{"a":1,"b":[1,2]}', "1234567890123456789012345678.0000000001")
    assert rows[1][:3] == ("1969-12-31T23:59:59.5Z", None, "-0.5000000000")


def test_a_file_changed_after_landing_is_an_accounting_error(registry, tmp_path):
    root = tmp_path / "landing"
    landed = land(registry, root, customer_of(), INVENTORY, [inventory_file(tmp_path, "a.csv", "1", "2")])
    path = root / landed.files[0].path
    os.chmod(path, 0o644)
    path.write_text(path.read_text() + "3,laptop,1,in use,2024-01-01,FR\n")
    with locked_session(root / "acme") as session:
        loaded = load(session, root, effective(registry, "acme", INVENTORY.name, "snapshot"), INVENTORY.formats, INVENTORY.columns, "landing_i")
        with pytest.raises(AccountingError, match="3 rows were loaded where 2 were counted"):
            account(loaded, counted(session, "landing_i"), customer="acme")


def test_a_locked_session_cannot_read_another_customers_landing(registry, tmp_path):
    root = tmp_path / "landing"
    land(registry, root, customer_of("globex"), INVENTORY, [inventory_file(tmp_path, "canary.csv", "canary")])
    foreign = effective(registry, "globex", INVENTORY.name, "snapshot")
    with locked_session(root / "acme") as session, pytest.raises(duckdb.PermissionException) as caught:
        load(session, root, foreign, INVENTORY.formats, INVENTORY.columns, "landing_i")
    assert "canary,laptop" not in str(caught.value)
