-- Cloud meters that are no instances, and costs of 18 places.

DROP VIEW greenit_gold.activity_live;

ALTER TABLE greenit_gold.activity
    ALTER COLUMN cost TYPE numeric(38,18),
    ADD COLUMN meter text,
    ADD COLUMN meter_key text,
    ADD COLUMN meter_amount double precision,
    ADD COLUMN copies double precision,
    ADD COLUMN map_id text,
    ADD COLUMN usd_2022 double precision;

CREATE VIEW greenit_gold.activity_live WITH (security_invoker = true) AS
    SELECT t.* FROM greenit_gold.activity t
    JOIN platform.live_version l ON l.customer_id = t.customer_id AND l.version = t.version AND l.table_name = 'greenit_gold.activity';
GRANT SELECT ON greenit_gold.activity_live TO strata_writer;
