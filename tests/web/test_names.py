"""F7: names of objects are asked of a resolver, which may be away, slow, or out of its mind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from km3vo.database.logins import Database
from tests.support.server import Server, serve

FORM = "/browse/km3net/events/search"
AWAY = "Names cannot be resolved just now; give coordinates."
CRAB = (
    '<?xml version="1.0"?><Sesame xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><Target><name>Crab</name>'
    '<Resolver name="S=Simbad"><jradeg>83.6332</jradeg><jdedeg>22.01446</jdedeg><oname>M 1</oname></Resolver>'
    "</Target></Sesame>"
)
NOBODY = "<Sesame><Target><name>x</name><INFO>nothing found</INFO></Target></Sesame>"
BOMB = (
    "<!DOCTYPE Sesame [<!ENTITY a 'aaaaaaaaaa'>"
    + "".join(f"<!ENTITY {b} '{f'&{a};' * 10}'>" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><Sesame><Target><Resolver><jradeg>&i;</jradeg><jdedeg>&i;</jdedeg></Resolver></Target></Sesame>"
)
ANSWERS: dict[str, tuple[int, str]] = {
    "Crab": (200, CRAB),
    "nobody": (200, NOBODY),
    "missing": (404, "no"),
    "garbage": (200, "\x00\x01 <Sesame"),
    "other": (200, "<html><Resolver><jradeg>1</jradeg><jdedeg>1</jdedeg></Resolver></html>"),
    "bomb": (200, BOMB),
    "nowhere": (200, CRAB.replace("22.01446", "122")),
    "nan": (200, CRAB.replace("83.6332", "nan")),
    "long": (200, "<Sesame>" + " " * 10**6),
}


class Resolver(BaseHTTPRequestHandler):
    """Answers by the name that is asked for."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        name = unquote(self.path.partition("?")[2])
        self.asked.append(name)
        if name == "hang":
            time.sleep(6)
            return
        status, body = ANSWERS.get(name, (500, ""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def resolver() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Resolver) as running:
        running.daemon_threads = True
        running.block_on_close = False
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def asking(published: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with resolver() as url, serve(published, tmp_path_factory.mktemp("home"), sesame_url=url) as server:
        yield server


def get(server: Server, target: str, **asked: str) -> str:
    answer = httpx.get(server.url + FORM, params={"target": target, "c.energy": ">7", **asked}, timeout=20)
    assert answer.status_code == 200
    assert 'value="&gt;7"' in answer.text  # the form is kept
    return answer.text


def test_f7_a_name_is_asked_once_and_only_when_that_is_wanted(asking: Server) -> None:
    assert "let CDS be asked" in get(asking, "Crab")
    assert Resolver.asked == []
    for _ in range(3):
        page = get(asking, "Crab", sesame="1")
        assert "83.6332 +22.0145 ICRS" in page
        assert "CIRCLE(83.6332, 22.01446, 1.0)" in page
    assert Resolver.asked == ["Crab"]


def test_f7_a_name_that_nobody_knows(asking: Server) -> None:
    for _ in range(2):
        assert "Neither we nor CDS know nobody" in get(asking, "nobody", sesame="1")
    assert Resolver.asked.count("nobody") == 1


@pytest.mark.parametrize("name", ["missing", "garbage", "other", "bomb", "nowhere", "nan", "long", "elsewhere"])
def test_f7_answers_that_are_none(asking: Server, name: str) -> None:
    began = time.monotonic()
    assert AWAY in get(asking, name, sesame="1")
    assert time.monotonic() - began < 5


def test_f7_nobody_waits_for_long(asking: Server) -> None:
    began = time.monotonic()
    assert AWAY in get(asking, "hang", sesame="1")
    assert 2.5 < time.monotonic() - began < 5.5


def test_f7_nobody_is_there_or_to_be_asked(published: Database, tmp_path: Path) -> None:
    with serve(published, tmp_path / "a", sesame_url="http://127.0.0.1:9") as server:
        assert AWAY in get(server, "Crab", sesame="1")
    with serve(published, tmp_path / "b", sesame_url="") as server:
        page = get(server, "Crab", sesame="1")
        assert "is in no table here: give coordinates" in page
        assert 'name="sesame"' not in page
