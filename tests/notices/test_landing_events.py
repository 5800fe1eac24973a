"""What a delivery tells: Dagster an event, the steward a notice, and the other sources and customers nothing."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import customer
from partitions.errors import DeliveryError
from platform_assets.landing import land_files
from resources.postgres import WRITER
from tests.installation import Installation, billing, inventory

BROKEN, OTHER = "events_a", "events_b"
CANARY = "CANARY-value"


def land_with_events(installation: Installation, name: str, source: str, file: Path, period: str | None = "2024-09", **more: Any) -> Any:
    with installation.postgres.connect(WRITER, customer=name) as connection:
        return land_files(connection, installation.settings.landing_root, customer(name, installation.settings.customers), source, [file], period,
                          more.get("sequence"), installation.instance)


def without_column(path: Path, name: str) -> Path:
    """The CSV less one column."""
    rows = [line.split(",") for line in path.read_text().splitlines()]
    place = rows[0].index(name)
    path.write_text("\n".join(",".join(row[:place] + row[place + 1:]) for row in rows) + "\n")
    return path


def events(installation: Installation, kind: str, source: str, name: str) -> list[Any]:
    """Newest first."""
    fetch = installation.instance.fetch_materializations if kind == "materialization" else installation.instance.fetch_observations
    records = fetch(dg.AssetRecordsFilter(asset_key=dg.AssetKey(["landing", source]), asset_partitions=[name]), limit=100).records
    found = [record.asset_materialization or record.event_log_entry.dagster_event.event_specific_data.asset_observation for record in records]
    return [(event, {key: value.value for key, value in event.metadata.items()}) for event in found]


def refusals(installation: Installation, name: str) -> list[dict[str, Any]]:
    return installation.query("SELECT * FROM platform.refusal ORDER BY refusal_id", customer=name, role=WRITER)


def notices(installation: Installation, name: str, kind: str) -> list[dict[str, Any]]:
    return installation.query("SELECT * FROM platform.notice WHERE kind = %s ORDER BY subject", kind, customer=name, role=WRITER)


@pytest.fixture(scope="module")
def story(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Both customers deliver both sources; then the first one's new inventory lacks `item_type`, and its new bill comes as it should."""
    folder = tmp_path_factory.mktemp("events")
    for name in (BROKEN, OTHER):
        installation.declare(name, reporting={"months": 2})
        land_with_events(installation, name, "equipment_inventory", inventory(folder / "i.csv", {}, {}))
    with pytest.raises(DeliveryError):
        land_with_events(installation, BROKEN, "equipment_inventory", without_column(inventory(folder / "removed.csv", {"site": CANARY}), "item_type"))
    for name in (BROKEN, OTHER):
        land_with_events(installation, name, "cloud_billing", billing(folder / f"{name}.csv", f"account-{name}", {}, {"SkuId": "S2"}))
        assert installation.run(name).success
    return installation


def test_a_removed_column_stops_that_source_and_nothing_else(story: Installation) -> None:
    """Two laptops in force and the new bill for the customer whose inventory was refused; the other customer has the same."""
    for name in (BROKEN, OTHER):
        domains = {row["domain"] for row in story.kpis(name)}
        assert domains == {"cloud", "equipment"}, domains
        live = story.query("SELECT count(*) AS n FROM platform.live_version", customer=name, role=WRITER)
        assert live[0]["n"] > 0
    versions = story.versions(BROKEN)
    assert [len(versions[table]) for table in ("greenit_bronze.equipment_inventory", "greenit_bronze.cloud_billing")] == [1, 1]


def test_the_refusal_is_kept_with_its_rule_and_column_and_no_value(story: Installation) -> None:
    [kept] = refusals(story, BROKEN)
    assert (kept["source"], kept["file_name"], kept["column_name"] or "item_type") == ("equipment_inventory", "removed.csv", "item_type")
    assert kept["rule"] in ("HEADER", "SCHEMA")
    assert "item_type" in kept["problem"] + (kept["column_name"] or "")
    assert refusals(story, OTHER) == []
    assert CANARY not in str(kept)


