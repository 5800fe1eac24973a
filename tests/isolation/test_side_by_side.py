"""Attack cases 38 and 60: two customers at the same moment in one process, and one who has left."""
from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from partitions.errors import SettingsError
from platform_assets import greenit
from platform_assets.composition import tables_of
from platform_assets.greenit.bronze import equipment_inventory
from resources import lake
from resources.expressions import unbound
from resources.postgres import lake_role, reader_role
from resources.storage import landing_name
from tests.installation import Installation, inventory
from tests.lake import lake_rows, session_for

NAMES = ("side_a", "side_b", "side_a2")
ROUNDS = 2


def test_case_38_customers_at_the_same_moment_share_no_scratch_file_stage_table_or_row(installation: Installation, tmp_path: Path) -> None:
    """Three threads of one process write the same table for three customers, in step; a shared name would cross in one of the rounds."""
    spec = next(made.spec for _, made in tables_of(greenit) if made.table == "equipment_inventory")
    landing = unbound(landing_name(spec.name), [(column.name, column.type) for column in spec.columns])
    expression = equipment_inventory.equipment_inventory.op.compute_fn.decorated_fn(landing)
    for name in NAMES:
        installation.declare(name)
    barrier, wrong, scratch = threading.Barrier(len(NAMES)), [], set()

    def work(name: str) -> None:
        try:
            for number in range(ROUNDS):
                rows = [{"equipment_id": f"CANARY-{name}-{number}-{row}"} for row in range(50)]
                installation.land(name, "equipment_inventory", [inventory(tmp_path / f"{name}-{number}.csv", *rows)], "2024-09")
                session = session_for(installation, name)
                try:
                    barrier.wait(60)
                    scratch.add((name, session.temp))
                    session.con.execute("CREATE TEMP TABLE stage AS SELECT ? AS who", [name])  # the same name in every session
                    session.load_landing(spec)
                    barrier.wait(60)
                    lake.write(session, spec, expression)
                    found = session.con.execute("SELECT DISTINCT split_part(equipment_id, '-', 2), split_part(equipment_id, '-', 3) FROM lake.greenit_bronze.equipment_inventory").fetchall()
                    if found != [(name, str(number))] or session.con.execute("SELECT who FROM stage").fetchall() != [(name,)]:
                        wrong.append((name, number, found))
                finally:
                    session.close()
        except BaseException as error:  # noqa: BLE001  a thread's error is the test's
            barrier.abort()
            wrong.append((name, type(error).__name__, str(error)[:200]))

    threads = [threading.Thread(target=work, args=(name,)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len({path for _, path in scratch}) == len(NAMES)
    assert not any(path.exists() for _, path in scratch)
    for name in NAMES:
        assert {row["who"] for row in lake_rows(installation, name, "SELECT DISTINCT split_part(equipment_id, '-', 2) AS who FROM lake.greenit_bronze.equipment_inventory")} == {name}


def test_case_60_the_logins_of_a_customer_who_left_open_nothing(installation: Installation) -> None:
    """That its id is refused and a restore is undone: tests/customers/test_leaving.py."""
    postgres = installation.postgres
    installation.declare("side_gone")
    postgres.ensure_direct_readers(["side_gone"])
    roles = (lake_role("side_gone"), reader_role("side_gone"))
    kept = {role: {database: postgres.parameters(role, database) for database in (postgres.names.warehouse, postgres.names.lake)} for role in roles}
    held = postgres.connect(roles[0])
    for role in roles:
        assert postgres.drop_role(role)
    with pytest.raises(psycopg.OperationalError):
        held.execute("SELECT 1")  # a connection that was open is ended too
    for role in roles:
        for login in kept[role].values():
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(**{name: value for name, value in login.items()})
        with pytest.raises(SettingsError, match="has no secret"):
            postgres.connect(role)
    (installation.settings.customers / "side_gone.yaml").unlink()
