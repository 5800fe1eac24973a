-- Green IT: gold and platinum. Drafted by `strata draft-migration` from the contracts.

CREATE SCHEMA IF NOT EXISTS greenit_gold;
GRANT USAGE ON SCHEMA greenit_gold TO strata_writer;

CREATE TABLE greenit_gold.activity (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "activity_id" text NOT NULL,
    "month_start" date NOT NULL,
    "source" text NOT NULL,
    "domain" text NOT NULL,
    "item_key" text,
    "site_id" text,
    "org_unit" text,
    "provider" text,
    "billing_account_id" text,
    "sub_account_id" text,
    "region_id" text,
    "service_category" text,
    "service_name" text,
    "sku_id" text,
    "instance_type" text,
    "usage_kind" text,
    "charge_category" text,
    "charge_class" text,
    "commitment_discount_status" text,
    "country_code" text,
    "ownership" text NOT NULL,
    "status" text,
    "purchase_date" date,
    "quantity" numeric(38,18),
    "quantity_unit" text,
    "lines" bigint NOT NULL,
    "days_in_month" bigint NOT NULL,
    "instance_hours" double precision,
    "energy_kwh" double precision,
    "energy_kwh_min" double precision,
    "energy_kwh_max" double precision,
    "pue" double precision,
    "embodied_share" double precision,
    "purchase_share" double precision,
    "disposal_share" double precision,
    "lifetime_years" double precision,
    "usage_rate" double precision,
    "cost" numeric(38,12),
    "currency" text,
    "item_map_id" text,
    "energy_id" text,
    "lifetime_id" text,
    "instance_id" text,
    "pue_id" text,
    "grid_id" text,
    "dq_reliability" bigint NOT NULL,
    "dq_technology" bigint NOT NULL,
    "is_covered" boolean NOT NULL
);
CREATE INDEX ON greenit_gold.activity (customer_id, version);
CALL platform.protect('greenit_gold.activity');
GRANT SELECT, INSERT, DELETE ON greenit_gold.activity TO strata_writer;

CREATE VIEW greenit_gold.activity_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.activity t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.activity';
GRANT SELECT ON greenit_gold.activity_live TO strata_writer;

CREATE SCHEMA IF NOT EXISTS greenit_gold;
GRANT USAGE ON SCHEMA greenit_gold TO strata_writer;

CREATE TABLE greenit_gold.impact (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "activity_id" text NOT NULL,
    "month_start" date NOT NULL,
    "phase" text NOT NULL,
    "criterion" text NOT NULL,
    "accounting_view" text NOT NULL,
    "source" text NOT NULL,
    "domain" text NOT NULL,
    "scope" text NOT NULL,
    "category" text NOT NULL,
    "ghg_method" text NOT NULL,
    "value" numeric(38,18) NOT NULL,
    "value_min" numeric(38,18) NOT NULL,
    "value_max" numeric(38,18) NOT NULL,
    "unit" text NOT NULL,
    "factor_id" text,
    "grid_id" text,
    "grid_factor" double precision,
    "dq_score" double precision NOT NULL,
    "dq_weighted" numeric(38,18) NOT NULL,
    "method_id" text NOT NULL,
    "method_version" text NOT NULL
);
CREATE INDEX ON greenit_gold.impact (customer_id, version);
CALL platform.protect('greenit_gold.impact');
GRANT SELECT, INSERT, DELETE ON greenit_gold.impact TO strata_writer;

CREATE VIEW greenit_gold.impact_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.impact t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.impact';
GRANT SELECT ON greenit_gold.impact_live TO strata_writer;

CREATE SCHEMA IF NOT EXISTS greenit_platinum;
GRANT USAGE ON SCHEMA greenit_platinum TO strata_writer, strata_reader;

CREATE TABLE greenit_platinum.kpi_monthly (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "scope" text NOT NULL,
    "category" text NOT NULL,
    "domain" text NOT NULL,
    "criterion" text NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "value" numeric(38,18) NOT NULL,
    "value_min" numeric(38,18) NOT NULL,
    "value_max" numeric(38,18) NOT NULL,
    "unit" text NOT NULL,
    "coverage_pct" double precision,
    "source_rows" bigint NOT NULL,
    "dq_score" double precision
);
ALTER TABLE greenit_platinum.kpi_monthly ADD PRIMARY KEY (customer_id, version, "period", "scope", "category", "domain", "criterion", "method", "view");
CALL platform.protect('greenit_platinum.kpi_monthly');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.kpi_monthly TO strata_writer;

CREATE VIEW greenit_platinum.kpi_monthly_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.kpi_monthly t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.kpi_monthly';
GRANT SELECT ON greenit_platinum.kpi_monthly_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.kpi_monthly TO strata_reader;

CREATE SCHEMA IF NOT EXISTS greenit_platinum;
GRANT USAGE ON SCHEMA greenit_platinum TO strata_writer, strata_reader;

CREATE TABLE greenit_platinum.top_contributors (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "criterion" text NOT NULL,
    "view" text NOT NULL,
    "rank" bigint NOT NULL,
    "domain" text NOT NULL,
    "contributor" text NOT NULL,
    "value" numeric(38,18) NOT NULL,
    "unit" text NOT NULL,
    "share_pct" double precision
);
ALTER TABLE greenit_platinum.top_contributors ADD PRIMARY KEY (customer_id, version, "period", "criterion", "view", "rank");
CALL platform.protect('greenit_platinum.top_contributors');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.top_contributors TO strata_writer;

CREATE VIEW greenit_platinum.top_contributors_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.top_contributors t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.top_contributors';
GRANT SELECT ON greenit_platinum.top_contributors_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.top_contributors TO strata_reader;
