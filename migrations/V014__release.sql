-- Which release a customer's figures were made by, and what a release will change.

-- One row whenever a customer's live figures come from another release than before: the first publication, a promotion, a roll-back. `code`,
-- `parameters` and `libraries` are hashes of the tables' fingerprints, of the parameters that this customer's run read, and of the lock file.
CREATE TABLE platform.release (
    customer_id    text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    number         bigint      GENERATED ALWAYS AS IDENTITY,
    domain         text        NOT NULL,
    name           text        NOT NULL,
    cause          text        NOT NULL CHECK (cause IN ('first', 'promoted', 'unguarded', 'rolled back')),
    code           text        NOT NULL,
    parameters     text        NOT NULL,
    libraries      text        NOT NULL,
    publication_id bigint      NOT NULL,
    run_id         text        NOT NULL,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, number),
    FOREIGN KEY (customer_id, publication_id) REFERENCES platform.publication
);

-- A figure that a release moves, as staging computed it: before, after, and what of the difference each cause makes.
CREATE TABLE platform.release_movement (
    customer_id   text             NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    release       text             NOT NULL,
    kpi           text             NOT NULL,
    month         date             NOT NULL,
    unit          text             NOT NULL,
    before        double precision,
    after         double precision,
    by_data       double precision NOT NULL,
    by_code       double precision NOT NULL,
    by_libraries  double precision NOT NULL,
    by_parameters double precision NOT NULL,
    PRIMARY KEY (customer_id, release, kpi, month)
);

-- How a release was tried on one customer: `outcome` says whether every table came out, `tables` what differs from the base's, row by row, `bronze`
-- which versions of the raw data both sides read. `noise` counts the tables that the base computed twice with unequal results.
CREATE TABLE platform.release_trial (
    customer_id       text           NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    release           text           NOT NULL,
    base              text           NOT NULL,
    candidate         text           NOT NULL,
    outcome           text           NOT NULL CHECK (outcome IN ('compared', 'failed')),
    problems          jsonb          NOT NULL DEFAULT '{}',
    tables            jsonb          NOT NULL DEFAULT '{}',
    bronze            jsonb          NOT NULL DEFAULT '{}',
    as_of             date,
    noise             integer        NOT NULL DEFAULT 0,
    base_seconds      numeric(18, 6) NOT NULL DEFAULT 0,
    candidate_seconds numeric(18, 6) NOT NULL DEFAULT 0,
    tried_at          timestamptz    NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, release)
);

-- What a customer is told of a release: written when its change is known, reviewed by its steward, sent once it has the figures.
CREATE TABLE platform.change_notice (
    customer_id text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    release     text        NOT NULL,
    subject     text        NOT NULL,
    body        text        NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    reviewed_by text,
    reviewed_at timestamptz,
    sent_at     timestamptz,
    PRIMARY KEY (customer_id, release),
    CHECK (sent_at IS NULL OR reviewed_at IS NOT NULL)
);

CALL platform.protect('platform.release');
CALL platform.protect('platform.release_trial');
CALL platform.protect('platform.release_movement');
CALL platform.protect('platform.change_notice');
GRANT SELECT, INSERT ON platform.release TO strata_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON platform.release_trial, platform.release_movement, platform.change_notice TO strata_writer;
