"""The examples of docs/deploying/: nginx as it is written there stands before a service."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from km3vo.database.logins import Database
from tests.support.folders import ROOT
from tests.support.server import Server
from tests.support.tap import QUICK

pytestmark = [pytest.mark.slow, pytest.mark.client]

EXAMPLES = ROOT / "docs" / "deploying"


@pytest.fixture
def nginx(server: Server, tmp_path: Path) -> Iterator[str]:
    """The address of nginx, without TLS: everything else is the example's."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    example = (EXAMPLES / "nginx.conf").read_text()
    example = re.sub(r"listen 443 ssl http2;", f"listen 127.0.0.1:{port};", example)
    example = re.sub(r"\n *ssl_certificate\w* [^;]*;", "", example)
    example = example.replace("127.0.0.1:8000", f"127.0.0.1:{server.settings.port}")
    folders = "".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    around = f"pid {tmp_path}/pid; error_log stderr; daemon off; events {{}}"
    file = tmp_path / "nginx.conf"
    file.write_text(f"{around}\nhttp {{ access_log off; {folders}\n{example} }}")
    tmp_path.chmod(0o755)
    with subprocess.Popen([program, "-c", str(file), "-p", str(tmp_path)]) as process:
        try:
            until = time.monotonic() + 30
            while True:
                assert process.poll() is None and time.monotonic() < until, "nginx did not start"
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def test_nginx_hands_on_what_it_should(nginx: str, published: Database, server: Server, tmp_path: Path) -> None:
    asked = {"LANG": "ADQL", "QUERY": "SELECT a.id, b.id FROM icecube.ps3yr AS a, icecube.ps3yr AS b", "FORMAT": "csv"}
    with httpx.stream("GET", f"{nginx}/tap/sync", params=asked | {"MAXREC": "2000000"}) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw(1000))
        time.sleep(1)
        assert not [file for file in (tmp_path / "proxy").rglob("*") if file.is_file()], "it keeps nothing itself"
    made = httpx.post(
        f"{nginx}/tap/async",
        data={"LANG": "ADQL", "QUERY": QUICK},
        headers={"X-Forwarded-For": "6.6.6.6", "X-Request-Id": "mine"},
    )
    assert made.status_code == 303
    assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"]), "nginx's own id"
    job = made.headers["location"].rpartition("/")[2]
    with published.connect() as admin:
        found = admin.execute("SELECT client FROM km3vo.job WHERE id = %s", [job]).fetchone()
    assert found == ("127.0.0.1",), "and not what the client said"
    seen = httpx.get(f"{nginx}/tap/capabilities", headers={"Host": "localhost"})
    assert "http://localhost/tap" in seen.text, "addresses as the client knows them"


def test_nginx_refuses_what_is_too_large(nginx: str) -> None:
    with socket.create_connection(("127.0.0.1", int(nginx.rpartition(":")[2]))) as client:
        client.sendall(b"POST /tap/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 400000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_the_unit_is_one_that_systemd_understands() -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed")
    done = subprocess.run([program, "verify", str(EXAMPLES / "km3vo.service")], capture_output=True, text=True)
    told = [line for line in done.stderr.splitlines() if "km3vo.service" in line and "not executable" not in line]
    assert not told, done.stderr
