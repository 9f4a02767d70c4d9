-- The embargo's rules. This file and km3vo/embargo/partitions.py are the only owners of them.
-- Rows of an embargoed table lie in one of two partitions: …_embargo ('e') or …_public ('p'). The public login can
-- read only the second. Rows get there through km3vo.promote() alone, and triggers on each table (table.sql)
-- refuse every other way, to the owner too.
-- Run by the owner after every migration; safe to run again.
--
-- SQLSTATEs of ours: KM001 not public yet, KM002 the clock is not to be trusted, KM003 public already,
-- KM004 there is no such table, stream or exception, KM005 in force already, KM006 held while it was being released,
-- KM007 a change of published rows that comes by no command, KM008 public rows would change without being said so,
-- KM009 events were released while they were being taken out.

-- Three locks for each table, held to the end of a transaction.
--   loading (20301): loads share it, a change of rules has it alone. So no row is loaded by a rule that has just been
--     changed. A hold is the exception: it waits for nobody, and rows that were loaded meanwhile are held all the same,
--     since a promotion looks the rule up once more.
--   moving (20302): a promotion or a change of rules has it alone. So no row moves while its rule is being changed.
--   deciding (20306): whoever writes down an exception has it alone, and a promotion while it looks, at its very end,
--     whether it moved anything that is held by now. So a hold that is in the log holds.
CREATE OR REPLACE FUNCTION km3vo.key(parent oid) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$ SELECT (parent::bigint & 2147483647)::integer $$;

CREATE OR REPLACE FUNCTION km3vo.begin_load() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(20301, km3vo.key(TG_RELID));
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION km3vo.find_embargoed(of_table text) RETURNS km3vo.embargoed
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known km3vo.embargoed;
BEGIN
    SELECT * INTO known FROM km3vo.embargoed WHERE published = of_table;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no embargoed table of that name' USING ERRCODE = 'KM004';
    END IF;
    RETURN known;
END $$;

CREATE OR REPLACE FUNCTION km3vo.lock_rules(of_table text) RETURNS km3vo.embargoed
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known km3vo.embargoed := km3vo.find_embargoed(of_table);
BEGIN
    PERFORM pg_advisory_xact_lock(20301, km3vo.key(known.parent)), pg_advisory_xact_lock(20302, km3vo.key(known.parent));
    RETURN known;
END $$;

-- The months and years of a duration, which are the calendar's.
CREATE OR REPLACE FUNCTION km3vo.months(latency interval) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN date_trunc('month', latency);

-- When an observation becomes public; NULL is never. UTC throughout.
-- Where the calendar has no such day (29 February + 1 year, 31 August + 6 months) PostgreSQL takes the last day of the
-- month, which would be early: here it is the first of the next one. Then days and hours are added.
-- One expression, which PostgreSQL writes into the statements that ask for a million rows.
CREATE OR REPLACE FUNCTION km3vo.release_time(observed timestamp, latency interval) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN isfinite(observed) AND latency IS NOT NULL THEN (
    CASE WHEN extract(day FROM observed + km3vo.months(latency)) < extract(day FROM observed)
        THEN date_trunc('month', observed + km3vo.months(latency)) + interval '1 month'
            + (observed - date_trunc('day', observed))
        ELSE observed + km3vo.months(latency) END
    + (latency - km3vo.months(latency))
) AT TIME ZONE 'UTC' END;

-- From when the latency of an event counts: from its observation, or from a later one of which an earlier version told.
CREATE OR REPLACE FUNCTION km3vo.counted_from(observed timestamp, earlier_version timestamp) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN isfinite(observed) THEN greatest(observed, earlier_version) ELSE observed END;

-- When an event becomes public by its latency and its own exception, if there is one. What is never public stays so
-- when it is held: timestamptz_larger knows NULL, and greatest() would pass over it.
-- The natural time stands here once: PostgreSQL writes an expression that stands twice into a statement only if it is
-- short, and else calls this function for each of a million rows, which took half of the time of a release.
CREATE OR REPLACE FUNCTION km3vo.by_rule(natural_time timestamptz, exception_kind text, exception_time timestamptz)
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(
    timestamptz_larger(natural_time, CASE WHEN exception_kind = 'hold' THEN exception_time ELSE '-infinity' END),
    CASE WHEN exception_kind = 'early' THEN exception_time END
);

