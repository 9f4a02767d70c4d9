"""Of the threads that work in Python for long, one does at a time; who has little to do need not wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from km3vo import interpreter
from km3vo.database.logins import Database
from tests.support.server import serve
from tests.support.tap import QUICK, Client


def busy(seconds: float) -> None:
    """Use the processor for so long."""
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


class Counting:
    """Work in many threads, and how many were at it at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = threading.Lock()

    def chunk(self, seconds: float) -> bytes:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        busy(seconds)
        with self._lock:
            self.now -= 1
        return b"x"

    def chunks(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield self.chunk(0.002)


def all_at_once(work: Callable[[int], object], threads: int = 6) -> list[object]:
    with ThreadPoolExecutor(threads) as pool:
        return [done.result() for done in [pool.submit(work, number) for number in range(threads)]]


def test_one_at_a_time() -> None:
    counting = Counting()

    def work(_: int) -> bytes:
        with interpreter.working(), interpreter.working():  # who works already need not wait for itself
            return counting.chunk(0.01)

    assert all_at_once(work) == [b"x"] * 6
    assert counting.most == 1


def test_long_answers_are_made_by_turns_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "FREE_SECONDS", 0)
    counting = Counting()
    free = threading.Barrier(6)  # the first chunk of each waits for nobody

    def chunks() -> Iterator[bytes]:
        free.wait(20)
        yield b"x"
        yield from counting.chunks(20)

    assert all_at_once(lambda _: b"".join(interpreter.one_at_a_time(chunks()))) == [b"x" * 21] * 6
    assert counting.most == 1


def test_who_waits_lets_others_work() -> None:
    met = threading.Barrier(2)

    def work(_: int) -> None:
        with interpreter.working(), interpreter.waiting():
            met.wait(20)

    all_at_once(work, 2)
    with pytest.raises(ZeroDivisionError), interpreter.working(), interpreter.waiting():
        1 / 0  # noqa: B018
    all_at_once(work, 2)


def test_an_answer_that_nobody_reads_to_its_end_lets_others_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "FREE_SECONDS", 0)
    answer = interpreter.one_at_a_time([b"a", b"b", b"c"])
    assert (next(answer), next(answer)) == (b"a", b"b")
    answer.close()
    with ThreadPoolExecutor(1) as pool, interpreter.working():
        other = pool.submit(next, interpreter.one_at_a_time([b"few"]))
        assert other.result(20) == b"few"


@pytest.mark.slow
def test_small_answers_wait_for_no_long_one(
    published: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six long answers on their way made a cone search take twenty-five times as long."""
    monkeypatch.setattr(interpreter, "FREE_SECONDS", 0.1)  # the first small ones import what they need
    many = "SELECT a.* FROM icecube.ps3yr AS a, icecube.ps3yr AS b"
    table = {"t": b"a\n1\n"}
    with serve(published, tmp_path) as server, ThreadPoolExecutor(4) as pool:
        client = Client(server)
        with client.http:
            with interpreter.working():
                later = [
                    pool.submit(client.sync, many, MAXREC="100000", FORMAT="csv"),
                    pool.submit(client.sync, "SELECT * FROM TAP_UPLOAD.t", UPLOAD="t,param:t", files=table),
                    pool.submit(httpx.get, f"{server.url}/scs/icecube/ps3yr?RA=0&DEC=0&SR=180"),
                ]
                for _ in range(3):
                    assert client.sync(QUICK).status_code == 200
                    assert httpx.get(f"{server.url}/scs/icecube/ps3yr?RA=1&DEC=2&SR=1").status_code == 200
                    assert client.job(QUICK, PHASE="RUN").end() == "COMPLETED"
                assert not any(one.done() for one in later)
            answers = [one.result() for one in later]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert answers[0].text.count("\n") == 100_001
