"""Collections that Strata may use and not ship: fetched into an installation, with pinned content, and computed by our formulas."""
from __future__ import annotations

import csv
import hashlib
import io
import math
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from partitions.errors import ParameterError
from platform_assets.greenit.boavizta import BOAVIZTAPI, PACKAGE
from platform_assets.greenit.electricity_maps import ELECTRICITY_MAPS
from platform_assets.parameter_fetch import fetch
from platform_assets.parameters import check_all
from platform_assets.tables import reference_contracts
from resources.parameter_rules import COMPUTED_FROM_AGPL
from tests.parameters.places import project, rows_of, settings_of

SERVER = ["id", "manufacturer", "CASE.case_type", "CPU.units", "CPU.core_units", "CPU.die_size_per_core", "CPU.name", "CPU.threads", "RAM.units", "RAM.capacity",
          "SSD.units", "SSD.capacity", "HDD.units", "HDD.capacity", "GPU.units", "GPU.name", "GPU.vram", "POWER_SUPPLY.units", "POWER_SUPPLY.unit_weight",
          "USAGE.hours_life_time"]
INSTANCE = ["id", "vcpu", "memory", "ssd_storage", "hdd_storage", "gpu_units", "platform"]
PROCESSOR = ["name", "code_name", "manufacturer", "model_range", "tdp", "cores", "threads", "total_die_size"]
CARD_PARTS = {"casing": "manufacture", "heatsink": "manufacture", "pwb": "manufacture", "gpu": "manufacture", "vram": "manufacture",
              "upstream_transport": "manufacture", "transport_truck": "distribution", "transport_boat": "distribution", "end_of_life": "eol"}

# CPU 100 × 0.0197 + 9.14 = 11.11; RAM 16 / 1.2444 × 2.2 + 5.22 = 33.51; power supply 24.3; rack 150; board 66.1; assembly 6.68: 291.7 kgCO2e
WHOLE_KG = 11.11 + 35.2 / 1.2444 + 5.22 + 24.3 + 150 + 66.1 + 6.68


def sheet(header: list[str], *rows: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def wheel(folder: Path, **changed: str) -> Path:
    """A wheel laid out as boaviztapi's, with one server of our own making and two instances on it: all of it, and a quarter; a third has no size."""
    factors = {part: {phase: {criterion: {"impact": 0.0} for criterion in ("gwp", "pe", "adp")}} for part, phase in CARD_PARTS.items()}
    nothing = sheet(INSTANCE)
    files = {
        "archetypes/server.csv": sheet(SERVER, ["home", "", "rack", 1, 4, "", "Hand 1", "", 1, 16, 0, 0, 0, 0, 0, "", 0, 1, 1, 35040]),
        "archetypes/cloud/aws.csv": sheet(INSTANCE, ["h1.whole", 8, 16, 0, 0, 0, "home"], ["h1.quarter", 2, 4, 0, 0, 0, "home"], ["h1.odd", "", 4, 0, 0, 0, "home"]),
        "archetypes/cloud/azure.csv": sheet(INSTANCE, ["standard_h1_v2", 4, 8, 0, 0, 0, "home"], ["h1_v2", 8, 16, 0, 0, 0, "home"]),
        **{f"archetypes/cloud/{name}.csv": nothing for name in ("gcp", "ovhcloud", "scaleway")},
        "archetypes/components/cpu.csv": sheet(["id", "CONSUMPTION_PROFILE.params"], ["DEFAULT", "{'a': 171.2, 'b': 0.0354, 'c': 36.89, 'd': -10.13}"]),
        "crowdsourcing/cpu_specs.csv": sheet(PROCESSOR, ["Hand 1", "", "Hand", "", "", 4, 8, 100]),
        "crowdsourcing/gpu_specs.csv": sheet(["name", "number", "vram", "die_surface", "pwb_surface", "distance_boat", "distance_truck", "mass_casing", "mass_heatsink", "mass"]),
        "consumption_profile/cpu/cpu_profile.csv": sheet(["manufacturer", "model_range", "a", "b", "c", "d"]),
        "factors.yml": repr({"gpu": factors}),
        **changed,
    }
    path = folder / f"{PACKAGE.name}-{PACKAGE.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name, content in files.items():
            packed.writestr(f"boaviztapi/data/{name}", content)
        about = f"{PACKAGE.name}-{PACKAGE.version}.dist-info"
        packed.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE.name}\nVersion: {PACKAGE.version}\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    return path


