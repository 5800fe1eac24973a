"""Billing files for load: the samples' own lines, repeated with other hours and resources."""
from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from samples.generate import generate

HOURS = 24 * 122  # June to September 2024


def write_billing(path: Path, lines: int, bad_every: int = 0) -> None:
    """`lines` FOCUS lines as Parquet, all text as most exports have it: pass k moves the charge hour and renames the resource.

    With `bad_every` n each n-th line cannot be used: its quantity is no number, or its charge category none of FOCUS, in turn.
    """
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as con:
        wanted = [call for call in generate(Path(folder)) if (call.customer, call.source) == ("acme", "cloud_billing")]
        bills = [str(Path(folder) / name) for call in wanted for name in call.files]
        con.execute("CREATE TABLE base AS SELECT * FROM read_csv(?, all_varchar = true, header = true)", [bills])
        con.execute("""DELETE FROM base WHERE TRY_CAST("BilledCost" AS DECIMAL(38, 12)) IS NULL OR TRY_CAST("ConsumedQuantity" AS DECIMAL(38, 12)) IS NULL
            OR TRY_CAST("ChargePeriodStart" AS TIMESTAMP) IS NULL OR TRY_CAST("ChargePeriodEnd" AS TIMESTAMP) IS NULL OR "BillingCurrency" IS NULL
            OR "ChargeCategory" IS NULL""")
        count = con.execute("SELECT count(*) FROM base").fetchone()[0]
        moved = """strftime(TIMESTAMP '2024-06-01' + to_hours((pass * 37 + n) % {hours}) + to_hours({more}), '%Y-%m-%dT%H:%M:%SZ')"""
        start, end = moved.format(hours=HOURS, more=0), moved.format(hours=HOURS, more=1)
        con.execute("CREATE TABLE numbered AS SELECT *, row_number() OVER () AS n FROM base")
        is_bad = f"(pass * {count} + n) % {bad_every} = 0" if bad_every else "false"
        con.execute(f"""COPY (SELECT * EXCLUDE (n, pass) REPLACE (
                CASE WHEN {is_bad} AND pass % 2 = 0 THEN 'n/a' ELSE "ConsumedQuantity" END AS "ConsumedQuantity",
                CASE WHEN {is_bad} AND pass % 2 = 1 THEN 'Rental' ELSE "ChargeCategory" END AS "ChargeCategory",
                {start} AS "ChargePeriodStart", {end} AS "ChargePeriodEnd",
                "ResourceId" || '-' || pass AS "ResourceId")
            FROM numbered, (SELECT range AS pass FROM range({lines // count + 1})) LIMIT {lines}) TO '{path}' (FORMAT parquet)""")
