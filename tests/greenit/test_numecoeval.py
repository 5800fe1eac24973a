"""NumEcoEval's own files through our readers and silver: good files whole, faulty files as the peer's recorded rejects say.

The peer recorded rejects for one family of four files (`load_reject`); of the others the file's name alone says what is wrong in it. Where
we answer differently, the row stands in KEPT or STRICTER with the reason.
"""

import csv
import re

import pytest

from tests.conftest import SHARED

FILES = SHARED / "data/inputs/numecoeval_g4it"
BATCH = "apibatchloading_work_20230420-161015_"
pytestmark = pytest.mark.skipif(not FILES.exists(), reason="the real inputs are not on this machine")
SILVER = {"site": "site_register", "equipment": "equipment_inventory", "virtual_machine": "virtual_machines", "application": "applications"}
FAMILIES = {  # family -> its files, and the format of its virtual machines (two spellings of one header)
    "batch": ((f"{BATCH}DATACENTER/dataCenters_ok.csv", f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_ok.csv", f"{BATCH}EQUIPEMENT_VIRTUEL/equipementVirtuel_ok.csv",
               f"{BATCH}APPLICATION/application_ok.csv"), "numecoeval_batch_1"),
    "samples": (("sample_1-datacenter.csv", "sample_2-physicalEquipments.csv", "sample_3-virtualEquipments.csv", "sample_4-applications.csv"), "numecoeval_1"),
    "again": tuple([tuple(f"apibatchloading_work_20230925-161016_{name}" for name in ("DATACENTER/datacenter.csv", "EQUIPEMENT_PHYSIQUE/physical_equipment.csv",
                    "EQUIPEMENT_VIRTUEL/equipementVirtuel.csv", "APPLICATION/application.csv")), "numecoeval_batch_1"]),
    **{name: (tuple(f"{name}_input/{file}_nominal.csv" for file in ("DATACENTER", "EQUIPEMENT_PHYSIQUE", "EQUIPEMENT_VIRTUEL", "APPLICATION")), "numecoeval_1")
       for name in ("apiloadinputfiles_load_nominal", "apievaluating_eval_nominal", "apiloadinputfiles_load_reject")},
}  # fmt: skip
IN_THE_INVENTORY = {"equipment": {"equipment_id": "MyMagicalPE"}, "virtual_machine": {"vm_id": "MyMagicalVE"}}  # that the peer's test loaded before


@pytest.fixture
def silver(bronze_of_file, clean, rows, table_of):
    """`silver(family)` or `silver(table, file, format, others)`: silver rows of a table in file order, with `_rejects`."""

    def one(table, file, format, others):
        bronze = bronze_of_file(SILVER[table], format, FILES / file)
        return rows(getattr(clean, table)(bronze, **{name: others[name] for name in NEEDS[table] if name in others}), "_row")

    def family(name):
        files, vm_format = FAMILIES[name]
        made, others = {}, {}
        for table, file in zip(("equipment", "site", "virtual_machine", "application"), (files[1], files[0], *files[2:]), strict=True):
            made[table] = one(table, file, vm_format if table == "virtual_machine" else "numecoeval_1", others)
            before = [IN_THE_INVENTORY[table]] if name.endswith("load_reject") and table in IN_THE_INVENTORY else []
            good = [{key: value for key, value in row.items() if key != "_rejects"} for row in made[table] if row["_rejects"] is None]
            others[table] = table_of("silver", table, *good, *before)
        return made

    return lambda *said: family(*said) if len(said) == 1 else one(*said)


NEEDS = {"site": ("equipment",), "equipment": (), "virtual_machine": ("equipment",), "application": ("virtual_machine",)}


def reasons(row):
    return {reject["rule"] for reject in row["_rejects"] or []}


# good files


@pytest.mark.parametrize(("family", "counts"), [
    ("batch", (5, 17, 12, 13)), ("samples", (4, 6, 12, 12)), ("apiloadinputfiles_load_nominal", (2, 2, 4, 4)), ("apievaluating_eval_nominal", (2, 2, 2, 2)),
])  # fmt: skip
def test_every_row_of_a_good_family_is_in_silver(silver, family, counts):
    made = silver(family)
    assert [len(made[table]) for table in SILVER] == list(counts)
    assert [(table, row["_row"], row["_rejects"]) for table in SILVER for row in made[table] if row["_rejects"]] == []


