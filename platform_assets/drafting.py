"""Drafting the migration of a new warehouse table from its contract, so that an author edits SQL instead of writing it."""
from __future__ import annotations

from platform_assets.contracts import Contract
from resources.storage import pg_type


def draft(made: Contract) -> str:
    """CREATE TABLE, row-level security, grants and the live view of one gold or platinum table."""
    spec = made.spec
    lines = ["    customer_id text NOT NULL", "    version bigint NOT NULL"]
    lines += [f'    "{c.name}" {pg_type(c.type)}{" NOT NULL" if c.required else ""}' for c in spec.columns]
    columns = ",\n".join(lines)
    readers = "strata_writer, strata_reader" if spec.layer == "platinum" else "strata_writer"
    key = ", ".join(f'"{name}"' for name in spec.key)
    index = (f"ALTER TABLE {spec.qualified} ADD PRIMARY KEY (customer_id, version, {key});" if spec.layer == "platinum"
             else f"CREATE INDEX ON {spec.qualified} (customer_id, version);")
    loader = f"GRANT USAGE ON SCHEMA {spec.schema} TO strata_loader;\nCALL platform.admit_loader('{spec.qualified}');\n" if spec.layer == "gold" else ""
    return f"""CREATE SCHEMA IF NOT EXISTS {spec.schema};
GRANT USAGE ON SCHEMA {spec.schema} TO {readers};

CREATE TABLE {spec.qualified} (
{columns}
);
{index}
CALL platform.protect('{spec.qualified}');
{loader}GRANT SELECT, INSERT, DELETE ON {spec.qualified} TO strata_writer;

CREATE VIEW {spec.qualified}_live WITH (security_invoker = true) AS
    SELECT t.* FROM {spec.qualified} t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = '{spec.qualified}';
GRANT SELECT ON {spec.qualified}_live TO {readers};
""" + (f"GRANT SELECT ON {spec.qualified} TO strata_reader;\n" if spec.layer == "platinum" else "")
