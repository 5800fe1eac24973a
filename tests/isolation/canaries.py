"""A copy of the warehouse in which every row of every table is a canary: structure, policies, grants and keys are the real ones.

What belongs here: making the copy, its values, and listing what there is, so that a case runs over tables that nobody has thought of.
What does not: cases. Checks of values and foreign keys are left out of the copy, because they would ask for values that mean something.
"""
from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from resources.postgres import BACKUP, READER, SUPERUSER, WRITER, EmbeddedServer, Postgres, lake_role, reader_role
from tests.installation import Installation

OWN, OTHERS = "mark_a", ("mark_b", "mark_a2")  # the last one is a sibling with the same prefix
CUSTOMERS = (OWN, *OTHERS)
ROWS = 2
SHARED_ROLES, OWN_ROLES = (READER, WRITER), (lake_role(OWN), reader_role(OWN))
ROLES = (*SHARED_ROLES, *OWN_ROLES)
RELATIONS = """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^(pg_|information_schema$|public$)' AND c.relkind::text = ANY(%s) ORDER BY 1, 2"""
COLUMNS = """SELECT attname, format_type(atttypid, atttypmod), attidentity <> '' FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum"""


def canary(name: str, what: Any) -> str:
    return f"CANARY-{name}-{what}"


def foreign(text: Any, own: str = OWN) -> list[str]:
    """Whose canaries, other than the own ones, stand in what a case was told."""
    lowered = str(text).lower()
    return [name for name in CUSTOMERS if name != own and canary(name, "").lower() in lowered]


@dataclass(frozen=True)
class Copy:
    """The copy, and who may log in to it."""

    postgres: Postgres
    database: str

    def connect(self, role: str, customer: str | None = None, **more: Any) -> psycopg.Connection:
        """A role's connection; the shared ones are bound to a customer as their callers do it."""
        return self.postgres.connect(role, self.database, customer=customer if role in SHARED_ROLES else None, **more)

    @cache  # noqa: B019  one copy lives as long as the tests; each question would open a connection
    def relations(self, kinds: str = "rpvmf") -> list[str]:
        with self.connect(SUPERUSER) as connection:
            return [f"{schema}.{name}" for schema, name in connection.execute(RELATIONS, [list(kinds)])]

    def readable(self, role: str) -> list[str]:
        return [name for name in self.relations() if self.may(role, name, "SELECT")]

    def may(self, role: str, relation: str, privilege: str) -> bool:
        return relation in self._granted(role, privilege)

    @cache  # noqa: B019
    def _granted(self, role: str, privilege: str) -> set[str]:
        with self.connect(SUPERUSER) as connection:
            asked = "SELECT name FROM unnest(%s::text[]) name WHERE has_table_privilege(%s, name, %s) AND has_schema_privilege(%s, split_part(name, '.', 1), 'USAGE')"
            return {name for (name,) in connection.execute(asked, [self.relations(), role, privilege, role])}

    @cache  # noqa: B019
    def columns(self, relation: str) -> list[tuple[str, str, bool]]:
        with self.connect(SUPERUSER) as connection:
            return connection.execute(COLUMNS, [relation]).fetchall()

    def insert(self, relation: str, name: str, number: int, customer_id: str | None = None) -> tuple[sql.Composed, list[Any]]:
        """The statement of one full row of canaries of `name`, whose customer may be another one."""
        columns = self.columns(relation)
        values = [(customer_id or name) if column == "customer_id" else _value(name, column, kind, number) for column, kind, _ in columns]
        listed = sql.SQL(", ").join(sql.Identifier(column) for column, *_ in columns)
        overriding = sql.SQL("OVERRIDING SYSTEM VALUE" if any(is_identity for *_, is_identity in columns) else "")
        return sql.SQL("INSERT INTO {} ({}) {} VALUES ({})").format(qualified(relation), listed, overriding,
                                                                   sql.SQL(", ").join([sql.Placeholder()] * len(columns))), values


def qualified(relation: str) -> sql.Identifier:
    return sql.Identifier(*relation.split("."))


def _value(name: str, column: str, kind: str, number: int) -> Any:
    if column == "version":
        return 1
    if kind == "jsonb":
        return Jsonb({"told": canary(name, f"{column}-{number}")})
    if kind.endswith("[]"):
        return [canary(name, f"{column}-{number}")]
    if kind == "date" or kind.startswith("timestamp"):
        return f"2024-09-{number:02d}"
    if kind == "boolean":
        return True
    return canary(name, f"{column}-{number}") if kind == "text" else number


def make_copy(installation: Installation, database: str = "strata_canaries") -> Copy:
    """The warehouse's structure in a database of its own, filled with canaries of three customers."""
    postgres, copy = installation.postgres, Copy(installation.postgres, database)
    for name in CUSTOMERS:
        postgres.ensure_lake_role(name)
    postgres.ensure_direct_readers(list(CUSTOMERS))
    logins = ", ".join([READER, WRITER, BACKUP, *(reader_role(name) for name in CUSTOMERS)])
    with installation.superuser() as connection:
        connection.execute(f"CREATE DATABASE {database} OWNER strata_migrator")
        connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {logins}; GRANT TEMPORARY ON DATABASE {database} TO {WRITER}")
    with installation.superuser(database) as connection:
        connection.execute(_structure(installation))
        for table, constraint in connection.execute("""SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint
                WHERE contype IN ('c', 'f') AND conname <> 'loads_own_customer' AND connamespace::regnamespace::text !~ '^(pg_|information_schema$)'"""):
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
        for relation in copy.relations("rp"):
            for name in CUSTOMERS:
                for number in range(1, ROWS + 1):
                    statement, values = copy.insert(relation, name, number)
                    connection.execute(statement + sql.SQL(" ON CONFLICT DO NOTHING"), values)  # some tables have one row a customer
        connection.execute("""INSERT INTO platform.live_version (customer_id, table_name, version, publication_id)
            SELECT customer, n.nspname || '.' || c.relname, 1, 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, unnest(%s::text[]) customer
            WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$|public$)'""", [list(CUSTOMERS)])
        connection.execute("ANALYZE")
    return copy


def _structure(installation: Installation) -> str:
    """What pg_dump says of the warehouse without its rows, less what only psql understands."""
    login = installation.postgres.parameters(SUPERUSER, installation.postgres.names.warehouse)
    done = subprocess.run([str(EmbeddedServer.binaries() / "pg_dump"), "--schema-only", "--exclude-schema=public", "-h", login["host"], "-U", login["user"], login["dbname"]],
                          env={**os.environ, "PGPASSWORD": login["password"]}, capture_output=True, text=True, check=True)
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))
