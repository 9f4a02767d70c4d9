"""Grants: an observer sees what was granted, and the database itself sees to it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from km3vo.catalog.model import Catalog, Table
from km3vo.errors import NotFoundError, SetupError
from km3vo.store import grants, publish, tokens
from km3vo.store.database import MEMBER, OWNER, PUBLIC, Database
from tests.conftest import serve
from tests.embargo.conftest import SCHEMAS
from tests.embargo.differential import UPLOAD
from tests.embargo.lab import add_alert, add_event

pytestmark = pytest.mark.slow

SOON = timedelta(hours=1)


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


def allow(
    database: Database,
    table: Table,
    name: str = "olga",
    *,
    start: int | None = None,
    end: int | None = None,
    lasts: timedelta = SOON,
) -> int:
    return grants.add(
        database,
        table,
        name,
        observed_from=datetime(start, 1, 1) if start else None,
        observed_to=datetime(end, 1, 1) if end else None,
        ends_at=datetime.now(UTC) + lasts,
        reason="why",
        by="me",
    )


def seen(database: Database, login: str, relation: str = "lab.events_observed") -> list[str]:
    with database.connect(login) as reader:
        statement = f"SELECT event_id FROM {relation} ORDER BY obs_time"  # type: ignore[arg-type]
        return [event for (event,) in reader.execute(statement)]  # type: ignore[arg-type]


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
            reader.execute(setting)  # type: ignore[arg-type]
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
            "DROP POLICY grant_1 ON lab.events_embargo",
            "CREATE POLICY mine ON lab.events_embargo USING (true)",
            "ALTER VIEW lab.events_observed SET (security_invoker = false)",
            "SELECT * FROM km3vo.observer_grant",
        ):
            with pytest.raises(psycopg.Error) as refusal:
                reader.execute(statement)  # type: ignore[arg-type]
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
                    reader.execute(f"EXPLAIN SELECT * FROM {relation} WHERE _pos <@ scircle(spoint(0,0),1)").fetchall()  # type: ignore[arg-type]
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
        publish.publish(owner, catalog)
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
