"""What a steward may not decide, what cannot be let through, and what keeps a decision from harm."""
from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.main import strata
from cli.quarantine import guarded, unguarded
from resources.corrections import Correction, record
from resources.postgres import WRITER
from tests.installation import Installation, billing, inventory
from tests.lake import lake_rows, quarantine, session_for

NAME = "decide"
SILVER, USAGE = "greenit_silver.equipment", "greenit_silver.cloud_usage"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(strata, ["quarantine", *(str(word) for word in words)])


@pytest.fixture(scope="module")
def ids(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Launched once. Row ids by what is wrong; `twice` is a key that stands on two rows, `cost` a bill's line with a cost that is no number."""
    environment = dict(os.environ)
    folder = tmp_path_factory.mktemp("decide")
    installation.declare(NAME, reporting={"months": 1})
    file = inventory(folder / "devices.csv", {"equipment_id": "a"}, {"equipment_id": "twice"}, {"equipment_id": "twice"}, {"equipment_id": "n", "quantity": ""},
                     {"equipment_id": "d", "country": "Atlantis"}, {"equipment_id": "e", "country": "=cmd|'/C calc'!A0"}, {"equipment_id": "f", "country": "Lemuria"},
                     {"equipment_id": "broken"})
    file.write_text(file.read_text().rstrip("\n") + ",more\n")
    installation.land(NAME, "equipment_inventory", [file])
    installation.land(NAME, "cloud_billing", [billing(folder / "bill.csv", f"account-{NAME}", {"BilledCost": "0.1x"}, {"ConsumedQuantity": "10"})])
    assert installation.run(NAME).success
    rows = [row for table in (SILVER, USAGE, "equipment_inventory") for row in json.loads(run("show", NAME, table, "--format", "json").stdout)["rows"]]
    named = {2: "twice", 3: "twice too", 4: "empty", 5: "Atlantis", 6: "formula", 7: "Lemuria", 8: "broken"}
    found = {"cost" if row["table"] == USAGE else named[row["row"]]: row["id"] for row in rows}
    assert set(found) == {*named.values(), "cost"}
    yield found
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(autouse=True)
def untouched(installation: Installation, ids, request) -> Iterator[None]:
    """A test that says `refused` leaves the registry as it was."""
    before = recorded(installation)
    yield
    if "refused" in request.node.name:
        assert recorded(installation) == before


def recorded(installation: Installation) -> list[dict[str, Any]]:
    return installation.query("SELECT * FROM platform.correction ORDER BY correction_id", customer=NAME, role=WRITER)


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("CorrectionError: [")
    assert " Fix: " in result.stderr
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in words), result.stderr
    assert "CANARY" not in result.stderr


@pytest.mark.parametrize(("which", "table", "word"), [("twice", "equipment", "DUPLICATE"), ("broken", "equipment_inventory", "FIELD_COUNT"),
                                                      ("empty", "equipment", "no value where the table needs one"), ("cost", "cloud_usage", "billed_cost")])
def test_a_key_a_broken_record_and_an_empty_required_column_are_refused_for_acceptance(ids, which: str, table: str, word: str) -> None:
    refused(run("accept", NAME, table, ids[which], "--why", "x", "--who", "y"), word, f"customer {NAME}", "row ")


def test_one_row_that_cannot_be_accepted_is_refused_with_all_others_of_the_call(ids) -> None:
    refused(run("accept", NAME, "equipment", ids["Atlantis"], ids["twice"], "--why", "x", "--who", "y"), "DUPLICATE")


def test_a_fix_to_a_foreign_owner_is_refused(ids) -> None:
    refused(run("fix", NAME, "cloud_usage", ids["cost"], "--set", "BillingAccountId=CANARY-account", "--why", "x", "--who", "y"), "TENANT", "BillingAccountId")


def test_a_fix_of_a_broken_record_without_all_required_columns_is_refused(ids) -> None:
    refused(run("fix", NAME, "equipment_inventory", ids["broken"], "--set", "equipment_id=CANARY", "--set", "quantity=1", "--why", "x", "--who", "y"),
            "item_type, status, purchase_date, country")


@pytest.mark.parametrize(("words", "said"), [
    (["fix", NAME, "equipment", "0123456789ab-1", "--set", "quantity=CANARY"], "name no row"), (["fix", NAME, "no_table", "x-1", "--set", "a=CANARY"], "no table"),
    (["accept", NAME, "equipment", "CANARY'; --"], "name no row"), (["reject", NAME, "activity", "x-1"], "repaired where it was delivered"),
    (["accept", NAME, "equipment", "--rule", "NO_SUCH", "--all"], "no open row of this rule"),
])
def test_an_unknown_row_table_or_rule_is_refused(ids, words: list[str], said: str) -> None:
    result = run(*words, "--why", "x", "--who", "y")
    assert (result.exit_code, result.stderr.startswith(f"CorrectionError: [customer {NAME}"), said in result.stderr) == (1, True, True), result.output


