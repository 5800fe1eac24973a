"""The `strata` command against bad input: one line that names the place and the fix, exit code 1, nothing half-written, readers untouched.

All on the session's own installation, with Dagster's instance on its PostgreSQL, as an operator has it.
"""
from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cli.figures import COLUMNS
from cli.main import strata
from resources.deliveries import effective
from resources.postgres import WRITER
from tests.installation import Installation, billing, inventory

GOOD, BAD = "cli_good", "cli_bad"
ISSUE_KEYS = ["period", "scope", "category", "domain", "phase", "criterion", "method", "view", "value", "value_min", "value_max", "unit", "dq_score", "coverage_pct", "quarantined_pct", "version"]


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(strata, [str(word) for word in words])


@pytest.fixture(scope="module")
def launched(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Two customers landed and launched by the command; eleven lines of one bill have a ChargeCategory that FOCUS does not know."""
    environment = dict(os.environ)
    folder = tmp_path_factory.mktemp("cli")
    landed = []
    for name, lines in ((GOOD, [{}]), (BAD, [{"ChargeCategory": "Rental"}] * 11)):
        installation.declare(name, reporting={"months": 1})
        landed.append(run("land", name, "equipment_inventory", inventory(folder / f"{name}.csv", {"equipment_id": name}), "--period", "2024-09"))
        landed.append(run("land", name, "cloud_billing", billing(folder / f"{name}-bill.csv", f"account-{name}", *lines), "--period", "2024-09"))
    yield {"land": landed, "launch": run("launch", BAD, GOOD), "folder": folder}
    os.environ.clear()
    os.environ.update(environment)


def state(installation: Installation) -> dict[str, Any]:
    """The registry of deliveries, every file under landing, the live figures."""
    root = installation.settings.landing_root
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    rows = installation.query("SELECT * FROM platform.delivery ORDER BY source, period, sequence, sha256", customer=GOOD, role=WRITER)
    return {"files": files, "rows": rows, "kpis": installation.kpis(GOOD)}


# what works


def test_landing_says_what_it_took(launched) -> None:
    assert [result.exit_code for result in launched["land"]] == [0] * 4
    assert launched["land"][0].stdout == f"{GOOD} equipment_inventory for 2024-09, sequence 1: new; 1 rows, 0 of them to quarantine\n"


def test_a_launch_where_one_of_two_fails_ends_with_1_and_the_other_is_published(launched, installation: Installation) -> None:
    result = launched["launch"]
    assert result.exit_code == 1, result.output
    assert "ERROR: cloud_usage breaks quarantined_share" in result.stdout
    assert "1 of 2 customers succeeded" in result.stdout
    assert "Rental" not in result.output
    assert installation.kpis(BAD) == []
    assert len(installation.kpis(GOOD)) > 0


def test_kpis_as_json_are_objects_with_exactly_these_keys(launched, installation: Installation) -> None:
    result = run("kpis", GOOD, "--format", "json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert len(rows) == len(installation.kpis(GOOD)) > 0
    assert {tuple(row) for row in rows} == {tuple(ISSUE_KEYS)} == {COLUMNS}
    types = {"value": float, "value_min": float, "value_max": float, "dq_score": float, "coverage_pct": float, "quarantined_pct": float, "version": int}
    assert all(type(row[key]) is types.get(key, str) for row in rows for key in ISSUE_KEYS)
    assert {row["period"] for row in rows} == {"2024-09-01"}
    assert json.loads(run("kpis", GOOD, "--format", "json", "--period", "2023-01").stdout) == []


def test_kpis_as_a_table_name_customer_month_and_version(launched, installation: Installation) -> None:
    shown = run("kpis", GOOD).stdout
    assert f"{GOOD}, September 2024" in shown
    assert f"version {installation.kpis(GOOD)[0]['version']}" in shown
    assert "nothing is published yet" in run("kpis", BAD).stdout


def test_customers_and_parameters_are_listed_and_checked(launched) -> None:
    listed = run("customers", "list")
    assert listed.exit_code == 0
    assert GOOD in listed.stdout
    checked = run("parameters", "check")
    assert checked.exit_code == 0
    assert "files keep their contracts; parameter version" in checked.stdout


def test_landing_twice_changes_nothing(launched, installation: Installation) -> None:
    before = state(installation)
    again = run("land", GOOD, "equipment_inventory", launched["folder"] / f"{GOOD}.csv", "--period", "2024-09")
    assert (again.exit_code, "sequence 1: unchanged" in again.stdout) == (0, True)
    assert state(installation) == before


def test_gc_names_each_customer_and_one_that_cannot_be_collected_holds_up_nobody(launched, installation: Installation, monkeypatch, tmp_path: Path) -> None:
    """The folder has the good customer and, before it, one that was never applied: it has no lake role yet."""
    declared = (installation.settings.customers / f"{GOOD}.yaml").read_text()
    for name in (GOOD, "cli_absent"):
        (tmp_path / f"{name}.yaml").write_text(declared)
    monkeypatch.setenv("STRATA_CUSTOMERS", str(tmp_path))
    before = installation.kpis(GOOD)
    result = run("gc")
    assert result.exit_code == 1
    assert f"{GOOD}: 0 versions and 0 rows removed" in result.stdout
    assert result.stderr.startswith("cli_absent: SettingsError: role lake_cli_absent has no secret")
    assert result.stderr.count("\n") == 1
    assert installation.kpis(GOOD) == before


# what is refused

FILES = {
    "missing.csv": None, "empty.csv": b"", "blank.csv": b"\n \n", "header.csv": b"a,b\n1,2\n", "page.csv": b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "random.csv": bytes(range(256)) * 16, "error.csv": b'{"error": "no such export"}', "semicolon.csv": b"equipment_id;item_type;quantity;status;purchase_date;country\n1;2;3;4;5;6\n",
    "columns.csv": b"equipment_id,item_type,quantity\nCANARY,laptop,1\n", "twice.csv": b"equipment_id,item_type,quantity,status,purchase_date,country,country\n1,2,3,4,5,6,7\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_what_it_should_be_is_refused(launched, installation: Installation, tmp_path: Path, name: str) -> None:
    before = state(installation)
    if FILES[name] is not None:
        (tmp_path / name).write_bytes(FILES[name])
    result = run("land", GOOD, "equipment_inventory", tmp_path / name, "--period", "2024-10")
    refused_in_one_line(result, "DeliveryError", f"customer {GOOD}, table equipment_inventory, file {name}")
    assert state(installation) == before


def refused_in_one_line(result: Result, kind: str, place: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"{kind}: [")
    assert place in result.stderr
    assert " Fix: " in result.stderr
    assert result.stderr.count("\n") == 1
    assert "CANARY" not in result.stderr
    assert "Traceback" not in result.stderr


def test_a_foreign_owner_is_refused_with_row_and_column(launched, installation: Installation, tmp_path: Path) -> None:
    before = state(installation)
    bill = billing(tmp_path / "bill.csv", f"account-{GOOD}", {}, {"BillingAccountId": "CANARY-account"})
    result = run("land", GOOD, "cloud_billing", bill, "--period", "2024-10")
    refused_in_one_line(result, "DeliveryError", f"customer {GOOD}, table cloud_billing, file bill.csv, row 2, column BillingAccountId")
    assert state(installation) == before


@pytest.mark.parametrize("command", [["kpis"], ["launch"], ["land"]])
@pytest.mark.parametrize("id", ["nobody", "../x", "A b", "a" * 64, "", "x", "cli_good\n", "cli_good;", "..", "cli%5fgood"])
def test_a_customer_that_is_unknown_or_no_id_at_all_is_refused(launched, installation: Installation, tmp_path: Path, command: list[str], id: str) -> None:
    before = state(installation)
    more = ["equipment_inventory", inventory(tmp_path / "i.csv", {})] if command == ["land"] else []
    refused_in_one_line(run(*command, id, *more), "CustomerError", "customer ")
    assert state(installation) == before


@pytest.mark.parametrize(("words", "place"), [
    (["--period", "2024-13"], f"customer {GOOD}, table cloud_billing] this is not a period"), (["--period", "09/2024"], "this is not a period"),
    ([], f"customer {GOOD}, table cloud_billing] a delivery of this source replaces a period"),
    (["--period", "2024-09", "--sequence", "1"], "sequence 1 of this period holds other files"),
])
def test_a_wrong_period_or_sequence_is_refused(launched, installation: Installation, tmp_path: Path, words: list[str], place: str) -> None:
    before = state(installation)
    bill = billing(tmp_path / "b.csv", f"account-{GOOD}", {"ConsumedQuantity": "7"})
    refused_in_one_line(run("land", GOOD, "cloud_billing", bill, *words), "DeliveryError", place)
    assert state(installation) == before


def test_an_unknown_source_is_refused(launched, installation: Installation, tmp_path: Path) -> None:
    before = state(installation)
    result = run("land", GOOD, "../equipment_inventory", inventory(tmp_path / "i.csv", {}), "--period", "2024-09")
    refused_in_one_line(result, "DeliveryError", f"customer {GOOD}, table '../equipment_inventory'] no bronze table has this name")
    assert state(installation) == before


def test_a_source_that_the_customer_does_not_deliver_is_refused(launched, installation: Installation, tmp_path: Path) -> None:
    installation.declare("cli_one", sources={"equipment_inventory": {"format": "strata_1"}})
    result = run("land", "cli_one", "cloud_billing", billing(tmp_path / "b.csv", "x", {}), "--period", "2024-09")
    refused_in_one_line(result, "DeliveryError", "customer cli_one, table cloud_billing] this customer does not deliver this source")


@pytest.mark.parametrize("words", [
    ["launch", GOOD, "--as-of", "yesterday"], ["launch", GOOD, "--as-of", "2024-02-30"], ["kpis", GOOD, "--period", "2024-13"], ["kpis", GOOD, "--format", "xml"],
    ["land", GOOD, "cloud_billing"], ["land", GOOD, "cloud_billing", "b.csv", "--sequence", "0"], ["launch"], ["gc", "--keep", "-1"], ["no-such-command"],
])
def test_a_wrong_call_is_a_usage_error(launched, installation: Installation, words: list[str]) -> None:
    before = state(installation)
    result = run(*words)
    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert state(installation) == before


def test_a_selection_that_names_no_table_is_refused(launched, installation: Installation) -> None:
    before = state(installation)
    for selection in ("nonsense(", 'key:"greenit/gold/no_such_table"'):
        result = run("launch", GOOD, "--select", selection)
        assert result.exit_code == 1
        assert result.stderr.startswith("ContractError: ")
    assert state(installation) == before


def test_a_socket_path_of_more_than_107_bytes_is_refused_before_anything_starts(launched, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(installation)
    long = "/tmp/" + "x" * 89  # with /.s.PGSQL.5432 it has 108 bytes
    monkeypatch.setenv("STRATA_RUNTIME", long)
    refused_in_one_line(run("kpis", GOOD), "SettingsError", "has 108 bytes, a unix socket takes 107")
    assert not Path(long).exists()
    monkeypatch.undo()
    assert state(installation) == before


@pytest.mark.parametrize(("name", "value"), [("STRATA_ENVIRONMENT", "production"), ("STRATA_CUSTOMERS", "/no/such/folder")])
def test_a_setting_that_cannot_work_is_refused(launched, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    result = run("customers", "list")
    assert result.exit_code == 1
    assert name in result.stderr


# order of arrival

DELIVERIES = (("2024-08", 1, "5"), ("2024-09", 1, "10"), ("2024-09", 2, "20"))  # the last one corrects the one before


def land_in_order(installation: Installation, name: str, order: tuple[int, ...], folder: Path) -> None:
    source = {"format": "focus_1_0", "accepted_owners": ["one-account"]}
    installation.declare(name, sources={"cloud_billing": source}, reporting={"months": 2})
    for period, sequence, hours in (DELIVERIES[i] for i in order):
        month = {"ChargePeriodStart": f"{period}-02T00:00:00Z", "ChargePeriodEnd": f"{period}-02T01:00:00Z", "ConsumedQuantity": hours}
        installation.land(name, "cloud_billing", [billing(folder / f"{period}-{sequence}.csv", "one-account", month)], period, sequence)


def test_what_counts_does_not_depend_on_the_order_of_arrival(installation: Installation, tmp_path: Path) -> None:
    counted = set()
    for number, order in enumerate(itertools.permutations(range(3))):
        land_in_order(installation, f"cli_order_{number}", order, tmp_path)
        with installation.postgres.connect(WRITER, customer=f"cli_order_{number}") as connection:
            files = effective(connection, f"cli_order_{number}", "cloud_billing", "period")
        counted.add(tuple((str(file.period), file.sequence, file.sha256) for file in files))
    assert [(period, sequence) for period, sequence, _ in counted.pop()] == [("2024-08-01", 1), ("2024-09-01", 2)]
    assert counted == set()


def test_late_and_corrected_deliveries_give_the_same_figures_in_any_order(installation: Installation, tmp_path: Path) -> None:
    """In order and as it happens: the correction first, then the late month, last the delivery that was corrected."""
    orders = {"cli_in_order": (0, 1, 2), "cli_mixed": (2, 0, 1)}
    for name, order in orders.items():
        land_in_order(installation, name, order, tmp_path)
        assert installation.run(name).success
    in_order, mixed = ([{key: value for key, value in row.items() if key not in ("customer_id", "version")} for row in installation.kpis(name)] for name in orders)
    assert in_order == mixed
    by_month = {str(row["period"]): row["value"] for row in mixed if (row["criterion"], row["view"], row["scope"], row["category"]) == ("GWP", "amortised", "3", "3.1")}
    assert round(by_month["2024-09-01"] / by_month["2024-08-01"], 9) == 4  # 20 hours against 5, the 10 of the corrected file do not count