def test_dagster_shows_the_refusal_as_an_observation_and_the_deliveries_as_materializations(story: Installation) -> None:
    [(observed, facts)] = events(story, "observation", "equipment_inventory", BROKEN)
    assert (facts["refused"], facts["file"], facts["rule"]) == (True, "removed.csv", refusals(story, BROKEN)[0]["rule"])
    assert "item_type" in observed.description
    assert CANARY not in str(observed) + str(facts)
    [(_, facts)] = events(story, "materialization", "cloud_billing", BROKEN)
    assert {key: facts[key] for key in ("dagster/row_count", "faulty", "files", "sequence", "period", "drift")} == {
        "dagster/row_count": 2, "faulty": 0, "files": 1, "sequence": 1, "period": "2024-09", "drift": False}
    assert events(story, "observation", "equipment_inventory", OTHER) == []


def test_the_steward_is_told_of_the_refusal_until_a_good_file_comes(story: Installation, tmp_path: Path) -> None:
    [open_] = notices(story, BROKEN, "delivery_refused")
    assert (open_["subject"], open_["seen"], open_["solved_at"]) == ("equipment_inventory", 1, None)
    assert "removed.csv" in open_["problem"]
    assert open_["link"].endswith(f"/assets/landing/equipment_inventory?partition={BROKEN}")
    land_with_events(story, BROKEN, "equipment_inventory", inventory(tmp_path / "good.csv", {}, {}, {}))
    assert notices(story, BROKEN, "delivery_refused")[0]["solved_at"] is not None
    assert notices(story, OTHER, "delivery_refused") == []


def test_a_refused_month_stays_told_until_that_month_comes(story: Installation, tmp_path: Path) -> None:
    name = "events_months"
    story.declare(name)
    with pytest.raises(DeliveryError):
        land_with_events(story, name, "cloud_billing", without_column(billing(tmp_path / "s.csv", f"account-{name}", {}), "BilledCost"), "2024-09")
    for period, solved in (("2024-10", False), ("2024-09", True)):
        land_with_events(story, name, "cloud_billing", billing(tmp_path / f"{period}.csv", f"account-{name}", {"SkuId": period}), period)
        [row] = notices(story, name, "delivery_refused")
        assert (row["subject"], row["solved_at"] is not None) == ("cloud_billing 2024-09", solved)


def test_an_undeclared_column_is_a_drift_event_with_its_name(story: Installation, tmp_path: Path) -> None:
    file = inventory(tmp_path / "new_column.csv", {}, {})
    file.write_text("\n".join(f"{line},{'colour' if number == 0 else CANARY}" for number, line in enumerate(file.read_text().splitlines())) + "\n")
    land_with_events(story, OTHER, "equipment_inventory", file)
    facts = events(story, "materialization", "equipment_inventory", OTHER)[0][1]
    assert (facts["drift"], facts["unexpected_columns"], facts["sequence"]) == (True, "colour", 2)
    assert CANARY not in str(facts)


def test_the_same_files_again_are_no_second_event(story: Installation, tmp_path: Path) -> None:
    before = len(events(story, "materialization", "equipment_inventory", OTHER))
    assert land_with_events(story, OTHER, "equipment_inventory", inventory(tmp_path / "i.csv", {}, {}), sequence=1).result == "unchanged"
    assert len(events(story, "materialization", "equipment_inventory", OTHER)) == before


def test_a_wrong_call_is_no_refused_delivery(story: Installation, tmp_path: Path) -> None:
    before = refusals(story, OTHER)
    for file, period in ((tmp_path / "typo.csv", "2024-09"), (inventory(tmp_path / "i.csv", {"quantity": 7}), "2024-13")):
        with pytest.raises(DeliveryError):
            land_with_events(story, OTHER, "equipment_inventory", file, period)
    assert (refusals(story, OTHER), notices(story, OTHER, "delivery_refused")) == (before, [])


def test_the_command_that_lands_a_bad_file_tells_the_steward_through_the_sink(story: Installation, tmp_path: Path) -> None:
    name = "events_cli"
    story.declare(name)
    bad = without_column(inventory(tmp_path / "bad.csv", {"site": CANARY}), "item_type")
    done = CliRunner().invoke(strata, ["land", name, "equipment_inventory", str(bad)])
    assert done.exit_code == 1
    lines = [json.loads(line) for line in (story.settings.home / "notices" / "dev.jsonl").read_text().splitlines()]
    [told] = [line for line in lines if line["customer"] == name]
    assert {key: told[key] for key in ("to", "kind", "table", "seen")} == {
        "to": "steward@example.org", "kind": "delivery_refused", "table": "equipment_inventory", "seen": 1}
    assert told["rule"] in ("HEADER", "SCHEMA")
    assert told["what_to_do"]
    assert CANARY not in str(lines)
