-- Of which snapshot of production's lake a bronze version of staging is a copy; NULL where bronze is made of deliveries.
ALTER TABLE platform.table_version ADD COLUMN source_snapshot_id bigint;
