-- The embargo's rules. This file and km3vo/store/embargo.py are the only owners of them.
-- Rows of an embargoed table lie in one of two partitions: …_embargo ('e') or …_public ('p'). The public login can
-- read only the second. Rows get there through km3vo.promote() alone, and triggers on each table (embargo_table.sql)
-- guard the door, whoever knocks.
-- Run by the owner after every migration; safe to run again.
--
-- SQLSTATEs of ours: KM001 not public yet, KM002 the clock is not to be trusted, KM003 public already,
-- KM004 there is no such table, stream or exception, KM005 in force already.

-- Two locks for each table, held to the end of a transaction.
--   loading: loads share it, a change of rules has it alone. So no row is loaded by a rule that has just been changed.
--   moving:  a promotion or a change of rules has it alone. So no row moves while its rule is being changed.
CREATE OR REPLACE FUNCTION km3vo.key(parent oid) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT (parent::bigint & 2147483647)::integer $$;

CREATE OR REPLACE FUNCTION km3vo.begin_load() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(20301, km3vo.key(TG_RELID));
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION km3vo.lock_rules(of_table text) RETURNS km3vo.embargoed
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- When an observation becomes public; NULL is never. UTC throughout.
-- Where the calendar has no such day (29 February + 1 year, 31 August + 6 months) PostgreSQL takes the last day of the
-- month, which would be early: here it is the first of the next one. Then days and hours are added.
CREATE OR REPLACE FUNCTION km3vo.release_time(observed timestamp, latency interval) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
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

-- When one event becomes public: the latency of its stream, and its own exception if there is one.
-- greatest() and least() pass over NULL, so a hold on what is never public has to be told apart.
CREATE OR REPLACE FUNCTION km3vo.due(of_table text, event text, of_stream text, observed timestamp)
RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
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

-- Move up to `most` events of a table whose time has come. Only the database's clock is read; `at` can only be earlier.
-- Returns how many were moved, the latest release time among them, whether nothing more is due, and whether another
-- promotion or a change of rules was under way, so that nothing was done.
-- An event whose identifier is public already is left where it is: `km3vo release status` tells of it.
CREATE OR REPLACE FUNCTION km3vo.promote(of_table text, most integer DEFAULT 10000, at timestamptz DEFAULT NULL)
RETURNS TABLE (moved bigint, up_to timestamptz, complete boolean, busy boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
END $$;

-- The same identifier may be written in several ways ('007' for an integer); exceptions keep the one that is stored.
CREATE OR REPLACE FUNCTION km3vo.as_stored(known km3vo.embargoed, event text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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

-- Let the triggers compute a table's release times anew; returns how many changed. Only embargoed rows are touched.
CREATE OR REPLACE FUNCTION km3vo.recompute(known km3vo.embargoed, event text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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
END $$;

-- Hold an event back until a time ('infinity': until it is lifted), or release it at one.
-- Returns how many rows it applies to: 0 is an event that has not arrived yet.
CREATE OR REPLACE FUNCTION km3vo.except_event(
    of_table text, given text, of_kind text, until timestamptz, why text, who text
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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

-- End an exception: from now on the event goes by the latency of its stream again.
CREATE OR REPLACE FUNCTION km3vo.lift(of_table text, given text, why text, who text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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

-- Change the latency of a stream (NULL is never). Returns how many embargoed rows have another release time now;
-- public rows stay public.
CREATE OR REPLACE FUNCTION km3vo.set_latency(of_stream text, new_latency interval, why text, who text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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

-- What quality control says of events: all that are pending, or those named. Public events cannot be taken back.
-- Returns how many embargoed events were changed.
CREATE OR REPLACE FUNCTION km3vo.set_quality(of_table text, verdict text, named text[], why text, who text)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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
END $$;
