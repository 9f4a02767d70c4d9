-- The embargo's rules. This file and km3vo/store/embargo.py are the only owners of them.
-- Rows of an embargoed table lie in one of two partitions: …_embargo ('e') or …_public ('p'). The public login can
-- read only the second. Rows get there through km3vo.promote() alone, and a trigger on each table (embargo.py: divide)
-- guards the door, whoever knocks.
-- Run by the owner after every migration; safe to run again.

-- When an observation of a stream becomes public; NULL is never.
-- Calendar months are clamped by PostgreSQL (29 February + 2 years = 28 February): that would be a day early, so a
-- clamped date moves on to the first of the next month.
CREATE OR REPLACE FUNCTION km3vo.release_time(observed timestamp, latency interval) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN (observed + latency) - latency < observed
        THEN date_trunc('month', observed + latency) + interval '1 month' + (observed - date_trunc('day', observed))
        ELSE observed + latency
    END AT TIME ZONE 'UTC'
$$;

-- When one event becomes public: its own exception (a hold is 'infinity') before the latency of its stream.
CREATE OR REPLACE FUNCTION km3vo.due(of_table text, event text, of_stream text, observed timestamp)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (SELECT exception.release_time FROM km3vo.release_exception AS exception
         WHERE exception.published = of_table AND exception.event = due.event AND exception.lifted_at IS NULL),
        (SELECT km3vo.release_time(observed, stream.latency) FROM km3vo.stream AS stream WHERE stream.name = of_stream)
    )
$$;

-- Move up to `most` events of a table whose time has come. `at` can only be earlier than the clock.
-- Returns how many were moved, and the latest release time among them.
CREATE OR REPLACE FUNCTION km3vo.promote(of_table text, most integer DEFAULT 10000, at timestamptz DEFAULT now())
RETURNS TABLE (moved bigint, up_to timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    parent regclass;
BEGIN
    SELECT embargoed.parent INTO STRICT parent FROM km3vo.embargoed WHERE embargoed.published = of_table;
    RETURN QUERY EXECUTE format(
        'WITH due AS MATERIALIZED ('
        '    SELECT ctid FROM %1$s WHERE _access = ''e'' AND _qc = ''passed'' AND _release_time <= least($1, clock_timestamp())'
        '    ORDER BY _release_time LIMIT $2 FOR UPDATE SKIP LOCKED'
        '), moved AS ('
        '    UPDATE %1$s AS event SET _access = ''p'' FROM due WHERE event._access = ''e'' AND event.ctid = due.ctid'
        '    RETURNING event._release_time'
        ') SELECT count(*), max(_release_time) FROM moved', parent)
        USING at, most;
END $$;
