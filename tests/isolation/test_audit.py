"""Attack case 59 and drill R12: whoever reads a customer's rows stands in a log that is only ever added to, and what is done to the log is found."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import strata
from resources.audit import head_file, record
from resources.invariants import Looked, ask_registry
from resources.postgres import MIGRATOR, READER, WRITER
from tests.faults.writing import published
from tests.installation import Installation, inventory

numbers = count(1)
CANARY = "CANARY-of-a-row"


@pytest.fixture(scope="module")
def name(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A published customer; a row of its bronze waits in quarantine."""
    folder = tmp_path_factory.mktemp("audit")
    with published(installation, "looked_at", folder) as made:
        file = inventory(folder / "2.csv", {"equipment_id": "good"})
        file.write_text(file.read_text() + f"{CANARY}\n")
        installation.land(made, "equipment_inventory", [file])
        assert installation.run(made, ["greenit/bronze/equipment_inventory"]).success
        yield made


@pytest.fixture
def chained(installation: Installation) -> Iterator[str]:
    """A customer of whom four things were read."""
    made = f"chained{next(numbers)}"
    installation.declare(made)
    for number in range(4):
        record(installation.postgres, made, "jo", "kpis", f"2024-0{number + 1}", "a question of the customer", number)
    yield made
    (installation.settings.customers / f"{made}.yaml").unlink()


def said(*words: str | Path) -> Result:
    return CliRunner().invoke(strata, [str(word) for word in words])


def log(name: str) -> list[dict[str, Any]]:
    found = said("audit", name, "--format", "json")
    assert found.exit_code == 0, found.output
    return json.loads(found.output)["entries"]


def look(installation: Installation, name: str) -> Looked:
    return ask_registry(installation.postgres, [name], [], {})