def pinned(path: Path):
    """The collection, pinned to the content of a wheel made here."""
    return replace(BOAVIZTAPI, package=replace(PACKAGE, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return project(tmp_path / "project")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and nowhere else."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_instances_come_from_the_pinned_wheel_by_our_formulas(root: Path, registry: Path) -> None:
    made = wheel(registry)
    path, count = fetch(settings_of(root), pinned(made))
    assert path == root / "home" / "parameters" / "cloud_instance_component.csv"
    rows = {(row["instance_id"], row["criterion"]): row for row in rows_of(path)}
    assert count == len(rows) == 12  # three instances of four criteria; of h1.odd nobody knows the size
    whole, quarter = rows["aws:h1.whole", "GWP"], rows["aws:h1.quarter", "GWP"]
    assert float(whole["value"]) == pytest.approx(WHOLE_KG / 35040, rel=1e-9)
    assert float(quarter["value"]) == pytest.approx(float(whole["value"]) / 4, rel=1e-9)
    # the generic profile 171.2 × ln(0.0354 × (50 + 36.89)) − 10.13 W, 16 GB of DDR4 halfway from 0.1041 to 0.1487 W, and a third for the rest: 245 W
    watts = (171.2 * math.log(0.0354 * 86.89) - 10.13 + 16 * 0.1264) * 1.33
    assert float(rows["aws:h1.whole", "kWh"]["value"]) == pytest.approx(watts / 1000, rel=1e-9)
    assert 0.24 < watts / 1000 < 0.25
    assert {row["unit"] for row in rows.values()} == {"kWh", "kgCO2e", "MJ", "kgSbeq"}
    assert {row["licence"] for row in rows.values()} == {COMPUTED_FROM_AGPL}
    assert check_all(settings_of(root)) == len(reference_contracts())


def test_an_azure_type_that_stands_twice_is_taken_once_without_its_prefix(root: Path, registry: Path) -> None:
    path, _ = fetch(settings_of(root), pinned(wheel(registry)))
    azure = [row for row in rows_of(path) if row["provider"] == "azure"]
    assert {row["instance_type"] for row in azure} == {"h1 v2"}
    assert float(next(row for row in azure if row["criterion"] == "GWP")["value"]) == pytest.approx(WHOLE_KG / 35040, rel=1e-9)  # all of the server, not half


def test_a_wheel_with_other_content_is_refused_by_pip_and_by_us(root: Path, registry: Path) -> None:
    made = wheel(registry)
    with pytest.raises(ParameterError, match="boaviztapi 2.5.0 cannot be downloaded: ERROR"):
        fetch(settings_of(root), BOAVIZTAPI)
    with pytest.raises(ParameterError, match="the file is not the one whose content is pinned.*give boaviztapi 2.5.0"):
        fetch(settings_of(root), BOAVIZTAPI, made)
    assert not (root / "home" / "parameters").exists()


def test_a_wheel_that_is_laid_out_otherwise_is_refused_and_the_earlier_file_stays(root: Path, tmp_path: Path) -> None:
    first = wheel(tmp_path)
    path, _ = fetch(settings_of(root), pinned(first), first)
    before = path.read_bytes()
    (tmp_path / "other").mkdir()
    other = wheel(tmp_path / "other", **{"archetypes/server.csv": sheet(["id"], ["home"])})
    with pytest.raises(ParameterError, match="the wheel is not laid out as boaviztapi 2.5.0: 'RAM.units' is not there"):
        fetch(settings_of(root), pinned(other), other)
    assert path.read_bytes() == before


def test_zones_of_a_grid_come_from_a_file_alone_and_stay_in_a_file_of_their_own(root: Path, tmp_path: Path) -> None:
    given = tmp_path / "zones.csv"
    given.write_text("zone,year,gco2e_per_kwh,renewable_pct,carbon_free_pct\nFR,2024,33,27,96\nUS-CAL-CISO,2024,230,50,\n", encoding="utf-8")
    path, count = fetch(settings_of(root), ELECTRICITY_MAPS, given)
    found = [(row["zone"], row["country_code"], row["value"], row["renewable_share"], row["carbon_free_share"], row["licence"]) for row in rows_of(path)]
    assert found == [("FR", "FRA", "0.033", "0.27", "0.96", "ODbL-1.0"), ("US-CAL-CISO", "USA", "0.23", "0.5", "", "ODbL-1.0")]
    assert count == 2
    with pytest.raises(ParameterError, match="electricitymaps is in no package registry.*--from FILE"):
        fetch(settings_of(root), ELECTRICITY_MAPS)
    given.write_text("zone,year,gco2e_per_kwh,renewable_pct,carbon_free_pct\nQX-1,2024,33,27,96\n", encoding="utf-8")
    with pytest.raises(ParameterError, match=r"\[file zones.csv, row 2, column zone\] the zone begins with no country that Strata knows"):
        fetch(settings_of(root), ELECTRICITY_MAPS, given)
    given.write_text("zone,year,gco2e_per_kwh,renewable_pct,carbon_free_pct\nFR,2024,33000,27,96\n", encoding="utf-8")
    with pytest.raises(ParameterError, match=r"file \$STRATA_HOME/parameters/grid_factor_zone.csv, row 2, column value"):
        fetch(settings_of(root), ELECTRICITY_MAPS, given)
    assert len(rows_of(path)) == 2
