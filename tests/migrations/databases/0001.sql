SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA kept;

ALTER SCHEMA kept OWNER TO km3vo_owner;

CREATE SCHEMA km3vo;

ALTER SCHEMA km3vo OWNER TO km3vo_owner;

CREATE SCHEMA tap_schema;

ALTER SCHEMA tap_schema OWNER TO km3vo_owner;

CREATE SCHEMA tap_upload;

ALTER SCHEMA tap_upload OWNER TO km3vo_upload;

CREATE FUNCTION kept.events_guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD._access = 'p' THEN
        IF NEW._access <> 'p' THEN
            RAISE EXCEPTION 'embargo: this event of % is public already', 'kept.events' USING ERRCODE = 'KM003';
        END IF;
        IF NEW."event_id" = OLD."event_id" AND NEW."obs_time" IS NOT DISTINCT FROM OLD."obs_time" THEN
            NEW._release_time := OLD._release_time;
            RETURN NEW;
        END IF;
    END IF;
    IF NEW._qc IS NULL THEN
        SELECT qc INTO NEW._qc FROM km3vo.stream WHERE name = 'kept';
    END IF;
    NEW._release_time := km3vo.due('kept.events', NEW."event_id"::text, 'kept', NEW."obs_time");
    IF NEW._access = 'p' AND (
        NEW._qc <> 'passed' OR NEW._release_time IS NULL OR NEW._release_time > clock_timestamp()
    ) THEN
        RAISE EXCEPTION 'embargo: this event of % is not public yet', 'kept.events' USING ERRCODE = 'KM001';
    END IF;
    RETURN NEW;
END $$;

ALTER FUNCTION kept.events_guard() OWNER TO km3vo_owner;

CREATE FUNCTION kept.events_unique() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh JOIN "kept"."events" AS there ON there."event_id" = fresh."event_id" AND there._access <> fresh._access)
    THEN
        RAISE EXCEPTION 'embargo: an event of % with this identifier is there already', 'kept.events'
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NULL;
END $$;

