"""What the IO managers keep back, and what a version says of it; driven directly where no table of ours does it."""
from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pytest
from click.testing import CliRunner

from cli.main import strata
from platform_assets.collection import collect_customer
from platform_assets.conform import REJECT
from platform_assets.contracts import contract
from platform_assets.greenit.bronze import cloud_billing, equipment_inventory
from platform_assets.greenit.gold import impact
from platform_assets.greenit.silver import equipment
from resources import lake, versions
from resources.accounting import SourceShare, quarantined_share, shares_behind
from resources.corrections import Correction, record
from resources.expressions import unbound
from resources.postgres import WRITER
from resources.session import Session
from resources.storage import Column, TableSpec, landing_name
from resources.versions import Version
from resources.warehouse import write_gold
from tests.contracts.building import as_arrow, clean_rows
from tests.installation import Installation, billing, inventory
from tests.lake import lake_rows, quarantine, session_for

NAME = "keeps"
GOLD = contract(impact.__file__).spec
INVENTORY = contract(equipment_inventory.__file__).spec
DRIFTING = replace(INVENTORY, drift="quarantine")


@pytest.fixture
def session(installation: Installation) -> Iterator[Session]:
    if not (installation.settings.customers / f"{NAME}.yaml").exists():
        installation.declare(NAME)
    made = session_for(installation, NAME)
    yield made
    made.close()


def rejecting(table: ir.Table, *reasons: tuple[ir.BooleanValue, str, str, str]) -> ir.Table:
    """The table with `_rejects`, in the order in which the reasons are given."""
    entries = [bad.ifelse(ibis.struct({"rule": rule, "column": column, "value": value}).cast(REJECT), ibis.null(REJECT)) for bad, rule, column, value in reasons]
    if not entries:
        return table
    return table.mutate(_rejects=ibis.array(entries).filter(lambda entry: entry.notnull()))


# gold


def gold_write(session: Session, *reasons: tuple[str, str]) -> tuple[Version, dict[str, Any]]:
    """Four clean impacts, of which the first is refused for each of `reasons` (rule, value)."""
    rows = clean_rows(GOLD_CONTRACT, 4)
    session.con.register("impacts", as_arrow(GOLD, rows))
    source = unbound("impacts", [(c.name, c.type) for c in GOLD.columns])
    first = source[GOLD.key[0]] == rows[0][GOLD.key[0]]
    return write_gold(session, GOLD, rejecting(source, *((first, rule, "value", value) for rule, value in reasons)))


GOLD_CONTRACT = contract(impact.__file__)


def test_rows_that_gold_refuses_stand_in_its_quarantine_under_their_version_and_go_with_it(session: Session, installation: Installation) -> None:
    version, facts = gold_write(session, ("NUMBER_RANGE", "7"), ("DATE", "8"))
    assert (version.row_count, version.quarantined_count, facts["quarantined"]) == (3, 1, 1)
    (kept,) = installation.query("SELECT * FROM greenit_gold.quarantine", customer=NAME, role=WRITER)
    assert (kept["version"], kept["table_name"], kept["rule"], kept["column_name"], kept["value"]) == (version.version, "impact", "DATE", "value", "8")
    assert [reject["rule"] for reject in kept["rejects"]] == ["DATE", "NUMBER_RANGE"]
    assert set(kept["raw"]) == {c.name for c in GOLD.columns}
    assert str(clean_rows(GOLD_CONTRACT, 4)[0][GOLD.key[0]]) in kept["key"]
    installation.declare("keeps_b")
    assert installation.query("SELECT * FROM greenit_gold.quarantine", customer="keeps_b", role=WRITER) == []

    again, facts = gold_write(session, ("NUMBER_RANGE", "7"), ("DATE", "8"))
    assert (again.version, facts["unchanged"]) == (version.version, True)
    other, _ = gold_write(session, ("UNIT", "8"))  # the same good rows, another reason: another content
    assert other.version > version.version
    clean, _ = gold_write(session)
    assert (clean.row_count, clean.quarantined_count) == (4, 0)
    session.close()
    collect_customer(session_for(installation, NAME))
    assert installation.query("SELECT version FROM greenit_gold.quarantine", customer=NAME, role=WRITER) == []


# bronze


