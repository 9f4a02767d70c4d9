-- What PostgreSQL leaves open to every login, closed. Much of it tells a reader something about rows that the reader may
-- not see: sizes, estimates, statistics, other sessions, the passing of time.
-- Run by the administrator in each database, after every migration. Safe to run again; it changes what differs.
-- tests/embargo/test_rights.py walks the catalogues and knows by name what is left.

DO $$
DECLARE
    me text := current_database();
    logins text := 'km3vo_owner, km3vo_ingest, km3vo_service, km3vo_upload, km3vo_public, km3vo_member, km3vo_observers';
    other record;
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', me);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %s', me, logins);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO km3vo_owner', me);
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO km3vo_owner, km3vo_ingest', me);
    -- From another database of the server, where nothing is closed, a reader could see sizes and sessions of this one.
    FOR other IN
        SELECT datname FROM pg_catalog.pg_database
        WHERE datname IN ('postgres', 'template1') AND datname <> me
          AND has_database_privilege('public', oid, 'CONNECT')
          AND pg_has_role(current_user, datdba, 'USAGE')
    LOOP
        EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', other.datname);
    END LOOP;

    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    -- The pgSphere types and operators live in public: everybody may use them, nobody may add to them.
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %s', logins);

    -- Statistics are for queries (database/statistics.sql).
    REVOKE EXECUTE ON FUNCTION public.km3_sigma, public.km3_psf, public.km3_containment, public.km3_poisson_p,
        public.km3_lima, public.km3_binomial_p, public.km3_stirling_rest, public.km3_deviance, public.km3_exp,
        public.km3_healpix FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION public.km3_sigma, public.km3_psf, public.km3_containment, public.km3_poisson_p,
        public.km3_lima, public.km3_binomial_p, public.km3_stirling_rest, public.km3_deviance, public.km3_exp,
        public.km3_healpix TO km3vo_public, km3vo_member, km3vo_observers;

    -- No DO blocks and no functions but ours.
    REVOKE USAGE ON LANGUAGE sql, plpgsql FROM PUBLIC;
    GRANT USAGE ON LANGUAGE sql, plpgsql TO km3vo_owner;

    -- The catalogue and the statistics: sizes, row estimates, other sessions, definitions.
    REVOKE ALL ON ALL TABLES IN SCHEMA pg_catalog FROM PUBLIC;
    REVOKE ALL ON SCHEMA information_schema FROM PUBLIC;
    REVOKE ALL ON ALL TABLES IN SCHEMA information_schema FROM PUBLIC;
    REVOKE ALL ON ALL ROUTINES IN SCHEMA information_schema FROM PUBLIC;
    -- ADBC reads types, and the columns of all composite types, as it connects. Names of types and columns say nothing
    -- about rows, and uploaded tables have none that mean anything (uploads/tables.py).
    GRANT SELECT ON pg_catalog.pg_type TO PUBLIC;
    GRANT SELECT (attrelid, attname, atttypid, attnum) ON pg_catalog.pg_attribute TO PUBLIC;
    -- Owner, loader and upload login work on the catalogue, and show nothing of it to anybody.
    GRANT SELECT ON ALL TABLES IN SCHEMA pg_catalog TO km3vo_owner;
    REVOKE ALL ON pg_catalog.pg_authid, pg_catalog.pg_user_mapping, pg_catalog.pg_subscription,
        pg_catalog.pg_statistic, pg_catalog.pg_hba_file_rules, pg_catalog.pg_file_settings FROM km3vo_owner;
    GRANT SELECT ON pg_catalog.pg_class, pg_catalog.pg_attribute, pg_catalog.pg_index, pg_catalog.pg_constraint,
        pg_catalog.pg_inherits, pg_catalog.pg_namespace TO km3vo_ingest, km3vo_upload;
END $$;

