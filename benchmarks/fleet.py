"""A silver equipment table for load, straight in DuckDB: mixed kinds, makes, sites, countries, ages and owners.

What belongs here: rows as silver would hold them. What does not: reading files of that size (`make bench` P1 does it with bills).
"""
from __future__ import annotations

import duckdb

from resources.storage import TableSpec

LINES = """
    WITH line AS (SELECT range AS n, (hash(range) // 4)::BIGINT AS h FROM range({lines}))
    SELECT 'e' || n AS equipment_id, item_type, model, 'Maker ' || h % 40 AS manufacturer, 1 + n % 3 AS quantity,
        ['in_use', 'in_use', 'in_use', 'in_use', 'in_use', 'in_use', 'in_use', 'in_stock', 'in_maintenance', 'in_use'][1 + h % 10] AS status,
        ['owned', 'owned', 'owned', 'leased'][1 + h % 4] AS ownership, DATE '2018-01-01' + (h % 2400)::INTEGER AS purchase_date,
        ['FRA', 'DEU', 'USA', 'ESP', 'IND', 'GBR', 'POL'][1 + h % 7] AS country_code, 'site-' || h % 200 AS site_id,
        item_type = 'server' AS is_datacentre, 'unit-' || h % 50 AS org_unit,
        CASE WHEN h % 5 = 0 THEN 20.0 + h % 300 END AS energy_kwh_per_year,
        CASE WHEN h % 3 = 0 THEN (300 + h % 900)::DECIMAL(38, 12) END AS unit_price, 'EUR' AS currency,
        CASE WHEN h % 9 = 0 THEN 'refurbished' END AS condition,
        CASE WHEN item_type = 'server' THEN 2 END AS cpu_units, CASE WHEN item_type = 'server' THEN 16 * (1 + h % 4) END AS cpu_cores,
        CASE WHEN item_type = 'server' THEN 125.0 + 40 * (h % 4) END AS cpu_tdp_watts, CASE WHEN item_type = 'server' THEN 64.0 * (1 + h % 8) END AS ram_gb,
        CASE WHEN item_type = 'server' THEN 960.0 * (1 + h % 3) END AS ssd_gb,
        'fleet.csv' AS _file, n + 2 AS _row, repeat('0', 64) AS _sha256
    FROM line, (SELECT ['laptop', 'laptop', 'laptop', 'monitor', 'monitor', 'smartphone', 'smartphone', 'desktop', 'printer', 'server'] AS kinds),
        LATERAL (SELECT kinds[1 + n % 10] AS item_type, kinds[1 + n % 10] || ' ' || h % 300 AS model)
"""


def make_fleet(con: duckdb.DuckDBPyConnection, spec: TableSpec, lines: int) -> None:
    """`lines` rows of silver/equipment as a temporary table in the contract's columns; a tenth are servers whose parts are known."""
    con.execute(f"CREATE OR REPLACE TEMP VIEW fleet AS {LINES.format(lines=lines)}")
    said = {row[0] for row in con.execute("DESCRIBE fleet").fetchall()}
    columns = ", ".join(f'{c.name if c.name in said else "NULL"}::{c.type} AS "{c.name}"' for c in spec.columns)
    con.execute(f'CREATE OR REPLACE TEMP TABLE "{spec.name}" AS SELECT {columns} FROM fleet')
