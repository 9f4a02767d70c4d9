"""Nobody fills the queue or the disk for everybody else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from km3vo.database.logins import Database
from km3vo.errors import FullError
from km3vo.jobs import quota
from km3vo.protocols.http.addresses import client_network as client_of
from tests.support.server import Server, serve
from tests.support.tap import QUICK, Client, member, program

pytestmark = pytest.mark.slow

EVERYTHING = "SELECT * FROM icecube.ps3yr"


@pytest.fixture
def narrow(
    published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., tuple[Server, Client]]]:
    """A function that serves with these limits and gives a client."""
    monkeypatch.setattr(quota, "YOUNG_SECONDS", 0)
    with ExitStack() as stack:

        def start(**limits: int) -> tuple[Server, Client]:
            for name, value in limits.items():
                monkeypatch.setenv(f"KM3VO_LIMITS_{name.upper()}", str(value))
            server = stack.enter_context(serve(published, tmp_path))
            client = Client(server)
            stack.enter_context(client.http)
            return server, client

        yield start


def _refused(client: Client, **parameters: Any) -> httpx.Response:
    answer = client.http.post(f"{client.tap}/async", data={"LANG": "ADQL", "QUERY": QUICK, **parameters})
    assert answer.headers["content-type"].startswith("text/plain")
    return answer


def test_unfinished_jobs_are_counted_for_each_address_and_each_user(narrow: Any) -> None:
    server, anybody = narrow(jobs_unfinished=3)
    jobs = [anybody.job() for _ in range(3)]
    answer = _refused(anybody, PHASE="RUN")
    assert answer.status_code == 429
    assert "3 jobs" in answer.text and "come back" in answer.text
    with Client(server, **member(server, "zoe")).http as http:
        for _ in range(3):
            jobs_url = http.post(f"{server.tap}/async", data={"LANG": "ADQL", "QUERY": QUICK}).headers["location"]
        assert http.post(f"{server.tap}/async", data={"LANG": "ADQL", "QUERY": QUICK}).status_code == 429
        http.delete(jobs_url)
        assert http.post(f"{server.tap}/async", data={"LANG": "ADQL", "QUERY": QUICK}).status_code == 303
    # What has ended does not count, nor what is deleted.
    jobs[0].post("/phase", PHASE="RUN")
    assert jobs[0].end() == "COMPLETED"
    anybody.job()
    anybody.http.delete(jobs[1].url)
    anybody.job()
    assert _refused(anybody).status_code == 429


def test_a_program_neither_shares_nor_learns_what_a_member_of_its_name_has(narrow: Any) -> None:
    """A token that sends alerts may be lost: its holder must not fill the queue of the person whose name it has."""
    server, _ = narrow(jobs_unfinished=2)
    sender, ada = Client(server, **program(server, "ada")), Client(server, **member(server, "ada"))
    with sender.http, ada.http:
        for _ in range(2):
            sender.job()
        assert _refused(sender).status_code == 429
        for _ in range(2):
            ada.job()
        assert _refused(ada).status_code == 429


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::99", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_where_a_request_comes_from(host: str, place: str) -> None:
    assert client_of(Request({"type": "http", "client": (host, 1)})) == place


def test_a_result_that_is_too_long(narrow: Any) -> None:
    server, client = narrow(result_bytes=20_000)
    assert client.job(PHASE="RUN").end() == "COMPLETED"
    job = client.job(EVERYTHING, PHASE="RUN")
    assert job.end() == "ERROR"
    assert "20000 bytes" in job.get("/error").text
    assert job.get("/results/result").status_code == 404
    assert list((server.settings.results / job.id).iterdir()) == []


def test_results_together(narrow: Any) -> None:
    _, client = narrow(results_bytes=400_000)
    first = client.job(EVERYTHING, PHASE="RUN", FORMAT="votable/td")
    assert first.end() == "COMPLETED"
    assert int(first.get("/results/result").headers["content-length"]) > 200_000
    second = client.job(EVERYTHING, PHASE="RUN", FORMAT="votable/td")
    assert second.end() == "ERROR"
    assert "no room" in second.get("/error").text
    assert second.xml().find("{*}errorSummary").get("type") == "transient"
    table = b"a\n" + b"1\n" * 100_000
    with pytest.raises(AssertionError, match="no room"):
        client.job("SELECT * FROM TAP_UPLOAD.t", UPLOAD="t,param:t", files={"t": table})
    client.http.delete(first.url)
    assert client.job(EVERYTHING, PHASE="RUN", FORMAT="votable/td").end() == "COMPLETED"


def test_no_job_is_made_when_the_folder_is_full(narrow: Any) -> None:
    server, client = narrow(results_bytes=100_000)
    other = server.settings.results / ("0" * 32)
    other.mkdir(parents=True)
    (other / "result.vot").write_bytes(bytes(100_000))
    answer = _refused(client)
    assert answer.status_code == 503
    assert "try again in an hour" in answer.text
    assert [folder.name for folder in server.settings.results.iterdir()] == [other.name]
    (other / "result.vot").unlink()
    assert client.job(PHASE="RUN").end() == "COMPLETED"


def test_postgresql_keeps_some_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quota.ResultsQuota(tmp_path, 2**60).reserve(1)
    monkeypatch.setattr(quota, "RESERVE", 2**60)
    with pytest.raises(FullError):
        quota.ResultsQuota(tmp_path, 2**60).reserve(1)


def test_uploads_that_are_held(narrow: Any) -> None:
    server, client = narrow(requests_bytes=1_300_000)  # an upload counts as sent and as unpacked
    table = {"t": b"a\n" + b"1\n" * 100_000}
    query = {"query": "SELECT COUNT(*) AS n FROM TAP_UPLOAD.t", "UPLOAD": "t,param:t"}
    requests = server.app.state.service.request_quota
    for _ in range(3):  # each gives back what it took
        assert client.sync(**query, files=table).status_code == 200
        _until(lambda: requests._used == 0)
    with socket.create_connection(("127.0.0.1", server.settings.port)) as slow:
        slow.sendall(
            b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 1250000\r\n\r\n"
            b'--b\r\nContent-Disposition: form-data; name="t"; filename="t"\r\n\r\n' + bytes(1_000_000)
        )
        _until(lambda: requests._used >= 1_000_000)
        answer = client.sync(**query, files=table)
        assert answer.status_code == 503
        assert "try again in a minute" in answer.text
        assert client.sync(QUICK).status_code == 200
    _until(lambda: requests._used == 0)
    assert client.sync(**query, files=table).status_code == 200


def test_parameters_of_a_job_have_a_limit(narrow: Any) -> None:
    _, client = narrow(query_length=10_000)
    answer = _refused(client, WHATEVER="x" * 20_000)
    assert answer.status_code == 413
    assert "20000 characters" in answer.text
    job = client.job("SELECT 1" + " " * 12_000, PHASE="RUN")
    assert job.end() == "ERROR"
    assert "10000" in job.get("/error").text


def _until(true: Callable[[], bool], seconds: float = 15) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
