"""What each login may do, all of it: the catalogues are walked, and whatever is not on a list here fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql

from km3vo.adql import sql as adql_sql
from km3vo.catalog.model import Table
from km3vo.database import statistics
from km3vo.database.logins import INGEST, LOGINS, MEMBER, OBSERVERS, OWNER, PUBLIC, SERVICE, UPLOAD, Database
from km3vo.embargo import grants, roles
from km3vo.jobs.signals import Signals
from tests.embargo.lab import allow

READERS = (PUBLIC, MEMBER, OBSERVERS)
TAP_SCHEMA = {f"tap_schema.{name}" for name in ("schemas", "tables", "columns", "keys", "key_columns")}
# ADBC reads these as it connects; names of types and columns.
EVERYBODY = {("pg_catalog.pg_type", "SELECT"), ("pg_catalog.pg_attribute", "SELECT (attname,attnum,attrelid,atttypid)")}
CATALOGUE = {
    (f"pg_catalog.pg_{name}", "SELECT")
    for name in ("class", "attribute", "index", "constraint", "inherits", "namespace", "type")
}
ALERTS = {f"km3net.{name}" for name in ("alerts", "alerts_latest", "alert_events_online", "alert_counterparts")}
PRODUCTS = {"ivoa.obscore", "ivoa.obscore_hea"} | ALERTS  # the service writes them
EMBARGOED = ("lab.events", "lab.alerts", "km3net.alert_links", "km3net.candidates")
EVENT_COLUMNS = "dec,energy,err50,event_id,mjd,nhits,obs_time,ra,tag"

RELATIONS: dict[str, set[tuple[str, str]]] = {
    PUBLIC: {
        (name, "SELECT") for name in TAP_SCHEMA | PRODUCTS | {"lab.known"} | {f"{name}_public" for name in EMBARGOED}
    }
    | EVERYBODY,
    MEMBER: {(name, "SELECT") for name in TAP_SCHEMA | PRODUCTS | {"lab.known", *EMBARGOED}} | EVERYBODY,
    OBSERVERS: {
        (f"{name}_{part}", "SELECT")
        for name in EMBARGOED
        for part in ("public", "observed")  # the second part of the latter by a function
    }
    | {(name, "SELECT") for name in TAP_SCHEMA | PRODUCTS | {"lab.known"}}
    | EVERYBODY,
    INGEST: {
        *((name, right) for name in ("lab.known", *PRODUCTS) for right in ("SELECT", "INSERT")),
        ("lab.events", "SELECT"),
        ("lab.events", f"INSERT ({EVENT_COLUMNS})"),
        ("lab.alerts", "SELECT"),
        ("lab.alerts", "INSERT (event_id,number,obs_time)"),
        ("km3net.alert_links", "SELECT"),
        ("km3net.alert_links", "INSERT (event_id,event_name,link_id,obs_time)"),
        ("km3net.candidates", "SELECT"),
        ("km3net.candidates", "INSERT (candidate_id,candidate_time,energy)"),
        *(
            (f"{name}_history", "SELECT ({})".format(",".join(sorted(("_ended", "_reinstated", "_to", event)))))
            for name, event in (
                *(("lab.events", "event_id"), ("lab.alerts", "number"), ("lab.known", "event_id")),
                *(("km3net.alert_links", "link_id"), ("km3net.candidates", "candidate_id")),
            )
        ),
        *(("km3vo.load", right) for right in ("SELECT", "INSERT")),
    }
    | CATALOGUE,
    UPLOAD: CATALOGUE,
}
# The service's own login may write in the service's own tables only, and reads no events.
SERVICE_SCHEMAS = {"km3vo", "ivoa", "km3net", "tap_schema"}

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
RELATION_RIGHTS = """
WITH relation AS (
    SELECT c.oid, n.nspname || '.' || c.relname AS name, c.relkind
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_(toast|temp)'
), whole AS (
    SELECT oid, name, kind FROM relation, unnest(%(rights)s::text[]) AS kind
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(%(login)s, oid, kind)
)
SELECT name, kind FROM whole
UNION
SELECT name, kind || ' (' || string_agg(attname, ',' ORDER BY attname COLLATE "C") || ')'
FROM relation JOIN pg_attribute ON attrelid = oid AND NOT attisdropped,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS kind
WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_column_privilege(%(login)s, oid, attnum, kind)
    AND (oid, kind) NOT IN (SELECT oid, kind FROM whole)
