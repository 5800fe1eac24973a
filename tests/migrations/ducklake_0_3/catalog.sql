CREATE TABLE lake_elder.ducklake_column (
    column_id bigint,
    begin_snapshot bigint,
    end_snapshot bigint,
    table_id bigint,
    column_order bigint,
    column_name character varying,
    column_type character varying,
    initial_default character varying,
    default_value character varying,
    nulls_allowed boolean,
    parent_column bigint
);
CREATE TABLE lake_elder.ducklake_column_mapping (
    mapping_id bigint,
    table_id bigint,
    type character varying
);
CREATE TABLE lake_elder.ducklake_column_tag (
    table_id bigint,
    column_id bigint,
    begin_snapshot bigint,
    end_snapshot bigint,
    key character varying,
    value character varying
);
CREATE TABLE lake_elder.ducklake_data_file (
    data_file_id bigint NOT NULL,
    table_id bigint,
    begin_snapshot bigint,
    end_snapshot bigint,
    file_order bigint,
    path character varying,
    path_is_relative boolean,
    file_format character varying,
    record_count bigint,
    file_size_bytes bigint,
    footer_size bigint,
    row_id_start bigint,
    partition_id bigint,
    encryption_key character varying,
    partial_file_info character varying,
    mapping_id bigint
);
CREATE TABLE lake_elder.ducklake_delete_file (
    delete_file_id bigint NOT NULL,
    table_id bigint,
    begin_snapshot bigint,
    end_snapshot bigint,
    data_file_id bigint,
    path character varying,
    path_is_relative boolean,
    format character varying,
    delete_count bigint,
    file_size_bytes bigint,
    footer_size bigint,
    encryption_key character varying
);
CREATE TABLE lake_elder.ducklake_file_column_stats (
    data_file_id bigint,
    table_id bigint,
    column_id bigint,
    column_size_bytes bigint,
    value_count bigint,
    null_count bigint,
    min_value character varying,
    max_value character varying,
    contains_nan boolean,
    extra_stats character varying
);
CREATE TABLE lake_elder.ducklake_file_partition_value (
    data_file_id bigint,
    table_id bigint,
    partition_key_index bigint,
    partition_value character varying
);
CREATE TABLE lake_elder.ducklake_files_scheduled_for_deletion (
    data_file_id bigint,
    path character varying,
    path_is_relative boolean,
    schedule_start timestamp with time zone
);
CREATE TABLE lake_elder.ducklake_inlined_data_tables (
    table_id bigint,
    table_name character varying,
    schema_version bigint
);
CREATE TABLE lake_elder.ducklake_metadata (
    key character varying NOT NULL,
    value character varying NOT NULL,
    scope character varying,
    scope_id bigint
);
CREATE TABLE lake_elder.ducklake_name_mapping (
    mapping_id bigint,
    column_id bigint,
    source_name character varying,
    target_field_id bigint,
    parent_column bigint,
    is_partition boolean
);
CREATE TABLE lake_elder.ducklake_partition_column (
    partition_id bigint,
    table_id bigint,
    partition_key_index bigint,
    column_id bigint,
    transform character varying
);
CREATE TABLE lake_elder.ducklake_partition_info (
    partition_id bigint,
    table_id bigint,
    begin_snapshot bigint,
    end_snapshot bigint
);
CREATE TABLE lake_elder.ducklake_schema (
    schema_id bigint NOT NULL,
    schema_uuid uuid,
    begin_snapshot bigint,
    end_snapshot bigint,
    schema_name character varying,
    path character varying,
    path_is_relative boolean
);
CREATE TABLE lake_elder.ducklake_schema_versions (
    begin_snapshot bigint,
    schema_version bigint
);
CREATE TABLE lake_elder.ducklake_snapshot (
    snapshot_id bigint NOT NULL,
    snapshot_time timestamp with time zone,
    schema_version bigint,
    next_catalog_id bigint,
    next_file_id bigint
);
CREATE TABLE lake_elder.ducklake_snapshot_changes (
    snapshot_id bigint NOT NULL,
    changes_made character varying,
    author character varying,
    commit_message character varying,
    commit_extra_info character varying
);
CREATE TABLE lake_elder.ducklake_table (
    table_id bigint,
    table_uuid uuid,
    begin_snapshot bigint,
    end_snapshot bigint,
    schema_id bigint,
    table_name character varying,
    path character varying,
    path_is_relative boolean
);
CREATE TABLE lake_elder.ducklake_table_column_stats (
    table_id bigint,
    column_id bigint,
    contains_null boolean,
    contains_nan boolean,
    min_value character varying,
    max_value character varying,
    extra_stats character varying
);
CREATE TABLE lake_elder.ducklake_table_stats (
    table_id bigint,
    record_count bigint,
    next_row_id bigint,
    file_size_bytes bigint
);
CREATE TABLE lake_elder.ducklake_tag (
    object_id bigint,
    begin_snapshot bigint,
    end_snapshot bigint,
    key character varying,
    value character varying
);
CREATE TABLE lake_elder.ducklake_view (
    view_id bigint,
    view_uuid uuid,
    begin_snapshot bigint,
    end_snapshot bigint,
    schema_id bigint,
    view_name character varying,
    dialect character varying,
    sql character varying,
    column_aliases character varying
);
INSERT INTO lake_elder.ducklake_column VALUES (1, 2, NULL, 2, 1, 'equipment_id', 'varchar', NULL, NULL, true, NULL);
INSERT INTO lake_elder.ducklake_column VALUES (2, 2, NULL, 2, 2, 'quantity', 'int32', NULL, NULL, true, NULL);
INSERT INTO lake_elder.ducklake_data_file VALUES (1, 2, 4, NULL, NULL, 'ducklake-01a222f4-386a-7367-9e26-805fe4eb1ccb.parquet', true, 'parquet', 1, 314, 242, 1, NULL, NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_data_file VALUES (0, 2, 3, 5, NULL, 'ducklake-01a222f4-3860-7a11-b8a3-90143cf65b8c.parquet', true, 'parquet', 1, 314, 242, 0, NULL, NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_data_file VALUES (2, 2, 6, NULL, NULL, 'ducklake-01a222f4-3892-700b-9566-a7fc1b0f9d07.parquet', true, 'parquet', 1, 314, 242, 2, NULL, NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_file_column_stats VALUES (0, 2, 1, 31, 1, 0, 'e1', 'e1', NULL, NULL);
INSERT INTO lake_elder.ducklake_file_column_stats VALUES (0, 2, 2, 29, 1, 0, '1', '1', NULL, NULL);
INSERT INTO lake_elder.ducklake_file_column_stats VALUES (1, 2, 1, 31, 1, 0, 'e2', 'e2', NULL, NULL);
INSERT INTO lake_elder.ducklake_file_column_stats VALUES (1, 2, 2, 29, 1, 0, '2', '2', NULL, NULL);
INSERT INTO lake_elder.ducklake_file_column_stats VALUES (2, 2, 1, 31, 1, 0, 'e3', 'e3', NULL, NULL);
INSERT INTO lake_elder.ducklake_file_column_stats VALUES (2, 2, 2, 29, 1, 0, '3', '3', NULL, NULL);
INSERT INTO lake_elder.ducklake_metadata VALUES ('version', '0.3', NULL, NULL);
INSERT INTO lake_elder.ducklake_metadata VALUES ('created_by', 'DuckDB 6ddac802ff', NULL, NULL);
INSERT INTO lake_elder.ducklake_metadata VALUES ('data_path', '@DATA@/', NULL, NULL);
INSERT INTO lake_elder.ducklake_metadata VALUES ('encrypted', 'false', NULL, NULL);
INSERT INTO lake_elder.ducklake_schema VALUES (0, '8f34c972-eedb-49e5-95d1-e8d859dc7331', 0, NULL, 'main', 'main/', true);
INSERT INTO lake_elder.ducklake_schema VALUES (1, '01a222f4-382d-711e-bab0-06c71fef1714', 1, NULL, 'greenit_bronze', 'greenit_bronze/', true);
INSERT INTO lake_elder.ducklake_schema_versions VALUES (0, 0);
INSERT INTO lake_elder.ducklake_schema_versions VALUES (1, 1);
INSERT INTO lake_elder.ducklake_schema_versions VALUES (2, 2);
INSERT INTO lake_elder.ducklake_snapshot VALUES (0, '2026-11-28 16:19:20.094141+00', 0, 1, 0);
INSERT INTO lake_elder.ducklake_snapshot VALUES (1, '2026-11-28 16:19:20.224228+00', 1, 2, 0);
INSERT INTO lake_elder.ducklake_snapshot VALUES (2, '2026-11-28 16:19:20.239911+00', 2, 3, 0);
INSERT INTO lake_elder.ducklake_snapshot VALUES (3, '2026-11-28 16:19:20.259062+00', 2, 3, 1);
INSERT INTO lake_elder.ducklake_snapshot VALUES (4, '2026-11-28 16:19:20.2961+00', 2, 3, 2);
INSERT INTO lake_elder.ducklake_snapshot VALUES (5, '2026-11-28 16:19:20.320072+00', 2, 3, 2);
INSERT INTO lake_elder.ducklake_snapshot VALUES (6, '2026-11-28 16:19:20.336422+00', 2, 3, 3);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (0, 'created_schema:"main"', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (1, 'created_schema:"greenit_bronze"', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (2, 'created_table:"greenit_bronze"."equipment"', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (3, 'inserted_into_table:2', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (4, 'inserted_into_table:2', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (5, 'deleted_from_table:2', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_snapshot_changes VALUES (6, 'inserted_into_table:2', NULL, NULL, NULL);
INSERT INTO lake_elder.ducklake_table VALUES (2, '01a222f4-383d-7f60-bc9e-d5fee8045458', 2, NULL, 1, 'equipment', 'equipment/', true);
INSERT INTO lake_elder.ducklake_table_column_stats VALUES (2, 1, false, NULL, 'e1', 'e3', NULL);
INSERT INTO lake_elder.ducklake_table_column_stats VALUES (2, 2, false, NULL, '1', '3', NULL);
INSERT INTO lake_elder.ducklake_table_stats VALUES (2, 3, 3, 942);
ALTER TABLE ONLY lake_elder.ducklake_data_file
    ADD CONSTRAINT ducklake_data_file_pkey PRIMARY KEY (data_file_id);
ALTER TABLE ONLY lake_elder.ducklake_delete_file
    ADD CONSTRAINT ducklake_delete_file_pkey PRIMARY KEY (delete_file_id);
ALTER TABLE ONLY lake_elder.ducklake_schema
    ADD CONSTRAINT ducklake_schema_pkey PRIMARY KEY (schema_id);
ALTER TABLE ONLY lake_elder.ducklake_snapshot_changes
    ADD CONSTRAINT ducklake_snapshot_changes_pkey PRIMARY KEY (snapshot_id);
ALTER TABLE ONLY lake_elder.ducklake_snapshot
    ADD CONSTRAINT ducklake_snapshot_pkey PRIMARY KEY (snapshot_id);
