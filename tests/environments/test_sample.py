"""A sample for dev holds together: always the same rows, nothing confidential, and it loads with no more trouble than the whole."""
from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import strata
from partitions.customers import load_customers
from platform_assets.sampling import chosen, sources, threshold
from resources.settings import PROJECT, settings
from samples.generate import generate
from tests.installation import Installation, own_installation
from tests.lake import lake_rows

NAME = "globex"  # CSV with ; and decimal commas, XML, JSON, Parquet, two files in one period
LAYERS = [f"greenit/{layer}/{path.name.removesuffix('.odcs.yaml')}" for layer in ("bronze", "silver") for path in sorted((PROJECT / "platform_assets/greenit" / layer).glob("*.odcs.yaml"))]
SHARE = "20%"


@dataclass
class Loaded:
    """What bronze and silver of an installation hold."""

    rows: dict[str, list[dict[str, Any]]]
    kept_back: dict[str, int]


def loaded(made: Installation) -> Loaded:
    rows = {name: lake_rows(made, NAME, f"SELECT * FROM lake.greenit_bronze.{name}") for name in sources()}
    found = [row for layer in ("bronze", "silver") for row in lake_rows(made, NAME, f"SELECT table_name, count(*) AS n FROM lake.greenit_{layer}.quarantine GROUP BY 1")]
    return Loaded(rows, {row["table_name"]: row["n"] for row in found})