GROUP BY name, kind
UNION
SELECT name, kind FROM relation, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS kind
WHERE relkind = 'S' AND has_sequence_privilege(%(login)s, oid, kind)
"""


@pytest.fixture(scope="module")
def database(new_published: Callable[[], Database]) -> Database:
    """One for all: nothing here changes rights that another test looks at."""
    return new_published()


@pytest.fixture
def owner(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect(OWNER, autocommit=True) as connection:
        yield connection


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    with database.connect(autocommit=True) as connection:
        yield connection


def found(admin: psycopg.Connection, query: str, login: str) -> set[tuple[str, str]]:
    return set(admin.execute(query, {"login": login, "rights": list(RIGHTS)}).fetchall())


@pytest.mark.parametrize("login", RELATIONS)
def test_relations(admin: psycopg.Connection, login: str) -> None:
    assert found(admin, RELATION_RIGHTS, login) == RELATIONS[login]


def test_relations_of_the_service(admin: psycopg.Connection) -> None:
    rights = found(admin, RELATION_RIGHTS, SERVICE) - EVERYBODY
    assert {name.partition(".")[0] for name, _ in rights} <= SERVICE_SCHEMAS
    # Rules, tokens and grants are the operator's; the log can be written and not be read or changed.
    for name, allowed in {
        "km3vo.stream": {"SELECT"},
        "km3vo.embargoed": {"SELECT"},
        "km3vo.versioned": {"SELECT"},
        "km3vo.release_exception": {"SELECT"},
        "km3vo.release_log": {"SELECT"},
        "km3vo.token": {"SELECT", "UPDATE (last_used_at)"},
        "km3vo.session": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "km3vo.login": {"SELECT", "INSERT", "DELETE"},
        "km3vo.observer": {"SELECT"},
        "km3vo.observer_grant": {"SELECT"},
        "km3vo.access_log": {"INSERT"},
        "km3vo.notices": {"SELECT"},
        "km3vo.alert": {"SELECT", "INSERT"},
        "km3vo.alert_log": {"SELECT", "INSERT"},
        "km3vo.alert_subscription": {"SELECT", "INSERT", "UPDATE", "DELETE"},
        "km3vo.alert_heartbeat": {"SELECT", "INSERT", "UPDATE"},
        "km3vo.alert_heartbeat_count": {"SELECT", "INSERT", "UPDATE"},
        "km3vo.alert_held": {"SELECT", "INSERT", "UPDATE"},
        "km3vo.alert_skymap": {"SELECT", "INSERT"},
        "km3vo.alert_pause": {"SELECT", "INSERT", "DELETE"},
        "km3vo.alert_delivery": {"SELECT", "INSERT", "UPDATE"},
    }.items():
        assert {right for relation, right in rights if relation == name} == allowed, name


# What readers may call of PostgreSQL's own: what translated queries contain, operators and casts. Whoever adds to this
# list says why the function tells nothing about rows, sessions, sizes or time.
LISTED = set(
    """abs acos asin atan atan2 ceil ceiling cos cosd cot degrees exp floor ln log mod pi power radians random round
    sign sin sind sinh sqrt tan trunc atanh width_bucket isfinite avg count max min sum string_agg first_value lead
    bit_xor array_length array_to_string btrim left lower upper extract date_part timezone to_char generate_series
    regexp_matches regexp_split_to_array string_to_array plainto_tsquery to_tsvector like_escape version concat replace
    hashint2 hashint4 hashint8 hashfloat4 hashfloat8 hash_numeric hashtext hashbpchar timestamp_hash
    hash_record_extended statement_timestamp textin textout int2in int2out int4in int4out int8in int8out float4in
    float4out float8in float8out numeric_in numeric_out boolin boolout""".split()  # noqa: SIM905
)
OPERATORS = """
SELECT DISTINCT proname, '' FROM pg_proc
WHERE oid IN (SELECT oprcode FROM pg_operator UNION SELECT castfunc FROM pg_cast) AND NOT prosecdef
"""
FUNCTIONS = """
SELECT DISTINCT p.proname, n.nspname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE has_function_privilege(%(login)s, p.oid, 'EXECUTE')
    AND NOT EXISTS (SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'pg_sphere'
                    WHERE d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
"""
# Behind operators and casts of everyday types there is nothing that waits, reads files or looks at the server.
TELLTALE = ("sleep", "advisory", "file", "dir", "stat", "size", "lock", "backend", "xact", "snapshot", "wal", "setting")


@pytest.mark.parametrize("login", READERS)
def test_functions_of_readers(admin: psycopg.Connection, login: str) -> None:
    operators = {name for name, _ in found(admin, OPERATORS, login)}
    callable_ = found(admin, FUNCTIONS, login)
    granted = {f"{name.partition('.')[2]}_granted" for name in EMBARGOED} if login == OBSERVERS else set()
    granted |= {*statistics.OFFERED, *statistics.BEHIND}
    assert {name for name, schema in callable_ if schema != "pg_catalog"} == granted
    own = {name for name, schema in callable_ if schema == "pg_catalog"}
    assert own - operators - LISTED == set()
    assert {name for name in own - LISTED if any(word in name for word in TELLTALE)} == set()
    assert LISTED - own == set()


def test_readers_may_call_what_queries_are_made_of(admin: psycopg.Connection) -> None:
    existing = {name for (name,) in admin.execute("SELECT proname FROM pg_proc")}
    assert adql_sql.FUNCTIONS & existing <= {name for name, _ in found(admin, FUNCTIONS, PUBLIC)} | {
        name for (name,) in admin.execute("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    }


@pytest.mark.parametrize(
    ("login", "schemas"),
    [
        (INGEST, {("outlook", "km3vo"), ("take_in", "km3vo"), ("supersede", "km3vo")}),
        (UPLOAD, set()),
        (SERVICE, {("promote", "km3vo"), ("grant_has_ended", "km3vo")}),
    ],
)
def test_functions_of_the_others(admin: psycopg.Connection, login: str, schemas: set[tuple[str, str]]) -> None:
    callable_ = found(admin, FUNCTIONS, login)
    assert {pair for pair in callable_ if pair[1] != "pg_catalog"} == schemas
    names = {name for name, _ in callable_}
    assert (
        not {"pg_sleep", "pg_read_file", "lo_import", "pg_terminate_backend", "query_to_xml", "pg_relation_size"}
        & names
    )


def test_security_definers_are_known(admin: psycopg.Connection) -> None:
    """Functions with the owner's rights, beside triggers: the service's, three of the loader, and two for observers."""
    rows = admin.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef AND prorettype <> 'trigger'::regtype "
        "AND pronamespace <> 'pg_catalog'::regnamespace"
    ).fetchall()
    assert {name for (name,) in rows} == {
        "km3vo.promote(text,integer,timestamp with time zone)",
        "km3vo.outlook(text)",
        "km3vo.take_in(text,integer[],text[])",
        "km3vo.supersede(text,integer[],boolean,text[],text,double precision,double precision,text,text)",
        *(f"{name}_granted()" for name in EMBARGOED),
    }
    settings = admin.execute(
        "SELECT proconfig FROM pg_proc WHERE prosecdef AND pronamespace <> 'pg_catalog'::regnamespace"
    )
    assert all(any(one.startswith("search_path=pg_catalog") for one in config or ()) for (config,) in settings)


SCHEMAS = """
SELECT nspname, r.right_ FROM pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) AS r(right_)
WHERE nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(%(login)s, oid, r.right_)
"""


@pytest.mark.parametrize(
    ("login", "own"),
    [
        (PUBLIC, {"lab", "ivoa", "km3net", "tap_schema"}),
        (MEMBER, {"lab", "ivoa", "km3net", "tap_schema"}),
        (OBSERVERS, {"lab", "ivoa", "km3net", "tap_schema"}),
        (INGEST, {"lab", "ivoa", "km3net", "tap_schema", "km3vo"}),
        (SERVICE, {"km3vo", "ivoa", "km3net"}),
        (UPLOAD, set()),
    ],
)
def test_schemas(admin: psycopg.Connection, login: str, own: set[str]) -> None:
    rights = found(admin, SCHEMAS, login)
    # Where uploads lie only their login may make anything; readers read what they are granted there, table by table.
    uploads = {(name, right) for name, right in rights if "upload" in name}
    assert uploads <= {(name, right) for name, right in uploads if right == "USAGE" or login == UPLOAD}
    assert rights - uploads == {(name, "USAGE") for name in own | {"public", "pg_catalog"}}


@pytest.mark.parametrize("login", [*LOGINS, OBSERVERS])
def test_databases(admin: psycopg.Connection, login: str) -> None:
    rights = set(
        admin.execute(
            "SELECT CASE WHEN datname = current_database() THEN 'this' WHEN datname ~ '^(test|template)_' THEN 'tests' "
            "ELSE datname END, r.right_ FROM pg_database, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) AS r(right_) "
            "WHERE datallowconn AND datname <> 'km3vo' AND has_database_privilege(%s, oid, r.right_)",
            (login,),
        ).fetchall()
    )
    own = {("this", "CONNECT")}
    own |= {("this", "TEMPORARY")} if login in (OWNER, INGEST) else set()
    own |= {("this", "CREATE")} if login == OWNER else set()
    assert {pair for pair in rights if pair[0] != "tests"} == own


@pytest.mark.parametrize("login", [*LOGINS, OBSERVERS])
def test_everything_else(admin: psycopg.Connection, login: str) -> None:
    def none(query: str) -> None:
        assert admin.execute(query, {"login": login}).fetchall() == []

    owner_languages = ["plpgsql", "sql"] if login == OWNER else []
    languages = admin.execute(
        "SELECT lanname FROM pg_language WHERE lanpltrusted AND has_language_privilege(%s, oid, 'USAGE') ORDER BY 1",
        (login,),
    ).fetchall()
    assert [name for (name,) in languages] == owner_languages
    none("SELECT spcname FROM pg_tablespace WHERE has_tablespace_privilege(%(login)s, oid, 'CREATE')")
    none(
        "SELECT fdwname FROM pg_foreign_data_wrapper WHERE has_foreign_data_wrapper_privilege(%(login)s, oid, 'USAGE')"
    )
    none("SELECT srvname FROM pg_foreign_server WHERE has_server_privilege(%(login)s, oid, 'USAGE')")
    none("SELECT oid FROM pg_largeobject_metadata")
    none("SELECT parname FROM pg_parameter_acl")
    none("SELECT defaclobjtype FROM pg_default_acl")
    none("SELECT roleid::regrole FROM pg_auth_members WHERE member = %(login)s::regrole")
    attributes = admin.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolinherit, rolcanlogin "
        "FROM pg_roles WHERE rolname = %s",
        (login,),
    ).fetchone()
    assert attributes == (False, False, False, False, False, False, login != OBSERVERS)
    settings = admin.execute(
        "SELECT unnest(setconfig) FROM pg_db_role_setting WHERE setrole = %s::regrole", (login,)
    ).fetchall()
    wanted = roles.SETTINGS.get(login, {})
    assert {text.partition("=")[0].lower() for (text,) in settings} == {name.lower() for name in wanted}


def test_one_observer_has_what_the_group_has(database: Database, admin: psycopg.Connection, events: Table) -> None:
    allow(database, events)
    login = grants.login_of("olga")
    assert found(admin, RELATION_RIGHTS, login) == RELATIONS[OBSERVERS]
    assert found(admin, FUNCTIONS, login) == found(admin, FUNCTIONS, OBSERVERS)
    assert found(admin, SCHEMAS, login) == found(admin, SCHEMAS, OBSERVERS)
    members = admin.execute(
        "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", (login,)
    ).fetchall()
    assert members == [(OBSERVERS,)]


def test_no_password_is_part_of_a_statement(database: Database) -> None:
    """What the administrator sends at every start is seen by whoever looks at statements, or at the server's log."""
    with database.connect() as admin:
        admin.execute("SET log_min_messages = fatal")
        admin.execute("SET client_min_messages = log")
        admin.execute("SET log_statement = 'ddl'")
        told: list[str] = []
        admin.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
        roles.ensure(admin, database)
        roles.ensure_observer(admin, database, grants.login_of("olga"))
        statements = "\n".join(told)
        assert "ALTER ROLE" in statements and "SCRAM-SHA-256$" in statements
        for login in (*LOGINS, grants.login_of("olga")):
            assert database.password(login) not in statements
    with database.connect(PUBLIC) as reader:  # and it is the password all the same
        assert reader.execute("SELECT 1").fetchone() == (1,)


