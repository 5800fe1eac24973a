"""What a customer's session and logins are refused, tried for real: statements that only read, so that they may run where customers work.

What belongs here: the statements, how a refusal looks, trying them. What does not: what the catalog says (safeguards.py); attacks that would
write if they succeeded (tests/isolation). A probe takes neither the customer's lock nor its fence, so no run waits or is fenced for it.
Nothing that a probe reads is kept: a success is told by the probe's name alone.
"""
from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
from psycopg import sql

from partitions.customers import Customer
from resources.object_store import is_remote
from resources.postgres import READER, Postgres, lake_role
from resources.sandbox import sandbox
from resources.session_limits import session_limits

CATALOG = "__ducklake_metadata_lake"  # what DuckLake calls its own attachment of the catalog
REFUSAL = re.compile(r"Permission Error|permission denied|password|the configuration has been locked|HTTP 403|HTTP code 403", re.IGNORECASE)
READS = {  # the reading ones of RELIABILITY 2.5, case 33; `neighbour` is another customer, whose folder and catalog are there or not
    "another customer's files": "SELECT 1 FROM read_parquet('{root}/{neighbour}/**/*.parquet') LIMIT 1",
    "up and across": "SELECT 1 FROM read_parquet('{own}../{neighbour}/x.parquet')",
    "up and across by pattern": "SELECT 1 FROM read_parquet('{own}../*/x.parquet')",
    "listing the lake": "SELECT 1 FROM glob('{root}/**') LIMIT 1",
    "listing the machine": "SELECT 1 FROM glob('/etc/*') LIMIT 1",
    "a sibling with the same prefix": "SELECT 1 FROM read_parquet('{root}/{customer}2/**/*.parquet') LIMIT 1",
    "text of the machine": "SELECT 1 FROM read_text('/etc/passwd')",
    "csv of the machine": "SELECT 1 FROM read_csv('/etc/passwd') LIMIT 1",
    "the environment of the process": "SELECT 1 FROM read_blob('/proc/self/environ')",
    "standard input": "SELECT 1 FROM read_csv('/dev/stdin')",
    "http": "SELECT 1 FROM read_csv('http://127.0.0.1:1/x.csv')",
    "another bucket": "SELECT 1 FROM read_parquet('s3://b/x.parquet')",
    "a file url": "SELECT 1 FROM read_parquet('file://{root}/{neighbour}/x.parquet')",
    "another case": "SELECT 1 FROM read_parquet('{root}/{capitals}/x.parquet')",
    "a double slash": "SELECT 1 FROM read_parquet('{root}//{neighbour}/x.parquet')",
    "metadata of another's file": "SELECT 1 FROM parquet_metadata('{root}/{neighbour}/x.parquet')",
    "sniffing": "SELECT 1 FROM sniff_csv('/etc/passwd')",
    "a secret file": "SELECT 1 FROM read_text('{secrets}/postgres')",
    "another customer's landing": "SELECT 1 FROM read_text('{landing}/{neighbour}/**') LIMIT 1",
    "the sibling's landing": "SELECT 1 FROM read_text('{landing}/{customer}2/**') LIMIT 1",
    "scratch files of other runs": "SELECT 1 FROM glob('{temp}/*') LIMIT 1",
    "loading an extension": "LOAD iceberg",
    "unlocking": "SET lock_configuration = false",
    "external access": "SET enable_external_access = true",
    "resetting": "RESET enable_external_access",
    "directories": "SET allowed_directories = ['/']",
    "temporary directory": "SET temp_directory = '/other'",
    "threads": "SET threads = 64",
    "memory": "SET memory_limit = '64GB'",
    "another catalog's schema": f"SELECT 1 FROM postgres_query('{CATALOG}', 'SELECT 1 FROM lake_{{neighbour}}.ducklake_table') LIMIT 1",
    "a file of the server": f"SELECT 1 FROM postgres_query('{CATALOG}', 'SELECT pg_read_file(''PG_VERSION'')')",
    "logging in as the superuser": "SELECT 1 FROM postgres_scan('{server} user=postgres dbname={lake}', 'lake_{neighbour}', 'ducklake_table') LIMIT 1",
    "logging in as another lake": "SELECT 1 FROM postgres_scan('{server} user=lake_{neighbour} dbname={lake}', 'lake_{neighbour}', 'ducklake_table')",
    "attaching as the superuser": "ATTACH '{server} user=postgres dbname={lake}' AS more (TYPE postgres)",
    "attaching as another lake": "ATTACH '{server} user=lake_{neighbour} dbname={lake}' AS more (TYPE postgres)",
    "attaching with the own login": "ATTACH '' AS more (TYPE postgres, SECRET lake_login)",
    "attaching for another customer": "ATTACH 'options=''-c app.customer_id={neighbour}''' AS more (TYPE postgres, SECRET warehouse_login)",
    "verifiers of passwords": "SELECT 1 FROM postgres_query('warehouse', 'SELECT rolpassword FROM pg_authid') LIMIT 1",
}
RELATIONS = """SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^(pg_|information_schema$|public$)' AND c.relkind IN ('r', 'p', 'v') AND has_schema_privilege(n.oid, 'USAGE')
        AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1"""


