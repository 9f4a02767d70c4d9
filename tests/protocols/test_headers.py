"""Headers of every answer: who may read it, what it varies with, and compression only for those who ask for it."""

from __future__ import annotations

import httpx
import pytest

from tests.support.server import Server

CONE = "/scs/icecube/ps3yr?RA=180&DEC=0&SR=20"


@pytest.mark.parametrize(
    "path", [CONE, "/tap/sync?LANG=ADQL&QUERY=SELECT+nothing", "/tap/capabilities", "/no/such/page"]
)
@pytest.mark.parametrize("credentials", [{}, {"Authorization": "Bearer wrong"}])
def test_pages_elsewhere_may_read(server: Server, path: str, credentials: dict[str, str]) -> None:
    answer = httpx.get(server.url + path, headers={"Origin": "https://aladin.cds.unistra.fr", **credentials})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in answer.headers
    if credentials:
        assert answer.status_code == 401
    else:
        assert {"accept-encoding", "authorization"} <= {
            word.strip().lower() for word in answer.headers["vary"].split(",")
        }


def test_pages_elsewhere_may_ask(server: Server) -> None:
    asked = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    answer = httpx.options(
        f"{server.tap}/sync", headers={**asked, "Access-Control-Request-Headers": "X-Requested-With"}
    )
    assert answer.status_code == 200
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "X-Requested-With"


@pytest.mark.parametrize("path", [CONE, "/tap/capabilities", "/tap/tables", "/tap/async/{job}"])
def test_compressed_only_when_asked(server: Server, path: str) -> None:
    if "{job}" in path:
        # Firefly reads the documents of jobs as they come (firefly issue 1931); this one is long.
        asked = {"LANG": "ADQL", "QUERY": "SELECT id FROM antares.data -- " + "x" * 5000}
        job = httpx.post(f"{server.tap}/async", data=asked).headers["location"]
        path = path.format(job=job.rpartition("/")[2])
    plain = httpx.get(server.url + path, headers={"Accept-Encoding": "identity"})
    packed = httpx.get(server.url + path, headers={"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain.headers
    for accepted in ("", "gzip;q=0", "identity, GZIP; q=0.0", "br"):
        assert "content-encoding" not in httpx.get(server.url + path, headers={"Accept-Encoding": accepted}).headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    # But for the time of the request.
    assert packed.content.partition(b"<RESOURCE")[2] == plain.content.partition(b"<RESOURCE")[2]
