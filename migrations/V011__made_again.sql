-- A version whose content came out again keeps what first made it; these say by what it was last made, where that is something else, so that
-- what a release has not reached yet can be told from what is up to date.
ALTER TABLE platform.table_version ADD COLUMN last_code_version text, ADD COLUMN last_parameter_version text;