PROBES = [
    "SELECT count(*) FROM lab.events",
    "SELECT count(*) FROM lab.events_embargo",
    "SELECT count(*) FROM lab.events_observed",
    "TABLE lab.events",
    "SELECT * FROM km3vo.stream",
    "SELECT * FROM km3vo.release_log",
    "SELECT reltuples FROM pg_class WHERE relname = 'events_embargo'",
    "SELECT * FROM pg_stats",
    "SELECT * FROM pg_statistic",
    "SELECT * FROM pg_stat_user_tables",
    "SELECT * FROM pg_stat_activity",
    "SELECT * FROM pg_locks",
    "SELECT * FROM pg_settings",
    "SELECT * FROM pg_roles",
    "SELECT * FROM pg_database",
    "SELECT * FROM pg_inherits",
    "SELECT * FROM pg_policies",
    "SELECT * FROM information_schema.tables",
    "SELECT pg_relation_size('lab.events_public')",
    "SELECT pg_database_size(current_database())",
    "SELECT pg_sleep(0)",
    "SELECT pg_get_viewdef('lab.events_observed'::regclass)",
    "SELECT set_config('row_security', 'off', false)",
    "SELECT current_setting('data_directory')",
    "SELECT query_to_xml('SELECT 1', true, true, '')",
    "SELECT lo_creat(-1)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_stat_get_live_tuples(1)",
    "SELECT txid_current()",
    "SELECT pg_current_snapshot()",
    "SELECT pg_notify('km3vo_job', '')",
    "SELECT repeat('x', 100000000)",
    "SELECT clock_timestamp()",
    "SELECT has_table_privilege('lab.events', 'SELECT')",
    "SELECT obj_description(1, 'pg_class')",
    "SELECT to_regclass('lab.events_embargo')",
    "CREATE TEMP TABLE t (x int)",
    "CREATE TABLE public.t (x int)",
    "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "DO $$ BEGIN END $$",
    "BEGIN; LOCK TABLE lab.events_public IN ACCESS EXCLUSIVE MODE",
    "ANALYZE lab.events_public",
    "COPY lab.events_public TO PROGRAM 'cat'",
    "COPY lab.events_public TO '/tmp/x'",
    "SET ROLE km3vo_member",
    "SET SESSION AUTHORIZATION km3vo_member",
    "SET temp_file_limit = -1",
    "SET session_replication_role = replica",
    "GRANT SELECT ON lab.events_public TO km3vo_member",
    "CREATE EXTENSION pg_trgm",
]


