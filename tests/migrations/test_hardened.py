"""Migrations go forward, in order, once, and are what they were: whatever is not is refused by name. The record is Flyway's."""
from __future__ import annotations

import shutil
import threading
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from partitions.errors import MigrationError
from resources.environment import policies
from resources.migrations import FOLDER, TABLE, Applied, Migration, checksum_of, migrate, missing_of, read_migrations
from resources.postgres import MIGRATOR, READER, Postgres
from tests.installation import Installation

FIRST = "CREATE SCHEMA platform;\nCREATE TABLE platform.thing (customer_id text PRIMARY KEY);\n"
MORE = "ALTER TABLE platform.thing ADD COLUMN more text;\n"


@pytest.fixture
def elsewhere(installation: Installation) -> Postgres:
    """An empty database of the migrator's beside the warehouse, under the same server."""
    made = Postgres(installation.settings)
    made.names = type(made.names)("strata_migrated", made.names.lake, made.names.dagster)
    with installation.superuser() as connection:
        connection.execute(sql.SQL("CREATE DATABASE strata_migrated OWNER {}").format(sql.Identifier(MIGRATOR)))
    yield made
    with installation.superuser() as connection:
        connection.execute("DROP DATABASE strata_migrated WITH (FORCE)")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "V001__first.sql").write_text(FIRST)
    (made / "V003__more.sql").write_text(MORE)  # a gap is none of our business
    return made


def record(postgres: Postgres) -> list[tuple]:
    with postgres.connect(MIGRATOR) as connection:
        return connection.execute(f"SELECT installed_rank, version, description, type, script, checksum, success FROM {TABLE} ORDER BY 1").fetchall()


def test_each_file_is_applied_once_and_recorded_as_flyway_does(elsewhere: Postgres, folder: Path) -> None:
    assert migrate(elsewhere, folder) == ["V001__first", "V003__more"]
    assert migrate(elsewhere, folder) == []
    assert record(elsewhere) == [(1, "001", "first", "SQL", "V001__first.sql", checksum_of(FIRST), True), (2, "003", "more", "SQL", "V003__more.sql", checksum_of(MORE), True)]


def test_the_checksum_is_flyways() -> None:
    """CRC-32 of the lines one after the other (crc32(b"ab") is 0x9E83486D, as a signed number), without line ends and without a byte order mark."""
    assert checksum_of("ab") == 0x9E83486D - 2**32
    assert checksum_of("a\nb\n") == checksum_of("a\r\nb") == checksum_of("ab")
    assert checksum_of("") == 0


def test_an_edited_file_is_refused_by_name_and_nothing_else_is_applied(elsewhere: Postgres, folder: Path) -> None:
    migrate(elsewhere, folder)
    (folder / "V001__first.sql").write_text(FIRST + "-- a remark\n")
    (folder / "V004__later.sql").write_text("CREATE TABLE platform.later (customer_id text);")
    with pytest.raises(MigrationError, match=r"\[file migrations/V001__first.sql\] this file was changed after it was applied.*restore it from git"):
        migrate(elsewhere, folder)
    assert len(record(elsewhere)) == 2
    (folder / "V001__first.sql").write_text(FIRST.replace("\n", "\r\n"))  # git on another system may change line ends
    assert migrate(elsewhere, folder) == ["V004__later"]


def test_a_renamed_or_vanished_file_is_refused(elsewhere: Postgres, folder: Path) -> None:
    migrate(elsewhere, folder)
    (folder / "V001__first.sql").rename(folder / "V001__begin.sql")
    with pytest.raises(MigrationError, match=r"V001__begin.sql.*\(as V001__first.sql\)"):
        migrate(elsewhere, folder)
    (folder / "V001__begin.sql").unlink()
    with pytest.raises(MigrationError, match="V001__first.sql was applied and is gone from the folder"):
        migrate(elsewhere, folder)


