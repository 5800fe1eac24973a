"""The samples' estate through readers and silver: every row is good but for those that are bad on purpose."""

from pathlib import Path

import pytest

from samples.generate import generate

ESTATE = {"site": "site_register", "org_unit": "organisation", "metered_usage": "equipment_metering", "virtual_machine": "virtual_machines", "application": "applications"}
FORMATS = {"acme": "strata_1", "globex": "fr_1", "initech": "strata_1"}
NEEDS = {"site": ("equipment",), "metered_usage": ("equipment",), "virtual_machine": ("equipment",), "application": ("virtual_machine",)}
BAD = {  # customer -> (table, reason, column) of what is kept back in September
    "acme": {("site", "NUMBER_RANGE", "pue"), ("org_unit", "NUMBER_FORMAT", "fte"), ("metered_usage", "NUMBER_RANGE", "cpu_pct"),
             ("metered_usage", "DATE_RANGE", "end_date"), ("virtual_machine", "DOMAIN", "equipment_id"), ("application", "DOMAIN", "vm_id")},
    "globex": {("metered_usage", "NUMBER_FORMAT", "energy_kwh"), ("virtual_machine", "DOMAIN", "kind")},
    "initech": {("site", "DUPLICATE", "site_id")},
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The last file of each source of each customer."""
    folder = tmp_path_factory.mktemp("samples")
    return {(call.customer, call.source): folder / call.files[-1] for call in generate(folder)}


@pytest.fixture(params=FORMATS)
def estate(request, files, bronze_of_file, clean, rows, table_of):
    """(customer, table -> rows of silver) with `equipment` as that customer's newest good inventory."""
    customer = request.param
    made, good = {}, {}
    sources = {"equipment": "equipment_inventory", **ESTATE}
    for table, source in sources.items():
        bronze = broken_apart(bronze_of_file, source, FORMATS[customer], files[customer, source])
        made[table] = rows(getattr(clean, table)(bronze, **{name: good[name] for name in NEEDS.get(table, ())}), "_row")
        good[table] = table_of("silver", table, *({k: v for k, v in row.items() if k != "_rejects"} for row in made[table] if not row["_rejects"]))
    return customer, made


def broken_apart(bronze_of_file, source, format, path: Path):
    """The file without the two records of the acme inventory that no reader can read."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if path.name == "inventory_2024-09.csv":
        lines = [line for place, line in enumerate(lines) if place not in (60, 200)]
    trimmed = path.with_name(f"readable_{path.name}")
    trimmed.write_text("".join(lines), encoding="utf-8", newline="")
    return bronze_of_file(source, format, trimmed)


def test_what_is_bad_on_purpose_is_kept_back_and_nothing_else(estate):
    customer, made = estate
    found = {(table, reject["rule"], reject["column"]) for table in ESTATE for row in made[table] for reject in row["_rejects"] or []}
    assert found == BAD[customer]
    assert all(sum(bool(row["_rejects"]) for row in made[table]) <= 10 for table in ESTATE)  # as many as block nobody


def test_the_samples_have_what_a_method_needs(estate):
    customer, made = estate
    good = {table: [row for row in lines if not row["_rejects"]] for table, lines in made.items()}
    assert any(row["pue"] and row["pue"] > 1 and row["is_datacentre"] and row["equipment_lines"] for row in good["site"])
    assert any(row["cpu_units"] and row["cpu_cores"] and row["cpu_tdp_watts"] and row["ram_gb"] for row in good["equipment"])
    assert any(row["power_watts"] for row in good["equipment"])
    assert any(row["condition"] == "refurbished" for row in good["equipment"])
    assert len({row["org_unit"] for row in good["org_unit"] if row["fte"] and row["revenue_per_month"]}) == 6
    assert len({row["vm_id"] for row in good["application"]}) > 40
    assert {row["kind"] for row in good["virtual_machine"]} == {"compute", "storage"}
    hosts = {row["equipment_id"] for row in good["virtual_machine"]}
    assert len({row["equipment_id"] for row in good["metered_usage"] if row["is_in_inventory"]} & hosts) > 5
    assert sum(not row["is_in_inventory"] for row in good["metered_usage"]) == {"acme": 1}.get(customer, 0)


def test_generating_twice_gives_the_same_bytes(files, tmp_path):
    again = {(call.customer, call.source): tmp_path / call.files[-1] for call in generate(tmp_path)}
    assert all(path.read_bytes() == again[place].read_bytes() for place, path in files.items())
