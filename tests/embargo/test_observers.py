"""Grants: an observer sees what was granted, and the database itself sees to it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.database.logins import MEMBER, OWNER, PUBLIC, Database
from km3vo.embargo import grants, tokens
from km3vo.errors import NotFoundError, SetupError
from km3vo.publishing.publish import publish
from tests.embargo.differential.question import UPLOAD
from tests.embargo.lab import SCHEMAS, SOON, add_alert, add_event, allow
from tests.support.server import serve

pytestmark = pytest.mark.slow


@pytest.fixture
def lab(database: Database) -> Database:
    """One public event; embargoed ones of 2090, 2091 and 2092; an embargoed alert."""
    with database.connect(OWNER, autocommit=True) as owner:
        add_event(owner, "public", "2015-01-01")
        owner.execute("SELECT km3vo.set_quality('lab.events', 'passed', NULL, '', '')")
        owner.execute("SELECT km3vo.promote('lab.events')")
        for year in (2090, 2091, 2092):
            add_event(owner, str(year), f"{year}-06-01")
        add_alert(owner, 1, "2090-01-01")
    return database


def seen(database: Database, login: str, relation: str = "lab.events_observed") -> list[str]:
    with database.connect(login) as reader:
        statement = f"SELECT event_id FROM {relation} ORDER BY obs_time"
        return [event for (event,) in reader.execute(statement)]


def test_period_and_table(lab: Database, events: Table) -> None:
    login = grants.login_of("olga")
    allow(lab, events, start=2091, end=2092)
    assert seen(lab, login) == ["public", "2091"]
    allow(lab, events, start=2092)
    assert seen(lab, login) == ["public", "2091", "2092"]
    with lab.connect(login) as reader:
        assert reader.execute("SELECT count(*) FROM lab.alerts_observed").fetchone() == (0,)


def test_grants_are_for_one_person(lab: Database, events: Table) -> None:
    allow(lab, events, "olga")
    allow(lab, events, "pavel", start=2091, end=2092)
    assert len(seen(lab, grants.login_of("olga"))) == 4
    assert seen(lab, grants.login_of("pavel")) == ["public", "2091"]


def test_the_end_is_kept_by_the_database(lab: Database, events: Table) -> None:
    """Also for a session that is open, and whatever the service thinks."""
    login = grants.login_of("olga")
    allow(lab, events, lasts=timedelta(seconds=2))
    with lab.connect(login, autocommit=True) as reader:
        count = "SELECT count(*) FROM lab.events_observed"
        assert reader.execute(count).fetchone() == (4,)
        reader.execute("PREPARE again AS SELECT count(*) FROM lab.events_observed")
        with lab.connect() as admin:
            admin.execute("SELECT pg_sleep(2.1)")
        assert reader.execute(count).fetchone() == (1,)
        assert reader.execute("EXECUTE again").fetchone() == (1,)


def test_revoked(lab: Database, events: Table) -> None:
    number = allow(lab, events)
    grants.revoke(lab, number)
    assert seen(lab, grants.login_of("olga")) == ["public"]
    with pytest.raises(NotFoundError):
        grants.revoke(lab, number)
    assert [grant.state for grant in grants.find_all(lab)] == ["revoked"]


def test_a_grant_is_revoked_while_its_observer_reads(lab: Database, events: Table) -> None:
    """It waits for nobody, and whoever reads is cut off; what was made by it is gone, also when another is valid."""
    number, _ = allow(lab, events), allow(lab, events, start=2091)
    login = grants.login_of("olga")
    with lab.connect(OWNER) as owner:
        owner.execute(
            "INSERT INTO km3vo.job (id, kind, audience, owner, phase, parameters, seconds, destruction) "
            "VALUES ('x', 'query', %s, 'olga', 'COMPLETED', '[]', 1, now() + interval '1 day')",
            (login,),
        )
    with lab.connect(MEMBER) as member, psycopg.connect(lab.conninfo(login)) as reader:
        member.execute("SELECT count(*) FROM lab.events")  # a transaction that stays open, as a slow download's
        with reader.cursor("slow") as cursor:
            cursor.execute("SELECT event_id FROM lab.events_observed")
            cursor.fetchone()
            grants.revoke(lab, number)
            with pytest.raises(psycopg.OperationalError):
                cursor.fetchone()
        allow(lab, events, "pavel")  # neither does a new one wait
        assert member.execute("SELECT count(*) FROM lab.events").fetchone() == (4,)
    assert seen(lab, login) == ["public", "2091", "2092"]
    with lab.connect(OWNER) as owner:
        assert owner.execute("SELECT count(*) FROM km3vo.job").fetchone() == (0,)


def test_conditions_are_looked_at_on_granted_rows_alone(lab: Database, events: Table) -> None:
    """So that neither errors nor time tell of others: no part of a query is handed to the embargoed partition."""
    allow(lab, events, start=2091, end=2092)
    login = grants.login_of("olga")
    with lab.connect(login, autocommit=True) as reader:
        plan = "\n".join(
            line
            for (line,) in reader.execute(
                "EXPLAIN SELECT count(*) FROM lab.events_observed WHERE mjd BETWEEN 59999 AND 60001"
            )
        )
        assert "Function Scan on events_granted" in plan
        assert "events_embargo" not in plan
    with lab.connect(OWNER, autocommit=True) as owner:
        owner.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        found = owner.execute(
            "EXPLAIN SELECT * FROM lab.events_embargo WHERE obs_time >= '2091-01-01' AND obs_time < '2092-01-01' "
            "ORDER BY obs_time, event_id"
        ).fetchall()
        assert "Index Scan using events_embargo_granted" in str(found)


OTHERS = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'h' || year || n, 60000.5, make_timestamp(year, 6, 1, 0, 0, 0) + n * interval '1 s', 200, -40, 0.5, 5, 7, 'other'
FROM generate_series(1, 5000) AS n, unnest(ARRAY[2089, 2090, 2092, 2093]) AS year
"""
GRANTED = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'g' || n, 70000 + n, '2091-06-01'::timestamp + n * interval '1 s', n, 20, 1, 5, 7, 'granted'
FROM generate_series(1, 300) AS n
"""
# Where 20,000 events lie that were not granted, and where none does.
WHERE = {
    "mjd": ("mjd BETWEEN 60000 AND 60001", "mjd BETWEEN 50000 AND 50001"),
    "position": (
        "_pos <@ scircle(spoint(radians(200), radians(-40)), 0.01)",
        "_pos <@ scircle(spoint(radians(100), radians(40)), 0.01)",
    ),
    "identifier": ("event_id = 'h20901'", "event_id = 'nothing'"),
    "time": ("obs_time BETWEEN '2090-06-01' AND '2090-07-01'", "obs_time BETWEEN '2080-06-01' AND '2080-07-01'"),
    "text": ("tag = 'other'", "tag = 'nothing'"),
}


def touched(reader: psycopg.Connection, condition: str) -> int:
    """How many pages a count with a condition looks at, when everything that can be kept of it is."""
    for _ in range(7):  # PostgreSQL tries plans of its own for the first five
        row = reader.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT count(*) FROM lab.events_observed WHERE {condition}"
        ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_the_work_of_a_query_is_bounded_by_granted_rows(lab: Database, events: Table) -> None:
    """Pages are counted instead of milliseconds: what a query looks at is what takes time."""
    allow(lab, events, start=2091, end=2092)
    with lab.connect(OWNER, autocommit=True) as owner, lab.connect(grants.login_of("olga"), autocommit=True) as reader:
        owner.execute(GRANTED)
        owner.execute("ANALYZE lab.events_embargo")
        alone = {name: touched(reader, condition) for name, (condition, _) in WHERE.items()}
        owner.execute(OTHERS)
        owner.execute("ANALYZE lab.events_embargo")
    with lab.connect(grants.login_of("olga"), autocommit=True) as reader:
        among = {name: touched(reader, condition) for name, (condition, _) in WHERE.items()}
        elsewhere = {name: touched(reader, condition) for name, (_, condition) in WHERE.items()}
        assert among == elsewhere  # where others lie costs what it costs where none does
        for name, pages in alone.items():
            assert abs(among[name] - pages) <= 3, name  # the index has a level more
    with lab.connect(OWNER) as owner:  # plans that read others are chosen for other rows than these
        found = owner.execute("SELECT proconfig FROM pg_proc WHERE proname = 'events_granted'").fetchall()
    assert found and all({"enable_seqscan=off", "enable_bitmapscan=off"} <= set(config) for (config,) in found)


def test_nothing_that_an_observer_can_set_shows_more(lab: Database, events: Table) -> None:
    allow(lab, events, start=2091, end=2092)
    login = grants.login_of("olga")
    with lab.connect(login, autocommit=True) as reader:
        for setting in (
            "SET row_security = off",
            "SET ROLE km3vo_observers",
            "SET TIME ZONE 'Pacific/Apia'",
            "SET search_path = lab, km3vo",
            "SET DateStyle = 'German'",
        ):
            reader.execute(setting)
            try:
                (count,) = reader.execute("SELECT count(*) FROM lab.events_observed").fetchone() or (0,)
            except psycopg.Error as error:
                assert error.sqlstate == "42501"
            else:
                assert count <= 2, setting
            reader.execute("RESET ALL; RESET ROLE")
        reader.execute("SET default_transaction_read_only = off")
        for statement in (
            "SELECT count(*) FROM lab.events",
            f"SET ROLE {MEMBER}",
            f"SET ROLE {OWNER}",
            f"SET SESSION AUTHORIZATION {MEMBER}",
            "ALTER TABLE lab.events_embargo DISABLE ROW LEVEL SECURITY",
            "SELECT count(*) FROM lab.events_embargo",
            "CREATE POLICY mine ON lab.events_embargo USING (true)",
            "ALTER VIEW lab.events_observed SET (security_invoker = false)",
            "SELECT * FROM km3vo.observer_grant",
        ):
            with pytest.raises(psycopg.Error) as refusal:
                reader.execute(statement)
            assert refusal.value.sqlstate == "42501", statement


def test_errors_of_rows_that_were_not_granted_do_not_show(lab: Database, events: Table) -> None:
    """Functions that can raise run only on rows that the observer may see."""
    with lab.connect(OWNER, autocommit=True) as owner:
        owner.execute("UPDATE lab.events SET nhits = 123 WHERE event_id = '2090'")
    allow(lab, events, start=2091, end=2092)
    with lab.connect(grants.login_of("olga"), autocommit=True) as reader:
        query = "SELECT count(*) FROM lab.events_observed WHERE 1 / (nhits - 123) < 5"
        assert reader.execute(query).fetchone() == (2,)


def test_public_and_member_are_not_affected(lab: Database, events: Table) -> None:
    plans = []
    for _ in range(2):
        with lab.connect(PUBLIC) as public, lab.connect(MEMBER) as member:
            assert [event for (event,) in public.execute("SELECT event_id FROM lab.events_public")] == ["public"]
            assert member.execute("SELECT count(*) FROM lab.events").fetchone() == (4,)
            plans.append(
                [
                    reader.execute(f"EXPLAIN SELECT * FROM {relation} WHERE _pos <@ scircle(spoint(0,0),1)").fetchall()
                    for reader, relation in ((public, "lab.events_public"), (member, "lab.events"))
                ]
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                public.execute("SELECT count(*) FROM lab.events_embargo")
            public.rollback()
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                public.execute("SELECT count(*) FROM lab.events_observed")
        allow(lab, events)
    assert plans[0] == plans[1]


def test_impossible_grants(lab: Database, events: Table, catalog: Catalog) -> None:
    with pytest.raises(SetupError, match="not embargoed"):
        allow(lab, catalog.table("lab.known"))
    with pytest.raises(SetupError, match="before it begins"):
        allow(lab, events, start=2091, end=2090)
    with pytest.raises(SetupError, match="ended already"):
        allow(lab, events, lasts=-SOON)
    assert grants.find_all(lab) == []


def test_publishing_again_keeps_grants(lab: Database, events: Table, catalog: Catalog) -> None:
    allow(lab, events, start=2091, end=2092)
    with lab.connect(OWNER) as owner:
        publish(owner, catalog)
    assert seen(lab, grants.login_of("olga")) == ["public", "2091"]


def test_through_the_service(lab: Database, events: Table, tmp_path: Path) -> None:
    with lab.connect(OWNER) as owner:
        token = tokens.create(owner, "olga", audience="observer", label="", valid=SOON, by="me")[1]
    query = {"LANG": "ADQL", "QUERY": "SELECT event_id FROM lab.events ORDER BY event_id", "RESPONSEFORMAT": "csv"}
    headers = {"Authorization": f"Bearer {token}"}
    with serve(lab, tmp_path, schemas=SCHEMAS, promote_seconds=0) as server:

        def ask(path: str, **parameters: str) -> httpx.Response:
            return httpx.get(server.url + path, params=parameters, headers=headers)

        assert ask("/tap/sync", **query).status_code == 403
        number = allow(lab, events, start=2091, end=2092)
        assert ask("/tap/sync", **query).text.split() == ["event_id", "2091", "public"]
        cone = ask("/scs/lab/events", RA="10", DEC="20", SR="1", RESPONSEFORMAT="csv").text
        assert "2091" in cone and "2090" not in cone
        assert httpx.get(f"{server.url}/tap/sync", params=query).text.split() == ["event_id", "public"]
        matched = httpx.post(
            f"{server.url}/tap/sync",
            data={
                "LANG": "ADQL",
                "QUERY": "SELECT e.event_id FROM lab.events AS e, tap_upload.mine AS u "
                "WHERE DISTANCE(POINT(e.ra, e.dec), POINT(u.ra, u.dec)) < 1 AND u.name = 'e17' ORDER BY e.event_id",
                "RESPONSEFORMAT": "csv",
                "UPLOAD": "mine,param:mine",
            },
            files={"mine": ("mine.vot", UPLOAD.encode())},
            headers=headers,
        )
        assert matched.text.split() == ["event_id", "2091", "public"]
        assert (
            ask("/tap/sync", LANG="ADQL", QUERY="SELECT ivo_healpix_index(5, ra, dec) FROM lab.events").status_code
            == 200
        )
        grants.revoke(lab, number)
        assert ask("/tap/sync", **query).status_code == 403
        # One that has ended by itself refuses the login as well: an empty answer would seem to be one.
        allow(lab, events, start=2091, end=2092, lasts=timedelta(seconds=3))
        assert ask("/tap/sync", **query).text.split() == ["event_id", "2091", "public"]
        with lab.connect() as admin:
            admin.execute("SELECT pg_sleep(3)")
        assert ask("/tap/sync", **query).status_code == 403