@pytest.mark.parametrize("column", ["no_such", "_file", "_sha256", "_correction", "EQUIPMENT_ID"])
def test_a_column_that_the_source_does_not_have_is_refused(ids, column: str) -> None:
    refused(run("fix", NAME, "equipment", ids["empty"], "--set", f"{column}=CANARY", "--why", "x", "--who", "y"), "no such column", "greenit_bronze.equipment_inventory")


def test_an_unknown_customer_is_refused(ids) -> None:
    for words in (["list", "nobody"], ["replay", "nobody"], ["show", "nobody", "equipment"], ["reject", "nobody", "equipment", "x-1", "--why", "x", "--who", "y"]):
        result = run(*words)
        assert result.exit_code == 1
        assert result.stderr.startswith("CustomerError: [customer nobody]")


@pytest.mark.parametrize("words", [
    ["accept", NAME, "equipment", "--why", "x"], ["accept", NAME, "equipment", "--all", "--why", "x"], ["accept", NAME, "equipment", "--rule", "DATE", "--why", "x"],
    ["fix", NAME, "equipment", "x-1", "--why", "x"], ["fix", NAME, "equipment", "--why", "x"], ["reject", NAME, "equipment", "x-1"],
    ["fix", NAME, "equipment", "x-1", "--set", "no sign", "--why", "x"],
])
def test_a_call_that_says_too_little_is_refused_as_a_usage_error(ids, words: list[str]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize(("option", "word"), [("--why", " "), ("--who", "")])
def test_a_decision_without_reason_or_author_is_refused(ids, option: str, word: str) -> None:
    words = {"--why": "x", "--who": "y", option: word}
    result = run("accept", NAME, "equipment", ids["Atlantis"], *(part for pair in words.items() for part in pair))
    assert result.exit_code == 2
    assert f"{option}: must not be empty" in result.stderr


def test_the_author_is_the_environments_user_where_none_is_given(ids, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_USER", "Steward on duty")
    assert run("accept", NAME, "equipment", ids["Atlantis"], "--why", "x").exit_code == 0
    assert recorded(installation)[-1]["author"] == "Steward on duty"
    assert run("withdraw", NAME, "equipment", ids["Atlantis"], "--why", "a mistake").exit_code == 0
    assert [c["action"] for c in recorded(installation)[-2:]] == ["accept", "withdraw"]


def test_a_table_for_people_escapes_what_a_file_may_do_to_the_terminal(ids) -> None:
    shown = run("show", NAME, "equipment")
    assert shown.exit_code == 0
    assert "Atlantis" in shown.stdout
    listed = run("list", NAME)
    assert "open: 8" in listed.stdout
    assert "Atlantis" not in listed.stdout


# bulk: out, edited, in


@pytest.mark.parametrize(("value", "cell"), [
    ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-1+1", "'-1+1"), ("@x", "'@x"), ("\tx", "'\tx"), ("\rx", "'\rx"), ("＝1", "'＝1"), ("＋x", "'＋x"), ("－x", "'－x"), ("＠x", "'＠x"),
    ("-12.5", "-12.5"), ("+3", "+3"), ("1e5", "1e5"), ("text", "text"), ("", ""), (None, None), (-5, -5), ("'quoted'", "'quoted'"),
])
def test_a_cell_is_no_formula_and_comes_back_as_it_was(value: Any, cell: Any) -> None:
    assert guarded(value) == cell
    if isinstance(value, str):
        assert unguarded(guarded(value)) == value


def test_rows_go_out_to_a_file_are_edited_and_come_back_in_bulk(ids, installation: Installation, tmp_path: Path) -> None:
    """Three unknown countries go out; one is edited, one left as it was, and a line is added for a second column."""
    file = tmp_path / "rows.csv"
    out = run("show", NAME, "equipment", "--rule", "VOCABULARY", "--csv", file)
    assert (out.exit_code, out.stdout) == (0, f"3 rows in {file}\n")
    with file.open(newline="", encoding="utf-8-sig") as opened:
        lines = list(csv.DictReader(opened))
    assert [line["value"] for line in lines] == ["Atlantis", "'=cmd|'/C calc'!A0", "Lemuria"]
    lines[2]["value"] = "France"
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, ["id", "column", "value"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*lines, {"id": ids["Lemuria"], "column": "site", "value": "'=1+1"}])
    before = len(recorded(installation))
    done = run("fix", NAME, "equipment", "--from", file, "--why", "by the list", "--who", "Data steward")
    assert done.exit_code == 0, done.output
    (made,) = recorded(installation)[before:]
    assert (made["row"], made["values"]) == (7, {"country": "France", "site": "=1+1"})
    assert run("replay", NAME).exit_code == 0
    rows = lake_rows(installation, NAME, "SELECT country_code, site_id FROM lake.greenit_silver.equipment WHERE equipment_id = 'f'")
    assert rows == [{"country_code": "FRA", "site_id": "=1+1"}]


def test_a_second_fix_keeps_the_first_ones_other_values_and_a_withdrawal_takes_all_back(ids, installation: Installation) -> None:
    fixed = run("fix", NAME, "equipment", ids["Lemuria"], "--set", "site=Lyon", "--why", "the site's name", "--who", "Data steward")
    assert fixed.exit_code == 0, fixed.output
    assert recorded(installation)[-1]["values"] == {"country": "France", "site": "Lyon"}
    assert run("withdraw", NAME, "equipment", ids["Lemuria"], "--why", "wrong row", "--who", "Data steward").exit_code == 0
    assert run("replay", NAME).exit_code == 0
    assert [q["value"] for q in quarantine(installation, NAME, "silver") if q["_row"] == 7] == ["Lemuria"]


def test_a_file_without_an_edit_is_refused(ids, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    run("show", NAME, "equipment", "--csv", file)
    refused(run("fix", NAME, "equipment", "--from", file, "--why", "x", "--who", "y"), "changes no value")
    file.write_text("id,value\nx,y\n")
    refused(run("fix", NAME, "equipment", "--from", file, "--why", "x", "--who", "y"), "lacks columns: column")


# what got past the command


def test_an_accepted_row_that_would_break_the_key_stays_in_quarantine(ids, installation: Installation) -> None:
    """Recorded straight into the registry: the IO manager does not rely on the command's judgement."""
    before = {q["_row"] for q in quarantine(installation, NAME, "silver")}
    session = session_for(installation, NAME)
    file = session.lock.execute("SELECT sha256, file_name FROM platform.delivery WHERE source = 'equipment_inventory'").fetchone()
    record(session.lock, NAME, [Correction(SILVER, "greenit_bronze.equipment_inventory", file[0], row, file[1], "accept", {}, "x", "y") for row in (2, 4, 5)])
    session.close()
    assert run("replay", NAME).exit_code == 0
    assert {q["_row"] for q in quarantine(installation, NAME, "silver")} == before - {5}
    assert lake_rows(installation, NAME, "SELECT count(*) AS n FROM lake.greenit_silver.equipment WHERE equipment_id = 'twice'") == [{"n": 0}]
    (row,) = json.loads(run("show", NAME, "equipment", "--row", ids["twice"], "--format", "json").stdout)["rows"]
    assert row["state"] == "accepted, cannot be loaded"


def test_a_foreign_owner_in_the_registry_stops_the_source_and_readers_keep_the_last_state(ids, installation: Installation) -> None:
    kpis, session = installation.kpis(NAME), session_for(installation, NAME)
    file = session.lock.execute("SELECT sha256, file_name FROM platform.delivery WHERE source = 'cloud_billing'").fetchone()
    place = (USAGE, "greenit_bronze.cloud_billing", file[0], 1, file[1])
    record(session.lock, NAME, [Correction(*place, "fix", {"BillingAccountId": "CANARY-account"}, "x", "y")])
    session.close()
    done = installation.run(NAME)
    failure = done.failures["greenit__bronze__cloud_billing"]
    assert "1 rows belong to an owner that this customer does not list" in failure
    assert "CANARY" not in failure
    assert installation.kpis(NAME) == kpis
    session = session_for(installation, NAME)
    record(session.lock, NAME, [Correction(*place, "withdraw", {}, "x", "y")])
    session.close()
    assert installation.run(NAME).success


@pytest.mark.parametrize("change", [{"action": "wave"}, {"reason": " "}, {"author": ""}, {"sha256": "x"}, {"row": 0}, {"values": {}}])
def test_the_registry_itself_refuses_what_is_no_decision(ids, installation: Installation, change: dict[str, Any]) -> None:
    import psycopg

    given = {"action": "fix", "values": {"quantity": "1"}, "reason": "x", "author": "y", "sha256": "a" * 64, "row": 1, **change}
    session = session_for(installation, NAME)
    with pytest.raises(psycopg.errors.CheckViolation):
        record(session.lock, NAME, [Correction(SILVER, "greenit_bronze.equipment_inventory", file="f", **given)])
    session.close()