def test_case_59_each_command_that_shows_rows_leaves_who_when_why_and_how_many(installation: Installation, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_USER", "sam")
    before = len(log(name))
    table = "equipment_inventory"
    shown = said("quarantine", "show", name, table, "--format", "json", "--reason", "ticket 7", "--who", "jo")
    assert CANARY in shown.output
    assert said("quarantine", "show", name, table, "--csv", tmp_path / "rows.csv").exit_code == 0
    for words in (["kpis", name], ["metrics", name], ["rollback", name, "--release"]):
        assert said(*words).exit_code == 0, words
    added = log(name)[before:]
    assert [(one["who"], one["action"], one["subject"], one["rows"], one["why"]) for one in added] == [
        ("jo", "quarantine show", "greenit_bronze.equipment_inventory", 1, "ticket 7"), ("sam", "quarantine show --csv", "greenit_bronze.equipment_inventory", 1, ""),
        ("sam", "kpis", "", 0, ""), ("sam", "metrics", "", 0, ""), ("sam", "rollback --release", "greenit", 0, "")]
    assert [one["at"] for one in added] == sorted(one["at"] for one in added)
    assert CANARY not in json.dumps(log(name))
    assert "ticket 7" in said("audit", name).output


def test_case_59_what_cannot_be_written_down_is_not_shown(installation: Installation, name: str, tmp_path: Path) -> None:
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        connection.execute(f"REVOKE INSERT ON platform.audit FROM {WRITER}")
        try:
            for words in (["quarantine", "show", name, "equipment_inventory"], ["quarantine", "show", name, "equipment_inventory", "--csv", tmp_path / "rows.csv"]):
                refused = said(*words)
                assert refused.exit_code != 0
                assert CANARY not in refused.output
            assert not (tmp_path / "rows.csv").exists()
        finally:
            connection.execute(f"GRANT INSERT ON platform.audit TO {WRITER}")


@pytest.mark.parametrize("words", [["kpis"], ["metrics"], ["trace", "ghg_total"], ["quarantine", "show", "equipment_inventory"], ["rollback"]])
def test_case_59_in_production_nobody_looks_without_a_reason(name: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_ENVIRONMENT", "prod")
    monkeypatch.setenv("STRATA_ALLOW", "")
    at = 2 if words[0] == "quarantine" else 1
    refused = said(*words[:at], name, *words[at:], "--reason", "  ")
    assert refused.exit_code == 1
    assert f"AuditError: [customer {name}] rows of a customer are read here for a reason alone" in refused.output


@pytest.mark.parametrize("statement", ["UPDATE platform.audit SET who = 'nobody'", "DELETE FROM platform.audit", "TRUNCATE platform.audit"])
@pytest.mark.parametrize("role", [WRITER, READER, MIGRATOR])
def test_r12_nobody_changes_or_removes_a_row(installation: Installation, chained: str, role: str, statement: str) -> None:
    """The owner is refused by triggers, all others have no privilege to begin with."""
    expected = (psycopg.errors.RaiseException, "STRATA_APPEND_ONLY") if role == MIGRATOR else (psycopg.errors.InsufficientPrivilege, "permission denied")
    with installation.postgres.connect(role, customer=chained) as connection, pytest.raises(expected[0], match=expected[1]):
        connection.execute(statement)
    assert len(log(chained)) == 4


def test_r12_number_time_login_and_hash_are_the_databases(installation: Installation, chained: str) -> None:
    with installation.postgres.connect(WRITER, customer=chained) as connection:
        connection.execute("""INSERT INTO platform.audit (customer_id, number, at, who, login, action, subject, why, rows, previous, hash)
            VALUES (%s, 99, '2001-01-01', 'jo', 'postgres', 'kpis', '', '', 1, 'x', 'y')""", [chained])
    newest = log(chained)[-1]
    assert (newest["number"], newest["login"], newest["at"] > "2024") == (5, WRITER, True)
    with installation.postgres.connect(WRITER, customer=chained) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("INSERT INTO platform.audit (customer_id, who, action, subject, why, rows) VALUES ('another', 'jo', 'kpis', '', '', 1)")


def test_r12_writers_at_once_make_one_chain(installation: Installation, chained: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        given = list(pool.map(lambda n: record(installation.postgres, chained, f"clerk {n % 3}", "kpis", "\x1fa\nb", "", n), range(24)))
    assert sorted(given) == list(range(5, 29))
    assert (look(installation, chained).findings, look(installation, chained).counts["audit"]) == ([], 28)


def changed(connection: psycopg.Connection, name: str) -> None:
    connection.execute("UPDATE platform.audit SET who = 'somebody else' WHERE customer_id = %s AND number = 2", [name])


def changed_with_a_hash_of_its_own(connection: psycopg.Connection, name: str) -> None:
    connection.execute("""UPDATE platform.audit SET who = 'al', hash = encode(sha256(convert_to(concat_ws(E'\\x1f', previous, customer_id, number,
        (extract(epoch FROM at) * 1000000)::bigint, 'al', login, action, subject, why, rows), 'UTF8')), 'hex') WHERE customer_id = %s AND number = 2""", [name])


def taken_out(connection: psycopg.Connection, name: str) -> None:
    connection.execute("DELETE FROM platform.audit WHERE customer_id = %s AND number = 3", [name])


def newest_cut_off(connection: psycopg.Connection, name: str) -> None:
    connection.execute("DELETE FROM platform.audit WHERE customer_id = %s AND number = 4", [name])


def all_gone(connection: psycopg.Connection, name: str) -> None:
    connection.execute("DELETE FROM platform.audit WHERE customer_id = %s", [name])


@pytest.mark.parametrize(("tamper", "told"), [
    (changed, "row 2 of the audit log is not what was written"), (changed_with_a_hash_of_its_own, "row 3 of the audit log does not follow row 2"),
    (taken_out, "row 4 of the audit log does not follow row 2"), (newest_cut_off, "row 4 of the audit log, the newest once, is gone"),
    (all_gone, "row 4 of the audit log, the newest once, is gone")])
def test_r12_tampering_by_who_may_do_anything_is_found(installation: Installation, chained: str, tamper: Callable[[psycopg.Connection, str], None], told: str) -> None:
    """A superuser whose session fires no triggers."""
    assert look(installation, chained).findings == []
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        connection.execute("SET session_replication_role = replica")
        tamper(connection, chained)
    found = look(installation, chained).broken
    assert [(one.invariant, one.customer) for one in found] == [("audit", chained)]
    assert told in found[0].problem
    listed = said("audit", chained)
    assert listed.exit_code == 1
    assert told in listed.output
    head_file(installation.settings, chained).unlink()
