"""Production's bronze as another environment reads it: at one snapshot for a whole run, read-only, confidential columns masked.

What belongs here: the login, the attachment, and a bronze table of theirs in the place of landed files. What does not: making the login in production
(postgres.py), the mask (masking.py), and all that happens after, which is the same code everywhere.

The session attaches the customer's catalog in production as `production` with a role that reads this one catalog and nothing else there: no warehouse,
no other customer, no write. Production's keys and passwords stay in production; of the role `read_<customer>` alone the password is copied here.
"""
from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import duckdb
from psycopg.conninfo import conninfo_to_dict

from partitions.errors import DeliveryError, SettingsError
from resources.masking import mask_key, mask_sql, masked
from resources.postgres import lake_reader_role
from resources.quarantine import QUARANTINE
from resources.settings import Settings
from resources.storage import TableSpec, landing_name

if TYPE_CHECKING:
    from resources.landing import Loaded
    from resources.session import Session

CATALOG = "production"
LAKE_DATABASE = "strata_lake_prod"
COPIED = ("rule", "column_name", "_file", "_row", "_sha256")
CONFIDENTIAL = "confidential"


def source_login(settings: Settings, customer: str) -> dict[str, str]:
    """libpq's parameters of the customer's reader in production. Raises SettingsError naming what is not set."""
    if not settings.source_dsn or not settings.source_lake_root:
        raise SettingsError("bronze is copied from production here, and nobody says where that is", customer=customer,
                            fix="set STRATA_SOURCE_DSN to production's server and STRATA_SOURCE_LAKE_ROOT to its lake")
    role = lake_reader_role(customer)
    path = settings.secrets / role
    if not path.exists():
        raise SettingsError(f"the password of production's {role} is not here", customer=customer,
                            fix=f"`strata customers apply` in production makes it: copy its secrets/{role} into this installation's")
    server = {name: str(value) for name, value in conninfo_to_dict(settings.source_dsn).items() if name not in ("user", "password", "dbname")}
    return {**server, "user": role, "password": path.read_text().strip(), "dbname": LAKE_DATABASE}


def source_path(settings: Settings, customer: str) -> str:
    """The folder or prefix of the customer's objects in production, ending in a slash."""
    return f"{(settings.source_lake_root or '').rstrip('/')}/{customer}/"


def masked_columns(spec: TableSpec) -> tuple[str, ...]:
    return tuple(column.name for column in spec.columns if column.classification == CONFIDENTIAL)


def newest_snapshot(con: duckdb.DuckDBPyConnection, wanted: int | None, customer: str) -> int:
    """The snapshot to read: the wanted one, which must stand, else the newest. Raises DeliveryError."""
    found = con.execute(f"SELECT max(snapshot_id) FROM {CATALOG}.snapshots() WHERE snapshot_id = coalesce(?, snapshot_id)", [wanted]).fetchone()[0]
    if found is None:
        raise DeliveryError(f"production's lake has no snapshot {wanted} (any more)", customer=customer, fix="pin one that `strata gc` has left there")
    return int(found)


def as_of_at(con: duckdb.DuckDBPyConnection, snapshot: int) -> date | None:
    """The last day that production's figures covered as of a snapshot; it writes the day into its commits."""
    rows = con.execute(f"SELECT commit_extra_info FROM {CATALOG}.snapshots() WHERE snapshot_id <= ? AND commit_extra_info IS NOT NULL "
                       "ORDER BY snapshot_id DESC", [snapshot]).fetchall()
    said = next((day for (extra,) in rows if (day := json.loads(extra).get("as_of"))), None)
    return date.fromisoformat(said) if said else None


def load(session: Session, spec: TableSpec) -> Loaded:
    """Make the view `landing_<table>` over production's bronze table, and the table of its broken records, whose texts are masked whole."""
    from resources.landing import REJECT_COLUMNS, Loaded  # pyarrow comes with it, which the definitions do without

    con, at, target = session.con, f"AT (VERSION => {session.source_snapshot})", landing_name(spec.name)
    rejects_table, there = f"{target}_rejects", _columns(con, f"{spec.qualified} {at}")
    shown = [f'{_shown(column.name, spec, there)} AS "{column.name}"' for column in spec.columns]
    origin = f"{CATALOG}.{spec.qualified} {at}" if there else "(SELECT 1) WHERE false"
    con.execute(f'CREATE OR REPLACE TEMP VIEW "{target}" AS SELECT {", ".join(shown)} FROM {origin}')
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{rejects_table}" ({REJECT_COLUMNS})')
    if _columns(con, f"{spec.schema}.{QUARANTINE} {at}"):
        texts = ", ".join(f"{mask_sql(name)} AS {name}" for name in ("value", "raw"))
        con.execute(f"""INSERT INTO "{rejects_table}" BY NAME SELECT {', '.join(COPIED)}, {texts} FROM {CATALOG}.{spec.schema}.{QUARANTINE} {at}
            WHERE table_name = ? AND source = ?""", [spec.name, spec.qualified])
    expected = dict(con.execute(f'SELECT _sha256, count(*) FROM "{target}" GROUP BY ALL').fetchall())
    rejected = con.execute(f'SELECT count(*) FROM "{rejects_table}"').fetchone()[0]
    return Loaded(target, rejects_table, sum(expected.values()), rejected, 0, expected)


def counted(session: Session, spec: TableSpec, snapshot: int | None) -> dict[str, int]:
    """Rows by sha256 of the delivered file, loaded or broken, that production's bronze table held as of a snapshot. Raises duckdb.Error where it is gone."""
    at = f"AT (VERSION => {snapshot})"
    broken = f"UNION ALL SELECT _sha256 FROM {CATALOG}.{spec.schema}.{QUARANTINE} {at} WHERE table_name = '{spec.name}'"
    rows = f"SELECT _sha256 FROM {CATALOG}.{spec.qualified} {at} {broken if _columns(session.con, f'{spec.schema}.{QUARANTINE} {at}') else ''}"
    return dict(session.con.execute(f"SELECT _sha256, count(*) FROM ({rows}) GROUP BY 1").fetchall()) if _columns(session.con, f"{spec.qualified} {at}") else {}


def owners(session: Session, spec: TableSpec, accepted: list[str]) -> list[str]:
    """Ids of accounts that a customer's rows may bear, as they stand in its bronze table: masked where that is a copy."""
    if not session.copies or spec.owner_column not in masked_columns(spec):
        return accepted
    key = mask_key(session.settings)
    return [str(masked(owner, key)) for owner in accepted]


def _columns(con: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    """Columns of a table of production as of a snapshot; empty where there was none yet."""
    try:
        return {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {CATALOG}.{table}").fetchall()}
    except duckdb.CatalogException:
        return set()


def _shown(name: str, spec: TableSpec, there: set[str]) -> str:
    """A column that this release declares and production's does not know yet is NULL."""
    if name not in there:
        return f"NULL::{next(column.type for column in spec.columns if column.name == name)}"
    return mask_sql(f'"{name}"') if name in masked_columns(spec) else f'"{name}"'


