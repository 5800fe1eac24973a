"""Applying migrations/V###__name.sql to the warehouse, as the migrator, forward only, and refusing files that are not what was applied.

What belongs here: the files as they are against what the database says was applied. What does not: SQL (migrations/), the catalogs of the lakes
(lake_upgrade.py).

The record is Flyway's own table with Flyway's own checksums, so that Flyway reads it and can go on from it. A file and its record are one transaction.
"""
from __future__ import annotations

import re
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from partitions.errors import MigrationError
from resources.environment import Policy, policy_of
from resources.environment_mark import refuse_other_environment, set_mark
from resources.postgres import MIGRATOR, Postgres
from resources.settings import PROJECT

FOLDER = PROJECT / "migrations"
FILE_NAME = re.compile(r"V([0-9]{3,6})__([a-z0-9]+(?:_[a-z0-9]+)*)\.sql", re.ASCII)
FOREIGN = re.compile(r"\$\{|^--\s*(?:depends|transactional)\s*:", re.MULTILINE)  # placeholders of Flyway, directives of yoyo: each means one tool alone
TABLE = "public.flyway_schema_history"
LOCK = 7_020_310_542_231_186  # of all that migrate this database; a lock of the session, gone with a process that dies
CREATE = f"""CREATE TABLE {TABLE} (
    installed_rank integer NOT NULL CONSTRAINT flyway_schema_history_pk PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
    type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL,
    installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, success boolean NOT NULL);
    CREATE INDEX flyway_schema_history_s_idx ON {TABLE} (success)"""


@dataclass(frozen=True)
class Migration:
    """One file. `checksum` is Flyway's: CRC-32 over its lines, so line ends do not count."""

    number: int
    version: str
    description: str
    script: str
    checksum: int
    content: str

    @property
    def name(self) -> str:
        return self.script.removesuffix(".sql")


@dataclass(frozen=True)
class Applied:
    """One row of the record."""

    number: int
    script: str
    checksum: int | None


def read_migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files in order of their numbers; gaps are allowed. Raises MigrationError for a file that Flyway would pass over or trip on."""
    made = [_read(path) for path in sorted(folder.iterdir())]
    twice = [number for number, count in Counter(one.number for one in made).items() if count > 1]
    if twice:
        names = " and ".join(one.script for one in made if one.number == min(twice))
        raise MigrationError(f"{names} have one number", fix="give the one that is applied nowhere yet the next free number")
    return sorted(made, key=lambda one: one.number)


def _read(path: Path) -> Migration:
    place = {"file": f"{path.parent.name}/{path.name}"}
    named = FILE_NAME.fullmatch(path.name)
    if named is None or not path.is_file():
        raise MigrationError("this is no migration's name", fix="name it V###__words_of_it.sql, or move it elsewhere", **place)
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MigrationError("this is no text in UTF-8", fix="save it as UTF-8", **place) from None
    if found := FOREIGN.search(content):
        row = content.count("\n", 0, found.start()) + 1
        raise MigrationError("this means something to one migration tool alone", row=row, fix="write plain SQL", **place)
    return Migration(int(named[1]), named[1], named[2].replace("_", " "), path.name, checksum_of(content), content)


def checksum_of(content: str) -> int:
    """Flyway's checksum: a signed CRC-32 over the lines without their ends."""
    total = 0
    for line in content.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        total = zlib.crc32(line.encode("utf-8"), total)
    return total - 2**32 if total >= 2**31 else total


def migrate(postgres: Postgres, folder: Path = FOLDER) -> list[str]:
    """Apply what is missing, in order, each file in a transaction of its own with its record; returns the names applied.

    Raises EnvironmentPolicyError on another environment's warehouse; MigrationError where a file is not what was applied, comes too late, or
    the database is ahead of this release and the policy does not let the release work on it.
    """
    files, policy = read_migrations(folder), policy_of(postgres.settings)
    with postgres.connect(MIGRATOR, autocommit=True) as connection:
        refuse_other_environment(connection, postgres.settings.environment)
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        applied = _record(connection, files)
        missing = missing_of(files, applied, policy)
        for number, migration in enumerate(missing, start=len(applied) + 1):
            _apply(connection, migration, number)
        set_mark(connection, postgres.settings.environment)
        return [migration.name for migration in missing]