def test_a_good_family_keeps_its_figures(silver):
    made = silver("batch")
    room = next(row for row in made["site"] if row["site_id"] == "Datacenter 9")
    assert (room["name"], room["pue"], room["country_code"], room["is_datacentre"], room["equipment_lines"]) == ("Datacenter numéro 9", 1.2, "FRA", True, 4)
    server = next(row for row in made["equipment"] if row["equipment_id"] == "Serveur 7")
    assert (server["quantity"], server["cpu_cores"], server["cpu_model"], server["ram_gb"], server["site_id"]) == (1, 10, "i9", 500.0, "Datacenter 5")
    assert (server["status"], str(server["retired_date"])) == ("retired", "2023-03-05")  # `inactif` with the day on which it left
    machine = next(row for row in made["virtual_machine"] if row["vm_id"] == "VM 53")
    assert (machine["equipment_id"], machine["kind"], machine["vcpu"], machine["storage_gb"]) == ("Serveur 11", "compute", 24.34, 3.0)
    assert (machine["explicit_share"], machine["allocation_key"]) == (None, 3.3)  # 3.3 times a host is no share of it


def test_dates_in_three_notations_stand_in_one_good_file(silver):
    lines = silver("apiloadinputfiles_load_nominal")["equipment"]
    assert [str(line["purchase_date"]) for line in lines] == ["2020-07-08", "2020-07-08"]
    assert [line["cpu_cores"] for line in lines] == [4, 8]


# recorded rejects

MEANS = {  # the peer's message -> our reasons; the first that fits speaks
    r"must not be null|must have a physical equipment": {"MISSING_KEY", "MISSING_VALUE"}, r"^Physical equipment null": set(),
    r"does not exist": {"DOMAIN"}, r"already exists|should be unique": {"DUPLICATE"}, r"more recent than the retrieval date": {"DATE_RANGE"},
}  # fmt: skip
STRICTER = {  # the peer counts a machine that it refused for want of a host as known; we keep back what runs on a machine that was kept back
    ("application", 4): {"DOMAIN"}, ("application", 5): {"DOMAIN"},
}  # fmt: skip
RECORDED = {"site": "datacenter", "equipment": "physical_equipment", "virtual_machine": "virtual_equipment", "application": "application"}


def recorded(table):
    """Line of the peer's input file -> one set of our reasons for each of its messages."""
    path = FILES / "apiloadinputfiles_load_reject_rejects" / f"rejected_{RECORDED[table]}_20240101_000000.csv"
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file, delimiter=";"))
    return {int(line["lineNumber"]): [meant(text) for text in line["message"].split("., ")] for line in lines}


def meant(message):
    return next(reasons for pattern, reasons in MEANS.items() if re.search(pattern, message))


@pytest.mark.parametrize("table", SILVER)
def test_the_rows_of_the_rejected_family_end_as_the_peer_recorded(silver, table):
    ours = {row["_row"] + 1: reasons(row) for row in silver("apiloadinputfiles_load_reject")[table] if row["_rejects"]}
    theirs = recorded(table)
    assert len(theirs) == {"site": 1, "equipment": 3, "virtual_machine": 6, "application": 5}[table]
    assert set(ours) == set(theirs) | {line for name, line in STRICTER if name == table}
    for line, messages in theirs.items():
        assert all(ours[line] & said for said in messages if said), (line, ours[line])
        assert ours[line] <= set().union(*messages, STRICTER.get((table, line), set())), (line, ours[line])
    assert all(ours[line] == said for (name, line), said in STRICTER.items() if name == table and line not in theirs)


# files whose name says what is wrong in them

