-- One look of a reader at a customer's newest figures, as a front end takes it: the customer is set for the transaction alone. The division
-- fails, and pgbench tells it, where a look finds nothing or two versions.
\set n random(0, :customers - 1)
BEGIN;
SELECT set_config('app.customer_id', 'fleet' || lpad(:n::text, 4, '0'), true);
SELECT period, scope, sum(value) AS value, 1 / (count(DISTINCT version) = 1)::int AS one_version FROM greenit_platinum.kpi_monthly_live
 WHERE criterion = 'GWP' AND view = 'amortised' GROUP BY period, scope;
SELECT 1 / (count(*) > 0)::int AS not_empty FROM greenit_platinum.kpi_monthly_live;
END;
