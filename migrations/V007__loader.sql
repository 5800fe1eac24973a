-- Gold rows arrive by COPY, which PostgreSQL refuses to roles that are subject to row-level security. The loader is not, and can do nothing but
-- insert: it may not log in, reads nothing, and each of its rows must be of the customer whose role logged in. `session_user` stays what it was
-- at the login whatever role is set, so no SQL of a session chooses another customer. Of everybody else the constraint asks nothing.

CREATE PROCEDURE platform.admit_loader(target regclass) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT loads_own_customer CHECK (current_user <> ''strata_loader'' OR ''lake_'' || customer_id = session_user)', target);
    EXECUTE format('GRANT INSERT ON %s TO strata_loader', target);
END
$$;
REVOKE ALL ON PROCEDURE platform.admit_loader(regclass) FROM PUBLIC;

GRANT USAGE ON SCHEMA greenit_gold TO strata_loader;
CALL platform.admit_loader('greenit_gold.activity');
CALL platform.admit_loader('greenit_gold.impact');
CALL platform.admit_loader('greenit_gold.allocation');
CALL platform.admit_loader('greenit_gold.coverage');
CALL platform.admit_loader('greenit_gold.denominator');
CALL platform.admit_loader('greenit_gold.reconciliation');
CALL platform.admit_loader('greenit_gold.quarantine');
