"""120 cloud instances that BoaviztAPI 2.5.0 computed, against ours from the same data sheets: ends of the interval."""

import statistics

import ibis
import pytest

from platform_assets.greenit.gold.compute_power import average_kwh
from platform_assets.greenit.gold.contribution import impact_of
from platform_assets.greenit.gold.instance_footprint import embodied_per_hour, watts_at_load
from tests.vectors import peer_servers
from tests.vectors.files import VECTORS, read

ROWS = read(VECTORS / "bulk_boaviztapi_cloud_instances.csv")


@pytest.fixture(scope="module")
def ours(reference):
    """(provider, type, location, load) -> {embedded_gwp_min: …} for the hours of each row."""
    wanted = [(row["provider"], row["instance_type"], float(row["cpu_load_pct"])) for row in ROWS]
    instances = peer_servers.instances(wanted)
    platforms, assumptions = peer_servers.platforms(reference), peer_servers.assumptions(reference)
    parts = peer_servers.components(reference)
    watts = watts_at_load(instances, platforms, assumptions).to_pyarrow().to_pylist()
    powered = {(row["provider"], row["instance_type"], row["load_pct"]): row for row in watts}
    made = {}
    for criterion in peer_servers.CRITERIA:
        of_it = instances.mutate(accelerator=instances[f"card_{criterion}"])
        for row in embodied_per_hour(of_it, platforms, parts.filter(parts.criterion == criterion), assumptions).to_pyarrow().to_pylist():
            made[row["provider"], row["instance_type"], criterion] = row
    return powered, made


@pytest.fixture(scope="module")
def all_errors(ours):
    return {phase: errors(ours, phase) for phase in ("embedded", "use")}


def errors(ours, phase):
    """Relative deviations of both ends over all rows and criteria of a phase, with the row's name."""
    powered, embodied = ours
    found = []
    for row in ROWS:
        hours = float(row["duration_h"])
        for criterion, key in peer_servers.CRITERIA.items():
            for end in ("min", "max"):
                expected = float(row[f"{phase}_{key}_{end}"])
                if phase == "embedded":
                    figure = embodied[row["provider"], row["instance_type"], criterion][f"embodied_{end}"] * hours
                else:
                    watts = powered[row["provider"], row["instance_type"], float(row["cpu_load_pct"])][f"watts_{end}"]
                    factor = peer_servers.grid(row["usage_location"], key)
                    figure = impact_of(average_kwh(watts, hours), factor)
                found.append((abs(figure / expected - 1), row["instance_type"], criterion, end))
    return sorted(found)


@pytest.mark.parametrize("end", ["min", "max"])
@pytest.mark.parametrize("criterion", list(peer_servers.CRITERIA))
@pytest.mark.parametrize("phase", ["embedded", "use"])
def test_an_end_is_within_one_per_cent_in_the_middle_and_five_at_the_95th_percentile(phase, criterion, end, all_errors):
    found = [row for row in all_errors[phase] if row[2:] == (criterion, end)]
    deviations = [error for error, *_row in found]
    assert len(found) == 120
    assert statistics.median(deviations) <= 0.01, found[-8:]
    assert statistics.quantiles(deviations, n=20, method="inclusive")[18] <= 0.05, found[-8:]


def test_every_instance_has_a_platform_with_threads(ours):
    powered, _embodied = ours
    assert {key for key, row in powered.items() if row["watts"] is None} == set()
    assert len({(row["provider"], row["instance_type"], float(row["cpu_load_pct"])) for row in ROWS}) == len(powered)


def test_an_unknown_size_has_no_figure_and_never_zero(reference):
    row = {"provider": "aws", "instance_type": "x", "platform_id": "m5.metal", "load_pct": 50.0, "vcpu": None, "memory_gb": 8.0, "ssd_gb": 0.0, "hdd_gb": 0.0}
    table = ibis.memtable([row], schema={name: "string" if name in ("provider", "instance_type", "platform_id") else "float64" for name in row})
    found = watts_at_load(table, peer_servers.platforms(reference), peer_servers.assumptions(reference)).to_pyarrow().to_pylist()
    assert [found[0][name] for name in ("watts", "watts_min", "watts_max")] == [None, None, None]
