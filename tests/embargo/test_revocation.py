"""Rights that end while they are used: open answers, running jobs and results end with them, within seconds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlencode

import httpx
import pytest

from km3vo.catalog.model import Table
from km3vo.database.logins import MEMBER, OWNER, Database
from km3vo.embargo import grants, tokens
from tests.embargo.lab import SCHEMAS, allow
from tests.support.server import Server, serve

pytestmark = pytest.mark.slow

EVENTS = """
INSERT INTO lab.events (event_id, mjd, obs_time, ra, dec, err50, energy, nhits, tag)
SELECT 'h' || n, 60000.5, '2091-01-01', n % 360, 0, 0.5, 5, 7, 'secret' FROM generate_series(1, 1500) AS n
"""
# 20,000 rows of a kilobyte: more than lies in all buffers on the way to somebody who reads slowly.
MANY = f"SELECT a.event_id, '{'x' * 1000}' AS padding FROM lab.events AS a, lab.events AS b"
ENDLESS = "SELECT COUNT(*) FROM lab.events AS a, lab.events AS b, lab.events AS c WHERE a.ra + b.ra < c.dec"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def lab(new_published: Callable[[], Database]) -> Database:
    """Embargoed events of 2091."""
    database = new_published()
    with database.connect(OWNER, autocommit=True) as owner:
        owner.execute(EVENTS)
        owner.execute("ANALYZE lab.events")
    return database


@pytest.fixture(scope="module")
def server(lab: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(lab, tmp_path_factory.mktemp("home"), schemas=SCHEMAS, promote_seconds=0) as running:
        yield running


def token_of(database: Database, owner: str, audience: str = "member") -> tuple[int, str]:
    with database.connect(OWNER) as connection:
        return tokens.create(connection, owner, audience=audience, label="", valid=HOUR, by="me")


def revoke(database: Database, number: int) -> None:
    with database.connect(OWNER) as connection:
        tokens.revoke(connection, number=number)


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def begin(server: Server, path: str, token: str, **asked: object) -> socket.socket:
    """Ask, read the first bytes of the answer, and leave the rest where it is."""
    client = socket.create_connection(("127.0.0.1", server.settings.port), timeout=60)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.sendall(
        f"GET {path}?{urlencode(asked)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    return client


def stream(server: Server, token: str) -> socket.socket:
    return begin(server, "/tap/sync", token, LANG="ADQL", QUERY=MANY, MAXREC=20_000, RESPONSEFORMAT="csv")


def eventually(true: Callable[[], bool], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while not (done := true()) and time.monotonic() < until:
        time.sleep(0.1)
    return done


def is_cut(client: socket.socket) -> bool:
    """Whether somebody who reads a little now and then loses the connection, and with it what was on the way."""
    try:
        for _ in range(600):
            if not client.recv(8000):
                return False  # an end in good order, after all that was on the way
            time.sleep(0.1)
    except ConnectionResetError:
        return True
    return False


def goes_on(client: socket.socket) -> bool:
    """Whether the answer has more than the buffers on the way hold."""
    read = 0
    while read < 2**24 and (piece := client.recv(2**20)):
        read += len(piece)
    return read >= 2**24


def job(server: Server, token: str, query: str) -> str:
    """The address of a job that was begun."""
    asked = {"LANG": "ADQL", "QUERY": query, "PHASE": "RUN", "RESPONSEFORMAT": "csv", "MAXREC": "20000"}
    made = httpx.post(f"{server.tap}/async", data=asked, headers=header(token), timeout=60)
    assert made.status_code == 303, made.text
    return made.headers["location"]


def phase(address: str, token: str) -> str:
    return httpx.get(f"{address}/phase", headers=header(token), timeout=60).text


def working(database: Database, login: str) -> int:
    """How many statements a login has under way."""
    with database.connect() as admin:
        (count,) = admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND state <> 'idle' AND "
            "datname = current_database() AND backend_type = 'client backend'",
            (login,),
        ).fetchone() or (0,)
    return int(count)


# Tokens ---------------------------------------------------------------------------------------------------------------


def test_a_slow_reader_is_cut_off_when_the_token_is_revoked(server: Server, lab: Database) -> None:
    number, token = token_of(lab, "ada")
    _, other = token_of(lab, "ada")
    with stream(server, token) as client, stream(server, other) as untouched:
        revoke(lab, number)
        assert is_cut(client)
        assert goes_on(untouched)
    assert eventually(lambda: working(lab, "km3vo_member") == 0)


def test_a_download_is_cut_off_when_the_token_is_revoked(server: Server, lab: Database) -> None:
    number, token = token_of(lab, "ada")
    made = job(server, token, MANY)
    assert eventually(lambda: phase(made, token) == "COMPLETED")
    with begin(server, httpx.URL(made).path + "/results/result", token) as client:
        revoke(lab, number)
        assert is_cut(client)
    # What belongs to a person stays hers, with another token.
    assert phase(made, token_of(lab, "ada")[1]) == "COMPLETED"


def test_running_jobs_end_when_the_token_is_revoked(server: Server, lab: Database) -> None:
    number, token = token_of(lab, "ada")
    _, other = token_of(lab, "ada")
    running, waiting, untouched = job(server, token, ENDLESS), job(server, token, ENDLESS), job(server, other, ENDLESS)
    assert eventually(lambda: phase(running, other) == "EXECUTING")
    revoke(lab, number)
    assert eventually(lambda: [phase(one, other) for one in (running, waiting)] == ["ABORTED", "ABORTED"])
    for one in (running, waiting):
        assert "has been revoked" in httpx.get(f"{one}/error", headers=header(other)).text
    assert eventually(lambda: phase(untouched, other) == "EXECUTING")
    httpx.delete(untouched, headers=header(other))
    assert eventually(lambda: working(lab, "km3vo_member") == 0)


def test_an_answer_that_has_not_begun_is_a_refusal(server: Server, lab: Database) -> None:
    """One that waits for a job: nothing was sent as yet."""
    number, token = token_of(lab, "ada")
    made = httpx.post(
        f"{server.tap}/async", data={"LANG": "ADQL", "QUERY": MANY}, headers=header(token_of(lab, "ada")[1])
    )
    with socket.create_connection(("127.0.0.1", server.settings.port), timeout=60) as client:
        path = httpx.URL(made.headers["location"]).path
        head = f"GET {path}?WAIT=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        client.sendall(head.encode())
        assert eventually(lambda: bool(server.app.state.service.ongoing._answers))
        revoke(lab, number)
        assert client.recv(1000).startswith(b"HTTP/1.1 401")


# Grants ---------------------------------------------------------------------------------------------------------------


def test_a_slow_reader_is_cut_off_when_a_grant_is_revoked(server: Server, lab: Database, events: Table) -> None:
    """Also while another grant is valid: nobody knows which of them gave a row."""
    number, _ = allow(lab, events, "olga"), allow(lab, events, "olga", start=2091, end=2092)
    _, token = token_of(lab, "olga", "observer")
    with stream(server, token) as client:
        grants.revoke(lab, number)
        assert is_cut(client)
    assert eventually(lambda: working(lab, grants.login_of("olga")) == 0)
    with stream(server, token):  # by the other grant
        pass


def test_a_slow_reader_is_cut_off_when_a_grant_ends(server: Server, lab: Database, events: Table) -> None:
    number, _ = allow(lab, events, "pavel"), allow(lab, events, "pavel", start=2091, end=2092)
    with stream(server, token_of(lab, "pavel", "observer")[1]) as client:
        end(lab, number)
        assert is_cut(client)
    assert eventually(lambda: working(lab, grants.login_of("pavel")) == 0)


def end(database: Database, number: int) -> None:
    """As if the time of a grant had come."""
    with database.connect(OWNER) as owner:
        owner.execute("UPDATE km3vo.observer_grant SET ends_at = clock_timestamp() WHERE id = %s", (number,))


@pytest.mark.parametrize("ending", [grants.revoke, end])
def test_jobs_of_a_grant_are_gone_with_it(
    server: Server, lab: Database, events: Table, ending: Callable[[Database, int], None]
) -> None:
    name = f"quirin {ending.__name__}"
    number, _ = allow(lab, events, name), allow(lab, events, name, start=2091, end=2092)
    _, token = token_of(lab, name, "observer")
    done, running = job(server, token, "SELECT TOP 5 * FROM lab.events"), job(server, token, ENDLESS)
    assert eventually(lambda: phase(done, token) == "COMPLETED" and phase(running, token) == "EXECUTING")
    assert "secret" in httpx.get(f"{done}/results/result", headers=header(token)).text
    ending(lab, number)
    parts = [made + part for made in (done, running) for part in ("/phase", "/results/result", "/parameters", "")]
    assert eventually(lambda: {httpx.get(part, headers=header(token)).status_code for part in parts} == {404})
    ids = [made.rpartition("/")[2] for made in (done, running)]
    assert not any(id in httpx.get(f"{server.tap}/async", headers=header(token)).text for id in ids)
    assert eventually(lambda: working(lab, grants.login_of(name)) == 0)
    if ending is end:
        assert eventually(lambda: not (server.settings.results / ids[0]).exists())
    # What is made by the other grant stays.
    again = job(server, token, "SELECT TOP 5 * FROM lab.events")
    assert eventually(lambda: phase(again, token) == "COMPLETED")
    assert "secret" in httpx.get(f"{again}/results/result", headers=header(token)).text


def test_a_grant_begins_at_once_while_a_member_reads_slowly(
    server: Server, lab: Database, events: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for no lock, and neither the member nor the observer sees an error."""
    _, member = token_of(lab, "ada")
    _, token = token_of(lab, "rosa", "observer")
    query = {"LANG": "ADQL", "QUERY": "SELECT COUNT(*) AS n FROM lab.events", "RESPONSEFORMAT": "csv"}
    with stream(server, member) as client, lab.connect(MEMBER) as reader:
        reader.execute("SELECT FROM lab.events")  # and holds what was locked for it
        with monkeypatch.context() as impatient:
            impatient.setenv("PGOPTIONS", "-c lock_timeout=1s")
            number = allow(lab, events, "rosa")
        assert httpx.get(f"{server.tap}/sync", params=query, headers=header(token)).text.split() == ["n", "1500"]
        assert httpx.get(f"{server.tap}/sync", params=query, headers=header(member)).status_code == 200
        with monkeypatch.context() as impatient:
            impatient.setenv("PGOPTIONS", "-c lock_timeout=1s")
            grants.revoke(lab, number)
        assert httpx.get(f"{server.tap}/sync", params=query, headers=header(token)).status_code == 403
        with lab.connect() as admin:
            assert admin.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,)
        assert goes_on(client)
