-- What an observer was granted of one embargoed table; names in braces are filled in by grants.py.
-- Runs with the owner's rights and looks the grants of the session's login up anew for each statement: observers have no
-- right to the embargoed partition itself, and nothing about a grant is done to that table, which others are reading.
-- Conditions of a query are looked at afterwards, on granted rows alone, and plans that would read others are switched
-- off: how long it takes, and in which order rows come, tells of no event that was not granted.
CREATE OR REPLACE FUNCTION {granted}() RETURNS SETOF {parent}
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    period tsrange;
BEGIN
    FOR period IN
        SELECT unnest(range_agg(tsrange(observed_from, observed_to)))
        FROM km3vo.observer_grant JOIN km3vo.observer ON observer.name = observer_grant.observer
        WHERE observer.login = session_user AND published = {published}
            AND revoked_at IS NULL AND ends_at > statement_timestamp()
    LOOP
        IF lower_inf(period) AND upper_inf(period) THEN
            RETURN QUERY SELECT * FROM {hidden} AS event ORDER BY event.{time}, event.{event};
        ELSE
            RETURN QUERY SELECT * FROM {hidden} AS event
                WHERE event.{time} >= coalesce(lower(period), '-infinity')
                    AND event.{time} < coalesce(upper(period), 'infinity')
                ORDER BY event.{time}, event.{event};
        END IF;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION {granted}() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {granted}() TO {observers};
CREATE OR REPLACE VIEW {view} WITH (security_invoker = true) AS SELECT * FROM {public} UNION ALL SELECT * FROM {granted}();
GRANT SELECT ON {view}, {public} TO {observers};
