"""UWS 1.1 as its text and the traps of clients have it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from lxml import etree

from km3vo.check.schemas import Schemas
from km3vo.database.logins import OWNER
from km3vo.embargo import tokens
from km3vo.identity.user import User
from km3vo.protocols.uws import access
from tests.support.server import Server
from tests.support.tap import ENDLESS, HREF, QUICK, UWS, Client, Job, late_mistake, member

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def test_a_job_from_making_to_removal(client: Client) -> None:
    job = client.job(RUNID="mine", FORMAT="csv")
    assert job.phase == "PENDING"
    answer = job.post("/phase", PHASE="RUN")
    assert (answer.status_code, answer.headers["location"]) == (303, job.url)
    assert job.end() == "COMPLETED"
    found = job.get("/results/result")
    assert found.status_code == 200
    assert found.headers["content-type"] == "text/csv;header=present;charset=utf-8"
    assert found.text.splitlines()[0] == "table_name"
    answer = client.http.delete(job.url)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{client.tap}/async")
    assert job.get().status_code == job.get("/phase").status_code == job.get("/results/result").status_code == 404


def test_run_within_the_creating_post(client: Client) -> None:
    assert client.job(PHASE="RUN").end() == "COMPLETED"


def test_documents_are_valid_in_every_phase(client: Client, schemas: Schemas) -> None:
    made = [client.job(), client.job(PHASE="RUN", RUNID="x"), client.job("SELECT nonsense", PHASE="RUN")]
    made[1].end()
    made[2].end()
    assert [job.phase for job in made] == ["PENDING", "COMPLETED", "ERROR"]
    for job in made:
        answer = job.get()
        assert answer.headers["content-type"].startswith("text/xml")
        assert not schemas.mistakes(answer.content)
        for path in ("/parameters", "/results"):
            assert not schemas.mistakes(job.get(path).content)
        assert job.xml().get("version") == "1.1"
    assert not schemas.mistakes(client.http.get(f"{client.tap}/async").content)


def test_the_document_says_what_its_parts_say(client: Client) -> None:
    job = client.job(PHASE="RUN", RUNID="seven", REQUEST="doQuery")
    job.end()
    assert job.text("jobId") == job.id
    for name in ("phase", "executionDuration", "destruction"):
        answer = job.get(f"/{name.lower()}")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text == job.text(name)
    assert job.get("/quote").text == job.get("/owner").text == ""
    parameters = etree.fromstring(job.get("/parameters").content)
    shown = {parameter.get("id"): parameter.text for parameter in parameters}
    assert shown == {"LANG": "ADQL", "QUERY": QUICK, "RUNID": "seven", "REQUEST": "doQuery"}
    assert {p.get("id"): p.text for p in job.xml().find("uws:parameters", UWS)} == shown
    for name in ("creationTime", "startTime", "endTime", "destruction"):
        assert re.fullmatch(TIME, job.text(name) or ""), name


def test_the_result_has_an_absolute_address_type_and_size(client: Client) -> None:
    job = client.job(PHASE="RUN")
    job.end()
    result = job.xml().find("uws:results/uws:result", UWS)
    assert result.get("id") == "result"
    assert result.get(HREF) == f"{job.url}/results/result"
    found = client.http.get(result.get(HREF))
    assert found.headers["content-type"] == result.get("mime-type") == "application/x-votable+xml;serialization=BINARY2"
    assert len(found.content) == int(result.get("size")) == int(found.headers["content-length"])


def test_parts_of_a_result(client: Client) -> None:
    job = client.job(PHASE="RUN", FORMAT="csv")
    job.end()
    whole = job.get("/results/result").content
    part = job.http.get(f"{job.url}/results/result", headers={"Range": "bytes=3-9", "Accept-Encoding": "gzip"})
    assert part.status_code == 206
    assert part.content == whole[3:10]
    assert job.http.head(f"{job.url}/results/result").headers["content-length"] == str(len(whole))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"QUERY": None}, "QUERY is missing"),
        ({"QUERY": "SELECT FROM"}, "line 1"),
        ({"LANG": "SQL"}, "query language"),
        ({"FORMAT": "application/pony"}, "application/pony"),
        ({"MAXREC": "many"}, "MAXREC"),
        ({"UPLOAD": "t,param:missing"}, "not sent"),
        ({"UPLOAD": "nonsense"}, "UPLOAD"),
        ({"RUNID": "x" * 65}, "RUNID"),
        ({"QUERY": "SELECT 1/(mjd-mjd) FROM ant20_01.main"}, "division by zero"),
    ],
)
def test_wrong_parameters_are_errors_of_the_run(client: Client, parameters: dict[str, Any], says: str) -> None:
    job = client.job(query=parameters.pop("QUERY", QUICK), **parameters)
    assert job.phase == "PENDING"
    job.post("/phase", PHASE="RUN")
    assert job.end() == "ERROR"
    assert says in (job.xml().findtext("uws:errorSummary/uws:message", namespaces=UWS) or "")
    error = job.get("/error")
    assert error.status_code == 200
    status = etree.fromstring(error.content).find(".//{*}INFO[@name='QUERY_STATUS']")
    assert status.get("value") == "ERROR"
    assert says in status.text
    assert job.get("/results/result").status_code == 404
    assert not len(job.xml().find("uws:results", UWS))


def test_parameters_change_while_pending_only(client: Client) -> None:
    job = client.job("nonsense", MAXREC="7")
    assert job.post("/parameters", query=QUICK, FORMAT="csv").status_code == 303
    shown = {p.get("id"): p.text for p in job.xml().find("uws:parameters", UWS)}
    assert shown == {"LANG": "ADQL", "QUERY": QUICK, "FORMAT": "csv", "MAXREC": "7"}
    assert job.post("", QUERY="other").status_code == 400
    job.post("/phase", PHASE="RUN")
    assert job.end() == "COMPLETED"
    assert job.post("/parameters", MAXREC="8").status_code == 403


def test_what_a_phase_does_not_allow(client: Client) -> None:
    job = client.job(PHASE="RUN")
    job.end()
    for phase in ("RUN", "ABORT"):
        answer = job.post("/phase", PHASE=phase)
        assert answer.status_code == 403
        assert "COMPLETED" in answer.text
    assert job.post("/phase", PHASE="FLY").status_code == 400
    assert job.post("/executionduration", EXECUTIONDURATION="5").status_code == 403
    assert job.get("/error").status_code == 404


def test_abort_stops_the_query(client: Client, server: Server) -> None:
    job = client.job(ENDLESS, PHASE="RUN")
    job.executing()
    _until(lambda: _queries(server) == 1)
    assert job.post("/phase", PHASE="ABORT").status_code == 303
    assert job.phase == "ABORTED"
    assert job.get("/results/result").status_code == 404
    assert job.get("/error").status_code == 200
    _until(lambda: _queries(server) == 0)
    assert job.phase == "ABORTED"


@pytest.mark.parametrize("way", ["DELETE", "ACTION"])
def test_removal_stops_the_query(client: Client, server: Server, way: str) -> None:
    job = client.job(ENDLESS, PHASE="RUN")
    job.executing()
    answer = client.http.delete(job.url) if way == "DELETE" else job.post("", ACTION="DELETE")
    assert answer.status_code == 303
    assert job.get().status_code == 404
    _until(lambda: _queries(server) == 0)
    _until(lambda: not (server.settings.results / job.id).exists())


def test_the_execution_duration_is_kept(client: Client, server: Server) -> None:
    job = client.job(ENDLESS)
    assert job.post("/executionduration", EXECUTIONDURATION="1").status_code == 303
    assert job.get("/executionduration").text == "1"
    job.post("/phase", PHASE="RUN")
    assert job.end() == "ABORTED"
    assert "1 seconds" in job.get("/error").text
    _until(lambda: _queries(server) == 0)


def test_limits_of_time_are_clipped(client: Client, server: Server) -> None:
    limits = server.settings.limits
    job = client.job()
    for asked in ("0", "999999999"):
        job.post("/executionduration", EXECUTIONDURATION=asked)
        assert job.get("/executionduration").text == str(limits.async_seconds_hard)
    for wrong in ("-1", "soon", ""):
        assert job.post("/executionduration", EXECUTIONDURATION=wrong).status_code == 400
    job.post("/destruction", DESTRUCTION="2999-01-01T00:00:00Z")
    kept = datetime.fromisoformat(job.get("/destruction").text) - datetime.now(UTC)
    assert timedelta(days=limits.retention_days_hard - 1) < kept <= timedelta(days=limits.retention_days_hard)
    day = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%d")
    for written in ("13:00:00+01:00", "12:00:00Z", "12:00:00"):
        assert job.post("/destruction", DESTRUCTION=f"{day}T{written}").status_code == 303
        assert job.get("/destruction").text == f"{day}T12:00:00.000Z"
    for wrong in ("tomorrow", "", "2026-13-01"):
        assert job.post("/destruction", DESTRUCTION=wrong).status_code == 400


@pytest.mark.parametrize("wait", [-1, 100])
def test_waiting_ends_with_a_change_of_phase(client: Client, server: Server, wait: int) -> None:
    job = client.job(ENDLESS, PHASE="RUN")
    job.executing()
    with ThreadPoolExecutor(1) as pool, httpx.Client(timeout=120) as other:
        answer = pool.submit(other.get, job.url, params={"WAIT": wait})
        _until(lambda: server.app.state.service.signals._waiting)
        began = time.monotonic()
        job.post("/phase", PHASE="ABORT")
        phase = etree.fromstring(answer.result().content).findtext("uws:phase", namespaces=UWS)
        assert time.monotonic() - began < 30
    assert phase == "ABORTED"
    _until(lambda: not server.app.state.service.signals._waiting)


def test_who_waits_and_leaves_is_forgotten(client: Client, server: Server) -> None:
    job = client.job()
    with httpx.Client(timeout=0.5) as other, pytest.raises(httpx.ReadTimeout):
        other.get(job.url, params={"WAIT": "-1"})
    _until(lambda: not server.app.state.service.signals._waiting)


def test_waiting(client: Client) -> None:
    job = client.job()
    began = time.monotonic()
    assert job.xml(WAIT=1).findtext("uws:phase", namespaces=UWS) == "PENDING"
    assert 0.9 < time.monotonic() - began < 20
    assert job.xml(WAIT=60, PHASE="EXECUTING").findtext("uws:phase", namespaces=UWS) == "PENDING"
    for wrong in ("", "-2", "soon", "1.5"):
        assert job.get(WAIT=wrong).status_code == 400
    job.post("/phase", PHASE="RUN")
    job.end()
    for wait in (-1, 60, 0):
        assert job.xml(WAIT=wait).findtext("uws:phase", namespaces=UWS) == "COMPLETED"


def test_unknown_jobs(client: Client) -> None:
    for id in ("x", "0" * 32, "%00", "é", "0" * 32 + "/phase", "0" * 32 + "/results/result"):
        assert client.http.get(f"{client.tap}/async/{id}").status_code in (404, 400), id
    assert client.http.get(client.job().url + "/nonsense").status_code == 404


def test_nobody_lists_anonymous_jobs(client: Client) -> None:
    client.job()
    jobs = etree.fromstring(client.http.get(f"{client.tap}/async").content)
    assert jobs.get("version") == "1.1"
    assert len(jobs) == 0
    assert len(client.job().id) == 32


def test_what_cannot_stand_in_xml(client: Client, schemas: Schemas) -> None:
    odd = "a\x00b\x01c\ud7ff<&>\"'\u2028\ufffe"
    job = client.job(QUICK, RUNID=odd, WHATEVER=odd)
    shown = job.xml()
    assert shown.findtext("uws:runId", namespaces=UWS) == "abc\ud7ff<&>\"'\u2028"
    assert not schemas.mistakes(job.get().content)


def test_the_second_address_stays_with_itself(server: Server) -> None:
    base = server.url + "/__system__/tap/run/tap"
    with httpx.Client() as http:
        answer = http.post(f"{base}/async", data={"LANG": "ADQL", "QUERY": QUICK, "PHASE": "RUN"})
        assert answer.headers["location"].startswith(f"{base}/async/")
        job = Job(http, answer.headers["location"])
        job.end()
        assert job.xml().find("uws:results/uws:result", UWS).get(HREF).startswith(base)


def test_truncation_and_progress_are_told(client: Client) -> None:
    job = client.job("SELECT table_name FROM tap_schema.tables", MAXREC="2", PHASE="RUN")
    job.end()
    info = job.xml().find("uws:jobInfo", UWS)
    assert (info.findtext("rows"), info.findtext("overflow")) == ("2", "true")


# Whose job it is -----------------------------------------------------------------------------------------------------


@pytest.fixture
def people(server: Server) -> Iterator[Any]:
    """A function that makes a client of somebody: a member with a token, or nobody in particular."""
    with ExitStack() as stack:

        def person(name: str | None = None) -> Client:
            made = Client(server, **(member(server, name) if name else {}))
            stack.enter_context(made.http)
            return made

        yield person


def test_an_owners_jobs_are_the_owners(people: Any) -> None:
    ada, eve, nobody = people("ada"), people("eve"), people()
    job = ada.job("SELECT TOP 1 ra FROM km3net.events", PHASE="RUN", RUNID="a")
    assert job.end() == "COMPLETED"
    assert job.get("/owner").text == "ada"
    for other in (eve, nobody):
        for path in ("", "/phase", "/results/result", "/parameters", "/uploads/t"):
            assert other.http.get(job.url + path).status_code == 404
        assert other.http.delete(job.url).status_code == 404
        assert other.http.post(job.url + "/phase", data={"PHASE": "ABORT"}).status_code == 404
    assert job.get("/results/result").status_code == 200
    listed = etree.fromstring(eve.http.get(f"{eve.tap}/async").content)
    assert job.id not in [reference.get("id") for reference in listed]


def test_who_has_lost_access(server: Server, people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = people("bob")
    job = bob.job("SELECT TOP 1 ra FROM km3net.events", PHASE="RUN")
    job.end()

    def public(request: Any) -> User:
        return User("public", "bob")

    with monkeypatch.context() as patch:
        patch.setattr(access, "user_of", public)  # known still, but no member
        for path in ("", "/results/result", "/results", "/phase"):
            assert bob.http.get(job.url + path).status_code == 403
    assert job.get("/results/result").status_code == 200
    with server.app.state.service.database.connect(OWNER) as owner:
        tokens.revoke(owner, owner="bob")
    assert job.get("/results/result").status_code == 401
    assert people().http.get(job.url + "/results/result").status_code == 404
    assert people("bob").http.get(job.url + "/results/result").status_code == 200


def test_addresses_stay_where_credentials_are_asked_for(server: Server, people: Any) -> None:
    carol = people("carol")
    base = f"{server.url}/auth/tap"
    answer = carol.http.post(f"{base}/async", data={"LANG": "ADQL", "QUERY": QUICK, "PHASE": "RUN"})
    assert answer.headers["location"].startswith(f"{base}/async/")
    job = Job(carol.http, answer.headers["location"])
    job.end()
    assert job.xml().find("uws:results/uws:result", UWS).get(HREF) == f"{job.url}/results/result"
    assert people().http.get(job.url).status_code == 401


def test_members_see_more_by_async_too(people: Any) -> None:
    query = "SELECT COUNT(*) AS n FROM km3net.events"
    counts = []
    for who in (people(), people("cleo")):
        job = who.job(query, PHASE="RUN", FORMAT="csv")
        job.end()
        counts.append(int(job.get("/results/result").text.split()[1]))
    assert counts[0] < counts[1]


def test_the_list_and_its_filters(people: Any, schemas: Schemas) -> None:
    dora = people("dora")
    done = [dora.job(PHASE="RUN", RUNID=str(number)) for number in range(3)]
    for job in done:
        job.end()
    waiting = dora.job()

    def listed(**parameters: Any) -> list[str]:
        answer = dora.http.get(f"{dora.tap}/async", params=parameters)
        assert answer.status_code == 200, answer.text
        assert not schemas.mistakes(answer.content)
        return [reference.get("id") for reference in etree.fromstring(answer.content)]

    newest = [waiting.id, *(job.id for job in reversed(done))]
    assert listed() == newest
    assert listed(PHASE="PENDING") == [waiting.id]
    assert listed(PHASE=["PENDING", "COMPLETED"]) == newest
    assert listed(PHASE="ARCHIVED") == []
    assert listed(LAST=2) == newest[:2]
    assert listed(LAST=1, PHASE="COMPLETED") == [done[2].id]
    assert listed(AFTER=done[1].text("creationTime")) in (
        [waiting.id, done[2].id],
        [waiting.id, done[2].id, done[1].id],
    )
    assert listed(AFTER="2999-01-01") == []
    for wrong in ({"PHASE": "FLYING"}, {"LAST": "-1"}, {"LAST": "x"}, {"AFTER": "never"}):
        assert dora.http.get(f"{dora.tap}/async", params=wrong).status_code == 400
    reference = etree.fromstring(dora.http.get(f"{dora.tap}/async", params={"LAST": 1}).content)[0]
    assert reference.get(HREF) == waiting.url


def _queries(server: Server) -> int:
    with server.app.state.service.database.connect() as admin:
        (count,) = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'km3vo_public' AND state = 'active'"
            " AND datname = current_database()"
        ).fetchone() or (0,)
    return int(count)


def _until(true: Any, seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize("form", ["votable", "csv", "fits", "parquet"])
def test_a_mistake_after_the_first_rows_leaves_no_result(client: Client, server: Server, form: str) -> None:
    """Whatever the format could have said of it: the job failed, and what it wrote is gone."""
    job = client.job(late_mistake(server.app.state.service.database), PHASE="RUN", FORMAT=form, MAXREC="4000000")
    assert job.end() == "ERROR"
    assert "a division by zero" in job.get("/error").text
    assert job.get("/results/result").status_code == 404
    assert list((server.settings.results / job.id).iterdir()) == []
