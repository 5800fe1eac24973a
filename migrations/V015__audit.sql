-- Who read a customer's rows, and who did what to its figures. Append-only: nobody is granted a change, triggers refuse one even to the owner, and each
-- row carries a hash of itself and of the row before it, so that a row that was changed, left out or put in between is found (resources/audit.py).
CREATE TABLE platform.audit (
    customer_id text        NOT NULL CHECK (customer_id ~ '^[a-z][a-z0-9_]{1,30}$'),
    number      bigint      NOT NULL CHECK (number > 0),
    at          timestamptz NOT NULL,
    who         text        NOT NULL CHECK (who <> '' AND who !~ '[\x01-\x1f]'),
    login       text        NOT NULL,
    action      text        NOT NULL CHECK (action <> '' AND action !~ '[\x01-\x1f]'),
    subject     text        NOT NULL CHECK (subject !~ '[\x01-\x1f]'),
    why         text        NOT NULL CHECK (why !~ '[\x01-\x1f]'),
    rows        bigint      NOT NULL CHECK (rows >= 0),
    previous    text        NOT NULL,
    hash        text        NOT NULL,
    PRIMARY KEY (customer_id, number)
);
CALL platform.protect('platform.audit');
GRANT SELECT, INSERT ON platform.audit TO strata_writer;

-- Whatever number, time, login or hashes a writer gives, these count. Writers of one customer go one after the other.
CREATE FUNCTION platform.chain_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('strata-audit:' || NEW.customer_id, 0));
    SELECT number, hash INTO last FROM platform.audit WHERE customer_id = NEW.customer_id ORDER BY number DESC LIMIT 1;
    NEW.number := coalesce(last.number, 0) + 1;
    NEW.previous := coalesce(last.hash, '');
    NEW.at := clock_timestamp();
    NEW.login := session_user;
    NEW.hash := encode(sha256(convert_to(concat_ws(E'\x1f', NEW.previous, NEW.customer_id, NEW.number, (extract(epoch FROM NEW.at) * 1000000)::bigint,
        NEW.who, NEW.login, NEW.action, NEW.subject, NEW.why, NEW.rows), 'UTF8')), 'hex');
    RETURN NEW;
END
$$;
CREATE TRIGGER chain BEFORE INSERT ON platform.audit FOR EACH ROW EXECUTE FUNCTION platform.chain_audit();

-- The owner may delete the rows of one customer alone: of who stands in the ledger of erasures.
CREATE FUNCTION platform.keep_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM platform.erasure e WHERE e.customer_id = encode(sha256(convert_to(e.salt || OLD.customer_id, 'UTF8')), 'hex')) THEN
        RAISE EXCEPTION 'STRATA_APPEND_ONLY: rows of % are removed with their customer alone', TG_TABLE_NAME;
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON platform.audit FOR EACH STATEMENT EXECUTE FUNCTION platform.refuse_change();
CREATE TRIGGER keep BEFORE DELETE ON platform.audit FOR EACH ROW EXECUTE FUNCTION platform.keep_audit();
