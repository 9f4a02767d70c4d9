-- The triggers of one embargoed table; names in braces are filled in by embargo.py.
-- They hold for the table's owner too. One set of functions for each table: looking columns up by name at run time
-- would cost three times as much per row.

-- The release time is computed here whatever the client said; a row is refused in the public partition unless it is
-- due by the database's clock and has passed quality control. What is public stays public, whatever becomes of its rule.
CREATE OR REPLACE FUNCTION {guard}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD._access = 'p' THEN
        IF NEW._access <> 'p' THEN
            RAISE EXCEPTION 'embargo: this event of % is public already', {published} USING ERRCODE = 'KM003';
        END IF;
        IF NEW.{event} = OLD.{event} AND NEW.{time} IS NOT DISTINCT FROM OLD.{time} THEN
            NEW._release_time := OLD._release_time;
            RETURN NEW;
        END IF;
    END IF;
    IF NEW._qc IS NULL THEN
        SELECT qc INTO NEW._qc FROM km3vo.stream WHERE name = {stream};
    END IF;
    NEW._release_time := km3vo.due({published}, NEW.{event}::text, {stream}, NEW.{time});
    IF NEW._access = 'p' AND (
        NEW._qc <> 'passed' OR NEW._release_time IS NULL OR NEW._release_time > clock_timestamp()
    ) THEN
        RAISE EXCEPTION 'embargo: this event of % is not public yet', {published} USING ERRCODE = 'KM001';
    END IF;
    RETURN NEW;
END $$;

-- An identifier is unique in each partition; that it is unique in both together is looked at here, after the rows are
-- in, when a promotion of the same event that ran meanwhile can be seen.
CREATE OR REPLACE FUNCTION {unique}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh JOIN {parent} AS there ON there.{event} = fresh.{event} AND there._access <> fresh._access)
    THEN
        RAISE EXCEPTION 'embargo: an event of % with this identifier is there already', {published}
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NULL;
END $$;

REVOKE ALL ON FUNCTION {guard}(), {unique}() FROM PUBLIC;

CREATE OR REPLACE TRIGGER embargo BEFORE INSERT OR UPDATE ON {parent}
FOR EACH ROW EXECUTE FUNCTION {guard}();
CREATE OR REPLACE TRIGGER embargo_load BEFORE INSERT ON {parent}
FOR EACH STATEMENT EXECUTE FUNCTION km3vo.begin_load();
CREATE OR REPLACE TRIGGER embargo_unique AFTER INSERT ON {parent} REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION {unique}();