@dataclass(frozen=True)
class Tried:
    """One thing that was tried; `problem` is None where it was refused or showed nothing."""

    subject: str
    problem: str | None


def places(postgres: Postgres, customer: str, neighbour: str) -> dict[str, str]:
    """What the statements name."""
    settings, login = postgres.settings, postgres.parameters(READER, postgres.names.lake)
    server = " ".join(f"{key}={login[key]}" for key in ("host", "port") if key in login)
    return {"root": settings.lake_root.rstrip("/"), "own": settings.lake_path(customer), "customer": customer, "neighbour": neighbour,
            "capitals": neighbour.upper(),
            "landing": (settings.landing_store or str(settings.landing_root)).rstrip("/"), "temp": str(settings.temp_root), "secrets": str(settings.secrets),
            "host": login["host"], "server": server, "lake": postgres.names.lake}


def neighbour_of(customer: str, others: Collection[str]) -> str:
    """Whom to try to reach: a customer whose id begins alike, since prefixes are what goes wrong, else the next one."""
    rest = sorted(set(others) - {customer})
    alike = [name for name in rest if name.startswith(customer) or customer.startswith(name)]
    return (alike or [name for name in rest if name > customer] or rest or ["nobody"])[0]


def try_session(postgres: Postgres, customer: Customer, neighbour: str) -> list[Tried]:
    """Every reading probe in a session like that of the customer's runs (0.2 s). On an object store dots are part of a name and lead nowhere."""
    postgres.settings.temp_root.mkdir(parents=True, exist_ok=True)
    tried = {what: statement for what, statement in READS.items() if "../" not in statement or not is_remote(postgres.settings.lake_root)}
    named = places(postgres, customer.id, neighbour)
    with tempfile.TemporaryDirectory(prefix=f"{customer.id}-probe-", dir=postgres.settings.temp_root) as temp, \
            sandbox(postgres.settings, postgres, customer, session_limits(customer), Path(temp)) as connection:
        return [Tried(f"{customer.id}: {what}", _refused(connection, statement.format(**named))) for what, statement in tried.items()]


def _refused(connection: duckdb.DuckDBPyConnection, statement: str) -> str | None:
    try:
        connection.execute(statement).fetchall()
    except duckdb.Error as error:
        return None if REFUSAL.search(str(error)) else f"failed for another reason ({type(error).__name__}), so it proves nothing"
    return "was not refused"


def try_rows(postgres: Postgres, customer: str, neighbour: str) -> list[Tried]:
    """Every table and view that a login may read: rows of the neighbour, asked for as the customer's runs and as the front end, bound and not."""
    found = []
    logins = ((lake_role(customer), lake_role(customer), None), (f"{READER} of {customer}", READER, customer), (f"{READER} of nobody", READER, None))
    for who, role, bound in logins:
        with postgres.connect(role, customer=bound) as connection:
            for (name,) in connection.execute(RELATIONS).fetchall():
                asked = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE customer_id = %s)").format(sql.Identifier(*name.split(".")))
                shows = connection.execute(asked, [neighbour]).fetchone()[0]
                found.append(Tried(f"{who}: {name}", "shows rows of another customer" if shows else None))
    return found


def look_at_folders(postgres: Postgres, customer: str) -> Iterator[Tried]:
    """A customer's own folders: that they are folders, and that no link leads out of them."""
    settings = postgres.settings
    roots = [settings.landing_root / customer, *([] if "://" in settings.lake_root else [Path(settings.lake_path(customer))])]
    for root in roots:
        links = [str(root)] if root.is_symlink() else []
        for folder, folders, files in os.walk(root):
            links += [str(path) for name in (*folders, *files) if (path := Path(folder) / name).is_symlink()]
        yield Tried(f"{root.parent.parent.name} of {customer}", f"holds {len(links)} symbolic links" if links else None)


def look_at_secrets(postgres: Postgres) -> Iterator[Tried]:
    """Each file with a password, and their folder: readable by its owner alone."""
    folder = postgres.settings.secrets
    for path in [folder, *sorted(folder.iterdir())]:
        mode = path.lstat().st_mode
        yield Tried(f"secret {path.name}", "may be read by others" if mode & 0o077 else "is a symbolic link" if path.is_symlink() else None)
