-- Quarantine that a steward can act on: corrections, what of a version is open, gold's quarantine, the share beside the KPIs.

-- Append-only: a newer correction of a row supersedes the older ones, `withdraw` takes them back. Nobody changes or deletes what was decided.
CREATE TABLE platform.correction (
    customer_id   text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    correction_id bigint      GENERATED ALWAYS AS IDENTITY,
    table_name    text        NOT NULL,
    source        text        NOT NULL,
    sha256        text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    row           bigint      NOT NULL CHECK (row > 0),
    file          text        NOT NULL,
    action        text        NOT NULL CHECK (action IN ('fix', 'accept', 'reject', 'withdraw')),
    "values"      jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof("values") = 'object'),
    reason        text        NOT NULL CHECK (btrim(reason) <> ''),
    author        text        NOT NULL CHECK (btrim(author) <> ''),
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, correction_id),
    CHECK ((action = 'fix') = ("values" <> '{}'))
);
CALL platform.protect('platform.correction');
GRANT SELECT, INSERT ON platform.correction TO strata_writer;

-- Of the quarantined rows those that a steward declared to be no data; and the newest correction that the version knows of.
ALTER TABLE platform.table_version
    ADD COLUMN rejected_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN correction_id bigint NOT NULL DEFAULT 0,
    ADD CHECK (rejected_count BETWEEN 0 AND quarantined_count);

CREATE TABLE greenit_gold.quarantine (
    customer_id text NOT NULL,
    version bigint NOT NULL,
    table_name text NOT NULL,
    rule text NOT NULL,
    column_name text,
    value text,
    rejects jsonb NOT NULL,
    raw jsonb NOT NULL,
    key text NOT NULL
);
CREATE INDEX ON greenit_gold.quarantine (customer_id, version);
CALL platform.protect('greenit_gold.quarantine');
GRANT SELECT, INSERT, DELETE ON greenit_gold.quarantine TO strata_writer;

ALTER TABLE greenit_platinum.kpi_monthly ADD COLUMN quarantined_pct double precision;

CREATE OR REPLACE VIEW greenit_platinum.kpi_monthly_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_platinum.kpi_monthly t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_platinum.kpi_monthly';
