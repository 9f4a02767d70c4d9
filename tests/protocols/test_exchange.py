"""What holds of every request and answer: ids, lines of the log, headers, limits, and whom proxies speak for."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from km3vo import logs
from km3vo.database.logins import OWNER, Database
from km3vo.database.pool import Pool
from km3vo.database.queries import RowStream, StreamPool
from km3vo.embargo import tokens
from km3vo.errors import ConnectionLostError, ParameterError, SetupError
from km3vo.protocols.dali import forms, parameters
from km3vo.protocols.dali.parameters import pairs_in
from km3vo.protocols.http import server as limits
from km3vo.protocols.http.addresses import check_url
from km3vo.protocols.http.proxies import Proxies
from km3vo.settings import Log, Settings
from tests.support.server import Server, serve
from tests.support.tap import Client

CONE = "/scs/icecube/ps3yr"
ASKED = {"RA": "83.125", "DEC": "22", "SR": "1"}


def member(database: Database) -> dict[str, str]:
    """The header of a member."""
    with database.connect(OWNER) as owner:
        _, token = tokens.create(owner, "ada", audience="member", label="x", valid=timedelta(days=1), by="me")
    return {"Authorization": f"Bearer {token}"}


def raw(server: Server, request: bytes, wait: float = 20) -> bytes:
    """What a connection gets that sends some bytes."""
    with socket.create_connection(("127.0.0.1", server.settings.port), timeout=wait) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


# The log --------------------------------------------------------------------------------------------------------------


class Lines(logging.Handler):
    """The lines that were written, each with the id of its request as ``id``."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        record.id = logs.request_id.get()
        self.records.append(record)

    def wait(self) -> logging.LogRecord:
        """The latest line, which is written after the client has its answer."""
        until = time.monotonic() + 30
        while not self.records and time.monotonic() < until:
            time.sleep(0.01)
        return self.records.pop()

    def last(self) -> dict[str, Any]:
        """The fields of the latest line."""
        return dict(self.wait().fields)  # type: ignore[attr-defined]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """The access lines of a test."""
    logger, handler = logging.getLogger("km3vo.access"), Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.setLevel(before)
    logger.removeHandler(handler)


def test_a_line_for_each_request(server: Server, lines: Lines) -> None:
    answer = httpx.get(server.url + CONE, params=ASKED, headers={"Accept-Encoding": "identity"})
    fields = lines.last()
    assert {**fields, "ms": 1} == {
        "method": "GET", "route": CONE, "status": 200, "ms": 1, "bytes": len(answer.content), "audience": "public"
    }  # fmt: skip
    assert fields["ms"] > 0
    httpx.get(f"{server.tap}/async/{'a' * 32}/phase")
    fields = lines.last()
    assert (fields["route"], fields["status"]) == ("/tap/async/{id}/phase", 404)
    httpx.get(f"{server.tap}//sync")
    assert lines.last()["route"] == "/tap/sync"
    httpx.get(f"{server.url}/{'b' * 32}")
    assert lines.last()["route"] == "-"


def test_no_value_and_no_token_in_the_log(server: Server, published: Database, lines: Lines) -> None:
    header = member(published)
    for path in (CONE, "/auth" + CONE):
        assert httpx.get(server.url + path, params=ASKED, headers=header).status_code == 200
        lines.last()
    for form in (logs.Json(), logs.Text()):
        httpx.get(server.url + CONE, params=ASKED, headers=header)
        written = form.format(lines.wait())
        assert "member" in written
        assert "83.125" not in written
        assert header["Authorization"].split()[1] not in written


def test_lines_as_json_and_as_text() -> None:
    record = logging.makeLogRecord({"name": "km3vo.x", "levelname": "INFO", "msg": "a\nb \x1b[2J", "fields": {"n": 1}})
    token = logs.request_id.set("abc")
    try:
        line = json.loads(logs.Json().format(record))
        assert (line["message"], line["n"], line["request"], line["logger"]) == ("a\nb \x1b[2J", 1, "abc", "km3vo.x")
        text = logs.Text().format(record)
        assert "\n" not in text and "\x1b" not in text
        assert text.endswith(" n=1 [abc]")
    finally:
        logs.request_id.reset(token)


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_configured_is_seen(form: str) -> None:
    configured = logs.configuration(Log(format=form, level="info"))
    assert configured["root"]["level"] == "INFO"
    assert configured["formatters"]["line"]["()"].lower() == f"km3vo.logs.{form}"