def test_a_failed_file_leaves_nothing_and_says_where_and_the_ones_before_stay(elsewhere: Postgres, folder: Path) -> None:
    (folder / "V004__broken.sql").write_text("CREATE TABLE platform.half (customer_id text);\nSELECT no_such_column\nFROM platform.thing;\n")
    (folder / "V005__after.sql").write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=r"\[file migrations/V004__broken.sql, row 2\] the migration failed and nothing of it was kept"):
        migrate(elsewhere, folder)
    with elsewhere.connect(MIGRATOR) as connection:
        assert connection.execute("SELECT to_regclass('platform.half'), to_regclass('platform.thing') IS NOT NULL").fetchone() == (None, True)
    assert [row[1] for row in record(elsewhere)] == ["001", "003"]
    (folder / "V004__broken.sql").write_text("CREATE TABLE platform.half (customer_id text);\n")
    assert migrate(elsewhere, folder) == ["V004__broken", "V005__after"]


def test_an_older_release_is_refused_where_the_database_is_ahead(elsewhere: Postgres, folder: Path, tmp_path: Path) -> None:
    migrate(elsewhere, folder)
    older = tmp_path / "older"
    older.mkdir()
    shutil.copy(folder / "V001__first.sql", older)
    with pytest.raises(MigrationError, match="the database is ahead of this release: V003__more.sql was applied, and the newest that this release knows is V001"):
        migrate(elsewhere, older)
    assert missing_of(read_migrations(older), [Applied(1, "V001__first.sql", checksum_of(FIRST)), Applied(3, "V003__more.sql", 7)], policies()["staging"]) == []


def test_a_number_that_comes_too_late_is_refused_where_no_code_is_developed() -> None:
    files = [Migration(number, f"{number:03d}", "x", f"V{number:03d}__x.sql", number, "") for number in (1, 2, 3)]
    applied = [Applied(1, "V001__x.sql", 1), Applied(3, "V003__x.sql", 3)]
    assert missing_of(files, applied, policies()["dev"]) == files[1:2]  # two branches meet
    for name in ("staging", "prod"):
        with pytest.raises(MigrationError, match=r"V002__x.sql\] its number comes before V003"):
            missing_of(files, applied, policies()[name])


@pytest.mark.parametrize(("name", "content", "words"), [
    ("V4__x.sql", "", "no migration's name"), ("V004_x.sql", "", "no migration's name"), ("V004__X.sql", "", "no migration's name"),
    ("v004__x.sql", "", "no migration's name"), ("V004__x.sql.orig", "", "no migration's name"), ("V004__x.rollback.sql", "", "no migration's name"),
    ("README.md", "", "no migration's name"), ("U003__more.sql", "", "no migration's name"), ("R__views.sql", "", "no migration's name"),
    ("V003__again.sql", "", "V003__again.sql and V003__more.sql have one number"), ("V0003__again.sql", "", "have one number"),
    ("V004__x.sql", b"\xff\xfe", "no text in UTF-8"),
    ("V004__x.sql", "SELECT 1;\n-- depends: V001__first\n", r"row 2, file migrations/V004__x.sql\] this means something to one migration tool alone"),
    ("V004__x.sql", "SELECT '${name}';", r"row 1, file migrations/V004__x.sql\] this means something to one migration tool alone"),
])
def test_a_file_that_a_tool_would_pass_over_or_trip_on_is_refused(folder: Path, name: str, content: str | bytes, words: str) -> None:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(MigrationError, match=words):
        read_migrations(folder)


def test_two_that_migrate_at_once_apply_each_file_once(elsewhere: Postgres, folder: Path) -> None:
    (folder / "V004__slow.sql").write_text("SELECT pg_sleep(0.5);")
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(elsewhere, folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [[], ["V001__first", "V003__more", "V004__slow"]]


def test_a_database_that_yoyo_migrated_gets_its_record_and_goes_on(elsewhere: Postgres, folder: Path) -> None:
    with elsewhere.connect(MIGRATOR) as connection:
        connection.execute(FIRST)
        connection.execute("CREATE TABLE public._yoyo_migration (migration_hash text, migration_id text, applied_at_utc timestamp)")
        connection.execute("INSERT INTO public._yoyo_migration VALUES ('x', 'V001__first', now())")
    assert migrate(elsewhere, folder) == ["V003__more"]
    assert [row[1] for row in record(elsewhere)] == ["001", "003"]


def test_the_record_of_the_warehouse_is_all_files_and_nobody_but_its_owner_reads_it(installation: Installation) -> None:
    assert [(row[4], row[5]) for row in record(installation.postgres)] == [(one.script, one.checksum) for one in read_migrations(FOLDER)]
    with installation.postgres.connect(READER) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"SELECT 1 FROM {TABLE}")