-- Functions. Readers may call those that a translated query or a cone search needs; the other logins, which run our own
-- statements only, all but those that signal, wait, read files or run text as SQL; nobody anything else.
DO $$
DECLARE
    -- What km3vo/adql/sql.py may write, and what PostgreSQL looks up itself for IN, LIKE … ESCAPE and GROUP BY.
    readable text[] := ARRAY[
        'abs', 'acos', 'asin', 'atan', 'atan2', 'ceil', 'ceiling', 'cos', 'cosd', 'cot', 'degrees', 'exp', 'floor', 'ln',
        'log', 'mod', 'pi', 'power', 'radians', 'random', 'round', 'sign', 'sin', 'sind', 'sqrt', 'tan', 'trunc',
        'atanh', 'sinh',  -- what statistics are worked out with (database/statistics.sql)
        'avg', 'count', 'max', 'min', 'sum', 'string_agg', 'first_value', 'lead', 'array_length', 'array_to_string',
        'btrim', 'left', 'lower', 'upper', 'extract', 'to_char', 'width_bucket', 'generate_series', 'regexp_matches',
        'regexp_split_to_array', 'string_to_array', 'plainto_tsquery', 'to_tsvector',
        'concat', 'replace',  -- rows written as text (database/lines.py)
        -- Between numbers and text there are no casts but these, which want the right where both are constants:
        -- CAST('5' AS INTEGER), 'a' || 5.
        'textin', 'textout', 'int2in', 'int2out', 'int4in', 'int4out', 'int8in', 'int8out', 'float4in', 'float4out',
        'float8in', 'float8out', 'numeric_in', 'numeric_out', 'boolin', 'boolout',
        'version',  -- ADBC asks for it as it connects
        'like_escape', 'hashint2', 'hashint4', 'hashint8', 'hashfloat4', 'hashfloat8', 'hash_numeric', 'hashtext',
        'hashbpchar', 'timestamp_hash', 'date_part', 'isfinite', 'timezone',
        'statement_timestamp',  -- when a grant ends (embargo/grants.py)
        -- What the public part of a table covers (holdings/coverage.py).
        'bit_xor', 'hash_record_extended'
    ];
    types regtype[] := ARRAY[
        'boolean', '"char"', 'name', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric', 'text',
        'character', 'character varying', 'timestamp', 'timestamptz', 'date', 'interval', 'oid', 'regproc', 'anyarray',
        'anycompatiblearray', 'anycompatible', 'tsvector', 'tsquery', 'double precision[]'
    ]::regtype[];
    dangerous text := '^(pg_sleep|lo_|lowrite|loread|pg_(try_)?advisory|set_config|current_setting'
        || '|query_to_xml|table_to_xml|cursor_to_xml|schema_to_xml|database_to_xml'
        || '|pg_(cancel|terminate)_backend|pg_.*size|pg_export_snapshot|pg_import|txid_|pg_current_xact'
        || '|pg_current_snapshot|pg_snapshot|pg_xact|pg_last_|pg_get_|pg_stat_get|currval|setval|lastval'
        || '|pg_relation_file|pg_ls_|pg_read|pg_stat_file|pg_blocking|pg_lock_status|pg_cursor|pg_prepared'
        || '|pg_describe|pg_identify|pg_collation_for|inet_'
        || '|pg_listening|pg_show|pg_hba|pg_ident|pg_logical|pg_create|pg_drop|pg_replication|pg_mcv|ts_stat'
        || '|pg_control|pg_postmaster|pg_conf_load|pg_safe_snapshot|pg_partition|pg_options|pg_tablespace'
        || '|row_security_active|pg_size|binary_upgrade|pg_nextoid'
        || '|pg_wal|pg_current_wal|pg_switch|pg_reload|pg_rotate|pg_promote|pg_backup|pg_column_)';
    readers text := 'km3vo_public, km3vo_member, km3vo_observers';
    workers text := 'km3vo_ingest, km3vo_service, km3vo_upload';
    entry record;
BEGIN
    CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
    SELECT p.oid, p.oid::regprocedure::text AS signature,
        ARRAY['km3vo_owner']
        || CASE WHEN p.proname !~ dangerous THEN ARRAY['km3vo_ingest', 'km3vo_service', 'km3vo_upload'] ELSE '{}' END
        || CASE WHEN p.proname = ANY (readable)
                OR p.oid IN (SELECT oprcode FROM pg_operator
                             WHERE (oprleft = 0 OR oprleft::regtype = ANY (types)) AND oprright::regtype = ANY (types))
                OR p.oid IN (SELECT castfunc FROM pg_cast
                             WHERE castsource::regtype = ANY (types) AND casttarget::regtype = ANY (types))
           THEN ARRAY['km3vo_public', 'km3vo_member', 'km3vo_observers'] ELSE '{}' END
        -- The service listens to its queue and takes locks there, and names the moment at which a list is read.
        || CASE WHEN p.oid::regprocedure::text IN
                ('pg_try_advisory_lock(bigint)', 'pg_advisory_unlock(bigint)', 'pg_export_snapshot()')
           THEN ARRAY['km3vo_service'] ELSE '{}' END AS grantees
    FROM pg_proc AS p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      -- Those that initdb itself withholds from everybody stay withheld.
      AND NOT EXISTS (SELECT FROM pg_init_privs AS i WHERE i.objoid = p.oid AND i.classoid = 'pg_proc'::regclass);

    -- A few statements for all functions that want the same: one for each would take seconds.
    FOR entry IN
        SELECT grantees, string_agg(signature, ', ') AS signatures
        FROM wanted JOIN pg_proc AS p USING (oid)
        WHERE (SELECT array_agg(DISTINCT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
               FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee <> p.proowner)
            IS DISTINCT FROM (SELECT array_agg(DISTINCT g) FROM unnest(grantees) AS g)
        GROUP BY grantees
    LOOP
        EXECUTE format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC, km3vo_owner, %s, %s', entry.signatures, readers, workers);
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', entry.signatures, array_to_string(entry.grantees, ', '));
    END LOOP;
    DROP TABLE wanted;
END $$;
