"""C-P3a, the other half: servers one by one through the package `boaviztapi`, in its own environment; prints one JSON line.

`<python of that environment> one_by_one.py <servers>`: every archetype in turn, embedded impacts and use in the three default criteria, in
this process (no HTTP). What the package loads once is loaded before the clock starts.
"""
from __future__ import annotations

import json
import os
import sys
import time


def main(servers: int) -> None:
    import boaviztapi
    from boaviztapi import config
    from boaviztapi.compute.impacts_computation import compute_impacts
    from boaviztapi.data.archetype import get_device_archetype_lst, get_server_archetype
    from boaviztapi.models.device.server import DeviceServer

    names = get_device_archetype_lst(os.path.join(boaviztapi.data_dir, "archetypes/server.csv"))

    def impacts(name: str) -> dict:
        server = DeviceServer(archetype=get_server_archetype(name))
        return compute_impacts(model=server, selected_criteria=["gwp", "pe", "adp"], duration=server.usage.hours_life_time.value)

    made = impacts(config.default_server)  # warm
    if sorted(made) != ["adp", "gwp", "pe"] or not all(found["embedded"]["value"] > 0 for found in made.values()):
        raise RuntimeError(f"not the impacts that are compared: {made}")
    started, cpu = time.perf_counter(), time.process_time()
    for number in range(servers):
        impacts(names[number % len(names)])
    print(json.dumps({"servers": servers, "wall": time.perf_counter() - started, "cpu": time.process_time() - cpu, "archetypes": len(names)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