@pytest.mark.parametrize("probe", PROBES)
def test_a_public_session_that_could_write_sql(database: Database, probe: str) -> None:
    """ADQL lets nobody write any of this; the rights would not either."""
    with database.connect(PUBLIC, autocommit=True) as reader:
        reader.execute("SET default_transaction_read_only = off")
        try:
            reader.execute(probe)
        except psycopg.Error as error:
            assert error.sqlstate in ("42501", "25001", "0A000"), error
        else:
            # What succeeds must be without effect: GRANT of what one has no option on, ANALYZE of others' tables.
            assert probe.startswith(("GRANT", "ANALYZE")), probe


def test_notices_of_the_service_are_the_services(database: Database, service: psycopg.Connection) -> None:
    """PostgreSQL lets every login listen and speak on any channel that it can name."""
    heard: list[tuple[int, str]] = []

    async def use() -> None:
        signals = Signals(database)
        signals.on_phase = lambda number, phase: heard.append((number, phase))
        await signals.open()
        for statement in ("NOTIFY km3vo_job, '1 ABORTED'", "NOTIFY km3vo_job_, '1 ABORTED'"):
            reader.execute(statement)
        ((number,),) = service.execute(
            "INSERT INTO km3vo.job (id, kind, audience, client, phase, queued, parameters, seconds, destruction) "
            "VALUES ('notices', 'other', 'public', '', 'QUEUED', now(), '[]', 1, now()) RETURNING number"
        ).fetchall()
        while not heard:
            await asyncio.sleep(0.05)
        await signals.close()
        assert heard == [(number, "QUEUED")]

    with database.connect(PUBLIC, autocommit=True) as reader:
        for channel in ("km3vo_job", "km3vo_alert", "km3vo_job_", "km3vo_alert_"):
            reader.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        asyncio.run(asyncio.wait_for(use(), 30))
        told = list(reader.notifies(timeout=0.5))
        assert {(notice.channel, notice.payload) for notice in told} == {
            ("km3vo_job", "1 ABORTED"),
            ("km3vo_job_", "1 ABORTED"),
        }