# The id ---------------------------------------------------------------------------------------------------------------


def test_each_answer_has_an_id(server: Server) -> None:
    ids = {httpx.get(server.url + path).headers["x-request-id"] for path in (CONE, "/", "/nowhere", "/tap/sync")}
    assert len(ids) == 4


def test_an_id_is_taken_from_proxies_alone(published: Database, tmp_path: Path, server: Server) -> None:
    given = {"X-Request-Id": "from-the-proxy.1"}
    assert httpx.get(server.url, headers=given).headers["x-request-id"] == "from-the-proxy.1"
    assert httpx.get(server.url, headers={"X-Request-Id": "a b<"}).headers["x-request-id"] != "a b<"
    with serve(published, tmp_path, proxies=[]) as alone:
        assert httpx.get(alone.url, headers=given).headers["x-request-id"] != "from-the-proxy.1"


def test_our_faults_are_told_with_the_id_and_nothing_else(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ValueError("a value of an event")

    monkeypatch.setattr(server.app.state.service.holdings, "read_if_there", broken)
    answer = httpx.get(server.url)
    assert answer.status_code == 500
    assert answer.headers["x-request-id"] in answer.text
    assert "event" not in answer.text
    assert "ValueError while answering /" in caplog.text


def test_who_is_to_come_again_is_told_when(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from km3vo.errors import BusyError

    async def busy() -> None:
        raise BusyError

    monkeypatch.setattr(server.app.state.service.holdings, "read", busy)
    answer = httpx.get(f"{server.url}/coverage/icecube/ps3yr")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.headers["x-request-id"] in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/oai?verb=ListIdentifiers&metadataPrefix=ivo_vor",
        f"/tap/async/{'a' * 32}",
        f"/tap/async/{'a' * 32}/error",
        "/tap/sync?LANG=ADQL&QUERY=SELECT+TOP+1+id+FROM+icecube.ps3yr",
        f"{CONE}?RA=1&DEC=1&SR=1",
    ],
)
def test_protocols_tell_the_id_when_the_database_is_away(
    server: Server, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def away(pool: object, *waits: object, **options: object) -> Any:
        raise ConnectionLostError

    monkeypatch.setattr(Pool, "_take", away)
    monkeypatch.setattr(StreamPool, "take", away)
    answer = httpx.get(server.url + path)
    assert answer.status_code == 503 or 'name="Error"' in answer.text, answer.text
    assert answer.headers["x-request-id"] in answer.text


def test_a_result_that_breaks_off_tells_the_id_in_the_log_and_in_the_answer(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are read in another thread than the one that has the request."""

    def broken(stream: RowStream) -> Iterator[Any]:
        yield stream._first
        raise ValueError("a value of an event")

    handler = Lines()
    logging.getLogger("km3vo.results.stream").addHandler(handler)
    try:
        monkeypatch.setattr(RowStream, "__iter__", broken)
        answer = httpx.get(f"{server.tap}/sync", params={"LANG": "ADQL", "QUERY": "SELECT id FROM icecube.ps3yr"})
        line = handler.wait()
    finally:
        logging.getLogger("km3vo.results.stream").removeHandler(handler)
    assert line.threadName and line.threadName.startswith("stream")
    assert line.id == answer.headers["x-request-id"]  # type: ignore[attr-defined]
    assert f"(request {answer.headers['x-request-id']})" in answer.text
    assert "a value" not in answer.text


def test_a_job_that_fails_tells_the_id_of_its_lines(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    handler = Lines()
    logging.getLogger("km3vo.jobs.workers").addHandler(handler)

    def broken(stream: RowStream, statement: str) -> None:
        raise ValueError("a value of an event")

    client = Client(server)
    try:
        monkeypatch.setattr(RowStream, "start", broken)
        job = client.job(PHASE="RUN")
        assert job.end() == "ERROR"
        line, text = handler.wait(), job.get("/error").text
    finally:
        logging.getLogger("km3vo.jobs.workers").removeHandler(handler)
        client.http.close()
    assert f"(request {line.id})" in text  # type: ignore[attr-defined]
    assert line.id and "a value" not in text  # type: ignore[attr-defined]


# Headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", CONE, "/tap/examples", "/tap/sync?LANG=ADQL&FORMAT=html&QUERY=SELECT+1", "/api"])
def test_nothing_foreign_runs_in_an_answer(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ") and "script" not in policy.replace("script-src 'self'", "")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"]
    assert "strict-transport-security" not in answer.headers
    secure = httpx.get(server.url + path, headers={"X-Forwarded-Proto": "https"})
    assert "max-age" in secure.headers["strict-transport-security"]


def test_the_page_of_all_addresses_loads_nothing_from_elsewhere(server: Server) -> None:
    text = httpx.get(f"{server.url}/api").text
    assert "/tap/sync" in text
    for word in text.replace('"', " ").split():
        assert not word.startswith(("//", "https://cdn")), word


@pytest.mark.parametrize(
    "header",
    ["Authorization", "Accept", "Accept-Encoding", "If-None-Match", "User-Agent", "Range", "Origin", "X-Forwarded-For",
     "X-Forwarded-Host", "Forwarded", "Content-Type", "X-Request-Id", "Referer", "Cookie"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/tap/capabilities", "/tap/sync/", CONE, "/login"])
def test_bytes_beyond_ascii_in_headers(server: Server, header: str, path: str) -> None:
    for value in (b"Basic \xff\xfe", b"\xe2\x98\x83", b"=?\xff"):
        for method in (b"GET", b"POST"):
            head = b"%b %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%b: %b\r\n" % (
                method, path.encode(), header.encode(), value
            )  # fmt: skip
            answer = raw(server, head + b"Content-Length: 0\r\n\r\n")
            status = int(answer.split()[1])
            assert status < 500, answer[:300]
            if header == "Authorization" and path != "/login":
                assert status == 401


ODD = (
    b"%00",
    b"%E2%98%83",
    b"%0D%0AX:%20y",
    b"\xff",
    b"\xe2\x98\x83",
    b"%ff",
    b"..%2F..%2Fetc%2Fpasswd",
    b"%F0%9F%92%A9/",
)


@pytest.mark.parametrize("odd", ODD)
def test_bytes_beyond_ascii_in_addresses(server: Server, odd: bytes) -> None:
    """Also where they come back, as in the header Location."""
    with warnings.catch_warnings(action="ignore"):
        paths = {re.sub(r"\{[^}]*\}", "{}", path) for path in server.app.openapi()["paths"]}
    for path in sorted({path for path in paths if "{}" in path} | {"/{}", "/tap/sync/{}", "/auth/{}"}):
        place = path.encode().replace(b"{}", odd)
        for target in (place, place + b"/", b"%b?%b=%b" % (place, odd, odd)):
            answer = raw(server, b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % target)
            head = answer.partition(b"\r\n\r\n")[0]
            assert int(answer.split()[1]) < 500, (target, answer[:300])
            assert head.isascii() and b"\nX: y" not in head, (target, head)


def test_entity_tags_are_compared_weakly(server: Server) -> None:
    url = f"{server.tap}/tables"
    tag = httpx.get(url).headers["etag"]
    for asked in (tag, f"W/{tag}", f'"x", W/{tag}', "*"):
        assert httpx.get(url, headers={"If-None-Match": asked}).status_code == 304, asked
    for asked in (tag.strip('"'), f'"x{tag[1:]}', '""'):
        assert httpx.get(url, headers={"If-None-Match": asked}).status_code == 200, asked


# Text -----------------------------------------------------------------------------------------------------------------


def test_what_is_not_utf8_is_refused(server: Server) -> None:
    query = "LANG=ADQL&QUERY=SELECT+%27caf%E9%27+AS+x+FROM+tap_schema.schemas"
    answer = httpx.get(f"{server.tap}/sync?{query}")
    assert answer.status_code == 400
    assert "UTF-8" in answer.text
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert httpx.post(f"{server.tap}/sync", content=query.encode(), headers=form).status_code == 400
    assert httpx.get(f"{server.url}/browse/%ff").status_code == 400
    assert httpx.get(f"{server.tap}/sync?{query.replace('%E9', '%C3%A9')}&FORMAT=csv").text.split()[1] == "café"


# Limits ---------------------------------------------------------------------------------------------------------------


def test_an_address_that_is_too_long(server: Server) -> None:
    answer = raw(server, b"GET /tap/sync?QUERY=%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 136_000))
    assert answer.startswith(b"HTTP/1.1 414")
    assert b"POST" in answer
    answer = raw(server, b"GET /tap/sync?QUERY=%b HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 62_000))
    assert answer.startswith(b"HTTP/1.1 414")


def test_headers_that_are_too_long_or_too_many(server: Server) -> None:
    assert httpx.get(server.url, headers={"X-Long": "x" * 70_000}).status_code == 431
    assert httpx.get(server.url, headers={f"X-{n}": "y" for n in range(150)}).status_code == 431
    with socket.create_connection(("127.0.0.1", server.settings.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 431")
    assert httpx.get(server.url, headers={"X-Long": "x" * 30_000}).status_code == 200


def test_headers_that_do_not_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEAD_SECONDS", 0.3)
    assert raw(server, b"") == b""
    assert raw(server, b"GET / HTTP/1.1\r\nHost: x\r\n").startswith(b"HTTP/1.1 408")


def test_a_body_that_is_too_long_or_of_another_kind(server: Server) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/login", "/oai", "/tap/sync", CONE):
        answer = httpx.post(server.url + path, content=b"a=" + b"x" * 2**24, headers=form)
        assert answer.status_code == 413 or b"more" in answer.content, path
        answer = httpx.post(server.url + path, content=b"x" * 2**20, headers={"Content-Type": "text/xml"})
        assert answer.status_code == 400 or b"not understood" in answer.content, path


def test_parameters_are_bounded(server: Server) -> None:
    """Sixteen megabytes of short ones stopped everybody for ten seconds."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    many = "&".join(f"ID=x{number}" for number in range(1001))
    for path in ("/login", "/oai", "/tap/sync", "/tap/async", "/datalink", CONE):
        answer = httpx.post(server.url + path, content=many, headers=form)
        assert "may have 1000 parameters" in answer.text, path
        assert answer.status_code == 400 or path in (CONE, "/oai"), path
    assert httpx.get(f"{server.tap}/sync?{many}").status_code == 400


def test_long_forms_are_read_beside_what_is_short(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []

    def noting(text: bytes) -> list[tuple[str, str]]:
        threads.append(threading.current_thread().name)
        return pairs_in(text)

    monkeypatch.setattr(forms, "pairs_in", noting)
    for size in (10, 2**17):
        httpx.post(f"{server.tap}/sync", data={"LANG": "ADQL", "QUERY": "x" * size})
    assert len(set(threads)) == 2, "the long one by a thread of its own"


@given(st.lists(st.sampled_from(["a", "%41", "%C3%A9", "é", "+", "&", "=", "%", "%4", "%zz", "%25", ";"]), max_size=40))
def test_forms_are_read_as_the_library_does(written: list[str]) -> None:
    """In pieces, which the library is not: it makes an object of each escape, and of 16 MB of them 1.4 GB."""
    text = "".join(written)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parameters, "PIECE_BYTES", 7)
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
        except UnicodeDecodeError:  # of %aa
            with pytest.raises(ParameterError):
                pairs_in(text.encode())
        else:
            assert pairs_in(text.encode()) == pairs


def test_an_identifier_that_is_given_often_is_answered_once(server: Server) -> None:
    known = f"ivo://{server.settings.publisher.authority}/icecube/ps3yr"
    once, often = (
        httpx.get(f"{server.url}/datalink", params={"ID": some}) for some in (known, [known, known.upper()] * 25)
    )
    assert often.text.count("<TR>") == once.text.count("<TR>") > 1


def test_a_body_that_does_not_come(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "IDLE_SECONDS", 0.2)
    head = f"POST {CONE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100\r\n"
    for kind, path in (
        ("application/x-www-form-urlencoded", "/tap/sync"),
        ("multipart/form-data; boundary=x", "/tap/async"),
    ):
        request = head.replace(CONE, path) + f"Content-Type: {kind}\r\n\r\n--x\r\n"
        assert raw(server, request.encode()).startswith(b"HTTP/1.1 408"), path


CHUNKED = (
    b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: "
)


@pytest.mark.parametrize(
    "rest",
    [
        b"0\r\nX: " + b"y" * 2**20 * 8,
        b"0\r\n" + b"X: y\r\n" * 2**20,
        b"1;" + b"y" * 2**20 * 8,
        b"1\r\na\r\n" * 2**20,
    ],
    ids=["trailer", "trailers", "size", "sizes"],
)
def test_chunks_that_are_more_than_what_is_in_them(server: Server, rest: bytes) -> None:
    """A trailer of 100 MB stopped everybody for half a minute, as a header of that length once did."""
    answer = b""
    place = ("127.0.0.1", server.settings.port)
    with contextlib.suppress(ConnectionError), socket.create_connection(place, timeout=20) as connection:
        connection.sendall(CHUNKED + b"chunked\r\n\r\n1\r\na\r\n" + rest)
        answer = connection.recv(100)
    assert not answer, "the connection is cut"
    body = b"c8\r\n" + b"QUERY=".ljust(200, b"x") + b"\r\n"
    assert raw(
        server, CHUNKED + b"chunked\r\nConnection: close\r\n\r\n" + body * 2000 + b"0\r\nX: y\r\n\r\n"
    ).startswith(b"HTTP/1.1 400"), "chunks of a usual size"


# Addresses ------------------------------------------------------------------------------------------------------------


def test_one_rule_for_the_address_of_the_service(server: Server) -> None:
    def told(host: str) -> str:
        answer = httpx.get(f"{server.tap}/capabilities", headers={"Host": host})
        (challenge, *_) = answer.headers.get_list("www-authenticate")
        base = challenge.partition('access_url="')[2].removesuffix('/login"')
        assert f'<accessURL use="base">{base}/tap</accessURL>' in answer.text
        return base

    assert told("localhost:9999") == "http://localhost:9999"
    assert told("evil.example") == server.url
    query = "LANG=ADQL&QUERY=SELECT+TOP+1+id+FROM+icecube.ps3yr"
    for path in (
        *(f"/tap/sync?{query}", "/tap/sync?REQUEST=getCapabilities", "/tap/sync/?a=b", "/nowhere", "/alerts/feed.atom"),
        *(f"{CONE}?RA=1&DEC=1&SR=0", "/datalink?ID=ivo://x"),
    ):
        headers = {"Host": "evil.example", "Accept": "text/html, */*"}
        answer = httpx.get(server.url + path, headers=headers, follow_redirects=False)
        assert "evil.example" not in answer.text + str(answer.headers), path
        assert server.url in answer.text + str(answer.headers), path
    assert told("x</accessURL>") == server.url


@pytest.mark.parametrize("url", ["https://x.org/vo", "x.org", "ftp://x.org", "https://x.org/?a", "https://a b"])
def test_an_address_that_cannot_be_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(SetupError, match="KM3VO_URL"):
        check_url(Settings(url=url))
    check_url(Settings(url="https://vo.example.org:8443/"))


def scope(client: str, **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": (client, 1), "scheme": "http", "headers": [(b"host", b"inside"), *pairs]}


@pytest.mark.parametrize(
    ("headers", "client", "scheme", "host"),
    [
        ({"x_forwarded_for": "192.0.2.7"}, "192.0.2.7", "http", "inside"),
        ({"x_forwarded_for": "6.6.6.6, 192.0.2.7, 10.0.0.2"}, "192.0.2.7", "http", "inside"),
        ({"x_forwarded_proto": "https", "x_forwarded_host": "vo.org"}, "10.0.0.1", "https", "vo.org"),
        ({"forwarded": 'for="[2001:db8::1]:77";proto=https;host="vo.org"'}, "2001:db8::1", "https", "vo.org"),
        ({"forwarded": "for=6.6.6.6, for=192.0.2.7"}, "192.0.2.7", "http", "inside"),
        ({"forwarded": "for=6.6.6.6", "x_forwarded_for": "192.0.2.7"}, "192.0.2.7", "http", "inside"),
        ({"x_forwarded_for": "unknown", "x_forwarded_proto": "gopher"}, "10.0.0.1", "http", "inside"),
        ({"x_forwarded_host": "a b<"}, "10.0.0.1", "http", "inside"),
        # What is malformed ends at the next comma or semicolon: at each letter it took a minute for 60,000.
        ({"forwarded": "a" * 20_000 + " host=evil.org;proto=https, for=192.0.2.7"}, "192.0.2.7", "https", "inside"),
    ],
)
def test_whom_a_proxy_speaks_for(headers: dict[str, str], client: str, scheme: str, host: str) -> None:
    for peer, believed in (("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("192.0.2.99", False)):
        seen = scope(peer, **headers)
        assert Proxies(["10.0.0.0/8"]).apply(seen) is believed
        if not believed:
            assert (seen["client"], seen["scheme"], seen["headers"][0][1]) == ((peer, 1), "http", b"inside")
        elif client != "10.0.0.1":
            assert seen["client"][0] == client
        if believed:
            assert (seen["scheme"], dict(seen["headers"])[b"host"]) == (scheme, host.encode())


def test_proxies_that_are_none() -> None:
    with pytest.raises(SetupError, match="KM3VO_PROXIES"):
        Proxies(["nginx"])
