-- What every domain shares: versions, publication, fencing, deliveries. Applied by the migrator, who owns it.
-- Row-level security is forced everywhere: a session sees the customer of its cust_ or lake_ role, else of app.customer_id, else nothing.

CREATE SCHEMA platform;

CREATE FUNCTION platform.customer() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN current_user ~ '^(cust|lake)_' THEN substr(current_user, 6)
                ELSE nullif(current_setting('app.customer_id', true), '') END
$$;

CREATE SEQUENCE platform.version_number;

CREATE TABLE platform.table_version (
    customer_id text NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    table_name text NOT NULL,
    version bigint NOT NULL,
    run_id text NOT NULL,
    code_version text NOT NULL,
    parameter_version text NOT NULL,
    contract_version text NOT NULL,
    as_of date,
    inputs jsonb NOT NULL,
    snapshot_id bigint,
    rows_in bigint,
    row_count bigint NOT NULL,
    quarantined_count bigint NOT NULL,
    content_hash text NOT NULL,
    verdict text NOT NULL DEFAULT 'pending' CHECK (verdict IN ('pending', 'passed', 'failed')),
    fence bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, table_name, version)
);

CREATE TABLE platform.publication (
    customer_id text NOT NULL,
    publication_id bigint GENERATED ALWAYS AS IDENTITY,
    domain text NOT NULL,
    run_id text NOT NULL,
    versions jsonb NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (customer_id, publication_id)
);

CREATE TABLE platform.live_version (
    customer_id text NOT NULL,
    table_name text NOT NULL,
    version bigint NOT NULL,
    previous_version bigint,
    is_pinned boolean NOT NULL DEFAULT false,
    publication_id bigint NOT NULL,
    PRIMARY KEY (customer_id, table_name),
    FOREIGN KEY (customer_id, table_name, version) REFERENCES platform.table_version,
    FOREIGN KEY (customer_id, publication_id) REFERENCES platform.publication
);

CREATE TABLE platform.fence (
    customer_id text PRIMARY KEY,
    fence bigint NOT NULL,
    run_id text NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The next fence of a customer, for the run that has just taken its lock.
CREATE FUNCTION platform.take_fence(customer text, run text) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO platform.fence AS f (customer_id, fence, run_id) VALUES (customer, 1, run)
    ON CONFLICT (customer_id) DO UPDATE SET fence = f.fence + 1, run_id = run, taken_at = clock_timestamp()
    RETURNING fence
$$;

-- Refuses a writer whose customer was taken over by a later run. Called inside every writing transaction.
CREATE FUNCTION platform.assert_fence(customer text, expected bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM platform.fence f WHERE f.customer_id = customer AND f.fence = expected FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'STRATA_FENCED: a later run holds the lock of this customer';
    END IF;
END
$$;

-- One row per delivered file; the files of one delivery share (customer_id, source, period, sequence).
CREATE TABLE platform.delivery (
    customer_id text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    source      text        NOT NULL CHECK (source ~ '^[a-z][a-z0-9_]{1,62}$'),
    period      date        CHECK (extract(day FROM period) = 1),
    sequence    integer     NOT NULL CHECK (sequence > 0),
    sha256      text        NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    file_name   text        NOT NULL,
    path        text        NOT NULL,
    readable    text,
    rejects     text,
    bytes       bigint      NOT NULL CHECK (bytes > 0),
    rows        bigint      NOT NULL CHECK (rows >= 0),
    faulty      bigint      NOT NULL CHECK (faulty BETWEEN 0 AND rows),
    blank       bigint      NOT NULL CHECK (blank >= 0),
    faults      jsonb       NOT NULL DEFAULT '{}',
    format      text        NOT NULL,
    header      text[]      NOT NULL,
    unexpected  text[]      NOT NULL DEFAULT '{}',
    repairs     text[]      NOT NULL DEFAULT '{}',
    owners      text[]      NOT NULL DEFAULT '{}',
    state       text        NOT NULL DEFAULT 'accepted' CHECK (state IN ('accepted', 'withdrawn')),
    landed_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT delivery_key UNIQUE NULLS NOT DISTINCT (customer_id, source, period, sequence, sha256),
    CHECK ((faulty = 0) = (rejects IS NULL))
);

CREATE INDEX delivery_content ON platform.delivery (customer_id, source, sha256);

-- Row-level security of one table, forced also on its owner. The migrator alone has a policy of its own, for data migrations.
CREATE PROCEDURE platform.protect(target regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY own_customer ON %s USING (customer_id = (SELECT platform.customer())) WITH CHECK (customer_id = (SELECT platform.customer()))', target);
    EXECUTE format('CREATE POLICY migration ON %s TO strata_migrator USING (true) WITH CHECK (true)', target);
END
$$;

CALL platform.protect('platform.table_version');
CALL platform.protect('platform.publication');
CALL platform.protect('platform.live_version');
CALL platform.protect('platform.fence');
CALL platform.protect('platform.delivery');

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON PROCEDURE platform.protect(regclass) FROM PUBLIC;
REVOKE ALL ON FUNCTION platform.take_fence(text, text), platform.assert_fence(text, bigint) FROM PUBLIC;
GRANT USAGE ON SCHEMA platform TO strata_writer, strata_reader;
GRANT EXECUTE ON FUNCTION platform.take_fence(text, text), platform.assert_fence(text, bigint) TO strata_writer;
GRANT USAGE ON SEQUENCE platform.version_number TO strata_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON platform.table_version, platform.publication, platform.live_version, platform.fence, platform.delivery TO strata_writer;
GRANT SELECT ON platform.live_version TO strata_reader;
