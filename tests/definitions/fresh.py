"""Loads the definitions in a fresh interpreter and tells what that did. Run as a module:

    python -B -m tests.definitions.fresh             JSON: what was opened, which modules came in, the asset graph three times
    python -B -m tests.definitions.fresh --graph     the asset graph alone, as tests/definitions/asset_graph.txt keeps it
"""
from __future__ import annotations

import json
import os
import sys
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
EVENTS = {"socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.system", "os.mkdir", "os.rename", "os.remove", "urllib.Request"}
opened: list[str] = []


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what touches the world: connections, processes, files opened for writing."""
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING and arguments[0] != os.devnull:
        opened.append(f"open for writing: {arguments[0]}")
    elif event in EVENTS:
        opened.append(f"{event}: {arguments[0]}")


def refuse_connections() -> None:
    """Native clients raise no audit event: their `connect` is noted instead."""
    import duckdb
    import psycopg

    for module in (duckdb, psycopg):
        def noted(*arguments: Any, _name: str = module.__name__, **named: Any) -> None:
            opened.append(f"{_name}.connect")
            raise AssertionError(f"{_name}.connect while definitions load")

        module.connect = noted  # type: ignore[attr-defined]
    psycopg.Connection.connect = classmethod(lambda cls, *arguments, **named: psycopg.connect())  # type: ignore[method-assign]


def graph_text(defs: Any) -> str:
    """The asset graph as lines to review: each asset, what it reads, its checks (`!` blocks)."""
    graph = defs.resolve_asset_graph()
    lines = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        kind = "" if node.is_executable else ", external"
        lines.append(f"{key.to_user_string()}  ({node.group_name}{', by customer' if node.partitions_def else ''}{kind})")
        lines += [f"    reads {parent.to_user_string()}" for parent in sorted(node.parent_keys)]
        lines += [f"    check {check.name}{' !' if graph.get_check_spec(check).blocking else ''}" for check in sorted(node.check_keys)]
    return "\n".join(lines) + "\n"


def main() -> None:
    import dagster  # noqa: F401  its own import asks the machine once (croniter runs `file`); what comes after is ours

    sys.addaudithook(watch)
    refuse_connections()
    from platform_assets import greenit
    from platform_assets.composition import definitions_of
    from platform_assets.greenit.definitions import defs

    first = graph_text(defs)
    if "--graph" in sys.argv:
        sys.stdout.write(first)
        return
    codes = [sorted((spec.key.to_user_string(), spec.code_version or "") for spec in made.resolve_all_asset_specs())
             for made in (defs, definitions_of(greenit), definitions_of(greenit))]
    graphs = [first, *(graph_text(definitions_of(greenit)) for _ in range(2))]
    sys.stdout.write(json.dumps({"opened": opened, "modules": sorted({name.partition(".")[0] for name in sys.modules}), "graphs": graphs, "codes": codes}))


if __name__ == "__main__":
    main()
