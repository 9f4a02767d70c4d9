-- The life of an event: loaded, superseded by a newer version, withdrawn, reinstated, unloaded. What is taken out of a
-- published table is kept in its history, `…_history`, which the owner alone may read: it tells of embargoed events.
-- Run by the owner after rule.sql; safe to run again.

CREATE OR REPLACE FUNCTION km3vo.find_versioned(of_table text) RETURNS km3vo.versioned
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known km3vo.versioned;
BEGIN
    SELECT * INTO known FROM km3vo.versioned WHERE published = of_table;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no table of that name whose events have versions' USING ERRCODE = 'KM004';
    END IF;
    RETURN known;
END $$;

-- Where the rows are that everybody sees.
CREATE OR REPLACE FUNCTION km3vo.public_part(known km3vo.versioned) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT public FROM km3vo.embargoed WHERE published = known.published), known.parent)
$$;

-- The columns of a relation that are filled and not computed: the published ones, and of the hidden ones those named.
CREATE OR REPLACE FUNCTION km3vo.columns_of(relation regclass, hidden text[], pattern text DEFAULT '%I') RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format(pattern, attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND (left(attname, 1) <> '_' OR attname = ANY (hidden))
$$;

-- A change of published rows is written down before it is made: the trigger below looks for the entry. So there is no
-- change without who, when and why, by whatever way it comes.
CREATE OR REPLACE FUNCTION km3vo.begin_change(of_table text, kind text, why text, who text) RETURNS bigint
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO km3vo.release_log (published, stream, what, reason, decided_by, transaction)
    VALUES (of_table, (SELECT stream FROM km3vo.embargoed WHERE published = of_table), kind, why, who,
        pg_current_xact_id())
    RETURNING id
$$;

CREATE OR REPLACE FUNCTION km3vo.is_changing(of_table text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM km3vo.release_log
                   WHERE transaction = pg_current_xact_id_if_assigned() AND published = of_table)
$$;

CREATE OR REPLACE FUNCTION km3vo.refuse_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT km3vo.is_changing(TG_ARGV[0]) THEN
        RAISE EXCEPTION 'rows of % change by `km3vo load --supersede`, `withdraw`, `reinstate` and `unload` alone', TG_ARGV[0]
            USING ERRCODE = 'KM007';
    END IF;
    RETURN NULL;
END $$;

-- The same for an embargoed table as a whole, of which the public rows are meant.
CREATE OR REPLACE FUNCTION km3vo.refuse_public_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM old_rows WHERE _access = 'p') AND NOT km3vo.is_changing(TG_ARGV[0]) THEN
        RAISE EXCEPTION 'rows of % change by `km3vo load --supersede`, `withdraw`, `reinstate` and `unload` alone', TG_ARGV[0]
            USING ERRCODE = 'KM007';
    END IF;
    RETURN NULL;
END $$;

-- Public rows are about to change: how many there are among pg_temp.chosen, and whether that was said.
CREATE OR REPLACE FUNCTION km3vo.count_public(known km3vo.versioned, of_public boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s AS event JOIN pg_temp.chosen ON event.%I = chosen.event',
        km3vo.public_part(known), known.event_column) INTO found;
    IF found > 0 AND NOT of_public THEN
        RAISE EXCEPTION '%', found USING ERRCODE = 'KM008';
    END IF;
    RETURN found;
END $$;

