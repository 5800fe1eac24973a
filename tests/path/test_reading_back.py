"""What a run reads back from a shared table of the warehouse costs what its customer's rows cost, and not what everybody's do."""
from __future__ import annotations

import time
from pathlib import Path

from tests.faults.writing import IMPACT, published
from tests.installation import Installation
from tests.lake import session_for

OTHERS = 150_000  # rows of others: thousands of pages, which DuckDB would read by a task for each thousand
NAME = IMPACT.spec.qualified
COPIED = f"""INSERT INTO {NAME} SELECT other.* FROM {NAME} mine, generate_series(1, %s) n,
    LATERAL jsonb_populate_record(mine, jsonb_build_object('version', 1000000 + n)) other WHERE mine.customer_id = %s AND mine.activity_id =
    (SELECT min(activity_id) FROM {NAME} WHERE customer_id = %s)"""


def looked_at(installation: Installation) -> int:
    """Rows of the table that PostgreSQL has gone through so far, for whomever."""
    with installation.superuser(installation.postgres.names.warehouse) as connection:
        schema, table = NAME.split(".")
        return connection.execute("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE schemaname = %s AND relname = %s", [schema, table]).fetchone()[0]


def settled(installation: Installation) -> int:
    """The count once sessions that ended have told theirs."""
    before, deadline = looked_at(installation), time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(1.5)
        if (now := looked_at(installation)) == before:
            return now
        before = now
    raise TimeoutError("somebody else reads this table")


def test_rows_of_others_are_not_looked_at(installation: Installation, tmp_path: Path) -> None:
    with published(installation, "readback", tmp_path) as name:
        with installation.superuser(installation.postgres.names.warehouse) as connection:
            connection.execute(COPIED, [OTHERS, name, name])
            connection.execute(f"VACUUM ANALYZE {NAME}")
            pages = connection.execute("SELECT relpages FROM pg_class WHERE oid = %s::regclass", [NAME]).fetchone()[0]
        assert pages > 2000
        before = settled(installation)
        session = session_for(installation, name)
        rows = session.con.execute(f"SELECT count(*), max(value) FROM warehouse.{NAME} WHERE customer_id = '{name}' AND version < 1000000").fetchone()
        session.close()
        assert rows[0] == 3
        assert settled(installation) - before < 100
        with installation.superuser(installation.postgres.names.warehouse) as connection:
            connection.execute(f"DELETE FROM {NAME} WHERE customer_id = %s AND version > 1000000", [name])