FAULTY = {  # file -> its rows: what keeps each of them back, or nothing (then see KEPT)
    f"{BATCH}DATACENTER/datacenter_avec_erreur_champs_obligatoire.csv": [{"MISSING_VALUE"}, {"MISSING_KEY"}],
    f"{BATCH}DATACENTER/datacenter_avec_erreur_format.csv": [{"NUMBER_RANGE"}, {"NUMBER_FORMAT"}, set()],
    f"{BATCH}DATACENTER/datacenter_avec_erreur_referentiel.csv": [set(), {"NUMBER_RANGE"}],
    f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_avec_erreur_champs_obligatoire.csv": [{"MISSING_VALUE"}, set(), {"MISSING_VALUE"}, {"MISSING_VALUE"}, set()],
    f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_avec_erreur_coherence.csv": [set()],
    f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_avec_erreur_format.csv": [
        {"NUMBER_FORMAT"}, {"NUMBER_RANGE"}, {"DATE_FORMAT"}, {"DATE_FORMAT"}, set(), {"NUMBER_RANGE"}, {"NUMBER_FORMAT"}, {"NUMBER_FORMAT"}, {"NUMBER_RANGE"},
        {"NUMBER_FORMAT"}],
    f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_avec_erreur_referentiel.csv": [set(), set(), {"NUMBER_RANGE"}],
    f"{BATCH}EQUIPEMENT_VIRTUEL/equipementVirtuel_avec_erreur_champs_obligatoire.csv": [{"MISSING_VALUE"}, {"MISSING_KEY"}, {"MISSING_VALUE"}],
    f"{BATCH}EQUIPEMENT_VIRTUEL/equipementVirtuel_avec_erreur_de_coherence.csv": [{"DOMAIN"}],
    f"{BATCH}EQUIPEMENT_VIRTUEL/equipementVirtuel_avec_erreurs_format.csv": [
        {"NUMBER_FORMAT"}, {"NUMBER_RANGE"}, {"NUMBER_FORMAT"}, {"NUMBER_RANGE"}, {"NUMBER_FORMAT"}, {"NUMBER_RANGE"}, {"NUMBER_RANGE"}, {"NUMBER_FORMAT"}, set()],
    f"{BATCH}APPLICATION/application_avec_erreur_champs_obligatoire.csv": [{"MISSING_KEY", "DOMAIN"}, {"MISSING_KEY", "DOMAIN"}, {"MISSING_KEY"},
                                                                           {"MISSING_KEY", "DOMAIN"}],
    f"{BATCH}APPLICATION/application_avec_erreur_coherence.csv": [{"DOMAIN"}] * 7,
}  # fmt: skip
KEPT = {  # file, row -> why it stays
    ("datacenter_avec_erreur_format.csv", 3): "a PUE of 1.0 is the least by its definition, not below it; the country is written as in the peer's good files",
    ("datacenter_avec_erreur_referentiel.csv", 1): "the peer's referential has no England, our vocabulary does: GBR",
    ("equipementPhysique_avec_erreur_champs_obligatoire.csv", 2): "a line without a model: the peer's own nominal files have such lines, the type alone gives a factor",
    ("equipementPhysique_avec_erreur_champs_obligatoire.csv", 5): "a line without a country has no grid factor: it stays unknown, coverage shows it",
    ("equipementPhysique_avec_erreur_coherence.csv", 1): "a server in a datacentre that the register does not have is a server: the rule of `site` warns",
    ("equipementPhysique_avec_erreur_format.csv", 5): "1.6 kWh a year is a number: the peer's later loader takes 1.2",
    ("equipementPhysique_avec_erreur_referentiel.csv", 1): "the peer's referential has no England, our vocabulary does: GBR",
    ("equipementPhysique_avec_erreur_referentiel.csv", 2): "a type that no item map knows is a matter of figures: not mapped, coverage shows it",
    ("equipementVirtuel_avec_erreurs_format.csv", 9): "1.3 kWh a year is a number",
}  # fmt: skip


def faulty(silver, file, table_of):
    """The rows of a faulty file: the good files of its family stand beside it, as the peer's batch had loaded them."""
    table = next(name for name, folder in (("site", "DATACENTER"), ("equipment", "PHYSIQUE"), ("virtual_machine", "VIRTUEL"), ("application", "APPLICATION")) if folder in file)
    made = silver("batch")
    others = {name: table_of("silver", name, *({k: v for k, v in row.items() if k != "_rejects"} for row in made[name])) for name in NEEDS[table]}
    return silver(table, file, "numecoeval_batch_1" if table == "virtual_machine" else "numecoeval_1", others)


@pytest.mark.parametrize("file", FAULTY, ids=lambda file: file.rpartition("/")[2])
def test_each_row_of_a_faulty_file_is_kept_back_for_its_reason_or_stays_for_ours(silver, table_of, file):
    lines = faulty(silver, file, table_of)
    assert [reasons(line) for line in lines] == FAULTY[file]
    stays = {(file.rpartition("/")[2], row) for row, said in enumerate(FAULTY[file], 1) if not said}
    assert stays == {place for place in KEPT if place[0] == file.rpartition("/")[2]}


def test_what_stays_of_a_faulty_file_claims_nothing(silver, table_of):
    nowhere = faulty(silver, f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_avec_erreur_champs_obligatoire.csv", table_of)[4]
    assert (nowhere["country_code"], nowhere["site_id"]) == (None, "Datacenter 5")
    english, unknown, _ = faulty(silver, f"{BATCH}EQUIPEMENT_PHYSIQUE/equipementPhysique_avec_erreur_referentiel.csv", table_of)
    assert (english["country_code"], unknown["item_type"]) == ("GBR", "unknown")


def test_a_family_that_repeats_its_rows_keeps_those_that_stand_once(silver):
    """Serveur 7 is repeated, and with it go the machines VMà, VM 55 and VM 58 and the application on VM 55; VM 48 and VM 57 are repeated themselves."""
    made = silver("again")
    kept = {table: [row["_row"] for row in made[table] if not row["_rejects"]] for table in SILVER}
    assert kept == {"site": [1], "equipment": [1, 2, 3, 4, 5, 6, 7, 8, 9], "virtual_machine": [3, 4, 5, 6, 7, 8, 12],
                    "application": [2, 4, 5, 6, 7, 10, 11, 12, 13, 14]}  # fmt: skip
    assert all("DUPLICATE" in reasons(row) for table in ("site", "equipment") for row in made[table] if row["_rejects"])