def done(*words: str | Path) -> str:
    found = CliRunner().invoke(strata, [str(word) for word in words])
    assert found.exit_code == 0, found.output
    return found.output


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loaded, Path]]:
    """A customer with all that was delivered, and two samples of it in a folder."""
    folder = tmp_path_factory.mktemp("whole")
    with own_installation("strata-whole-") as made:
        (made.settings.customers / f"{NAME}.yaml").write_text((PROJECT / "customers" / f"{NAME}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        done("customers", "apply")
        made.instance.add_dynamic_partitions("customer", [NAME])
        for call in generate(folder / "files"):
            if call.customer == NAME:
                made.land(NAME, call.source, [folder / "files" / name for name in call.files], call.period, call.sequence)
        ran = made.run(NAME, LAYERS)
        assert ran.success, ran.failures
        before = made.versions(NAME)
        for number in (1, 2):
            done("dev", "sample", "--customer", NAME, "--rows", SHARE, "--out", folder / f"sample{number}")
        assert made.versions(NAME) == before  # nothing is written where it is taken
        yield loaded(made), folder


@pytest.fixture(scope="module")
def part(whole: tuple[Loaded, Path]) -> Iterator[Loaded]:
    """The sample, landed and computed in dev."""
    folder = whole[1] / "sample1"
    with own_installation("strata-part-") as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATA_CUSTOMERS", str(folder / "customers"))
        done("dev", "load", folder)
        assert "unchanged" in done("dev", "load", folder)
        made.settings = settings()
        made.instance.add_dynamic_partitions("customer", [NAME])
        ran = made.run(NAME, LAYERS)
        assert ran.success, ran.failures
        yield loaded(made)


def test_the_same_rows_come_every_time(whole: tuple[Loaded, Path]) -> None:
    first, second = ({path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
                     for root in (whole[1] / "sample1", whole[1] / "sample2"))
    assert {Path(name).suffix for name in first} >= {".csv", ".json", ".xml", ".parquet", ".yaml"}
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_it_is_a_part_of_every_source_and_the_values_are_those_that_were_delivered(whole: tuple[Loaded, Path], part: Loaded) -> None:
    everything = whole[0]
    masked = {name: {str(p.name) for p in made.properties if p.classification == "confidential"} for name, (made, _said) in sources().items()}
    for name, rows in everything.rows.items():
        assert bool(part.rows[name]) == bool(rows), name
        plain = [column for column in (rows or [{}])[0] if not column.startswith("_") and column not in masked[name]]
        delivered = {json.dumps([row[column] for column in plain]) for row in rows}
        assert {json.dumps([row[column] for column in plain]) for row in part.rows[name]} <= delivered, name
    inventory, bills = ([len(one[name]) for one in (part.rows, everything.rows)] for name in ("equipment_inventory", "cloud_billing"))
    assert 0.1 < inventory[0] / inventory[1] < 0.4
    assert 0.05 < bills[0] / bills[1] < 0.4


def test_nothing_is_kept_back_that_the_whole_did_not_keep_back(whole: tuple[Loaded, Path], part: Loaded) -> None:
    assert {table: n for table, n in part.kept_back.items() if n > whole[0].kept_back.get(table, 0)} == {}


def test_every_reference_that_held_in_the_whole_holds_in_the_sample(whole: tuple[Loaded, Path], part: Loaded) -> None:
    looked_at = 0
    for name, (_made, said) in sources().items():
        for column, target in said.refers.items():
            key = sources()[target][1].key
            there, here = ({(row[key] or "").strip() for row in one.rows[target]} for one in (whole[0], part))
            wanted = {(row[column] or "").strip() for row in part.rows[name]} & there
            looked_at += len(wanted)
            assert wanted <= here, (name, column, sorted(wanted - here)[:3])
    assert looked_at > 20


def test_a_machine_comes_with_its_meters_and_what_runs_on_it(whole: tuple[Loaded, Path], part: Loaded) -> None:
    taken = {row["equipment_id"].strip() for row in part.rows["equipment_inventory"] if row["equipment_id"]}
    metered = {row["equipment_id"] for row in whole[0].rows["equipment_metering"]}
    assert {row["equipment_id"] for row in part.rows["equipment_metering"]} <= taken | (metered - {row["equipment_id"] for row in whole[0].rows["equipment_inventory"]})
    assert {row["vm_id"] for row in part.rows["applications"]} & {row["vm_id"] for row in whole[0].rows["virtual_machines"]} <= {row["vm_id"] for row in part.rows["virtual_machines"]}


def test_nothing_confidential_is_in_the_files_and_nobody_is_told(whole: tuple[Loaded, Path], part: Loaded) -> None:
    secrets, plain = set[str](), set[str]()
    for name, (made, _said) in sources().items():
        for column in made.properties:
            values = {str(row[str(column.name)]).strip() for row in whole[0].rows[name] if row[str(column.name)]}
            (secrets if column.classification == "confidential" else plain).update(values)
    secrets = {secret for secret in secrets - plain if len(secret) > 6}  # a contracted cost may equal a billed one
    assert len(secrets) > 10
    files = [path for path in (whole[1] / "sample1").rglob("*") if path.is_file()]
    content = "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files) + str(part.rows)  # Parquet is read, not searched
    assert sorted(secret for secret in secrets if secret in content)[:3] == []
    declared = load_customers(whole[1] / "sample1" / "customers")[NAME]
    assert (declared.steward.email, declared.schedule, declared.contacts) == ("data-steward@example.org", None, [])
    assert all(owner.startswith("masked_") for owner in declared.sources["cloud_billing"].accepted_owners)


def test_the_customers_are_always_the_same_ones() -> None:
    names = [f"c{number}" for number in range(50)]
    assert chosen(names, 3) == chosen(reversed(names), 3)
    assert set(chosen(names, 3)) < set(chosen([*names], 5))
    assert (threshold(1), threshold(0.5), threshold(0.01)) == ("g", "80000000", "028f5c28")


@pytest.mark.parametrize(("words", "said"), [
    (("--rows", "0%"), "a share is written"), (("--rows", "101%"), "a share is written"), (("--rows", "some"), "a share is written"),
    (("--customer", "no_such"), "no_such"), (("--customers", "0"), "0"),
])
def test_a_wrong_wish_is_refused(installation: Installation, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    found = CliRunner().invoke(strata, ["dev", "sample", "--out", str(tmp_path / "out"), *words])
    assert found.exit_code != 0
    assert said in found.output


def test_a_folder_that_holds_something_is_left_alone_and_one_without_a_sample_is_told(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    found = CliRunner().invoke(strata, ["dev", "sample", "--out", str(tmp_path)])
    assert (found.exit_code, "name a new folder" in found.output) == (1, True)
    found = CliRunner().invoke(strata, ["dev", "load", str(tmp_path)])
    assert (found.exit_code, "this folder holds no sample" in found.output) == (1, True)


def test_every_source_says_how_it_is_sampled() -> None:
    known = sources()
    assert len(known) == len(list(PROJECT.glob("platform_assets/*/bronze/*.odcs.yaml")))
    for name, (made, said) in known.items():
        columns = {str(p.name) for p in made.properties}
        assert {column for column in (said.key, said.by, *said.refers, *said.through) if column} <= columns, name
        assert all(known[target][1].key for target in (*said.refers.values(), *said.through.values())), name
        assert (said.rows == "hashed") == bool(said.entity and said.by), name