def test_a_source_that_quarantines_drift_keeps_rows_with_undeclared_columns_back_until_they_are_accepted(session: Session, installation: Installation,
                                                                                                   tmp_path: Path) -> None:
    """Three records, the second fills a column that no contract declares."""
    file = inventory(tmp_path / "drift.csv", {"equipment_id": "a"}, {"equipment_id": "b"}, {"equipment_id": "c"})
    header, *lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([f"{header},colour", *(f"{line},{'red' if line.startswith('b,') else ''}" for line in lines)]) + "\n", encoding="utf-8")
    installation.land(NAME, "equipment_inventory", [file])
    drifted = unbound(landing_name(INVENTORY.name), [(c.name, c.type) for c in INVENTORY.columns])
    version, _ = lake.write(session, DRIFTING, drifted)
    assert (version.rows_in, version.row_count, version.quarantined_count) == (3, 2, 1)
    (kept,) = session.con.execute("SELECT rule, column_name, value, _row, source FROM lake.greenit_bronze.quarantine WHERE table_name = 'equipment_inventory'").fetchall()
    assert kept == ("SCHEMA", "_extra", '{"colour":"red"}', 2, INVENTORY.qualified)

    sha256 = session.deliveries(INVENTORY)[0].sha256
    record(session.lock, NAME, [Correction(INVENTORY.qualified, INVENTORY.qualified, sha256, 2, "drift.csv", "accept", {}, "a new column is fine", "y")])
    session.close()
    later = session_for(installation, NAME)
    version, _ = lake.write(later, DRIFTING, drifted)
    assert (version.row_count, version.quarantined_count) == (3, 0)
    rows = later.con.execute("SELECT equipment_id, _extra, _correction IS NOT NULL FROM lake.greenit_bronze.equipment_inventory ORDER BY _row").fetchall()
    assert rows == [("a", None, False), ("b", '{"colour":"red"}', True), ("c", None, False)]
    later.close()


def test_a_line_without_an_owner_is_loaded_and_one_of_another_owner_is_not(session: Session, installation: Installation, tmp_path: Path) -> None:
    from partitions.errors import DeliveryError

    spec = contract(cloud_billing.__file__).spec
    installation.land(NAME, "cloud_billing", [billing(tmp_path / "bill.csv", f"account-{NAME}", {}, {"ConsumedQuantity": "2"})])
    landing = unbound(landing_name(spec.name), [(c.name, c.type) for c in spec.columns])

    def owned_by(owner: ir.Value) -> ir.Table:
        return landing.mutate(BillingAccountId=(landing["_row"] == 1).ifelse(owner, landing.BillingAccountId))

    version, _ = lake.write(session, spec, owned_by(ibis.null("string")))
    assert version.row_count == 2
    session.lock.execute("UPDATE platform.table_version SET content_hash = 'older' WHERE table_name = %s", [spec.qualified])
    with pytest.raises(DeliveryError, match="1 rows belong to an owner"):
        lake.write(session, spec, owned_by(ibis.literal("account-other")))


# silver


def test_one_reason_per_row_is_given_by_the_fixed_order_and_all_are_kept(session: Session, installation: Installation, tmp_path: Path) -> None:
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "order.csv", {"equipment_id": "a"}, {"equipment_id": "b"})])
    bronze, _ = lake.write(session, INVENTORY, unbound(landing_name(INVENTORY.name), [(c.name, c.type) for c in INVENTORY.columns]))
    spec, made = silver_over(session, bronze)
    second = made["_row"] == 2
    version, _ = lake.write(session, spec, rejecting(made, (second, "A_RULE_OF_NO_LIST", "x", "1"), (second, "DUPLICATE", "y", "2"), (second, "UNIT", "z", "3"),
                                                     (second, "MISSING_KEY", "k", "4")))
    assert (version.row_count, version.quarantined_count) == (1, 1)
    (kept,) = session.con.execute("SELECT rule, column_name, value, rejects, missing, source FROM lake.greenit_silver.quarantine WHERE table_name = 'ordered'").fetchall()
    assert kept[:3] == ("MISSING_KEY", "k", "4")
    assert [reject["rule"] for reject in json.loads(kept[3])] == ["MISSING_KEY", "UNIT", "DUPLICATE", "A_RULE_OF_NO_LIST"]
    assert kept[4:] == (None, INVENTORY.qualified)


def silver_over(session: Session, bronze: Version) -> tuple[TableSpec, ir.Table]:
    """A small silver table of its own over a bronze version."""
    import dagster as dg

    session.pin(INVENTORY.name, dg.AssetKey(["greenit", "bronze", INVENTORY.name]), bronze)
    source = lake.read(session, INVENTORY, bronze)
    kept = ("equipment_id", "_file", "_row", "_sha256")
    columns = tuple(Column(name, "bigint" if name == "_row" else "varchar", name != "_file", "internal") for name in kept)
    spec = replace(contract(equipment.__file__).spec, name="ordered", columns=columns, key=("equipment_id",))
    return spec, source.select(*kept)


def test_a_table_that_holds_the_same_but_keeps_other_rows_back_is_a_new_version(session: Session, installation: Installation, tmp_path: Path) -> None:
    installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "same.csv", {"equipment_id": "a"}, {"equipment_id": "b"})])
    bronze, _ = lake.write(session, INVENTORY, unbound(landing_name(INVENTORY.name), [(c.name, c.type) for c in INVENTORY.columns]))
    spec, made = silver_over(session, bronze)
    first, _ = lake.write(session, spec, rejecting(made, (made["_row"] == 2, "UNIT", "z", "3")))
    same, facts = lake.write(session, spec, rejecting(made, (made["_row"] == 2, "UNIT", "z", "3")))
    assert (same.version, facts["unchanged"]) == (first.version, True)
    other, _ = lake.write(session, spec, rejecting(made, (made["_row"] == 2, "DATE", "z", "3")))
    assert other.version > first.version
    assert session.con.execute("SELECT rule FROM lake.greenit_silver.quarantine WHERE table_name = 'ordered'").fetchall() == [("DATE",)]


