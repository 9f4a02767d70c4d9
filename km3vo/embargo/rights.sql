-- Whether a job rests on a right that is no more: a grant of its observer was valid while the job ran, and has ended since
-- by itself or by hand. Which of several grants gave a row is not known, so the end of any of them counts.
CREATE OR REPLACE FUNCTION km3vo.grant_has_ended(of_audience text, began timestamptz, finished timestamptz)
RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM km3vo.observer JOIN km3vo.observer_grant AS one ON one.observer = observer.name,
            least(one.ends_at, one.revoked_at) AS ended_at
        WHERE observer.login = of_audience AND one.decided_at <= coalesce(finished, clock_timestamp())
            AND began <= ended_at AND ended_at <= clock_timestamp()
    )
$$;
