-- What PostgreSQL leaves open to every login, closed. Nothing here is needed by km3vo's statements or its drivers;
-- much of it tells a reader something about rows that the reader may not see.
-- Run by the administrator in each database, after every migration. Safe to run again.

DO $$
DECLARE
    me text := current_database();
    entry record;
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', me);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO km3vo_owner, km3vo_ingest, km3vo_service, km3vo_upload, km3vo_public, km3vo_member, km3vo_observers', me);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO km3vo_owner', me);
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO km3vo_owner, km3vo_ingest', me);

    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    -- The pgSphere types and operators live in public: everybody may use them, nobody may add to them.
    GRANT USAGE ON SCHEMA public TO km3vo_owner, km3vo_ingest, km3vo_service, km3vo_upload, km3vo_public, km3vo_member, km3vo_observers;

    -- No DO blocks and no functions but ours.
    REVOKE USAGE ON LANGUAGE sql, plpgsql FROM PUBLIC;
    GRANT USAGE ON LANGUAGE sql, plpgsql TO km3vo_owner;

    -- The catalogue and the statistics: sizes, row estimates, other sessions, definitions.
    REVOKE SELECT ON ALL TABLES IN SCHEMA pg_catalog FROM PUBLIC;
    REVOKE ALL ON SCHEMA information_schema FROM PUBLIC;
    -- Drivers look up types by name; ADBC reads the columns of all composite types as it connects. Names of columns
    -- say nothing about rows, and uploaded tables have none that mean anything (store/uploads.py).
    GRANT SELECT ON pg_catalog.pg_type, pg_catalog.pg_range, pg_catalog.pg_namespace TO PUBLIC;
    GRANT SELECT (attrelid, attname, atttypid, attnum) ON pg_catalog.pg_attribute TO PUBLIC;
    -- Owner, loader and service work on the catalogue, and show nothing of it to anybody.
    GRANT SELECT ON ALL TABLES IN SCHEMA pg_catalog TO km3vo_owner;
    REVOKE ALL ON pg_catalog.pg_authid, pg_catalog.pg_user_mapping, pg_catalog.pg_subscription FROM km3vo_owner;
    GRANT SELECT ON pg_catalog.pg_class, pg_catalog.pg_attribute, pg_catalog.pg_index, pg_catalog.pg_constraint,
        pg_catalog.pg_inherits TO km3vo_ingest, km3vo_upload;

    -- Functions that sleep, signal, lock, read files, read or set settings, tell sizes or definitions, run text as SQL,
    -- or make rows out of nothing without limit.
    FOR entry IN
        SELECT p.oid::regprocedure AS signature
        FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace
          AND p.prokind IN ('f', 'p')
          AND p.proname ~ ('^(pg_sleep|lo_|lowrite|loread|pg_(try_)?advisory|pg_notify|set_config|current_setting'
              || '|query_to_xml|table_to_xml|cursor_to_xml|schema_to_xml|database_to_xml'
              || '|pg_(cancel|terminate)_backend|pg_.*size|pg_export_snapshot|pg_import|txid_|pg_current_xact'
              || '|pg_current_snapshot|pg_snapshot|pg_xact|pg_last_|pg_get_|pg_stat_get|currval|nextval|setval|lastval'
              || '|pg_relation_file|pg_ls_|pg_read|pg_stat_file|pg_blocking|pg_lock_status|pg_cursor|pg_prepared'
              || '|pg_describe|pg_identify|pg_collation_for|col_description|obj_description|shobj_description|inet_'
              || '|pg_listening|pg_show|pg_hba|pg_ident|pg_logical|pg_create|pg_drop|pg_replication|pg_mcv|ts_stat'
              || '|pg_control|pg_postmaster|pg_conf_load|pg_safe_snapshot|pg_partition|pg_options|pg_tablespace'
              || '|has_.*_privilege|pg_has_role|row_security_active|pg_size|to_reg|binary_upgrade|pg_nextoid'
              || '|pg_wal|pg_current_wal|pg_switch|pg_reload|pg_rotate|pg_promote|pg_backup|pg_column_'
              || '|generate_series|repeat|lpad|rpad)')
          AND p.proname NOT IN ('pg_get_keywords')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', entry.signature);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO km3vo_owner', entry.signature);
    END LOOP;
    -- The service listens to its queue and takes locks there.
    GRANT EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text), pg_catalog.pg_try_advisory_lock(bigint),
        pg_catalog.pg_advisory_unlock(bigint) TO km3vo_service;
END $$;