CREATE OR REPLACE FUNCTION km3vo.due_by(
    observed timestamp, earlier_version timestamp, latency interval, exception_kind text, exception_time timestamptz
) RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN km3vo.by_rule(
    km3vo.release_time(km3vo.counted_from(observed, earlier_version), latency), exception_kind, exception_time);

-- When one event becomes public: the latency of its stream, and its own exception if there is one.
CREATE OR REPLACE FUNCTION km3vo.due(
    of_table text, event text, of_stream text, observed timestamp, earlier_version timestamp
) RETURNS timestamptz LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT km3vo.due_by(observed, earlier_version, latency, one.kind, one.release_time)
    FROM km3vo.stream LEFT JOIN km3vo.release_exception AS one
        ON one.published = of_table AND one.event = due.event AND lifted_at IS NULL
    WHERE name = of_stream
$$;

-- The condition that the event which a row names in the table that its own follows is public; true where it follows none.
CREATE OR REPLACE FUNCTION km3vo.led(known km3vo.embargoed, row_name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT format('EXISTS (SELECT FROM %s AS other WHERE other.%I = %I.%I)',
        public, event_column, row_name, known.follows_column) FROM km3vo.embargoed WHERE published = known.follows),
        (known.follows IS NULL)::text)
$$;

-- Move up to `most` events of a table whose time has come. Only the database's clock is read; `at` can only be earlier.
-- Returns how many were moved, the latest release time among them, whether nothing more is due, and whether another
-- promotion or a change of rules was under way, so that nothing was done.
-- An event whose identifier is public already is left where it is: `km3vo release status` tells of it.
-- Fails with KM006, and has done nothing, when one of the events was held meanwhile: call it again.
-- What a person releases early goes by the clock, whatever `at` says: it is to be punctual, also where all else waits for
-- a batch. Rows of a table that follows another wait, besides, until the events that they name there are public.
CREATE OR REPLACE FUNCTION km3vo.promote(of_table text, most integer DEFAULT 10000, at timestamptz DEFAULT NULL)
RETURNS TABLE (moved bigint, up_to timestamptz, complete boolean, busy boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.embargoed := km3vo.find_embargoed(of_table);
    clock timestamptz := clock_timestamp();
    until timestamptz := least(at, clock);
    decided bigint;
    held boolean;
    columns text;
    place text := '';
BEGIN
    busy := NOT pg_try_advisory_xact_lock(20302, km3vo.key(known.parent));
    IF busy THEN
        moved := 0;
        complete := false;
        RETURN NEXT;
        RETURN;
    END IF;
    -- A clock that was set wrong would publish what is not due, and that cannot be undone. Whoever calls this has just
    -- looked at the clock (clock.py); here is the net below.
    IF NOT EXISTS (SELECT FROM km3vo.clock AS said WHERE stopped IS NULL AND clock <= good_at + interval '1 day') THEN
        RAISE EXCEPTION 'nobody has found the clock right for a day, or releases were stopped' USING ERRCODE = 'KM002';
    END IF;
    -- Exceptions of one table are written down one after another, so none of a lower number comes later; those of
    -- others may.
    SELECT coalesce(max(id), 0) INTO decided FROM km3vo.release_exception WHERE published = of_table;
    -- Taken out of one partition and put into the other, in an order that depends on the events that become public and
    -- on nothing else: rows without ORDER BY come as they lie, and must not tell of what still waits. That order is by
    -- place, so that a cone reads neighbouring pages.
    -- What is due goes by the rule and not by what the rows say.
    SELECT string_agg(format('%I', attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
    WHERE attrelid = known.parent AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND attname NOT IN ('_access', '_release_time');
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = known.parent AND attname = '_pos' AND NOT attisdropped) THEN
        place := 'healpix_nest(12, _pos), ';
    END IF;
    EXECUTE format(
        'WITH candidate AS ('
        -- Neither the latency nor a month of another length can bring later observations up.
        '    SELECT hidden.ctid AS place, hidden.* FROM %1$s AS hidden'
        '    WHERE _qc = ''passed'' AND hidden.%4$I <= timezone(''UTC'', $1) - $4 + interval ''4 days'''
        '    UNION ALL SELECT hidden.ctid, hidden.* FROM km3vo.release_exception AS early JOIN %1$s AS hidden'
        '        ON hidden.%3$I = early.event::%7$s AND early.published = $3 AND early.lifted_at IS NULL'
        '        AND early.kind = ''early'' WHERE _qc = ''passed'''
        '    AND (hidden.%4$I <= timezone(''UTC'', $1) - $4 + interval ''4 days'') IS NOT TRUE'
        '), due AS MATERIALIZED ('
        '    SELECT hidden.place, rule.time FROM candidate AS hidden LEFT JOIN km3vo.release_exception AS one'
        '        ON one.published = $3 AND one.event = hidden.%3$I::text AND one.lifted_at IS NULL'
        '    CROSS JOIN LATERAL (SELECT km3vo.due_by('
        '        hidden.%4$I, hidden._basis, $4, one.kind, one.release_time)) AS rule (time)'
        '    WHERE rule.time <= CASE WHEN one.kind = ''early'' THEN $5 ELSE $1 END'
        '    AND NOT EXISTS (SELECT FROM %2$s AS public WHERE public.%3$I = hidden.%3$I) AND %8$s'
        '    ORDER BY rule.time, %3$I LIMIT $2'
        '), gone AS ('
        '    DELETE FROM %1$s AS event USING due WHERE event.ctid = due.place RETURNING event.*, due.time AS _at'
        '), moved AS ('
        '    INSERT INTO %2$s (%5$s, _access, _release_time) SELECT %5$s, ''p'', _at FROM gone'
        '    ORDER BY %6$s %3$I RETURNING _release_time'
        ') SELECT count(*), max(_release_time) FROM moved',
        known.hidden, known.public, known.event_column, known.time_column, columns, place, km3vo.event_type(known),
        km3vo.led(known, 'hidden')) INTO moved, up_to USING until, most, of_table, km3vo.latency(known), clock;
    complete := moved < most;
    IF complete THEN
        -- What was held while it was being loaded says in its row that it is due; by its rule it is not.
        PERFORM km3vo.recompute_exceptions(known, format('AND _qc = ''passed'' AND hidden._release_time <= %L', until));
    END IF;
    PERFORM pg_advisory_xact_lock(20306, km3vo.key(known.parent));
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM (SELECT event FROM km3vo.release_exception WHERE id > $1 AND published = $2'
        ' AND kind = ''hold'' AND lifted_at IS NULL AND release_time > $3 OFFSET 0) AS one'
        ' JOIN %1$s AS public ON public.%2$I = one.event::%3$s)',
        known.public, known.event_column, km3vo.event_type(known)) INTO held USING decided, of_table, until;
    IF held THEN
        RAISE EXCEPTION 'one of the events was held meanwhile' USING ERRCODE = 'KM006';
    END IF;
    IF complete THEN
        UPDATE km3vo.embargoed SET looked_at = until, checked_at = clock WHERE published = of_table;
    END IF;
    IF moved > 0 THEN
        UPDATE km3vo.embargoed SET released_at = clock, released_rows = released_rows + moved
        WHERE published = of_table;
        INSERT INTO km3vo.release_log (published, stream, what, rows, up_to, decided_by)
        VALUES (of_table, known.stream, 'release', moved, up_to, session_user);
    END IF;
    RETURN NEXT;
END $$;

-- The latency of a table's stream; NULL is never.
CREATE OR REPLACE FUNCTION km3vo.latency(known km3vo.embargoed) RETURNS interval
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT latency FROM km3vo.stream WHERE name = known.stream
$$;

-- The type of a table's identifiers.
CREATE OR REPLACE FUNCTION km3vo.event_type(known km3vo.embargoed) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = known.parent AND attname = known.event_column
$$;

-- The same identifier may be written in several ways ('007' for an integer); exceptions keep the one that is stored.
CREATE OR REPLACE FUNCTION km3vo.as_stored(known km3vo.embargoed, event text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stored text;
BEGIN
    EXECUTE format('SELECT %L::%s::text', event, km3vo.event_type(known)) INTO stored;
    RETURN stored;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'this cannot be the identifier of an event of that table' USING ERRCODE = 'KM004';
END $$;

CREATE OR REPLACE FUNCTION km3vo.is_embargoed(known km3vo.embargoed, stored text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    present boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', known.hidden, known.event_column, stored)
        INTO present;
    RETURN present;
END $$;

-- Compute a table's release times anew, of all embargoed events or of one; returns how many changed.
CREATE OR REPLACE FUNCTION km3vo.recompute(known km3vo.embargoed, event text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    which text := CASE WHEN event IS NULL THEN '' ELSE format('AND hidden.%I = %L', known.event_column, event) END;
    changed bigint;
BEGIN
    EXECUTE format(
        'UPDATE %1$s AS hidden SET _release_time = km3vo.due_by(hidden.%3$I, _basis, $2, NULL, NULL)'
        ' WHERE _release_time IS DISTINCT FROM km3vo.due_by(hidden.%3$I, _basis, $2, NULL, NULL)'
        ' AND NOT EXISTS (SELECT FROM km3vo.release_exception AS one'
        '     WHERE one.published = $1 AND one.event = hidden.%2$I::text AND lifted_at IS NULL) %4$s',
        known.hidden, known.event_column, known.time_column, which) USING known.published, km3vo.latency(known);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed + km3vo.recompute_exceptions(known, which);
END $$;

-- The same for events that have an exception; `which` is a condition on them.
CREATE OR REPLACE FUNCTION km3vo.recompute_exceptions(known km3vo.embargoed, which text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    changed bigint;
BEGIN
    -- Each exception finds its event by the index of identifiers.
    EXECUTE format(
        'UPDATE %1$s AS hidden SET _release_time = km3vo.due_by('
        '    hidden.%3$I, _basis, $2, one.kind, one.release_time)'
        ' FROM km3vo.release_exception AS one'
        ' WHERE one.published = $1 AND one.lifted_at IS NULL AND hidden.%2$I = one.event::%5$s'
        ' AND hidden._release_time IS DISTINCT FROM km3vo.due_by('
        '    hidden.%3$I, _basis, $2, one.kind, one.release_time) %4$s',
        known.hidden, known.event_column, known.time_column, which,
        km3vo.event_type(known)) USING known.published, km3vo.latency(known);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END $$;

-- Write down that an event is held back until a time ('infinity': until it is lifted), or released at one.
CREATE OR REPLACE FUNCTION km3vo.note_exception(
    known km3vo.embargoed, stored text, of_kind text, until timestamptz, why text, who text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    is_public boolean;
BEGIN
    PERFORM pg_advisory_xact_lock(20306, km3vo.key(known.parent));
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE %I = %L)', known.public, known.event_column, stored)
        INTO is_public;
    IF is_public THEN
        RAISE EXCEPTION 'the event is public already' USING ERRCODE = 'KM003';
    END IF;
    IF EXISTS (SELECT FROM km3vo.release_exception
               WHERE published = known.published AND event = stored AND lifted_at IS NULL) THEN
        RAISE EXCEPTION 'there is an exception for this event already' USING ERRCODE = 'KM005';
    END IF;
    INSERT INTO km3vo.release_exception (published, event, kind, release_time, reason, decided_by)
    VALUES (known.published, stored, of_kind, until, why, who);
    INSERT INTO km3vo.release_log (published, stream, what, event, up_to, reason, decided_by)
    VALUES (known.published, known.stream, of_kind, stored, until, why, who);
END $$;

-- Hold an event back. Waits for no load and no promotion; `km3vo.recompute` brings its row up to date afterwards.
-- Returns whether there is such an event yet.
CREATE OR REPLACE FUNCTION km3vo.hold(of_table text, given text, until timestamptz, why text, who text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.embargoed := km3vo.find_embargoed(of_table);
    stored text := km3vo.as_stored(known, given);
BEGIN
    PERFORM km3vo.note_exception(known, stored, 'hold', until, why, who);
    RETURN km3vo.is_embargoed(known, stored);
END $$;

-- Release an event at a time, before its latency is over. Returns whether there is such an event yet.
CREATE OR REPLACE FUNCTION km3vo.release_early(of_table text, given text, at timestamptz, why text, who text)
RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.embargoed := km3vo.lock_rules(of_table);
    stored text := km3vo.as_stored(known, given);
BEGIN
    PERFORM km3vo.note_exception(known, stored, 'early', at, why, who);
    PERFORM km3vo.recompute(known, stored);
    RETURN km3vo.is_embargoed(known, stored);
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
-- `which` says in the log what was judged. Returns how many embargoed events were changed.
CREATE OR REPLACE FUNCTION km3vo.set_quality(
    of_table text, verdict text, named text[], why text, who text, which text DEFAULT NULL
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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
    INSERT INTO km3vo.release_log (published, stream, what, event, rows, reason, decided_by)
    VALUES (of_table, known.stream, 'quality ' || verdict, which, changed, why, who);
    RETURN changed;
END $$;