def pending(postgres: Postgres, folder: Path = FOLDER) -> list[str]:
    """What migrate() would apply; changes nothing. Raises MigrationError as it does."""
    files = read_migrations(folder)
    with postgres.connect(MIGRATOR) as connection:
        applied = _recorded(connection) if connection.execute("SELECT to_regclass(%s)", [TABLE]).fetchone()[0] else []
    return [migration.name for migration in missing_of(files, applied, policy_of(postgres.settings))]


def missing_of(files: Sequence[Migration], applied: Sequence[Applied], policy: Policy) -> list[Migration]:
    """What is to be applied; raises MigrationError for what migrate() says. A release that is behind the database applies nothing."""
    known = {migration.number: migration for migration in files}
    newest, ours = max((one.number for one in applied), default=0), max(known, default=0)
    for one in applied:
        found = known.get(one.number)
        if found is None:
            if one.number > ours and policy.newer_database == "allowed":
                continue
            if one.number > ours:
                raise MigrationError(f"the database is ahead of this release: {one.script} was applied, and the newest that this release knows is V{ours:03d}. "
                                     "Migrations only go forward", fix="run the release that brought it, or a newer one")
            raise MigrationError(f"{one.script} was applied and is gone from the folder", fix="bring the file back from git")
        if one.checksum != found.checksum or one.script != found.script:
            was = f" (as {one.script})" if one.script != found.script else ""
            raise MigrationError(f"this file was changed after it was applied{was}", file=f"migrations/{found.script}",
                                 fix="restore it from git, and write the change as a new migration")
    done = {one.number for one in applied}
    missing = [migration for migration in files if migration.number not in done]
    late = [migration for migration in missing if migration.number < newest]
    if late and not policy.code_development:
        raise MigrationError(f"its number comes before V{newest:03d}, which is applied already", file=f"migrations/{late[0].script}",
                             fix=f"number it after V{newest:03d}: migrations are applied in order")
    return missing


def _record(connection: psycopg.Connection, files: Sequence[Migration]) -> list[Applied]:
    """What was applied. A database from before there was a record gets one of what yoyo applied, with the files as they are now."""
    if connection.execute("SELECT to_regclass(%s)", [TABLE]).fetchone()[0] is None:
        with connection.transaction():
            connection.execute(CREATE)
            before = connection.execute("SELECT to_regclass('public._yoyo_migration')").fetchone()[0]
            ids = {name for (name,) in connection.execute("SELECT migration_id FROM public._yoyo_migration")} if before else set()
            for number, migration in enumerate((one for one in files if one.name in ids), start=1):
                _write(connection, migration, number, 0)
    return _recorded(connection)


def _recorded(connection: psycopg.Connection) -> list[Applied]:
    rows = connection.execute(f"SELECT version, script, checksum FROM {TABLE} WHERE version IS NOT NULL AND success ORDER BY installed_rank").fetchall()
    return [Applied(int(version), script, checksum) for version, script, checksum in rows]


def _apply(connection: psycopg.Connection, migration: Migration, rank: int) -> None:
    began = time.monotonic()
    try:
        with connection.transaction():
            connection.execute(migration.content)  # type: ignore[call-overload]  # the text of a file of ours
            _write(connection, migration, rank, round((time.monotonic() - began) * 1000))
    except psycopg.Error as error:
        position = error.diag.statement_position
        row = migration.content.count("\n", 0, int(position)) + 1 if position else None
        said = error.diag.message_primary or type(error).__name__
        raise MigrationError(f"the migration failed and nothing of it was kept: {said}", file=f"migrations/{migration.script}", row=row,
                             fix="correct the file if it is applied nowhere yet, else the data that it trips on") from error


def _write(connection: psycopg.Connection, migration: Migration, rank: int, milliseconds: int) -> None:
    connection.execute(f"""INSERT INTO {TABLE} (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success)
        VALUES (%s, %s, %s, 'SQL', %s, %s, current_user, %s, true)""",
                       [rank, migration.version, migration.description, migration.script, migration.checksum, milliseconds])
