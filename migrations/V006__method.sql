-- The method for all sources: an impact is an amount times a factor; allocation, coverage, reconciliation; the KPI list.
-- What stands is kept: of old impacts the amount is their value and the factor 1.

DROP VIEW greenit_gold.activity_live;
DROP VIEW greenit_gold.impact_live;
DROP VIEW greenit_platinum.kpi_monthly_live;
DROP VIEW greenit_platinum.top_contributors_live;

ALTER TABLE greenit_gold.activity
    ADD COLUMN application_id text,
    ADD COLUMN condition text,
    ADD COLUMN declared_factor double precision,
    ADD COLUMN wue double precision,
    ADD COLUMN market_factor double precision,
    ADD COLUMN condition_rate double precision,
    ADD COLUMN condition_rate_min double precision,
    ADD COLUMN condition_rate_max double precision,
    ADD COLUMN spend_sector text,
    ADD COLUMN cost_usd numeric(38,18),
    ADD COLUMN configuration_id text,
    ADD COLUMN market_id text,
    ADD COLUMN market_flags text,
    ADD COLUMN method_id text;
UPDATE greenit_gold.activity SET method_id = CASE WHEN source = 'cloud' THEN 'A5' ELSE 'A2' END, meter_amount = coalesce(meter_amount, instance_hours);
ALTER TABLE greenit_gold.activity ALTER COLUMN method_id SET NOT NULL, DROP COLUMN instance_hours, DROP COLUMN is_covered;

ALTER TABLE greenit_gold.impact
    ADD COLUMN amount double precision,
    ADD COLUMN amount_unit text,
    ADD COLUMN factor_value double precision,
    ADD COLUMN flags text,
    ADD COLUMN gsd double precision;
UPDATE greenit_gold.impact SET amount = value::double precision, amount_unit = unit, factor_value = 1;
ALTER TABLE greenit_gold.impact ALTER COLUMN amount SET NOT NULL, ALTER COLUMN amount_unit SET NOT NULL, ALTER COLUMN factor_value SET NOT NULL, DROP COLUMN grid_factor;

ALTER TABLE greenit_platinum.kpi_monthly
    ADD COLUMN phase text NOT NULL DEFAULT 'use',
    ADD COLUMN value_abs numeric(38,18) NOT NULL DEFAULT 0,
    ADD COLUMN dq_weighted numeric(38,18) NOT NULL DEFAULT 0,
    DROP CONSTRAINT kpi_monthly_pkey;
ALTER TABLE greenit_platinum.kpi_monthly
    ALTER COLUMN phase DROP DEFAULT, ALTER COLUMN value_abs DROP DEFAULT, ALTER COLUMN dq_weighted DROP DEFAULT,
    ADD PRIMARY KEY (customer_id, version, "period", "scope", "category", "domain", "phase", "criterion", "method", "view");
ALTER TABLE greenit_platinum.top_contributors ADD COLUMN cumulative_pct double precision;

CREATE VIEW greenit_gold.activity_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.activity t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.activity';
GRANT SELECT ON greenit_gold.activity_live TO strata_writer;

CREATE VIEW greenit_gold.impact_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.impact t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.impact';
GRANT SELECT ON greenit_gold.impact_live TO strata_writer;

CREATE VIEW greenit_platinum.kpi_monthly_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.kpi_monthly t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.kpi_monthly';
GRANT SELECT ON greenit_platinum.kpi_monthly_live TO strata_writer, strata_reader;

CREATE VIEW greenit_platinum.top_contributors_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.top_contributors t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.top_contributors';
GRANT SELECT ON greenit_platinum.top_contributors_live TO strata_writer, strata_reader;

CREATE TABLE greenit_gold.allocation (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "parent_id" text NOT NULL,
    "allocation_key" text NOT NULL,
    "vm_id" text NOT NULL,
    "application_id" text NOT NULL,
    "basis" text NOT NULL,
    "share" numeric(38,18) NOT NULL
);
CREATE INDEX ON greenit_gold.allocation (customer_id, version);
CALL platform.protect('greenit_gold.allocation');
GRANT SELECT, INSERT, DELETE ON greenit_gold.allocation TO strata_writer;

CREATE VIEW greenit_gold.allocation_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.allocation t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.allocation';
GRANT SELECT ON greenit_gold.allocation_live TO strata_writer;

