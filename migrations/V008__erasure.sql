-- Customers that join and leave: what was last applied of a customer's file, and the ledger of those that were erased.

-- What `strata customers apply` last took from a customer's file, so that the next plan can say what would change.
CREATE TABLE platform.customer (
    customer_id text        PRIMARY KEY CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    status      text        NOT NULL CHECK (status IN ('active', 'paused', 'leaving')),
    schedule    text,
    time_zone   text        NOT NULL,
    size_class  text        NOT NULL,
    encrypted   boolean     NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CALL platform.protect('platform.customer');
GRANT SELECT ON platform.customer TO strata_writer;

-- One row per erasure. It names nobody: `customer_id` is sha256 of salt and id, which only who already knows the id can find again, and which
-- is the id of nobody, so that row-level security shows the row to no customer.
CREATE TABLE platform.erasure (
    customer_id text        PRIMARY KEY CHECK (customer_id ~ '^[0-9a-f]{64}$'),
    salt        text        NOT NULL CHECK (salt ~ '^[0-9a-f]{32}$'),
    erased_at   timestamptz NOT NULL
);
CALL platform.protect('platform.erasure');

CREATE FUNCTION platform.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'STRATA_APPEND_ONLY: rows of % are never changed or removed', TG_TABLE_NAME;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON platform.erasure FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();