# shares


def version(table: str, number: int, inputs: dict[str, int], **counted: Any) -> Version:
    return Version(table, number, "r", "c", "p", "1", None, inputs, **counted)


@pytest.mark.parametrize(("counted", "share"), [
    ({"rows_in": 200, "row_count": 190, "quarantined_count": 10}, 0.05), ({"rows_in": 200, "row_count": 190, "quarantined_count": 10, "rejected_count": 4}, 0.03),
    ({"row_count": 75, "quarantined_count": 25}, 0.25), ({"rows_in": 0}, 0.0), ({}, 0.0), ({"rows_in": 5, "quarantined_count": 5}, 1.0),
])
def test_the_share_of_a_version_is_of_its_open_rows(counted: dict[str, int], share: float) -> None:
    assert quarantined_share(version("t", 1, {}, **counted)) == pytest.approx(share)


def test_the_share_behind_figures_goes_back_over_every_table_to_the_delivered_rows(installation: Installation) -> None:
    """Two sources. a: 100 rows in, 2 broken, 5 refused by silver of which 1 is no data: 6 of 100. b: 50 in, 1 refused. An older version of a is not counted."""
    name = "shares"
    installation.declare(name)
    session = session_for(installation, name)
    made = [version("d_bronze.a", 1, {}, rows_in=999, row_count=1, quarantined_count=998), version("d_bronze.a", 2, {}, rows_in=100, row_count=98, quarantined_count=2),
            version("d_bronze.b", 3, {}, rows_in=50, row_count=50), version("d_bronze.unused", 4, {}, rows_in=9, row_count=0, quarantined_count=9),
            version("d_silver.a", 5, {"d_bronze.a": 2}, rows_in=98, row_count=93, quarantined_count=5, rejected_count=1),
            version("d_silver.b", 6, {"d_bronze.b": 3}, rows_in=50, row_count=49, quarantined_count=1), version("d_silver.site", 7, {"d_silver.a": 5}),
            version("d_gold.g", 8, {"d_silver.a": 5, "d_silver.b": 6, "d_silver.site": 7}), version("d_gold.h", 9, {"d_gold.g": 8, "d_silver.a": 5})]
    for one in made:
        session.lock.execute(versions.insert_statement(name, replace(one, fence=session.fence)))
    assert shares_behind(session.lock, name, [made[-1], made[-2]]) == [SourceShare("a", 100, 6), SourceShare("b", 50, 1)]
    assert [share.quarantined_pct for share in shares_behind(session.lock, name, [made[-1]])] == [6.0, 2.0]
    assert shares_behind(session.lock, name, []) == []
    assert SourceShare("empty", 0, 0).quarantined_pct is None
    assert SourceShare("twice", 10, 15).quarantined_pct == 100.0
    session.lock.execute("DELETE FROM platform.table_version WHERE customer_id = %s", [name])  # of tables that nobody has
    session.close()


# kill


@pytest.mark.parametrize(("place", "hit"), [("lake.after_register", 1), ("lake.before_commit", 1), ("lake.before_commit", 2), ("warehouse.after_commit", 1),
                                            ("publication.before_move", 1)])
def test_a_replay_that_was_killed_is_finished_by_the_next_one(installation: Installation, tmp_path: Path, place: str, hit: int) -> None:
    name = f"killed_{place.replace('.', '_')[:18]}_{hit}"
    installation.declare(name, reporting={"months": 1})
    installation.land(name, "equipment_inventory", [inventory(tmp_path / "i.csv", {"equipment_id": "a", "quantity": 10}, {"equipment_id": "b", "quantity": "1O"})])
    installation.land(name, "cloud_billing", [billing(tmp_path / "b.csv", f"account-{name}", {})])
    assert installation.run(name).success
    before = figure(installation, name)
    (kept,) = [q for q in quarantine(installation, name, "silver")]
    given = ["quarantine", "fix", name, "equipment", f"{kept['_sha256'][:12]}-{kept['_row']}", "--set", "quantity=10", "--why", "x", "--who", "y"]
    assert CliRunner().invoke(strata, given).exit_code == 0

    assert installation.run_in_child(name, f"{place}:kill9:{hit}") == -signal.SIGKILL

    assert figure(installation, name) == before
    healed = CliRunner().invoke(strata, ["quarantine", "replay", name])
    assert healed.exit_code == 0, healed.output
    assert figure(installation, name) == pytest.approx(2 * before, rel=1e-12)
    assert CliRunner().invoke(strata, ["quarantine", "replay", name]).stdout == f"{name}: nothing to replay\n"
    rows = lake_rows(installation, name, "SELECT count(*) AS n, count(_correction) AS corrected FROM lake.greenit_bronze.equipment_inventory")
    assert rows == [{"n": 2, "corrected": 1}]


def figure(installation: Installation, name: str) -> float:
    return float(sum(row["value"] for row in installation.kpis(name) if (row["domain"], row["criterion"], row["view"]) == ("equipment", "GWP", "amortised")))
