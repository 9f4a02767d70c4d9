"""Two servers that are asked the same, and what tells their answers apart."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from tests.embargo.differential import routes
from tests.embargo.differential.client import Answer, Client
from tests.embargo.differential.question import Question
from tests.support.server import Server

THREADS = 8
TIMES = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?")
REQUEST_TIME = re.compile(rb"(?<=request_date|responseDate)[^0-9]{1,12}\d{4}-\d\d-\d\dT[\d:.]+|(?<=upSince>)[^<]+")
# Made by chance: ids of jobs, of saved conditions and of requests that failed; what is in base64 holds no clock.
CHANCE = re.compile(
    rb"(?<=/async/)[A-Za-z0-9_-]{8,}|(?<=jobId>)[A-Za-z0-9_-]{8,}|(?<=request )[0-9a-f]{16}|(?<=filter=)[0-9a-f]{12}"
)
# Not compared: when it was sent, and for how long the connection stays open.
CLOCKS = {"date", "age", "x-request-id"}
# What a browser in which somebody has signed in is told beside the answer: who it is, and that no cache may keep it.
VISIT = re.compile(
    rb'<header><div class="visit.*?</header>\n|<div class="visit.*?</div></div>|<script[^\n]*session[.]js[^\n]*\n',
    re.DOTALL,
)
OF_VISITS = {"cache-control", "cross-origin-resource-policy"}
HASHED = {"content-length", "etag", "repr-digest"}  # of clocks as well

Seen = tuple[int | None, list[tuple[str, str]], bytes, bool]


class Pair:
    """The two servers. Every question goes to both: to the second as by a browser with these headers, if any."""

    def __init__(self, bare: Server, loaded: Server, browser: dict[str, str] | None = None) -> None:
        self.browser = browser
        hosts = [{"Host": f"127.0.0.1:{one.settings.port}"} if browser else {} for one in (bare, loaded)]
        self.clients = [Client(bare.settings.port, hosts[0]), Client(loaded.settings.port, hosts[1] | (browser or {}))]
        self.apps = [one.app for one in (bare, loaded)]
        self.threads = ThreadPoolExecutor(THREADS)
        self.statuses: Counter[int | None] = Counter()
        self._lock = threading.Lock()

    @property
    def compared(self) -> int:
        """How many questions were asked of both."""
        return self.statuses.total()

    def count(self, answers: int) -> None:
        """Add answers that were compared otherwise than with each other."""
        with self._lock:
            self.statuses[200] += answers

    def close(self) -> None:
        self.threads.shutdown(cancel_futures=True)
        for client in self.clients:
            client.close()

    def difference(self, question: Question) -> str | None:
        """What tells the two apart, or None."""
        bare, loaded = (question.ask(client) for client in self.clients)
        with self._lock:
            self.statuses[bare.status] += 1
        if _timeless(bare) == _timeless(loaded):
            return None  # the second is the same as well: nothing to look through
        seen = [self.seen(answer, question) for answer in (bare, loaded)]
        if seen[0] == seen[1]:
            return None
        return f"{question}\n{first(*map(repr, seen))}"

    def differences(self, questions: Iterable[Question]) -> Iterator[str]:
        """What tells the two apart, question by question; several at once are asked."""
        for found in self.threads.map(self.difference, questions):
            if found:
                yield found

    def differences_of_routes(self, asked: Sequence[Question]) -> Iterator[str]:
        """What tells the two apart at such addresses. The files of lists are made in the same order in both."""
        for question in asked:
            if routes.makes_files(question.path) and (found := self.difference(question)):
                yield found
        yield from self.differences(question for question in asked if not routes.makes_files(question.path))

    def seen(self, answer: Answer, question: Question) -> Seen:
        """An answer without ids and clocks."""
        body = self.normal(answer.body)
        left_out = CLOCKS | HASHED if body != answer.body or question.method == "HEAD" else CLOCKS
        if self.browser:
            left_out = CLOCKS | HASHED | OF_VISITS
        headers = [
            (name, _day(value) if name == "last-modified" else self.normal(value.encode()).decode())
            for name, value in answer.headers
            if name not in left_out
        ]
        return answer.status, headers, body, answer.whole

    def normal(self, body: bytes) -> bytes:
        """Bytes without ids and clocks: times of this hour, and where the server happens to listen."""
        for client in self.clients:
            body = body.replace(b"127.0.0.1:%d" % client.port, b"HOST")
        if self.browser:
            body = VISIT.sub(b"", body)
        return CHANCE.sub(b"ID", TIMES.sub(_clock, body))


def _timeless(answer: Answer) -> Answer:
    return replace(answer, headers=tuple(header for header in answer.headers if header[0] not in CLOCKS))


def _clock(found: re.Match[bytes]) -> bytes:
    """A time of about now, or of when a job of now will be destroyed, as NOW."""
    now = datetime.now(UTC).replace(tzinfo=None)
    text = found[0].decode().rstrip("Z").removesuffix(" UTC").replace(" ", "T")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return found[0]
    near = any(abs(moment - base) < timedelta(hours=2) for base in (now, now + timedelta(days=7)))
    return b"NOW" if near else found[0]


def _day(value: str) -> str:
    """A time as HTTP writes it; one of about now as NOW."""
    return "NOW" if abs(parsedate_to_datetime(value) - datetime.now(UTC)) < timedelta(hours=2) else value


def first(bare: str, loaded: str) -> str:
    """Where two texts begin to differ, and what surrounds it."""
    place = next((n for n, (a, b) in enumerate(zip(bare, loaded, strict=False)) if a != b), min(len(bare), len(loaded)))
    part = slice(max(0, place - 150), place + 150)
    return f"without: {bare[part]}\nwith:    {loaded[part]}"


def undated(body: bytes) -> bytes:
    """An answer without the time at which it was asked for; every other time stays."""
    return REQUEST_TIME.sub(b"", body)
