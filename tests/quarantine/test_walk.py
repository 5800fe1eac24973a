"""The steward's walk: list → show → fix → replay → the KPI moves by the amount worked out by hand; with the real command on real stores."""
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import strata
from resources.postgres import READER, WRITER
from tests.installation import Installation, Run, billing, inventory
from tests.lake import lake_rows, quarantine

NAME = "walk"
SILVER, BRONZE = "greenit_silver.equipment", "greenit_bronze.equipment_inventory"
WHOLE = {"equipment_id": "c", "item_type": "laptop", "quantity": "5", "status": "in use", "purchase_date": "2023-01-01", "country": "FR"}
PER_LAPTOP = 170 * 30 / (5 * 365.25)  # kg CO2e of manufacture in September, amortised over five years


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(strata, [str(word) for word in words])


def told(*words: str | Path) -> Any:
    result = run("quarantine", *words, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def made_kg(installation: Installation) -> float:
    """Manufacture of what is live in September, amortised."""
    (row,) = installation.query("SELECT sum(value) AS kg FROM greenit_gold.impact_live WHERE source = 'equipment' AND phase = 'manufacturing' "
                                "AND criterion = 'GWP' AND accounting_view = 'amortised' AND month_start = '2024-09-01'", customer=NAME, role=WRITER)
    return float(row["kg"])


def waiting_pct(installation: Installation, domain: str) -> set[float]:
    return {row["quarantined_pct"] for row in installation.kpis(NAME) if row["domain"] == domain}


@pytest.fixture(scope="module")
def walk(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Five records: ten good laptops (a); `1O` pieces (b); a record with a cell too many (c); an unknown country (d); a total line."""
    environment = dict(os.environ)
    folder = tmp_path_factory.mktemp("walk")
    installation.declare(NAME, reporting={"months": 1})
    file = inventory(folder / "devices.csv", {"equipment_id": "a", "quantity": 10}, {"equipment_id": "b", "quantity": "1O"}, {"equipment_id": "c"},
                     {"equipment_id": "d", "country": "Atlantis"}, {"equipment_id": "TOTAL", "item_type": "", "quantity": 21})
    lines = file.read_text().splitlines()
    lines[3] += ",one cell too many"
    file.write_text("\n".join(lines) + "\n")
    installation.land(NAME, "equipment_inventory", [file])
    installation.land(NAME, "cloud_billing", [billing(folder / "bill.csv", f"account-{NAME}", {})])
    launched = run("launch", NAME)
    assert launched.exit_code == 0, launched.output
    story: dict[str, Any] = {"folder": folder, "kg": [made_kg(installation)], "pct": [waiting_pct(installation, "equipment")], "list": told("list", NAME)}
    ids = {row["column"] or row["rule"]: row["id"] for row in (*told("show", NAME, SILVER)["rows"], *told("show", NAME, BRONZE)["rows"])}
    story["ids"], story["shown"] = ids, {t: told("show", NAME, t)["rows"] for t in (SILVER, BRONZE)}

    story["fix"] = run("quarantine", "fix", NAME, "equipment", ids["quantity"], "--set", "quantity=10", "--why", "the letter O", "--who", "Data steward")
    given = [word for name, value in WHOLE.items() for word in ("--set", f"{name}={value}")]
    story["repair"] = run("quarantine", "fix", NAME, "equipment_inventory", ids["FIELD_COUNT"], *given, "--why", "asked the site", "--who", "Data steward")
    story["waiting"] = told("list", NAME)
    before = installation.versions(NAME)
    story["replay"] = run("quarantine", "replay", NAME)
    after = installation.versions(NAME)
    story["new versions"] = {name for name in after if len(after[name]) > len(before[name])}
    story["kg"].append(made_kg(installation))
    story["pct"].append(waiting_pct(installation, "equipment"))

    story["accept"] = run("quarantine", "accept", NAME, "equipment", ids["country"], "--why", "sold, no country is known", "--who", "Data steward")
    story["reject"] = run("quarantine", "reject", NAME, "equipment", "--rule", "MISSING_VALUE", "--all", "--why", "a total line", "--who", "Data steward")
    story["second replay"] = run("quarantine", "replay", NAME)
    story["pct"].append(waiting_pct(installation, "equipment"))
    story["after"] = told("list", NAME)
    yield story
    os.environ.clear()
    os.environ.update(environment)


def test_list_counts_open_rows_by_table_rule_and_column_with_their_file(walk) -> None:
    found = {(line["table"], line["rule"], line["column"]): line["open"] for line in walk["list"]["quarantine"]}
    assert found == {(BRONZE, "FIELD_COUNT", None): 1, (SILVER, "NUMBER_FORMAT", "quantity"): 1, (SILVER, "DOMAIN", "country"): 1,
                     (SILVER, "MISSING_VALUE", "item_type"): 1}
    assert {name for line in walk["list"]["quarantine"] for name in line["files"]} == {"devices.csv"}
    assert next(line["share_pct"] for line in walk["list"]["quarantine"] if line["table"] == BRONZE) == 20.0  # 1 of 5 records
    assert walk["list"]["corrections_waiting"] == 0


def test_show_names_file_row_column_and_the_value_as_delivered(walk) -> None:
    (row,) = [row for row in walk["shown"][SILVER] if row["column"] == "quantity"]
    assert (row["file"], row["row"], row["value"], row["state"]) == ("devices.csv", 2, "1O", "open")
    assert json.loads(row["raw"])["equipment_id"] == "b"
    assert row["id"].endswith("-2")
    (broken,) = walk["shown"][BRONZE]
    assert "one cell too many" in broken["raw"]


def test_a_fix_is_recorded_and_changes_nothing_before_the_replay(walk) -> None:
    assert walk["fix"].exit_code == walk["repair"].exit_code == 0, walk["fix"].output + walk["repair"].output
    assert "1 row fixed by Data steward" in walk["fix"].stdout
    assert walk["waiting"]["corrections_waiting"] == 2
    assert walk["waiting"]["quarantine"] == walk["list"]["quarantine"]


def test_the_replay_moves_the_figure_by_the_amount_worked_out_by_hand(walk) -> None:
    """Ten laptops before; ten more of row b and five of the repaired record c after it."""
    assert walk["replay"].exit_code == 0, walk["replay"].output
    assert walk["kg"] == pytest.approx([10 * PER_LAPTOP, 25 * PER_LAPTOP], rel=1e-9)


def test_the_kpis_carry_the_share_that_is_still_in_quarantine(walk, installation: Installation) -> None:
    assert walk["pct"] == [{80.0}, {40.0}, {0.0}]  # 4 of 5 records; 2 of 5; nothing is open
    assert waiting_pct(installation, "cloud") == {0.0}
    assert "waiting" in run("kpis", NAME).stdout


def test_the_replay_runs_what_depends_on_the_corrected_rows_and_nothing_else(walk) -> None:
    assert f"computing {BRONZE} and what depends on them" in walk["replay"].stdout
    figures = {name for name in walk["new versions"] if name.startswith(("greenit_gold.", "greenit_platinum."))}
    assert walk["new versions"] - figures == {BRONZE, SILVER}
    assert {"greenit_gold.activity", "greenit_gold.impact", "greenit_platinum.kpi_monthly", "greenit_platinum.top_contributors"} <= figures
    assert "cloud_billing" not in walk["replay"].stdout
    assert "cloud_usage" not in walk["replay"].stdout
    assert "publication" in walk["replay"].stdout
    assert "bronze" not in walk["second replay"].stdout  # a decision starts at the table that refused the row


def test_bronze_names_the_correction_in_each_corrected_row_and_the_file_stays_as_delivered(walk, installation: Installation) -> None:
    rows = lake_rows(installation, NAME, "SELECT equipment_id, quantity, _row, _correction FROM lake.greenit_bronze.equipment_inventory ORDER BY _row")
    numbers = [c["correction_id"] for c in history(installation)]
    assert [(r["equipment_id"], r["quantity"], r["_row"], r["_correction"]) for r in rows] == [
        ("a", "10", 1, None), ("b", "10", 2, numbers[0]), ("c", "5", 3, numbers[1]), ("d", "1", 4, None), ("TOTAL", "21", 5, None)]
    delivered = next((installation.settings.landing_root / NAME / "equipment_inventory").rglob("*devices.csv"))
    assert "1O" in delivered.read_text()


def test_rows_in_are_still_rows_loaded_and_quarantined(walk, installation: Installation) -> None:
    rows = installation.query("SELECT DISTINCT ON (table_name) table_name, rows_in, row_count, quarantined_count, rejected_count FROM platform.table_version "
                              "WHERE table_name IN (%s, %s) ORDER BY table_name, version DESC", BRONZE, SILVER, customer=NAME, role=WRITER)
    assert [tuple(row.values()) for row in rows] == [(BRONZE, 5, 5, 0, 0), (SILVER, 5, 4, 1, 1)]


def history(installation: Installation) -> list[dict[str, Any]]:
    return installation.query("SELECT * FROM platform.correction ORDER BY correction_id", customer=NAME, role=WRITER)


def test_the_history_says_who_when_and_why(walk, installation: Installation) -> None:
    found = history(installation)
    assert [(c["action"], c["author"], c["reason"], c["row"]) for c in found[:4]] == [
        ("fix", "Data steward", "the letter O", 2), ("fix", "Data steward", "asked the site", 3), ("accept", "Data steward", "sold, no country is known", 4),
        ("reject", "Data steward", "a total line", 5)]
    assert all(c["recorded_at"] is not None for c in found)
    shown = told("show", NAME, "equipment", "--row", walk["ids"]["quantity"])
    assert [(h["who"], h["action"], h["values"], h["why"]) for h in shown["history"]] == [("Data steward", "fix", {"quantity": "10"}, "the letter O")]
    assert shown["rows"][0]["state"] == "loaded"


def test_an_accepted_row_is_loaded_with_what_cannot_be_read_left_empty(walk, installation: Installation) -> None:
    assert walk["accept"].exit_code == 0, walk["accept"].output
    assert walk["second replay"].exit_code == 0, walk["second replay"].output
    rows = lake_rows(installation, NAME, "SELECT equipment_id, country_code FROM lake.greenit_silver.equipment WHERE equipment_id = 'd'")
    assert rows == [{"equipment_id": "d", "country_code": None}]


def test_a_rejected_row_stays_in_quarantine_and_is_not_open_any_more(walk, installation: Installation) -> None:
    assert [(q["rule"], q["_row"]) for q in quarantine(installation, NAME, "silver")] == [("MISSING_VALUE", 5)]
    assert [(line["rule"], line["open"], line["rejected"]) for line in walk["after"]["quarantine"]] == [("MISSING_VALUE", 0, 1)]
    assert told("show", NAME, "equipment")["rows"][0]["state"] == "rejected"


def test_a_second_replay_changes_nothing(walk, installation: Installation) -> None:
    before = installation.versions(NAME)
    again = run("quarantine", "replay", NAME)
    assert (again.exit_code, again.stdout) == (0, f"{NAME}: nothing to replay\n")
    assert installation.versions(NAME) == before


def test_a_launch_of_everything_applies_corrections_and_shows_the_counts_in_dagster(walk, installation: Installation) -> None:
    before = installation.versions(NAME)
    done: Run = installation.run(NAME)
    assert done.success, done.failures
    assert installation.versions(NAME) == before
    facts = done.materialized["greenit/quarantine"]
    assert {name: facts[name] for name in ("open", "rejected", "accepted", "fixed", "waiting_for_replay")} == {
        "open": 0, "rejected": 1, "accepted": 1, "fixed": 2, "waiting_for_replay": 0}
    assert "| greenit_silver.equipment | MISSING_VALUE | item_type | 0 | 1 |" in facts["by_rule"]
    assert "TOTAL" not in str(facts)


@pytest.mark.parametrize("role", [WRITER, READER])
def test_nobody_changes_or_deletes_what_was_decided(walk, installation: Installation, role: str) -> None:
    import psycopg

    for statement in ("UPDATE platform.correction SET reason = 'x'", "DELETE FROM platform.correction"):
        with installation.postgres.connect(role, customer=NAME) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_another_customer_sees_none_of_it(walk, installation: Installation) -> None:
    other = "walk_b"
    installation.declare(other)
    assert installation.query("SELECT * FROM platform.correction", customer=other, role=WRITER) == []
    assert installation.query("SELECT 1 FROM platform.correction", customer=NAME, role=WRITER) != []
    result = run("quarantine", "fix", other, "equipment", walk["ids"]["quantity"], "--set", "quantity=1", "--why", "x")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"CorrectionError: [customer {other}, table {SILVER}")


def test_a_corrected_file_makes_old_corrections_inert(walk, installation: Installation) -> None:
    """The customer delivers the file again, b right and d still in Atlantis: nothing of what was decided about the old file counts."""
    file = inventory(walk["folder"] / "again.csv", {"equipment_id": "a", "quantity": 10}, {"equipment_id": "b", "quantity": "3"},
                     {"equipment_id": "d", "country": "Atlantis"})
    installation.land(NAME, "equipment_inventory", [file])
    done = installation.run(NAME)
    assert done.success, done.failures
    assert made_kg(installation) == pytest.approx(13 * PER_LAPTOP, rel=1e-9)
    assert waiting_pct(installation, "equipment") == {100 / 3}
    rows = lake_rows(installation, NAME, "SELECT count(_correction) AS n FROM lake.greenit_bronze.equipment_inventory")
    assert rows == [{"n": 0}]
    assert run("quarantine", "replay", NAME).stdout == f"{NAME}: nothing to replay\n"
    facts = done.materialized["greenit/quarantine"]
    assert (facts["open"], facts["rejected"], facts["accepted"], facts["fixed"]) == (1, 0, 0, 0)
    assert len(history(installation)) == 4