CREATE TABLE greenit_gold.denominator (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "month_start" date NOT NULL,
    "kind" text NOT NULL,
    "member" text NOT NULL,
    "value" numeric(38,18) NOT NULL
);
CREATE INDEX ON greenit_gold.denominator (customer_id, version);
CALL platform.protect('greenit_gold.denominator');
GRANT SELECT, INSERT, DELETE ON greenit_gold.denominator TO strata_writer;

CREATE VIEW greenit_gold.denominator_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.denominator t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.denominator';
GRANT SELECT ON greenit_gold.denominator_live TO strata_writer;

CREATE TABLE greenit_gold.coverage (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "month_start" date NOT NULL,
    "domain" text NOT NULL,
    "criterion" text NOT NULL,
    "activities" bigint NOT NULL,
    "activities_covered" bigint NOT NULL,
    "lines" bigint NOT NULL,
    "lines_covered" bigint NOT NULL,
    "cost" numeric(38,12),
    "cost_covered" numeric(38,12),
    "coverage_pct" double precision
);
CREATE INDEX ON greenit_gold.coverage (customer_id, version);
CALL platform.protect('greenit_gold.coverage');
GRANT SELECT, INSERT, DELETE ON greenit_gold.coverage TO strata_writer;

CREATE VIEW greenit_gold.coverage_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.coverage t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.coverage';
GRANT SELECT ON greenit_gold.coverage_live TO strata_writer;

CREATE TABLE greenit_gold.reconciliation (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "control" text NOT NULL,
    "subject" text NOT NULL,
    "expected" numeric(38,18) NOT NULL,
    "actual" numeric(38,18) NOT NULL,
    "tolerance" double precision NOT NULL,
    "difference" numeric(38,18) NOT NULL
);
CREATE INDEX ON greenit_gold.reconciliation (customer_id, version);
CALL platform.protect('greenit_gold.reconciliation');
GRANT SELECT, INSERT, DELETE ON greenit_gold.reconciliation TO strata_writer;

CREATE VIEW greenit_gold.reconciliation_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.reconciliation t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.reconciliation';
GRANT SELECT ON greenit_gold.reconciliation_live TO strata_writer;

CREATE TABLE greenit_platinum.kpi_dimension (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "dimension" text NOT NULL,
    "member" text NOT NULL,
    "domain" text NOT NULL,
    "criterion" text NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "value" numeric(38,18) NOT NULL,
    "unit" text NOT NULL
);
ALTER TABLE greenit_platinum.kpi_dimension ADD PRIMARY KEY (customer_id, version, "period", "dimension", "member", "domain", "criterion", "method", "view");
CALL platform.protect('greenit_platinum.kpi_dimension');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.kpi_dimension TO strata_writer;

CREATE VIEW greenit_platinum.kpi_dimension_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.kpi_dimension t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.kpi_dimension';
GRANT SELECT ON greenit_platinum.kpi_dimension_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.kpi_dimension TO strata_reader;

CREATE TABLE greenit_platinum.intensity (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "kind" text NOT NULL,
    "member" text NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "numerator_kgco2e" numeric(38,18) NOT NULL,
    "denominator" numeric(38,18) NOT NULL,
    "kgco2e_per_unit" double precision NOT NULL
);
ALTER TABLE greenit_platinum.intensity ADD PRIMARY KEY (customer_id, version, "period", "kind", "member", "method", "view");
CALL platform.protect('greenit_platinum.intensity');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.intensity TO strata_writer;

CREATE VIEW greenit_platinum.intensity_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.intensity t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.intensity';
GRANT SELECT ON greenit_platinum.intensity_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.intensity TO strata_reader;

CREATE TABLE greenit_platinum.trend (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "compared_with" text NOT NULL,
    "domain" text NOT NULL,
    "criterion" text NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "unit" text NOT NULL,
    "value" numeric(38,18) NOT NULL,
    "value_before" numeric(38,18) NOT NULL,
    "activity_effect" numeric(38,18) NOT NULL,
    "factor_effect" numeric(38,18) NOT NULL,
    "perimeter_effect" numeric(38,18) NOT NULL,
    "method_effect" numeric(38,18) NOT NULL
);
ALTER TABLE greenit_platinum.trend ADD PRIMARY KEY (customer_id, version, "period", "compared_with", "domain", "criterion", "method", "view");
CALL platform.protect('greenit_platinum.trend');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.trend TO strata_writer;