def test_estimates_do_not_tell(database: Database, owner: psycopg.Connection) -> None:
    """EXPLAIN of what a public session may read is the same whether there are embargoed rows or not."""
    plans = []
    for _ in range(2):
        owner.execute("ANALYZE lab.events")
        with database.connect(PUBLIC, autocommit=True) as reader:
            plans.append(
                [
                    reader.execute(sql.SQL("EXPLAIN " + query)).fetchall()
                    for query in (
                        "SELECT * FROM lab.events_public",
                        "SELECT * FROM lab.events_public WHERE _pos <@ scircle(spoint(0::float8, 0::float8), 0.1)",
                        "SELECT count(*) FROM lab.events_public AS a, lab.events_public AS b WHERE a.nhits = b.nhits",
                    )
                ]
            )
        owner.execute(
            "INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50) "
            "SELECT gen_random_uuid(), 60000, '2090-01-01', n % 360, 0, 1 FROM generate_series(1, 5000) AS n"
        )
    assert plans[0] == plans[1]


def test_the_name_of_an_upload_opens_nothing_of_a_member(database: Database) -> None:
    """PostgreSQL writes the name of whatever is numbered, and asks nobody: no right that is taken away hides names."""
    with database.connect(UPLOAD, autocommit=True) as uploads:
        uploads.execute("CREATE TABLE tap_upload.u_1_2 AS SELECT 1 AS c1")
        uploads.execute(sql.SQL("GRANT SELECT ON tap_upload.u_1_2 TO {}").format(sql.Identifier(MEMBER)))
        ((number,),) = uploads.execute("SELECT 'tap_upload.u_1_2'::regclass::oid").fetchall()
    with database.connect(autocommit=True) as admin:
        admin.execute("REVOKE SELECT ON pg_type FROM PUBLIC")
    with database.connect(PUBLIC, autocommit=True) as reader:
        ((name,),) = reader.execute("SELECT %s::oid::regclass", [number]).fetchall()
        assert name == "tap_upload.u_1_2"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("SELECT * FROM tap_upload.u_1_2")
    with database.connect(MEMBER) as member:
        assert member.execute("SELECT c1 FROM tap_upload.u_1_2").fetchall() == [(1,)]
