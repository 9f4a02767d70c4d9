-- The triggers of one embargoed table; names in braces are filled in by partitions.py.
-- They hold for the table's owner too. One set of functions for each table: looking columns up by name at run time
-- would cost three times as much per row.

-- What is public stays public, whatever becomes of its rule; and a row that becomes public by being changed, or changes
-- its time or identifier as a public one, must be due by the database's clock and have passed quality control.
CREATE OR REPLACE FUNCTION {guard}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD._access = 'p' THEN
        IF NEW._access <> 'p' THEN
            RAISE EXCEPTION 'embargo: this event of % is public already', {published} USING ERRCODE = 'KM003';
        END IF;
        IF NEW.{event} = OLD.{event} AND NEW.{time} IS NOT DISTINCT FROM OLD.{time} THEN
            NEW._release_time := OLD._release_time;
            RETURN NEW;
        END IF;
    END IF;
    NEW._release_time := km3vo.due({published}, NEW.{event}::text, {stream}, NEW.{time}, NEW._basis);
    IF NEW._access = 'p' AND (
        NEW._qc <> 'passed' OR NEW._release_time IS NULL OR NEW._release_time > clock_timestamp() OR NOT {led_new}
    ) THEN
        RAISE EXCEPTION 'embargo: this event of % is not public yet', {published} USING ERRCODE = 'KM001';
    END IF;
    RETURN NEW;
END $$;

-- The door of the public partition: of the rows that were just put there, each must be due by the database's clock and
-- have passed quality control. Looked at for all of them at once, when they are in and nobody else sees them yet.
CREATE OR REPLACE FUNCTION {door}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- A constant of the statement, so that its months are counted once and not for each row.
    _latency interval := (SELECT latency FROM km3vo.stream WHERE name = {stream});
BEGIN
    IF EXISTS (
        SELECT FROM fresh LEFT JOIN km3vo.release_exception AS one
            ON one.published = {published} AND one.event = fresh.{event}::text AND one.lifted_at IS NULL
        WHERE fresh._access = 'p' AND (
            fresh._qc <> 'passed' OR fresh._release_time IS NULL OR fresh._release_time > clock_timestamp()
            OR NOT {led_fresh} OR fresh._release_time IS DISTINCT FROM km3vo.due_by(
                fresh.{time}, fresh._basis, _latency, one.kind, one.release_time))
    ) THEN
        RAISE EXCEPTION 'embargo: this event of % is not public yet', {published} USING ERRCODE = 'KM001';
    END IF;
    RETURN NULL;
END $$;

-- Embargoed rows get the release time that the rule says, whatever the client says. An identifier is unique in each
-- partition; that it is unique in both together is looked at here, after the rows are in, when a promotion of the same
-- event that ran meanwhile can be seen. Many rows among few make the planner's numbers wrong: of a partition that
-- releases had emptied it expected one row, and compared each of 20,000 with all the others, for two minutes.
CREATE OR REPLACE FUNCTION {entry}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM fresh WHERE _access = 'e') > greatest(
        1000, (SELECT reltuples FROM pg_class WHERE oid = {hidden_name}::regclass))
    THEN
        ANALYZE {hidden};
    END IF;
    UPDATE {hidden} AS event SET _release_time = rule.time
    FROM (
        SELECT fresh.{event} AS event, km3vo.due_by(
            fresh.{time}, fresh._basis, stream.latency, one.kind, one.release_time) AS time
        FROM fresh JOIN km3vo.stream ON stream.name = {stream} LEFT JOIN km3vo.release_exception AS one
            ON one.published = {published} AND one.event = fresh.{event}::text AND one.lifted_at IS NULL
        WHERE fresh._access = 'e'
    ) AS rule
    WHERE event.{event} = rule.event AND event._release_time IS DISTINCT FROM rule.time;
    IF EXISTS (SELECT FROM fresh JOIN {parent} AS there ON there.{event} = fresh.{event} AND there._access <> fresh._access)
    THEN
        RAISE EXCEPTION 'embargo: an event of % with this identifier is there already', {published}
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION {guard}(), {door}(), {entry}() FROM PUBLIC;

CREATE OR REPLACE TRIGGER embargo BEFORE UPDATE ON {parent}
FOR EACH ROW WHEN (OLD._access = 'p' OR NEW._access = 'p') EXECUTE FUNCTION {guard}();
CREATE OR REPLACE TRIGGER embargo_load BEFORE INSERT ON {parent}
FOR EACH STATEMENT EXECUTE FUNCTION km3vo.begin_load();
CREATE OR REPLACE TRIGGER embargo_door AFTER INSERT ON {parent} REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION {door}();
CREATE OR REPLACE TRIGGER embargo_entry AFTER INSERT ON {parent} REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION {entry}();
CREATE OR REPLACE TRIGGER embargo_door AFTER INSERT ON {public} REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION {door}();