-- Everything that is made from public rows is made anew, their statistics too.
CREATE OR REPLACE FUNCTION km3vo.note_change(known km3vo.versioned, log bigint, changed bigint, of_public bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE km3vo.release_log SET rows = changed WHERE id = log;
    IF of_public > 0 THEN
        UPDATE km3vo.versioned SET changed_at = clock_timestamp() WHERE published = known.published;
        UPDATE km3vo.embargoed SET released_at = clock_timestamp(), released_rows = released_rows + of_public
        WHERE published = known.published;
    END IF;
END $$;

-- Keep rows in the history: those of `relation` that `source` (a FROM item with the column event) names.
CREATE OR REPLACE FUNCTION km3vo.keep(known km3vo.versioned, relation text, source text, ended text, log bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hidden text[] := '{_access,_release_time,_qc,_basis,_load,_version}';
BEGIN
    -- A version is valid since it was loaded, or reinstated after that.
    EXECUTE format(
        'INSERT INTO %1$s (%2$s, _from, _to, _ended, _change)'
        ' SELECT %3$s, greatest(load.loaded_at, back.at), now(), $1, $2'
        ' FROM %4$s AS event JOIN %5$s ON named.event = event.%6$I'
        ' LEFT JOIN km3vo.load ON load.number = event._load'
        ' LEFT JOIN (SELECT earlier.%6$I AS event, max(log.at) AS at FROM %1$s AS earlier'
        '     JOIN km3vo.release_log AS log ON log.id = earlier._reinstated GROUP BY 1) AS back ON back.event = event.%6$I',
        known.history, km3vo.columns_of(known.parent, hidden), km3vo.columns_of(known.parent, hidden, 'event.%I'),
        relation, source, known.event_column) USING ended, log;
END $$;

-- Take the events of pg_temp.chosen out of a table and keep them in its history. Returns how many there were.
-- A release waits for none of this, nor this for a release, since waiting would tell. So it may move some of the events
-- meanwhile: they would be withdrawn and still public, or go back into embargo. Then nothing is done: as many rows must
-- go as were kept, beside `replaced` that were kept before by the same entry of the log, and as many of them be public as
-- were when that was decided (`of_public`).
CREATE OR REPLACE FUNCTION km3vo.take_out(
    known km3vo.versioned, ended text, log bigint, replaced bigint, of_public bigint
) RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    gone bigint;
    gone_public bigint;
    kept bigint;
    kept_public bigint;
    is_public text := CASE WHEN EXISTS (SELECT FROM km3vo.embargoed WHERE published = known.published)
        THEN '_access = ''p''' ELSE 'true' END;
BEGIN
    PERFORM km3vo.keep(known, known.parent::text, 'pg_temp.chosen AS named', ended, log);
    EXECUTE format('WITH gone AS (DELETE FROM %1$s AS event USING pg_temp.chosen WHERE event.%2$I = chosen.event'
        ' RETURNING %3$s AS is_public) SELECT count(*), count(*) FILTER (WHERE is_public) FROM gone',
        known.parent, known.event_column, is_public) INTO gone, gone_public;
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE %2$s) FROM %1$s WHERE _change = $1', known.history, is_public)
        INTO kept, kept_public USING log;
    IF kept <> gone + replaced OR kept_public <> of_public OR gone_public + replaced <> of_public THEN
        RAISE EXCEPTION 'embargo: events of % have just been released', known.published USING ERRCODE = 'KM009';
    END IF;
    RETURN gone;
END $$;

-- Put events back that `which` (a condition on the row `kept` of the history) names, unless they are there: embargoed ones
-- into embargo, whose triggers say until when. Returns how many there were.
CREATE OR REPLACE FUNCTION km3vo.put_back(known km3vo.versioned, which text, log bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    hidden text[] := '{_qc,_basis,_load,_version}';
    back bigint;
BEGIN
    EXECUTE format(
        'WITH newest AS ('
        '    SELECT DISTINCT ON (kept.%2$I) kept.ctid FROM %1$s AS kept WHERE (%3$s) AND kept._reinstated IS NULL'
        '    AND NOT EXISTS (SELECT FROM %4$s AS event WHERE event.%2$I = kept.%2$I)'
        '    ORDER BY kept.%2$I, kept._version DESC, kept._to DESC'
        '), marked AS ('
        '    UPDATE %1$s AS kept SET _reinstated = $1 FROM newest WHERE kept.ctid = newest.ctid RETURNING kept.*'
        ') INSERT INTO %4$s (%5$s) SELECT %5$s FROM marked',
        known.history, known.event_column, which, known.parent, km3vo.columns_of(known.parent, hidden)) USING log;
    GET DIAGNOSTICS back = ROW_COUNT;
    RETURN back;
END $$;

-- What is said of the versions of the events in `source` (a FROM item with the column event): the number of the next one,
-- and the latest time from which an earlier one counted its latency; what was unloaded as a mistake counts for nothing.
CREATE OR REPLACE FUNCTION km3vo.earlier_versions(known km3vo.versioned, source text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    observed text := (SELECT time_column FROM km3vo.embargoed WHERE published = known.published);
BEGIN
    RETURN format(
        '(SELECT kept.%1$I AS event, max(kept._version) + 1 AS version, %2$s AS counted_from'
        ' FROM %3$s AS kept JOIN %4$s ON named.event = kept.%1$I GROUP BY 1)',
        known.event_column,
        CASE WHEN observed IS NULL THEN 'NULL::timestamp' ELSE format(
            'max(CASE WHEN isfinite(kept.%1$I) THEN greatest(kept.%1$I, kept._basis) ELSE ''infinity'' END)'
            ' FILTER (WHERE kept._ended <> ''unloaded'')', observed) END,
        known.history, source);
END $$;

-- Public events of pg_temp.replaced get other values: `begin_renewal` makes pg_temp.renewed with their rows as they are,
-- and when those have been changed `end_renewal` puts them in place of the old ones.
-- The new rows are added at the end. An UPDATE would put them into pages that have room, and a page has room when nobody
-- can see its earlier versions any more: a load that is open keeps those, and the order of rows would tell of it.
CREATE OR REPLACE FUNCTION km3vo.begin_renewal(known km3vo.versioned) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TEMPORARY TABLE renewed ON COMMIT DROP AS SELECT event.ctid AS _row, %1$s FROM %2$s AS event'
        ' JOIN pg_temp.replaced ON replaced.event = event.%3$I',
        km3vo.columns_of(known.parent, '{_access,_release_time,_qc,_basis,_load,_version}', 'event.%I'),
        km3vo.public_part(known), known.event_column);
END $$;

CREATE OR REPLACE FUNCTION km3vo.end_renewal(known km3vo.versioned) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    columns text := km3vo.columns_of(known.parent, '{_access,_release_time,_qc,_basis,_load,_version}');
    public regclass := km3vo.public_part(known);
    rule km3vo.embargoed;
    wanted bigint;
    apart bigint := 0;
    gone bigint;
BEGIN
    SELECT count(*) INTO wanted FROM pg_temp.renewed;
    SELECT * INTO rule FROM km3vo.embargoed WHERE published = known.published;
    IF FOUND THEN
        -- What is public stays public, also by a rule that says otherwise by now: the door of the partition would refuse
        -- such events, and they are changed where they are. So are those of another time, which the guard looks at.
        EXECUTE format('WITH apart AS ('
            '    SELECT event._row FROM pg_temp.renewed AS event JOIN %1$s AS present ON present.ctid = event._row'
            '    JOIN km3vo.stream ON stream.name = %5$L LEFT JOIN km3vo.release_exception AS one'
            '        ON one.published = %3$L AND one.event = event.%4$I::text AND one.lifted_at IS NULL'
            '    CROSS JOIN LATERAL (SELECT km3vo.due_by('
            '        event.%2$I, event._basis, stream.latency, one.kind, one.release_time)) AS rule (time)'
            '    WHERE event.%2$I IS DISTINCT FROM present.%2$I'
            '        OR rule.time IS DISTINCT FROM event._release_time OR rule.time > clock_timestamp()'
            '), kept AS ('
            '    DELETE FROM pg_temp.renewed AS event USING apart WHERE event._row = apart._row RETURNING event.*'
            ') UPDATE %1$s AS event SET (%6$s) = ROW(%7$s) FROM kept WHERE event.ctid = kept._row',
            public, rule.time_column, known.published, known.event_column, rule.stream,
            km3vo.columns_of(known.parent, '{_load,_version}'),
            km3vo.columns_of(known.parent, '{_load,_version}', 'kept.%I'));
        GET DIAGNOSTICS apart = ROW_COUNT;
    END IF;
    EXECUTE format('DELETE FROM %s AS event USING pg_temp.renewed WHERE event.ctid = renewed._row', public);
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone + apart <> wanted THEN
        RAISE EXCEPTION 'embargo: events of % have just been changed by somebody else', known.published
            USING ERRCODE = 'unique_violation';
    END IF;
    EXECUTE format('INSERT INTO %1$s (%2$s) SELECT %2$s FROM pg_temp.renewed ORDER BY _row', public, columns);
    DROP TABLE pg_temp.renewed;
END $$;

-- The staging table of the session's load, or an error.
CREATE OR REPLACE FUNCTION km3vo.check_staging() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('pg_temp.staging') AND relkind = 'r') THEN
        RAISE EXCEPTION 'nothing was staged' USING ERRCODE = 'KM004';
    END IF;
END $$;

-- What the loader staged takes the place of events of the same identifiers. Public events are replaced where they are,
-- if `of_public` says so; embargoed ones are taken out, and `take_in` puts the new version into embargo.
-- Events that were not staged are taken out as well when they are of the same runs (equal in the columns `same`), or of
-- the period from `first` to `last` in the column `times`.
CREATE OR REPLACE FUNCTION km3vo.supersede(
    of_table text, loads integer[], of_public boolean, same text[], times text, first float8, last float8, why text, who text
) RETURNS TABLE (superseded bigint, vanished bigint, changed_public bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.versioned := km3vo.find_versioned(of_table);
    public regclass := km3vo.public_part(known);
    embargoed boolean := EXISTS (SELECT FROM km3vo.embargoed WHERE published = of_table);
    unstaged text := format('NOT EXISTS (SELECT FROM pg_temp.staging AS staged WHERE staged.%1$I = event.%1$I)'
        ' AND NOT EXISTS (SELECT FROM pg_temp.chosen WHERE chosen.event = event.%1$I)', known.event_column);
    log bigint;
    in_place bigint;
BEGIN
    PERFORM km3vo.check_staging();
    IF embargoed THEN
        PERFORM pg_advisory_xact_lock_shared(20301, km3vo.key(known.parent));
    END IF;
    EXECUTE format('CREATE TEMPORARY TABLE chosen ON COMMIT DROP AS SELECT event.%1$I AS event FROM %2$s AS event'
        ' JOIN pg_temp.staging AS staged ON staged.%1$I = event.%1$I', known.event_column, known.parent);
    GET DIAGNOSTICS superseded = ROW_COUNT;
    IF same IS NOT NULL THEN
        EXECUTE format('INSERT INTO pg_temp.chosen SELECT event.%1$I FROM %2$s AS event WHERE (%3$s) IN'
            ' (SELECT %4$s FROM pg_temp.staging) AND %5$s', known.event_column, known.parent,
            (SELECT string_agg(format('event.%I', name), ', ') FROM unnest(same) AS name),
            (SELECT string_agg(format('%I', name), ', ') FROM unnest(same) AS name), unstaged);
    END IF;
    IF times IS NOT NULL THEN
        EXECUTE format('INSERT INTO pg_temp.chosen SELECT event.%1$I FROM %2$s AS event'
            ' WHERE event.%3$I >= $1 AND event.%3$I < $2 AND %4$s', known.event_column, known.parent, times, unstaged)
            USING first, last;
    END IF;
    ANALYZE pg_temp.chosen;
    changed_public := km3vo.count_public(known, of_public);
    log := km3vo.begin_change(of_table, 'supersede', why, who);
    UPDATE km3vo.load SET change = log WHERE number = ANY (loads);
    EXECUTE format('CREATE TEMPORARY TABLE replaced ON COMMIT DROP AS SELECT event.%1$I AS event FROM %2$s AS event'
        ' JOIN pg_temp.staging AS staged ON staged.%1$I = event.%1$I', known.event_column, public);
    GET DIAGNOSTICS in_place = ROW_COUNT;
    IF in_place > 0 THEN
        PERFORM km3vo.keep(known, public::text, 'pg_temp.replaced AS named', 'superseded', log);
        PERFORM km3vo.begin_renewal(known);
        EXECUTE format('UPDATE pg_temp.renewed AS event SET (%1$s, _load, _version)'
            ' = ROW(%2$s, $1[staged._file + 1], next.version)'
            ' FROM pg_temp.staging AS staged JOIN %3$s AS next ON next.event = staged.%4$I WHERE event.%4$I = staged.%4$I',
            km3vo.columns_of(known.parent, '{}'), km3vo.staged(known.parent),
            km3vo.earlier_versions(known, 'pg_temp.replaced AS named'), known.event_column) USING loads;
        PERFORM km3vo.end_renewal(known);
        DELETE FROM pg_temp.chosen USING pg_temp.replaced WHERE chosen.event = replaced.event;
    END IF;
    vanished := km3vo.take_out(known, 'superseded', log, in_place, changed_public) + in_place - superseded;
    PERFORM km3vo.note_change(known, log, superseded + vanished, changed_public);
    RETURN NEXT;
END $$;

-- The staged values of a table's published columns; what is not a number is a missing value (VOTable 1.5 §6).
CREATE OR REPLACE FUNCTION km3vo.staged(relation regclass) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format(CASE WHEN atttypid IN ('float4'::regtype, 'float8'::regtype) AND NOT attnotnull
        THEN 'nullif(staged.%I, ''NaN'')' ELSE 'staged.%I' END, attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND left(attname, 1) <> '_'
$$;

-- When what the loader staged would become public: how many rows there are, how many of them are due, how many never are,
-- between which times the others become public, and what quality control says of new events.
CREATE OR REPLACE FUNCTION km3vo.outlook(of_table text)
RETURNS TABLE (rows bigint, due bigint, never bigint, first timestamptz, last timestamptz, qc text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    rule km3vo.embargoed := km3vo.find_embargoed(of_table);
BEGIN
    PERFORM km3vo.check_staging();
    RETURN QUERY EXECUTE format(
        'SELECT count(*), count(*) FILTER (WHERE at <= clock AND led), count(*) FILTER (WHERE at IS NULL OR at = ''infinity''),'
        ' min(at) FILTER (WHERE at > clock AND isfinite(at)), max(at) FILTER (WHERE at > clock AND isfinite(at)),'
        ' (SELECT qc FROM km3vo.stream WHERE name = $2) FROM clock_timestamp() AS clock, ('
        '    SELECT km3vo.due_by(staged.%1$I, NULL, $3, one.kind, one.release_time) AS at, %3$s AS led'
        '    FROM pg_temp.staging AS staged'
        '    LEFT JOIN km3vo.release_exception AS one'
        '        ON one.published = $1 AND one.event = staged.%2$I::text AND one.lifted_at IS NULL) AS staged',
        rule.time_column, rule.event_column, km3vo.led(rule, 'staged')) USING of_table, rule.stream, km3vo.latency(rule);
END $$;

-- Publish what the loader staged, in the order of the sky where there are positions (`place`: ra, dec). `loads` are the
-- numbers of the files. Release times are computed here for all rows at once.
CREATE OR REPLACE FUNCTION km3vo.take_in(of_table text, loads integer[], place text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.versioned := km3vo.find_versioned(of_table);
    rule km3vo.embargoed;
    stream km3vo.stream;
    version text := '1';
    counted text := 'NULL::timestamp';
    joins text := '';
    kept boolean;
    doubled boolean;
    taken bigint;
BEGIN
    PERFORM km3vo.check_staging();
    SELECT * INTO rule FROM km3vo.embargoed WHERE published = of_table;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', known.history) INTO kept;
    IF kept THEN
        joins := format(' LEFT JOIN %s AS next ON next.event = staged.%I', km3vo.earlier_versions(known,
            format('(SELECT %I AS event FROM pg_temp.staging) AS named', known.event_column)), known.event_column);
        version := 'coalesce(next.version, 1)';
    END IF;
    IF to_regclass('pg_temp.replaced') IS NOT NULL THEN
        joins := joins || format(' LEFT JOIN pg_temp.replaced ON replaced.event = staged.%I', known.event_column);
    END IF;
    IF rule.published IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock_shared(20301, km3vo.key(known.parent));
        -- The rule cannot change any more. As constants of the statement, what can be computed of it is computed once.
        SELECT * INTO stream FROM km3vo.stream AS one WHERE one.name = rule.stream;
        IF kept THEN
            counted := 'earlier._basis';
            joins := joins || format(' CROSS JOIN LATERAL (SELECT CASE WHEN next.counted_from > staged.%I'
                ' THEN next.counted_from END AS _basis OFFSET 0) AS earlier', rule.time_column);
        END IF;
        joins := joins || format(
            ' LEFT JOIN km3vo.release_exception AS one'
            ' ON one.published = %L AND one.event = staged.%I::text AND one.lifted_at IS NULL',
            of_table, known.event_column);
    END IF;
    EXECUTE format('INSERT INTO %1$s (%2$s, %3$s _load, _version) SELECT %4$s, %5$s $1[staged._file + 1], %6$s'
        ' FROM pg_temp.staging AS staged %7$s %8$s ORDER BY %9$s',
        coalesce(rule.hidden, known.parent), km3vo.columns_of(known.parent, '{}'),
        CASE WHEN rule.published IS NOT NULL THEN '_access, _qc, _basis, _release_time,' END,
        km3vo.staged(known.parent),
        CASE WHEN rule.published IS NOT NULL THEN format('''e'', $2, %2$s, km3vo.due_by('
            'staged.%1$I, %2$s, $3, one.kind, one.release_time),', rule.time_column, counted) END,
        version, joins,
        CASE WHEN to_regclass('pg_temp.replaced') IS NOT NULL THEN 'WHERE replaced.event IS NULL' END,
        CASE WHEN place IS NULL THEN 'staged._file, staged._line' ELSE
            format('healpix_nest(12, spoint(radians(staged.%I), radians(staged.%I)))', place[1], place[2]) END)
        USING loads, stream.qc, stream.latency;
    GET DIAGNOSTICS taken = ROW_COUNT;
    IF rule.published IS NOT NULL THEN
        -- After the rows are in, when a promotion of the same event that ran meanwhile can be seen.
        EXECUTE format('SELECT EXISTS (SELECT FROM pg_temp.staging AS staged %3$s JOIN %1$s AS there'
            ' ON there.%2$I = staged.%2$I %4$s)', rule.public, rule.event_column,
            CASE WHEN to_regclass('pg_temp.replaced') IS NOT NULL
                THEN format('LEFT JOIN pg_temp.replaced ON replaced.event = staged.%I', known.event_column) END,
            CASE WHEN to_regclass('pg_temp.replaced') IS NOT NULL THEN 'WHERE replaced.event IS NULL' END) INTO doubled;
        IF doubled THEN
            RAISE EXCEPTION 'embargo: an event of % with this identifier is there already', of_table
                USING ERRCODE = 'unique_violation';
        END IF;
    END IF;
    RETURN taken;
END $$;

-- Take the events of pg_temp.chosen back. Returns how many, and how many of them were public.
CREATE OR REPLACE FUNCTION km3vo.withdraw(of_table text, of_public boolean, why text, who text)
RETURNS TABLE (withdrawn bigint, changed_public bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.versioned := km3vo.find_versioned(of_table);
    log bigint;
BEGIN
    changed_public := km3vo.count_public(known, of_public);
    log := km3vo.begin_change(of_table, 'withdraw', why, who);
    withdrawn := km3vo.take_out(known, 'withdrawn', log, 0, changed_public);
    PERFORM km3vo.note_change(known, log, withdrawn, changed_public);
    RETURN NEXT;
END $$;

-- Put the events of pg_temp.chosen back that were withdrawn, in their newest version. Where there is an embargo they go
-- into it, and become public when they are due. Returns how many.
CREATE OR REPLACE FUNCTION km3vo.reinstate(of_table text, why text, who text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    known km3vo.versioned := km3vo.find_versioned(of_table);
    log bigint := km3vo.begin_change(of_table, 'reinstate', why, who);
    back bigint;
BEGIN
    back := km3vo.put_back(known, format('kept._ended <> ''unloaded'' AND EXISTS (SELECT FROM pg_temp.chosen'
        ' WHERE chosen.event = kept.%I)', known.event_column), log);
    PERFORM km3vo.note_change(known, log, back,
        CASE WHEN EXISTS (SELECT FROM km3vo.embargoed WHERE published = of_table) THEN 0 ELSE back END);
    RETURN back;
END $$;

-- Undo a load, and those that were made together with it to supersede others: its events go, and what they superseded comes back. Returns how many went, how many came back, and how
-- many of these events are public.
CREATE OR REPLACE FUNCTION km3vo.unload(of_load integer, of_public boolean, why text, who text)
RETURNS TABLE (unloaded bigint, came_back bigint, changed_public bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    one km3vo.load;
    together integer[];
    later integer;
    known km3vo.versioned;
    public regclass;
    log bigint;
    in_place bigint := 0;
    is_embargoed boolean;
BEGIN
    SELECT * INTO one FROM km3vo.load WHERE number = of_load AND load.unloaded IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no load of that number' USING ERRCODE = 'KM004';
    END IF;
    SELECT array_agg(number) INTO together FROM km3vo.load
    WHERE number = of_load OR change = one.change AND load.unloaded IS NULL;
    known := km3vo.find_versioned(one.published);
    -- Else the newer load, undone after this one, would bring back what was undone.
    EXECUTE format('SELECT min(newer.number) FROM %s AS kept JOIN km3vo.load AS newer ON newer.change = kept._change'
        ' WHERE kept._load = ANY ($1) AND kept._ended = ''superseded'' AND kept._reinstated IS NULL'
        ' AND newer.unloaded IS NULL AND newer.number <> ALL ($1)', known.history) INTO later USING together;
    IF later IS NOT NULL THEN
        RAISE EXCEPTION 'load % has superseded events of it since: unload that before, or take out what is left of this one'
            ' (`km3vo withdraw % --load %`)', later, one.published, of_load USING ERRCODE = 'KM004';
    END IF;
    public := km3vo.public_part(known);
    is_embargoed := public <> known.parent;
    EXECUTE format('CREATE TEMPORARY TABLE chosen ON COMMIT DROP AS SELECT %I AS event FROM %s WHERE _load = ANY ($1)',
        known.event_column, known.parent) USING together;
    ANALYZE pg_temp.chosen;
    changed_public := km3vo.count_public(known, of_public);
    log := km3vo.begin_change(one.published, 'unload', why, who);
    -- Public events that were replaced where they are get their earlier version back there.
    EXECUTE format('CREATE TEMPORARY TABLE replaced ON COMMIT DROP AS SELECT event.%1$I AS event FROM %2$s AS event'
        ' JOIN %3$s AS kept ON kept.%1$I = event.%1$I WHERE event._load = ANY ($1) AND kept._change = $2'
        ' AND kept._ended = ''superseded'' AND kept._reinstated IS NULL', known.event_column, public, known.history)
        USING together, one.change;
    GET DIAGNOSTICS in_place = ROW_COUNT;
    IF in_place > 0 THEN
        PERFORM km3vo.keep(known, public::text, 'pg_temp.replaced AS named', 'unloaded', log);
        PERFORM km3vo.begin_renewal(known);
        EXECUTE format('UPDATE pg_temp.renewed AS event SET (%1$s) = ROW(%2$s) FROM %3$s AS kept JOIN pg_temp.replaced'
            ' ON replaced.event = kept.%4$I WHERE event.%4$I = kept.%4$I AND kept._change = $1',
            km3vo.columns_of(known.parent, '{_load,_version}'),
            km3vo.columns_of(known.parent, '{_load,_version}', 'kept.%I'), known.history, known.event_column)
            USING one.change;
        PERFORM km3vo.end_renewal(known);
        EXECUTE format('UPDATE %1$s AS kept SET _reinstated = $1 FROM pg_temp.replaced'
            ' WHERE replaced.event = kept.%2$I AND kept._change = $2', known.history, known.event_column)
            USING log, one.change;
        DELETE FROM pg_temp.chosen USING pg_temp.replaced WHERE chosen.event = replaced.event;
    END IF;
    unloaded := km3vo.take_out(known, 'unloaded', log, in_place, changed_public) + in_place;
    came_back := in_place + CASE WHEN one.change IS NULL THEN 0 ELSE km3vo.put_back(known,
        format('kept._ended = ''superseded'' AND kept._change = %s', one.change), log) END;
    UPDATE km3vo.load SET unloaded = log WHERE number = ANY (together);
    PERFORM km3vo.note_change(known, log, unloaded,
        changed_public + CASE WHEN is_embargoed THEN 0 ELSE came_back END);
    RETURN NEXT;
END $$;
