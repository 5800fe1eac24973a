-- What is told to people and what is kept to be shown and verified: refusals, notices, validations, hashes of the lake's objects.

-- One row per delivery that was refused.
CREATE TABLE platform.refusal (
    customer_id text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    refusal_id  bigint      GENERATED ALWAYS AS IDENTITY,
    source      text        NOT NULL,
    file_name   text        NOT NULL,
    rule        text        NOT NULL,
    column_name text,
    problem     text        NOT NULL,
    fix         text        NOT NULL,
    refused_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, refusal_id)
);

CREATE INDEX refusal_source ON platform.refusal (customer_id, source, refused_at);

-- One row per trouble: the same again raises `seen`, an end to it sets `solved_at`, and after that it begins anew.
CREATE TABLE platform.notice (
    customer_id   text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    kind          text        NOT NULL CHECK (kind IN ('run_failed', 'source_stale', 'publication_blocked', 'quarantine_filled', 'delivery_refused')),
    subject       text        NOT NULL,
    rule          text,
    problem       text        NOT NULL,
    fix           text        NOT NULL,
    link          text        NOT NULL,
    occurrence    text        NOT NULL,
    seen          integer     NOT NULL DEFAULT 1 CHECK (seen > 0),
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL CHECK (last_at >= first_at),
    sent_at       timestamptz,
    sent_seen     integer     NOT NULL DEFAULT 0 CHECK (sent_seen <= seen),
    claimed_until timestamptz,
    failure       text,
    solved_at     timestamptz,
    PRIMARY KEY (customer_id, kind, subject)
);

-- What Great Expectations found on a version, the newest time it was checked; values only of public columns.
CREATE TABLE platform.validation (
    customer_id text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    table_name  text        NOT NULL,
    version     bigint      NOT NULL,
    result      jsonb       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, table_name, version)
);

-- Every file of the lake, as it was when it was written.
CREATE TABLE platform.lake_object (
    customer_id text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    path        text        NOT NULL,
    table_name  text        NOT NULL,
    sha256      text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    bytes       bigint      NOT NULL CHECK (bytes >= 0),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, path)
);

CALL platform.protect('platform.refusal');
CALL platform.protect('platform.notice');
CALL platform.protect('platform.validation');
CALL platform.protect('platform.lake_object');

GRANT SELECT, INSERT, UPDATE, DELETE ON platform.refusal, platform.notice, platform.validation, platform.lake_object TO strata_writer;