ALTER FUNCTION kept.events_unique() OWNER TO km3vo_owner;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE km3vo.embargoed (
    published text NOT NULL,
    parent regclass NOT NULL,
    hidden regclass NOT NULL,
    public regclass NOT NULL,
    stream text NOT NULL,
    event_column text NOT NULL,
    time_column text NOT NULL,
    looked_at timestamp with time zone,
    released_at timestamp with time zone,
    clock_checked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE km3vo.embargoed OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.embargoed.hidden IS 'the embargoed partition';

COMMENT ON COLUMN km3vo.embargoed.public IS 'the public partition';

COMMENT ON COLUMN km3vo.embargoed.looked_at IS 'everything due at this time is public';

COMMENT ON COLUMN km3vo.embargoed.released_at IS 'when events last became public';

COMMENT ON COLUMN km3vo.embargoed.clock_checked_at IS 'when a person vouched for it';

CREATE FUNCTION km3vo.as_stored(known km3vo.embargoed, event text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    stored text;
BEGIN
    EXECUTE format('SELECT %L::%s::text', event,
        (SELECT format_type(atttypid, atttypmod) FROM pg_attribute
         WHERE attrelid = known.parent AND attname = known.event_column)) INTO stored;
    RETURN stored;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'this cannot be the identifier of an event of that table' USING ERRCODE = 'KM004';
END $$;

ALTER FUNCTION km3vo.as_stored(known km3vo.embargoed, event text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.begin_load() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(20301, km3vo.key(TG_RELID));
    RETURN NULL;
END $$;

ALTER FUNCTION km3vo.begin_load() OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.due(of_table text, event text, of_stream text, observed timestamp without time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    natural_time timestamptz;
    exception_kind text;
    exception_time timestamptz;
BEGIN
    SELECT km3vo.release_time(observed, latency) INTO natural_time FROM km3vo.stream WHERE name = of_stream;
    SELECT kind, release_time INTO exception_kind, exception_time FROM km3vo.release_exception AS one
    WHERE one.published = of_table AND one.event = due.event AND lifted_at IS NULL;
    RETURN CASE
        WHEN exception_kind = 'early' THEN least(natural_time, exception_time)
        WHEN exception_kind = 'hold' AND natural_time IS NOT NULL THEN greatest(natural_time, exception_time)
        ELSE natural_time
    END;
END $$;

ALTER FUNCTION km3vo.due(of_table text, event text, of_stream text, observed timestamp without time zone) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.except_event(of_table text, given text, of_kind text, until timestamp with time zone, why text, who text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    known km3vo.embargoed := km3vo.lock_rules(of_table);
    stored text := km3vo.as_stored(known, given);
    present bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s WHERE %I = %L', known.public, known.event_column, stored) INTO present;
    IF present > 0 THEN
        RAISE EXCEPTION 'the event is public already' USING ERRCODE = 'KM003';
    END IF;
    IF EXISTS (SELECT FROM km3vo.release_exception
               WHERE published = of_table AND event = stored AND lifted_at IS NULL) THEN
        RAISE EXCEPTION 'there is an exception for this event already' USING ERRCODE = 'KM005';
    END IF;
    INSERT INTO km3vo.release_exception (published, event, kind, release_time, reason, decided_by)
    VALUES (of_table, stored, of_kind, until, why, who);
    INSERT INTO km3vo.release_log (published, stream, what, event, up_to, reason, decided_by)
    VALUES (of_table, known.stream, of_kind, stored, until, why, who);
    PERFORM km3vo.recompute(known, stored);
    EXECUTE format('SELECT count(*) FROM %s WHERE %I = %L', known.hidden, known.event_column, stored) INTO present;
    RETURN present;
END $$;

ALTER FUNCTION km3vo.except_event(of_table text, given text, of_kind text, until timestamp with time zone, why text, who text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.key(parent oid) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT (parent::bigint & 2147483647)::integer $$;

ALTER FUNCTION km3vo.key(parent oid) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.lift(of_table text, given text, why text, who text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    known km3vo.embargoed := km3vo.lock_rules(of_table);
    stored text := km3vo.as_stored(known, given);
BEGIN
    UPDATE km3vo.release_exception SET lifted_at = now()
    WHERE published = of_table AND event = stored AND lifted_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no exception for this event' USING ERRCODE = 'KM004';
    END IF;
    INSERT INTO km3vo.release_log (published, stream, what, event, reason, decided_by)
    VALUES (of_table, known.stream, 'lift', stored, why, who);
    PERFORM km3vo.recompute(known, stored);
END $$;

ALTER FUNCTION km3vo.lift(of_table text, given text, why text, who text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.lock_rules(of_table text) RETURNS km3vo.embargoed
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    known km3vo.embargoed;
BEGIN
    SELECT * INTO known FROM km3vo.embargoed WHERE published = of_table;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no embargoed table of that name' USING ERRCODE = 'KM004';
    END IF;
    PERFORM pg_advisory_xact_lock(20301, km3vo.key(known.parent)), pg_advisory_xact_lock(20302, km3vo.key(known.parent));
    RETURN known;
END $$;

ALTER FUNCTION km3vo.lock_rules(of_table text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.promote(of_table text, most integer DEFAULT 10000, at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(moved bigint, up_to timestamp with time zone, complete boolean, busy boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    known km3vo.embargoed;
    clock timestamptz := clock_timestamp();
    until timestamptz := least(at, clock);
    columns text;
    place text := '';
BEGIN
    SELECT * INTO known FROM km3vo.embargoed WHERE published = of_table;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no embargoed table of that name' USING ERRCODE = 'KM004';
    END IF;
    busy := NOT pg_try_advisory_xact_lock(20302, km3vo.key(known.parent));
    IF busy THEN
        moved := 0;
        complete := false;
        RETURN NEXT;
        RETURN;
    END IF;
    -- A clock that was set wrong by months would publish months of events at once, and that cannot be undone.
    IF clock > (SELECT max(greatest(looked_at, clock_checked_at)) FROM km3vo.embargoed) + interval '7 days' THEN
        RAISE EXCEPTION 'the clock is more than a week ahead of the last promotion' USING ERRCODE = 'KM002';
    END IF;
    -- Taken out of one partition and put into the other, in an order that depends on the events that become public and
    -- on nothing else: rows without ORDER BY come as they lie, and must not tell of what still waits. That order is by
    -- place, so that a cone reads neighbouring pages.
    -- The rule is looked up once more for each event that is due by what its row says.
    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
    WHERE attrelid = known.parent AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attname <> '_access';
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = known.parent AND attname = '_pos' AND NOT attisdropped) THEN
        place := 'healpix_nest(12, _pos), ';
    END IF;
    EXECUTE format(
        'WITH due AS MATERIALIZED ('
        '    SELECT hidden.ctid AS place FROM %1$s AS hidden'
        '    WHERE _qc = ''passed'' AND _release_time <= $1'
        '    AND km3vo.due($3, hidden.%3$I::text, $4, hidden.%4$I) <= $1'
        '    AND NOT EXISTS (SELECT FROM %2$s AS public WHERE public.%3$I = hidden.%3$I)'
        '    ORDER BY _release_time, %3$I LIMIT $2'
        '), gone AS ('
        '    DELETE FROM %1$s AS event USING due WHERE event.ctid = due.place RETURNING event.*'
        '), moved AS ('
        '    INSERT INTO %2$s (%5$s, _access) SELECT %5$s, ''p'' FROM gone ORDER BY %6$s %3$I RETURNING _release_time'
        ') SELECT count(*), max(_release_time) FROM moved',
        known.hidden, known.public, known.event_column, known.time_column, columns, place)
        INTO moved, up_to USING until, most, of_table, known.stream;
    complete := moved < most;
    IF complete THEN
        UPDATE km3vo.embargoed SET looked_at = until WHERE published = of_table;
    END IF;
    IF moved > 0 THEN
        UPDATE km3vo.embargoed SET released_at = clock WHERE published = of_table;
        INSERT INTO km3vo.release_log (published, stream, what, rows, up_to, decided_by)
        VALUES (of_table, known.stream, 'release', moved, up_to, session_user);
    END IF;
    RETURN NEXT;
END $_$;

ALTER FUNCTION km3vo.promote(of_table text, most integer, at timestamp with time zone) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.recompute(known km3vo.embargoed, event text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    changed bigint;
BEGIN
    EXECUTE format(
        'UPDATE %1$s AS hidden SET _access = _access'
        ' WHERE _release_time IS DISTINCT FROM km3vo.due(%5$L, hidden.%2$I::text, %6$L, hidden.%3$I) %4$s',
        known.hidden, known.event_column, known.time_column,
        CASE WHEN event IS NULL THEN '' ELSE format('AND hidden.%I = %L', known.event_column, event) END,
        known.published, known.stream);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $_$;

ALTER FUNCTION km3vo.recompute(known km3vo.embargoed, event text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.release_time(observed timestamp without time zone, latency interval) RETURNS timestamp with time zone
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    months interval := make_interval(months => (extract(year FROM latency) * 12 + extract(month FROM latency))::integer);
    shifted timestamp := observed + months;
BEGIN
    IF NOT isfinite(observed) OR latency IS NULL THEN
        RETURN NULL;  -- without a time there is none to count from
    END IF;
    IF extract(day FROM shifted) < extract(day FROM observed) THEN
        shifted := date_trunc('month', shifted) + interval '1 month' + (observed - date_trunc('day', observed));
    END IF;
    RETURN (shifted + (latency - months)) AT TIME ZONE 'UTC';
END $$;

ALTER FUNCTION km3vo.release_time(observed timestamp without time zone, latency interval) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.set_latency(of_stream text, new_latency interval, why text, who text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    old_latency interval;
    one text;
    changed bigint := 0;
BEGIN
    -- In order, so that two changes at once wait for each other instead of locking each other out.
    FOR one IN SELECT published FROM km3vo.embargoed WHERE stream = of_stream ORDER BY published LOOP
        PERFORM km3vo.lock_rules(one);
    END LOOP;
    SELECT latency INTO old_latency FROM km3vo.stream WHERE name = of_stream FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no stream of that name' USING ERRCODE = 'KM004';
    END IF;
    UPDATE km3vo.stream SET latency = new_latency WHERE name = of_stream;
    SELECT coalesce(sum(km3vo.recompute(known)), 0) INTO changed
    FROM km3vo.embargoed AS known WHERE known.stream = of_stream;
    INSERT INTO km3vo.release_log (stream, what, rows, reason, decided_by)
    VALUES (of_stream, 'latency', changed,
        format('from %s to %s: %s', coalesce(old_latency::text, 'never'), coalesce(new_latency::text, 'never'), why), who);
    RETURN changed;
END $$;

ALTER FUNCTION km3vo.set_latency(of_stream text, new_latency interval, why text, who text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.set_quality(of_table text, verdict text, named text[], why text, who text) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    known km3vo.embargoed := km3vo.lock_rules(of_table);
    ids text[];
    one text;
    present boolean;
    changed bigint;
BEGIN
    IF named IS NOT NULL THEN
        FOREACH one IN ARRAY named LOOP
            ids := ids || km3vo.as_stored(known, one);
        END LOOP;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I::text = ANY ($1))', known.public, known.event_column)
            INTO present USING ids;
        IF present THEN
            RAISE EXCEPTION 'one of the events is public already' USING ERRCODE = 'KM003';
        END IF;
    END IF;
    EXECUTE format('UPDATE %1$s SET _qc = $1 WHERE _qc <> $1 AND CASE WHEN $2 IS NULL THEN _qc = ''pending'' '
        'ELSE %2$I::text = ANY ($2) END', known.hidden, known.event_column) USING verdict, ids;
    GET DIAGNOSTICS changed = ROW_COUNT;
    INSERT INTO km3vo.release_log (published, stream, what, rows, reason, decided_by)
    VALUES (of_table, known.stream, 'quality ' || verdict, changed, why, who);
    RETURN changed;
END $_$;

ALTER FUNCTION km3vo.set_quality(of_table text, verdict text, named text[], why text, who text) OWNER TO km3vo_owner;

CREATE FUNCTION km3vo.tell_of_job() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
        BEGIN
            IF TG_OP = 'DELETE' THEN
                PERFORM pg_notify('km3vo_job', OLD.number || ' DELETED');
            ELSE
                PERFORM pg_notify('km3vo_job', NEW.number || ' ' || NEW.phase);
            END IF;
            RETURN NULL;
        END $$;

ALTER FUNCTION km3vo.tell_of_job() OWNER TO km3vo_owner;

CREATE TABLE kept.events (
    _pos public.spoint GENERATED ALWAYS AS (public.spoint(radians(ra), radians("dec"))) STORED,
    _errc public.scircle GENERATED ALWAYS AS (public.scircle(public.spoint(radians(ra), radians("dec")), radians(err50))) STORED,
    mjd double precision NOT NULL,
    obs_time timestamp without time zone NOT NULL,
    ra double precision NOT NULL,
    "dec" double precision NOT NULL,
    err50 double precision NOT NULL,
    energy double precision,
    event_id text NOT NULL,
    _access "char" DEFAULT 'e'::"char" NOT NULL,
    _release_time timestamp with time zone,
    _qc text NOT NULL,
    CONSTRAINT events__qc_check CHECK ((_qc = ANY (ARRAY['pending'::text, 'passed'::text, 'failed'::text]))),
    CONSTRAINT events_dec_check CHECK ((("dec" >= ('-90'::integer)::double precision) AND ("dec" <= (90)::double precision))),
    CONSTRAINT events_err50_check CHECK (((err50 > (0)::double precision) AND (err50 <= (90)::double precision))),
    CONSTRAINT events_ra_check CHECK (((ra >= (0)::double precision) AND (ra < (360)::double precision)))
)
PARTITION BY LIST (_access);

ALTER TABLE kept.events OWNER TO km3vo_owner;

CREATE TABLE kept.events_embargo (
    _pos public.spoint GENERATED ALWAYS AS (public.spoint(radians(ra), radians("dec"))) STORED,
    _errc public.scircle GENERATED ALWAYS AS (public.scircle(public.spoint(radians(ra), radians("dec")), radians(err50))) STORED,
    mjd double precision NOT NULL,
    obs_time timestamp without time zone NOT NULL,
    ra double precision NOT NULL,
    "dec" double precision NOT NULL,
    err50 double precision NOT NULL,
    energy double precision,
    event_id text NOT NULL,
    _access "char" DEFAULT 'e'::"char" NOT NULL,
    _release_time timestamp with time zone,
    _qc text NOT NULL,
    CONSTRAINT events__qc_check CHECK ((_qc = ANY (ARRAY['pending'::text, 'passed'::text, 'failed'::text]))),
    CONSTRAINT events_dec_check CHECK ((("dec" >= ('-90'::integer)::double precision) AND ("dec" <= (90)::double precision))),
    CONSTRAINT events_err50_check CHECK (((err50 > (0)::double precision) AND (err50 <= (90)::double precision))),
    CONSTRAINT events_ra_check CHECK (((ra >= (0)::double precision) AND (ra < (360)::double precision)))
);

ALTER TABLE kept.events_embargo OWNER TO km3vo_owner;

CREATE TABLE kept.events_public (
    _pos public.spoint GENERATED ALWAYS AS (public.spoint(radians(ra), radians("dec"))) STORED,
    _errc public.scircle GENERATED ALWAYS AS (public.scircle(public.spoint(radians(ra), radians("dec")), radians(err50))) STORED,
    mjd double precision NOT NULL,
    obs_time timestamp without time zone NOT NULL,
    ra double precision NOT NULL,
    "dec" double precision NOT NULL,
    err50 double precision NOT NULL,
    energy double precision,
    event_id text NOT NULL,
    _access "char" DEFAULT 'e'::"char" NOT NULL,
    _release_time timestamp with time zone,
    _qc text NOT NULL,
    CONSTRAINT events__qc_check CHECK ((_qc = ANY (ARRAY['pending'::text, 'passed'::text, 'failed'::text]))),
    CONSTRAINT events_dec_check CHECK ((("dec" >= ('-90'::integer)::double precision) AND ("dec" <= (90)::double precision))),
    CONSTRAINT events_err50_check CHECK (((err50 > (0)::double precision) AND (err50 <= (90)::double precision))),
    CONSTRAINT events_ra_check CHECK (((ra >= (0)::double precision) AND (ra < (360)::double precision)))
);

ALTER TABLE kept.events_public OWNER TO km3vo_owner;

CREATE VIEW kept.events_observed WITH (security_invoker='true') AS
 SELECT events_public._pos,
    events_public._errc,
    events_public.mjd,
    events_public.obs_time,
    events_public.ra,
    events_public."dec",
    events_public.err50,
    events_public.energy,
    events_public.event_id,
    events_public._access,
    events_public._release_time,
    events_public._qc
   FROM kept.events_public
UNION ALL
 SELECT events_embargo._pos,
    events_embargo._errc,
    events_embargo.mjd,
    events_embargo.obs_time,
    events_embargo.ra,
    events_embargo."dec",
    events_embargo.err50,
    events_embargo.energy,
    events_embargo.event_id,
    events_embargo._access,
    events_embargo._release_time,
    events_embargo._qc
   FROM kept.events_embargo;

ALTER TABLE kept.events_observed OWNER TO km3vo_owner;

CREATE TABLE kept.known (
    _pos public.spoint GENERATED ALWAYS AS (public.spoint(radians(ra), radians("dec"))) STORED,
    _errc public.scircle GENERATED ALWAYS AS (public.scircle(public.spoint(radians(ra), radians("dec")), radians(err50))) STORED,
    mjd double precision NOT NULL,
    obs_time timestamp without time zone NOT NULL,
    ra double precision NOT NULL,
    "dec" double precision NOT NULL,
    err50 double precision NOT NULL,
    energy double precision,
    event_id text NOT NULL,
    CONSTRAINT known_dec_check CHECK ((("dec" >= ('-90'::integer)::double precision) AND ("dec" <= (90)::double precision))),
    CONSTRAINT known_err50_check CHECK (((err50 > (0)::double precision) AND (err50 <= (90)::double precision))),
    CONSTRAINT known_ra_check CHECK (((ra >= (0)::double precision) AND (ra < (360)::double precision)))
);

ALTER TABLE kept.known OWNER TO km3vo_owner;

CREATE TABLE km3vo.access_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    who text NOT NULL,
    audience text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    parameters text NOT NULL,
    status integer NOT NULL
);

ALTER TABLE km3vo.access_log OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.access_log.parameters IS 'the query as it was asked; no uploads, no answers';

ALTER TABLE km3vo.access_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME km3vo.access_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE km3vo.coverage (
    published text NOT NULL,
    basis text DEFAULT ''::text NOT NULL,
    rows bigint NOT NULL,
    moc text,
    moc_fits bytea,
    moc_order integer,
    sky double precision,
    density integer[],
    mjd_from double precision,
    mjd_to double precision,
    joule_from double precision,
    joule_to double precision,
    pixel integer,
    ra double precision,
    "dec" double precision,
    released_to timestamp with time zone,
    fingerprint text NOT NULL,
    computed_at timestamp with time zone NOT NULL
);

ALTER TABLE km3vo.coverage OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.coverage.basis IS 'the state of the table from which it was measured';

COMMENT ON COLUMN km3vo.coverage.rows IS 'that the public sees';

COMMENT ON COLUMN km3vo.coverage.moc IS 'ASCII MOC, or NULL when there is nothing to cover';

COMMENT ON COLUMN km3vo.coverage.sky IS 'fraction of the sky in the MOC';

COMMENT ON COLUMN km3vo.coverage.density IS 'rows in each HEALPix pixel of order 4, nested';

COMMENT ON COLUMN km3vo.coverage.joule_from IS 'energies of the messenger';

COMMENT ON COLUMN km3vo.coverage.pixel IS 'HEALPix pixel of order 6 with rows, for test queries';

COMMENT ON COLUMN km3vo.coverage.ra IS 'its centre';

COMMENT ON COLUMN km3vo.coverage.released_to IS 'latest release time among the public rows of an embargoed table';

COMMENT ON COLUMN km3vo.coverage.fingerprint IS 'of the public rows';

CREATE TABLE km3vo.download (
    published text NOT NULL,
    number integer NOT NULL,
    extension text NOT NULL,
    sha256 text NOT NULL,
    bytes bigint NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE km3vo.download OWNER TO km3vo_owner;

CREATE TABLE km3vo.edition (
    published text NOT NULL,
    number integer NOT NULL,
    rows bigint NOT NULL,
    fingerprint text NOT NULL,
    released_to timestamp with time zone,
    made_at timestamp with time zone NOT NULL
);

ALTER TABLE km3vo.edition OWNER TO km3vo_owner;

CREATE TABLE km3vo.job (
    number bigint NOT NULL,
    id text NOT NULL,
    audience text NOT NULL,
    owner text,
    client text,
    phase text NOT NULL,
    parameters json NOT NULL,
    seconds integer NOT NULL,
    created timestamp with time zone DEFAULT now() NOT NULL,
    queued timestamp with time zone,
    started timestamp with time zone,
    ended timestamp with time zone,
    destruction timestamp with time zone NOT NULL,
    worker bigint,
    attempts integer DEFAULT 0 NOT NULL,
    rows bigint DEFAULT '0'::bigint NOT NULL,
    overflow boolean DEFAULT false NOT NULL,
    result text,
    content_type text,
    size bigint,
    error text,
    transient boolean DEFAULT false NOT NULL,
    CONSTRAINT job_check CHECK (((phase = 'EXECUTING'::text) = (worker IS NOT NULL))),
    CONSTRAINT job_phase_check CHECK ((phase = ANY (ARRAY['PENDING'::text, 'QUEUED'::text, 'EXECUTING'::text, 'COMPLETED'::text, 'ERROR'::text, 'ABORTED'::text])))
);

ALTER TABLE km3vo.job OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.job.id IS 'unguessable: who knows it may use the job';

COMMENT ON COLUMN km3vo.job.owner IS 'NULL for anonymous jobs';

COMMENT ON COLUMN km3vo.job.client IS 'address of who made an anonymous job';

COMMENT ON COLUMN km3vo.job.parameters IS '[[NAME, value], …]';

COMMENT ON COLUMN km3vo.job.seconds IS 'how long it may run';

COMMENT ON COLUMN km3vo.job.worker IS 'the process that runs it: key of the advisory lock it holds';

COMMENT ON COLUMN km3vo.job.result IS 'name of the result''s file';

ALTER TABLE km3vo.job ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME km3vo.job_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE km3vo.load (
    published text NOT NULL,
    sha256 text NOT NULL,
    file text NOT NULL,
    rows bigint NOT NULL,
    loaded_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE km3vo.load OWNER TO km3vo_owner;

CREATE TABLE km3vo.migration (
    version_num character varying(32) NOT NULL
);

ALTER TABLE km3vo.migration OWNER TO km3vo_owner;

CREATE TABLE km3vo.observer (
    name text NOT NULL,
    login text NOT NULL
);

ALTER TABLE km3vo.observer OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.observer.name IS 'as in tokens, or the `sub` of the identity provider';

CREATE TABLE km3vo.observer_grant (
    id bigint NOT NULL,
    observer text NOT NULL,
    published text NOT NULL,
    observed_from timestamp without time zone,
    observed_to timestamp without time zone,
    ends_at timestamp with time zone NOT NULL,
    reason text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    revoked_at timestamp with time zone
);

ALTER TABLE km3vo.observer_grant OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.observer_grant.observed_from IS 'of observation, UTC; NULL: from the beginning';

COMMENT ON COLUMN km3vo.observer_grant.observed_to IS 'of observation, UTC, not included; NULL: to the end';

ALTER TABLE km3vo.observer_grant ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME km3vo.observer_grant_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE km3vo.record (
    identifier text NOT NULL COLLATE pg_catalog."C",
    xml bytea,
    created timestamp with time zone NOT NULL,
    updated timestamp with time zone NOT NULL
);

ALTER TABLE km3vo.record OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.record.xml IS 'the resource, without its dates; NULL when deleted';

COMMENT ON COLUMN km3vo.record.updated IS 'whole seconds, as OAI-PMH tells them';

CREATE TABLE km3vo.release_exception (
    id bigint NOT NULL,
    published text NOT NULL,
    event text NOT NULL,
    kind text NOT NULL,
    release_time timestamp with time zone NOT NULL,
    reason text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    lifted_at timestamp with time zone,
    CONSTRAINT release_exception_kind_check CHECK ((kind = ANY (ARRAY['hold'::text, 'early'::text])))
);

ALTER TABLE km3vo.release_exception OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.release_exception.release_time IS 'infinity is a hold';

ALTER TABLE km3vo.release_exception ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME km3vo.release_exception_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE km3vo.release_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    published text,
    stream text,
    what text NOT NULL,
    event text,
    rows bigint,
    up_to timestamp with time zone,
    reason text,
    decided_by text NOT NULL
);

ALTER TABLE km3vo.release_log OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.release_log.up_to IS 'latest release time among the rows';

ALTER TABLE km3vo.release_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME km3vo.release_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE km3vo.stream (
    name text NOT NULL,
    latency interval,
    described text,
    qc text DEFAULT 'pending'::text NOT NULL,
    CONSTRAINT stream_latency_check CHECK ((latency >= '00:00:00'::interval)),
    CONSTRAINT stream_qc_check CHECK ((qc = ANY (ARRAY['pending'::text, 'passed'::text])))
);

ALTER TABLE km3vo.stream OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.stream.latency IS 'NULL is never';

COMMENT ON COLUMN km3vo.stream.described IS 'latency in schemas/*.yaml when last published';

COMMENT ON COLUMN km3vo.stream.qc IS 'what new events are until quality control speaks';

CREATE TABLE km3vo.token (
    id bigint NOT NULL,
    sha256 bytea NOT NULL,
    owner text NOT NULL,
    audience text NOT NULL,
    label text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    created_by text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    last_used_at timestamp with time zone,
    CONSTRAINT token_audience_check CHECK ((audience = ANY (ARRAY['member'::text, 'observer'::text])))
);

ALTER TABLE km3vo.token OWNER TO km3vo_owner;

COMMENT ON COLUMN km3vo.token.sha256 IS 'the token itself is kept nowhere';

COMMENT ON COLUMN km3vo.token.last_used_at IS 'to the minute';

ALTER TABLE km3vo.token ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME km3vo.token_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE tap_schema.columns (
    size integer,
    indexed integer NOT NULL,
    principal integer NOT NULL,
    std integer NOT NULL,
    column_index integer,
    table_name text NOT NULL,
    column_name text NOT NULL,
    datatype text NOT NULL,
    arraysize text,
    xtype text,
    description text,
    utype text,
    unit text,
    ucd text
);

ALTER TABLE tap_schema.columns OWNER TO km3vo_owner;

CREATE TABLE tap_schema.key_columns (
    key_id text NOT NULL,
    from_column text NOT NULL,
    target_column text NOT NULL
);

ALTER TABLE tap_schema.key_columns OWNER TO km3vo_owner;

CREATE TABLE tap_schema.keys (
    key_id text NOT NULL,
    from_table text NOT NULL,
    target_table text NOT NULL,
    description text,
    utype text
);

ALTER TABLE tap_schema.keys OWNER TO km3vo_owner;

CREATE TABLE tap_schema.schemas (
    schema_index integer,
    schema_name text NOT NULL,
    utype text,
    description text
);

ALTER TABLE tap_schema.schemas OWNER TO km3vo_owner;

CREATE TABLE tap_schema.tables (
    table_index integer,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    table_type text NOT NULL,
    utype text,
    description text
);

ALTER TABLE tap_schema.tables OWNER TO km3vo_owner;

ALTER TABLE ONLY kept.events ATTACH PARTITION kept.events_embargo FOR VALUES IN ('e');

ALTER TABLE ONLY kept.events ATTACH PARTITION kept.events_public FOR VALUES IN ('p');

INSERT INTO kept.events_embargo VALUES (DEFAULT, DEFAULT, 416422, '2999-01-01 00:00:00', 3.5, -20, 1, 100, 'events3', 'e', '3001-01-01 00:00:00+00', 'passed');
INSERT INTO kept.events_embargo VALUES (DEFAULT, DEFAULT, 58849, '2020-01-01 00:00:00', 0.5, -20, 1, 100, 'events0', 'e', 'infinity', 'passed');
INSERT INTO kept.events_embargo VALUES (DEFAULT, DEFAULT, 416422, '2999-01-01 00:00:00', 2.5, -20, 1, 100, 'events2', 'e', '2999-01-01 00:00:00+00', 'passed');

INSERT INTO kept.events_public VALUES (DEFAULT, DEFAULT, 58849, '2020-01-01 00:00:00', 1.5, -20, 1, 100, 'events1', 'p', '2022-01-01 00:00:00+00', 'passed');

INSERT INTO kept.known VALUES (DEFAULT, DEFAULT, 58849, '2020-01-01 00:00:00', 0.5, -20, 1, 100, 'known0');
INSERT INTO kept.known VALUES (DEFAULT, DEFAULT, 416422, '2999-01-01 00:00:00', 1.5, -20, 1, 100, 'known1');

INSERT INTO km3vo.access_log OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-27 01:28:24.650415+00', 'Ada', 'member', 'GET', '/tap/sync', '', 200);

INSERT INTO km3vo.coverage VALUES ('kept.known', '', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2.96', '2026-11-27 01:28:24.648215+00');
INSERT INTO km3vo.coverage VALUES ('kept.events', '', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '1.4f', '2026-11-27 01:28:24.648215+00');

INSERT INTO km3vo.download VALUES ('kept.known', 1, 'csv', 'ab', 100, '2026-11-27 01:28:24.649385+00');

INSERT INTO km3vo.edition VALUES ('kept.known', 1, 2, '2.96', NULL, '2026-11-27 01:28:24.648981+00');

INSERT INTO km3vo.embargoed VALUES ('kept.events', 'kept.events', 'kept.events_embargo', 'kept.events_public', 'kept', 'event_id', 'obs_time', '2026-11-27 01:28:24.615238+00', '2026-11-27 01:28:24.615238+00', '2026-11-27 01:28:22.73464+00');

INSERT INTO km3vo.job OVERRIDING SYSTEM VALUE VALUES (1, 'a', 'public', NULL, '127.0.0.1', 'QUEUED', '[["QUERY", "SELECT 1"]]', 60, '2026-11-27 01:28:24.650712+00', '2026-11-27 01:28:24.650712+00', NULL, NULL, '2999-01-01 00:00:00+00', NULL, 0, 0, false, NULL, NULL, NULL, NULL, false);

INSERT INTO km3vo.load VALUES ('kept.events', 'd66dfbaa73d575f59e8d5432265f965ddd64f9daf2f708915c56a307b42a7a09', 'events.csv', 4, '2026-11-27 01:28:22.839191+00');
INSERT INTO km3vo.load VALUES ('kept.known', 'a30b96e80fff94ba255269d328990c1ed5b68c58a3065cca0cd40c54350cd907', 'known.csv', 2, '2026-11-27 01:28:24.502741+00');

INSERT INTO km3vo.migration VALUES ('0001');

INSERT INTO km3vo.observer VALUES ('Ada Observer', 'km3vo_observer_f0e84764b0b1abfc');

INSERT INTO km3vo.observer_grant OVERRIDING SYSTEM VALUE VALUES (1, 'Ada Observer', 'kept.events', NULL, NULL, '2999-01-01 00:00:00+00', 'a paper', 'tests', '2026-11-27 01:28:24.719602+00', NULL);

INSERT INTO km3vo.record VALUES ('ivo://kept', '\x3c722f3e', '2026-11-27 01:28:24.649958+00', '2026-11-27 01:28:24.649958+00');

INSERT INTO km3vo.release_exception OVERRIDING SYSTEM VALUE VALUES (1, 'kept.events', 'events0', 'hold', 'infinity', 'to be looked at', 'tests', '2026-11-27 01:28:24.55283+00', NULL);
INSERT INTO km3vo.release_exception OVERRIDING SYSTEM VALUE VALUES (2, 'kept.events', 'events2', 'early', '2999-01-01 00:00:00+00', 'a coincidence', 'tests', '2026-11-27 01:28:24.586194+00', NULL);

INSERT INTO km3vo.release_log OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-27 01:28:24.564003+00', 'kept.events', 'kept', 'hold', 'events0', NULL, 'infinity', 'to be looked at', 'tests');
INSERT INTO km3vo.release_log OVERRIDING SYSTEM VALUE VALUES (2, '2026-11-27 01:28:24.587212+00', 'kept.events', 'kept', 'early', 'events2', NULL, '2999-01-01 00:00:00+00', 'a coincidence', 'tests');
INSERT INTO km3vo.release_log OVERRIDING SYSTEM VALUE VALUES (3, '2026-11-27 01:28:24.644901+00', 'kept.events', 'kept', 'release', NULL, 1, '2022-01-01 00:00:00+00', NULL, 'km3vo_service');

INSERT INTO km3vo.stream VALUES ('kept', '2 years', 'P2Y', 'passed');

INSERT INTO km3vo.token OVERRIDING SYSTEM VALUE VALUES (1, '\x36ed2f8e85bfbec0ad9315754b8fb557d8222a861a30fc215677a3d313dd3480', 'Ada Observer', 'observer', 'laptop', '2026-11-27 01:28:24.588693+00', 'tests', '2026-12-06 01:28:24.588693+00', NULL, NULL);

SELECT pg_catalog.setval('km3vo.access_log_id_seq', 1, true);

SELECT pg_catalog.setval('km3vo.job_number_seq', 1, true);

SELECT pg_catalog.setval('km3vo.observer_grant_id_seq', 1, true);

SELECT pg_catalog.setval('km3vo.release_exception_id_seq', 2, true);

SELECT pg_catalog.setval('km3vo.release_log_id_seq', 3, true);

SELECT pg_catalog.setval('km3vo.token_id_seq', 1, true);

ALTER TABLE ONLY kept.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (event_id, _access);

ALTER TABLE ONLY kept.events_embargo
    ADD CONSTRAINT events_embargo_pkey PRIMARY KEY (event_id, _access);

ALTER TABLE ONLY kept.events_public
    ADD CONSTRAINT events_public_pkey PRIMARY KEY (event_id, _access);

ALTER TABLE ONLY kept.known
    ADD CONSTRAINT known_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY km3vo.access_log
    ADD CONSTRAINT access_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY km3vo.coverage
    ADD CONSTRAINT coverage_pkey PRIMARY KEY (published);

ALTER TABLE ONLY km3vo.download
    ADD CONSTRAINT download_pkey PRIMARY KEY (published, number, extension);

ALTER TABLE ONLY km3vo.edition
    ADD CONSTRAINT edition_pkey PRIMARY KEY (published, number);

ALTER TABLE ONLY km3vo.embargoed
    ADD CONSTRAINT embargoed_pkey PRIMARY KEY (published);

ALTER TABLE ONLY km3vo.job
    ADD CONSTRAINT job_id_key UNIQUE (id);

ALTER TABLE ONLY km3vo.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (number);

ALTER TABLE ONLY km3vo.load
    ADD CONSTRAINT load_pkey PRIMARY KEY (published, sha256);

ALTER TABLE ONLY km3vo.migration
    ADD CONSTRAINT migration_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY km3vo.observer_grant
    ADD CONSTRAINT observer_grant_pkey PRIMARY KEY (id);

ALTER TABLE ONLY km3vo.observer
    ADD CONSTRAINT observer_login_key UNIQUE (login);

ALTER TABLE ONLY km3vo.observer
    ADD CONSTRAINT observer_pkey PRIMARY KEY (name);

ALTER TABLE ONLY km3vo.record
    ADD CONSTRAINT record_pkey PRIMARY KEY (identifier);

ALTER TABLE ONLY km3vo.release_exception
    ADD CONSTRAINT release_exception_pkey PRIMARY KEY (id);

ALTER TABLE ONLY km3vo.release_log
    ADD CONSTRAINT release_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY km3vo.stream
    ADD CONSTRAINT stream_pkey PRIMARY KEY (name);

ALTER TABLE ONLY km3vo.token
    ADD CONSTRAINT token_pkey PRIMARY KEY (id);

ALTER TABLE ONLY km3vo.token
    ADD CONSTRAINT token_sha256_key UNIQUE (sha256);

CREATE INDEX events__errc_idx ON ONLY kept.events USING gist (_errc);

CREATE INDEX events__pos_idx ON ONLY kept.events USING gist (_pos);

CREATE INDEX events_embargo__errc_idx ON kept.events_embargo USING gist (_errc);

CREATE INDEX events_embargo__pos_idx ON kept.events_embargo USING gist (_pos);

CREATE INDEX events_embargo__release_time_idx ON kept.events_embargo USING btree (_release_time) WHERE (_qc = 'passed'::text);

CREATE INDEX events_mjd_idx ON ONLY kept.events USING btree (mjd);

CREATE INDEX events_embargo_mjd_idx ON kept.events_embargo USING btree (mjd);

CREATE INDEX events_public__errc_idx ON kept.events_public USING gist (_errc);

CREATE INDEX events_public__pos_idx ON kept.events_public USING gist (_pos);

CREATE INDEX events_public_mjd_idx ON kept.events_public USING btree (mjd);

CREATE INDEX known__errc_idx ON kept.known USING gist (_errc);

CREATE INDEX known__pos_idx ON kept.known USING gist (_pos);

CREATE INDEX known_mjd_idx ON kept.known USING btree (mjd);

CREATE INDEX access_log_at ON km3vo.access_log USING btree (at);

CREATE INDEX job_destruction ON km3vo.job USING btree (destruction);

CREATE INDEX job_owner ON km3vo.job USING btree (owner, created) WHERE (owner IS NOT NULL);

CREATE INDEX job_queue ON km3vo.job USING btree (queued, number) WHERE (phase = 'QUEUED'::text);

CREATE INDEX job_unfinished_client ON km3vo.job USING btree (client) WHERE (phase = ANY (ARRAY['PENDING'::text, 'QUEUED'::text, 'EXECUTING'::text]));

CREATE INDEX job_unfinished_owner ON km3vo.job USING btree (owner) WHERE (phase = ANY (ARRAY['PENDING'::text, 'QUEUED'::text, 'EXECUTING'::text]));

CREATE INDEX job_worker ON km3vo.job USING btree (worker) WHERE (phase = 'EXECUTING'::text);

CREATE UNIQUE INDEX one_exception_in_force ON km3vo.release_exception USING btree (published, event) WHERE (lifted_at IS NULL);

CREATE INDEX columns_table_name_idx ON tap_schema.columns USING btree (table_name);

CREATE INDEX keys_key_id_idx ON tap_schema.keys USING btree (key_id);

CREATE INDEX schemas_schema_name_idx ON tap_schema.schemas USING btree (schema_name);

CREATE INDEX tables_table_name_idx ON tap_schema.tables USING btree (table_name);

ALTER INDEX kept.events__errc_idx ATTACH PARTITION kept.events_embargo__errc_idx;

ALTER INDEX kept.events__pos_idx ATTACH PARTITION kept.events_embargo__pos_idx;

ALTER INDEX kept.events_mjd_idx ATTACH PARTITION kept.events_embargo_mjd_idx;

ALTER INDEX kept.events_pkey ATTACH PARTITION kept.events_embargo_pkey;

ALTER INDEX kept.events__errc_idx ATTACH PARTITION kept.events_public__errc_idx;

ALTER INDEX kept.events__pos_idx ATTACH PARTITION kept.events_public__pos_idx;

ALTER INDEX kept.events_mjd_idx ATTACH PARTITION kept.events_public_mjd_idx;

ALTER INDEX kept.events_pkey ATTACH PARTITION kept.events_public_pkey;

CREATE TRIGGER embargo BEFORE INSERT OR UPDATE ON kept.events FOR EACH ROW EXECUTE FUNCTION kept.events_guard();

CREATE TRIGGER embargo_load BEFORE INSERT ON kept.events FOR EACH STATEMENT EXECUTE FUNCTION km3vo.begin_load();

CREATE TRIGGER embargo_unique AFTER INSERT ON kept.events REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION kept.events_unique();

CREATE TRIGGER tell_delete AFTER DELETE ON km3vo.job FOR EACH ROW EXECUTE FUNCTION km3vo.tell_of_job();

CREATE TRIGGER tell_insert AFTER INSERT ON km3vo.job FOR EACH ROW WHEN ((new.phase <> 'PENDING'::text)) EXECUTE FUNCTION km3vo.tell_of_job();

CREATE TRIGGER tell_update AFTER UPDATE ON km3vo.job FOR EACH ROW WHEN ((new.phase <> old.phase)) EXECUTE FUNCTION km3vo.tell_of_job();

ALTER TABLE ONLY km3vo.download
    ADD CONSTRAINT download_published_number_fkey FOREIGN KEY (published, number) REFERENCES km3vo.edition(published, number);

ALTER TABLE ONLY km3vo.embargoed
    ADD CONSTRAINT embargoed_stream_fkey FOREIGN KEY (stream) REFERENCES km3vo.stream(name);

ALTER TABLE ONLY km3vo.observer_grant
    ADD CONSTRAINT observer_grant_observer_fkey FOREIGN KEY (observer) REFERENCES km3vo.observer(name);

ALTER TABLE kept.events_embargo ENABLE ROW LEVEL SECURITY;

CREATE POLICY grant_1 ON kept.events_embargo FOR SELECT TO km3vo_observer_f0e84764b0b1abfc USING ((statement_timestamp() < '2999-01-01 00:00:00+00'::timestamp with time zone));

GRANT USAGE ON SCHEMA kept TO km3vo_public;
GRANT USAGE ON SCHEMA kept TO km3vo_member;
GRANT USAGE ON SCHEMA kept TO km3vo_ingest;
GRANT USAGE ON SCHEMA kept TO km3vo_observers;

GRANT USAGE ON SCHEMA km3vo TO km3vo_ingest;
GRANT USAGE ON SCHEMA km3vo TO km3vo_service;

GRANT USAGE ON SCHEMA tap_schema TO km3vo_public;
GRANT USAGE ON SCHEMA tap_schema TO km3vo_member;
GRANT USAGE ON SCHEMA tap_schema TO km3vo_ingest;
GRANT USAGE ON SCHEMA tap_schema TO km3vo_observers;

GRANT USAGE ON SCHEMA tap_upload TO km3vo_public;
GRANT USAGE ON SCHEMA tap_upload TO km3vo_member;
GRANT USAGE ON SCHEMA tap_upload TO km3vo_observers;

REVOKE ALL ON FUNCTION pg_catalog.plpgsql_call_handler() FROM PUBLIC;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_call_handler() TO km3vo_owner;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_call_handler() TO km3vo_ingest;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_call_handler() TO km3vo_service;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_call_handler() TO km3vo_upload;

REVOKE ALL ON FUNCTION pg_catalog.plpgsql_inline_handler(internal) FROM PUBLIC;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_inline_handler(internal) TO km3vo_owner;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_inline_handler(internal) TO km3vo_ingest;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_inline_handler(internal) TO km3vo_service;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_inline_handler(internal) TO km3vo_upload;

REVOKE ALL ON FUNCTION pg_catalog.plpgsql_validator(oid) FROM PUBLIC;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_validator(oid) TO km3vo_owner;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_validator(oid) TO km3vo_ingest;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_validator(oid) TO km3vo_service;
GRANT ALL ON FUNCTION pg_catalog.plpgsql_validator(oid) TO km3vo_upload;

REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC;
GRANT ALL ON LANGUAGE plpgsql TO km3vo_owner;

REVOKE ALL ON FUNCTION kept.events_guard() FROM PUBLIC;

REVOKE ALL ON FUNCTION kept.events_unique() FROM PUBLIC;

GRANT SELECT ON TABLE km3vo.embargoed TO km3vo_service;

REVOKE ALL ON FUNCTION km3vo.as_stored(known km3vo.embargoed, event text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.begin_load() FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.due(of_table text, event text, of_stream text, observed timestamp without time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.except_event(of_table text, given text, of_kind text, until timestamp with time zone, why text, who text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.key(parent oid) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.lift(of_table text, given text, why text, who text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.lock_rules(of_table text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.promote(of_table text, most integer, at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION km3vo.promote(of_table text, most integer, at timestamp with time zone) TO km3vo_service;

REVOKE ALL ON FUNCTION km3vo.recompute(known km3vo.embargoed, event text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.release_time(observed timestamp without time zone, latency interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.set_latency(of_stream text, new_latency interval, why text, who text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.set_quality(of_table text, verdict text, named text[], why text, who text) FROM PUBLIC;

REVOKE ALL ON FUNCTION km3vo.tell_of_job() FROM PUBLIC;

GRANT SELECT ON TABLE kept.events TO km3vo_member;
GRANT SELECT ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT(mjd) ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT(obs_time) ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT(ra) ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT("dec") ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT(err50) ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT(energy) ON TABLE kept.events TO km3vo_ingest;

GRANT INSERT(event_id) ON TABLE kept.events TO km3vo_ingest;

GRANT SELECT ON TABLE kept.events_embargo TO km3vo_observers;

GRANT SELECT ON TABLE kept.events_public TO km3vo_public;
GRANT SELECT ON TABLE kept.events_public TO km3vo_observers;

GRANT SELECT ON TABLE kept.events_observed TO km3vo_observers;

GRANT SELECT ON TABLE kept.known TO km3vo_member;
GRANT SELECT,INSERT ON TABLE kept.known TO km3vo_ingest;
GRANT SELECT ON TABLE kept.known TO km3vo_public;
GRANT SELECT ON TABLE kept.known TO km3vo_observers;

GRANT INSERT ON TABLE km3vo.access_log TO km3vo_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE km3vo.coverage TO km3vo_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE km3vo.download TO km3vo_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE km3vo.edition TO km3vo_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE km3vo.job TO km3vo_service;

GRANT SELECT,INSERT ON TABLE km3vo.load TO km3vo_ingest;
GRANT SELECT ON TABLE km3vo.load TO km3vo_service;

GRANT SELECT ON TABLE km3vo.observer TO km3vo_service;

GRANT SELECT ON TABLE km3vo.observer_grant TO km3vo_service;

GRANT SELECT,INSERT,DELETE,TRUNCATE,UPDATE ON TABLE km3vo.record TO km3vo_service;

GRANT SELECT ON TABLE km3vo.release_exception TO km3vo_service;

GRANT SELECT ON TABLE km3vo.release_log TO km3vo_service;

GRANT SELECT ON TABLE km3vo.stream TO km3vo_service;

GRANT SELECT ON TABLE km3vo.token TO km3vo_service;

GRANT UPDATE(last_used_at) ON TABLE km3vo.token TO km3vo_service;

GRANT SELECT ON TABLE tap_schema.columns TO km3vo_member;
GRANT SELECT ON TABLE tap_schema.columns TO km3vo_public;
GRANT SELECT ON TABLE tap_schema.columns TO km3vo_observers;

GRANT SELECT ON TABLE tap_schema.key_columns TO km3vo_member;
GRANT SELECT ON TABLE tap_schema.key_columns TO km3vo_public;
GRANT SELECT ON TABLE tap_schema.key_columns TO km3vo_observers;

GRANT SELECT ON TABLE tap_schema.keys TO km3vo_member;
GRANT SELECT ON TABLE tap_schema.keys TO km3vo_public;
GRANT SELECT ON TABLE tap_schema.keys TO km3vo_observers;

GRANT SELECT ON TABLE tap_schema.schemas TO km3vo_member;
GRANT SELECT ON TABLE tap_schema.schemas TO km3vo_public;
GRANT SELECT ON TABLE tap_schema.schemas TO km3vo_observers;

GRANT SELECT ON TABLE tap_schema.tables TO km3vo_member;
GRANT SELECT ON TABLE tap_schema.tables TO km3vo_public;
GRANT SELECT ON TABLE tap_schema.tables TO km3vo_observers;

