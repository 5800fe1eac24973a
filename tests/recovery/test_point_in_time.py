"""R2: the server goes back to a moment before a bad publication, from a base backup and the log that was kept since."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from partitions.customers import customer
from platform_assets.verification import verify
from resources.audit import head_file, record
from resources.postgres import SUPERUSER, EmbeddedServer, Postgres
from tests.faults.writing import published, write_all
from tests.installation import Installation, inventory
from tests.lake import session_for

pytestmark = pytest.mark.soak
NAME = "turned_back"
WITHIN_SECONDS = 120


@pytest.fixture
def good(installation: Installation, tmp_path: Path) -> Iterator[str]:
    with published(installation, NAME, tmp_path) as made:
        yield made


def environment(postgres: Postgres) -> dict[str, str]:
    login = postgres.parameters(SUPERUSER, "postgres")
    return {**os.environ, "PGPASSWORD": login["password"], "PGHOST": login["host"], "PGUSER": SUPERUSER}


def program(name: str) -> str:
    return str(EmbeddedServer.binaries() / name)


def wait(what: Callable[[], bool], said: str) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while not what():
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


@contextmanager
def log_kept(postgres: Postgres, folder: Path) -> Iterator[None]:
    """Every segment of the server's log, as it is written, in a folder: what an archive of it holds."""
    folder.mkdir()
    child = subprocess.Popen([program("pg_receivewal"), "--no-password", "-D", str(folder)], env=environment(postgres), stderr=subprocess.DEVNULL)
    try:
        wait(lambda: any(folder.iterdir()), "pg_receivewal receives nothing")
        yield
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(30)


def restored(installation: Installation, home: Path, archive: Path, moment: str) -> Postgres:
    """A server from the base backup in `home`, which has read the kept log up to a moment. Lake and landing stay where they are."""
    data = home / "postgres"
    archive.chmod(0o755)
    for path in archive.iterdir():
        path.chmod(0o644)
    with (data / "postgresql.auto.conf").open("a") as conf:
        conf.write(f"restore_command = 'cp {archive}/%f %p'\nrecovery_target_time = '{moment}'\nrecovery_target_action = 'promote'\n")
    (data / "recovery.signal").touch()
    owner = (installation.settings.home / "postgres").stat()  # who runs the server: another user than root's
    for path in (data, *data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    landing = str(installation.settings.landing_root)
    made = Postgres(replace(installation.settings, home=home, runtime=home / "run", landing_store=landing))
    EmbeddedServer(made.settings, lambda _role: "").start()

    def has_left_recovery() -> bool:
        with made.connect(SUPERUSER, "postgres", autocommit=True) as connection:
            return connection.execute("SELECT NOT pg_is_in_recovery()").fetchone()[0]

    wait(has_left_recovery, "the server never came to the moment")
    made.up()
    return made


def shown(postgres: Postgres) -> list[tuple[str, int]]:
    with postgres.connect("strata_writer", customer=NAME) as connection:
        return connection.execute("SELECT table_name, version FROM platform.live_version ORDER BY 1").fetchall()


def test_r2_the_server_goes_back_to_before_a_bad_publication_and_every_invariant_holds(installation: Installation, good: str, tmp_path: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix="strata-moment-"))
    archive, postgres, back = home / "log-kept", installation.postgres, None
    record(postgres, NAME, "jo", "kpis", "", "before", 1)
    try:
        with log_kept(postgres, archive):
            base = [program("pg_basebackup"), "--no-password", "-c", "fast", "-X", "none", "-D", str(home / "postgres")]
            subprocess.run(base, check=True, capture_output=True, env=environment(postgres))
            installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "2.csv", {"equipment_id": "second"})])
            session = session_for(installation, NAME)
            write_all(session, 4)  # good, and after the backup: the kept log must bring it back
            session.close()
            before = shown(postgres)
            with postgres.connect(SUPERUSER, "postgres", autocommit=True) as connection:
                moment = connection.execute("SELECT clock_timestamp()::text").fetchone()[0]
            time.sleep(0.1)
            record(postgres, NAME, "jo", "kpis", "", "after", 1)
            installation.land(NAME, "equipment_inventory", [inventory(tmp_path / "bad.csv", {"equipment_id": "bad"})])
            session = session_for(installation, NAME)
            write_all(session, 40)
            session.close()
            assert shown(postgres) != before
            with postgres.connect(SUPERUSER, "postgres", autocommit=True) as connection:
                segment = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
            wait(lambda: (archive / segment).exists(), "the last segment was not kept")
        shutil.copytree(installation.settings.secrets, home / "secrets")
        shutil.copytree(installation.settings.home / "audit", home / "audit")
        back = restored(installation, home, archive, moment)

        assert shown(back) == before
        found = verify(back, {NAME: customer(NAME, installation.settings.customers)}, contents=True)
        assert [(one.invariant, one.problem) for one in found.broken] == [("audit", "row 2 of the audit log, the newest once, is gone or another one")]
        head_file(back.settings, NAME).unlink()  # noted: it was a restore
        again = Installation(back.settings, back, installation.instance)
        session = session_for(again, NAME)  # and the customer goes on from there
        write_all(session, 5)
        assert session.con.execute("SELECT equipment_id FROM lake.greenit_bronze.equipment_inventory").fetchall() == [("second",)]
        session.close()
        assert shown(back) != before
        found = verify(back, {NAME: customer(NAME, installation.settings.customers)}, contents=True)
        assert found.broken == []
    finally:
        if back:
            back.down()
        shutil.rmtree(home, ignore_errors=True)
        head_file(installation.settings, NAME).unlink(missing_ok=True)
