-- What runs take up, what is stored, and what both cost. Months are of the clock (UTC), not of the figures.

-- One row per run, table and part: `run` what is of no table in particular, `table` making it, `rules` checking it.
CREATE TABLE platform.usage (
    customer_id      text           NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    run_id           text           NOT NULL,
    table_name       text           NOT NULL,
    part             text           NOT NULL CHECK (part IN ('run', 'table', 'rules')),
    wall_seconds     numeric(18, 6) NOT NULL CHECK (wall_seconds >= 0),
    cpu_seconds      numeric(18, 6) NOT NULL CHECK (cpu_seconds >= 0),
    postgres_seconds numeric(18, 6) NOT NULL CHECK (postgres_seconds >= 0),
    peak_bytes       bigint         NOT NULL CHECK (peak_bytes >= 0),
    bytes_read       bigint         NOT NULL CHECK (bytes_read >= 0),
    bytes_written    bigint         NOT NULL CHECK (bytes_written >= 0),
    rows             bigint         CHECK (rows >= 0),
    recorded_at      timestamptz    NOT NULL DEFAULT clock_timestamp(),
    month            date           NOT NULL GENERATED ALWAYS AS (date_trunc('month', recorded_at AT TIME ZONE 'UTC')::date) STORED,
    PRIMARY KEY (customer_id, run_id, table_name, part)
);
CREATE INDEX usage_month ON platform.usage (customer_id, month);

-- What lies where, once a day. `warehouse_bytes` is the customer's share of its shared tables, by rows.
CREATE TABLE platform.storage (
    customer_id     text   NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    day             date   NOT NULL,
    landing_bytes   bigint NOT NULL CHECK (landing_bytes >= 0),
    lake_bytes      bigint NOT NULL CHECK (lake_bytes >= 0),
    warehouse_bytes bigint NOT NULL CHECK (warehouse_bytes >= 0),
    month           date   NOT NULL GENERATED ALWAYS AS (date_trunc('month', day::timestamp)::date) STORED,
    PRIMARY KEY (customer_id, day)
);

-- Amounts of a month with their price, electricity and emissions, by resource (platform_assets/platform_cost.odcs.yaml).
CREATE TABLE platform.platform_cost (
    customer_id      text            NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    month            date            NOT NULL CHECK (extract(day FROM month) = 1),
    resource         text            NOT NULL,
    amount           numeric(38, 12) NOT NULL CHECK (amount >= 0),
    per              text            NOT NULL,
    cost_usd         numeric(38, 12) NOT NULL CHECK (cost_usd >= 0),
    energy_kwh       numeric(38, 12) NOT NULL CHECK (energy_kwh >= 0),
    impact_kgco2e    numeric(38, 12) NOT NULL CHECK (impact_kgco2e >= 0),
    price_id         text            NOT NULL,
    energy_id        text            NOT NULL,
    site_id          text            NOT NULL,
    grid_id          text            NOT NULL,
    PRIMARY KEY (customer_id, month, resource)
);

CALL platform.protect('platform.usage');
CALL platform.protect('platform.storage');
CALL platform.protect('platform.platform_cost');
GRANT SELECT, INSERT, UPDATE, DELETE ON platform.usage, platform.storage, platform.platform_cost TO strata_writer;