CREATE VIEW greenit_platinum.trend_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.trend t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.trend';
GRANT SELECT ON greenit_platinum.trend_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.trend TO strata_reader;

CREATE TABLE greenit_platinum.trajectory (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "target_id" text NOT NULL,
    "scopes" text NOT NULL,
    "year" bigint NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "base_year" bigint NOT NULL,
    "months" bigint NOT NULL,
    "base_months" bigint NOT NULL,
    "base_kgco2e" double precision NOT NULL,
    "target_kgco2e" double precision NOT NULL,
    "actual_kgco2e" double precision NOT NULL,
    "gap_kgco2e" double precision NOT NULL
);
ALTER TABLE greenit_platinum.trajectory ADD PRIMARY KEY (customer_id, version, "target_id", "scopes", "year", "method", "view");
CALL platform.protect('greenit_platinum.trajectory');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.trajectory TO strata_writer;

CREATE VIEW greenit_platinum.trajectory_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.trajectory t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.trajectory';
GRANT SELECT ON greenit_platinum.trajectory_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.trajectory TO strata_reader;

CREATE TABLE greenit_platinum.data_quality (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "domain" text NOT NULL,
    "criterion" text NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "coverage_pct" double precision,
    "size" double precision NOT NULL,
    "metered_value" double precision NOT NULL,
    "estimated_value" double precision NOT NULL,
    "spend_value" double precision NOT NULL,
    "supplier_value" double precision NOT NULL,
    "flagged_pct" double precision,
    "dq_score" double precision,
    "uncertainty_pct" double precision,
    "impacts" bigint NOT NULL
);
ALTER TABLE greenit_platinum.data_quality ADD PRIMARY KEY (customer_id, version, "period", "domain", "criterion", "method", "view");
CALL platform.protect('greenit_platinum.data_quality');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.data_quality TO strata_writer;

CREATE VIEW greenit_platinum.data_quality_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.data_quality t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.data_quality';
GRANT SELECT ON greenit_platinum.data_quality_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.data_quality TO strata_reader;

CREATE TABLE greenit_platinum.fleet (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "domain" text NOT NULL,
    "item" text NOT NULL,
    "units" double precision NOT NULL,
    "dated_units" double precision NOT NULL,
    "unit_years" double precision NOT NULL,
    "past_lifetime_units" double precision NOT NULL,
    "bought_units" double precision NOT NULL,
    "retired_units" double precision NOT NULL,
    "refurbished_units" double precision NOT NULL,
    "metered_units" double precision NOT NULL,
    "mean_age_years" double precision
);
ALTER TABLE greenit_platinum.fleet ADD PRIMARY KEY (customer_id, version, "period", "domain", "item");
CALL platform.protect('greenit_platinum.fleet');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.fleet TO strata_writer;

CREATE VIEW greenit_platinum.fleet_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.fleet t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.fleet';
GRANT SELECT ON greenit_platinum.fleet_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.fleet TO strata_reader;

CREATE TABLE greenit_platinum.equivalence (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "criterion" text NOT NULL,
    "method" text NOT NULL,
    "view" text NOT NULL,
    "equivalent_id" text NOT NULL,
    "counted_in" text NOT NULL,
    "count" double precision NOT NULL
);
ALTER TABLE greenit_platinum.equivalence ADD PRIMARY KEY (customer_id, version, "period", "criterion", "method", "view", "equivalent_id");
CALL platform.protect('greenit_platinum.equivalence');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.equivalence TO strata_writer;

CREATE VIEW greenit_platinum.equivalence_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.equivalence t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.equivalence';
GRANT SELECT ON greenit_platinum.equivalence_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.equivalence TO strata_reader;

CREATE TABLE greenit_platinum.metric_monthly (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    "period" date NOT NULL,
    "metric_id" text NOT NULL,
    "value" double precision NOT NULL,
    "unit" text NOT NULL
);
ALTER TABLE greenit_platinum.metric_monthly ADD PRIMARY KEY (customer_id, version, "period", "metric_id");
CALL platform.protect('greenit_platinum.metric_monthly');
GRANT SELECT, INSERT, DELETE ON greenit_platinum.metric_monthly TO strata_writer;

CREATE VIEW greenit_platinum.metric_monthly_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.metric_monthly t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.metric_monthly';
GRANT SELECT ON greenit_platinum.metric_monthly_live TO strata_writer, strata_reader;
GRANT SELECT ON greenit_platinum.metric_monthly TO strata_reader;
