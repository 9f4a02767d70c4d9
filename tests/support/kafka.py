"""A Kafka broker for the tests: librdkafka's own mock cluster, in a process of its own, spoken to over TCP.

``python -m tests.support.kafka TOPIC…`` prints its address, and obeys ``down``, ``up`` and ``quit`` on its input. It
keeps what was sent while it is down, and forgets everything when it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import Consumer, Message, TopicPartition


class Broker:
    """A running broker."""

    def __init__(self, *topics: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.kafka", *topics],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._process.stdin and self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        self.address = self._output.readline().strip()

    def tell(self, command: str) -> None:
        """Go ``down`` or ``up`` again."""
        self._input.write(f"{command}\n")
        assert self._output.readline().strip() == command

    def messages(self, topic: str, count: int) -> list[Message]:
        """The first messages of a topic, however long they take; more when more are there already."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "tests", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[Message] = []
        empty = 0
        while len(found) < count or not empty:
            some = [each for each in consumer.consume(1000, timeout=0.5) if each.error() is None]
            found += some
            empty = empty + 1 if not some else 0
            assert empty < 240, f"{len(found)} of {count} messages came"
        consumer.close()
        return found

    @contextlib.contextmanager
    def listened(self, topic: str) -> Iterator[list[Message]]:
        """The messages of a topic as they come, without end: of those before the last 5 MB the broker knows nothing."""
        found: list[Message] = []
        ended = threading.Event()
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "listens", "enable.auto.commit": False})
        consumer.assign([TopicPartition(topic, 0, 0)])

        def listen() -> None:
            while not ended.is_set():
                found.extend(each for each in consumer.consume(1000, timeout=0.2) if each.error() is None)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield found
        finally:
            ended.set()
            thread.join()
            consumer.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()


@contextlib.contextmanager
def broker(*topics: str) -> Iterator[Broker]:
    """A broker with these topics, of one partition each."""
    one = Broker(*topics)
    try:
        yield one
    finally:
        one.close()


def main(topics: list[str]) -> None:
    """Be the broker."""
    (file,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*.so*")
    library = ctypes.CDLL(str(file))
    pointer = ctypes.c_void_p

    def function(name: str, result: Any, *arguments: Any) -> Any:
        found = getattr(library, f"rd_kafka_{name}")
        found.restype, found.argtypes = result, arguments
        return found

    text = ctypes.create_string_buffer(512)
    client = function("new", pointer, ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_size_t)(
        0, function("conf_new", pointer)(), text, 512
    )
    cluster = function("mock_cluster_new", pointer, pointer, ctypes.c_int)(client, 1)
    create = function("mock_topic_create", ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)
    for topic in topics:
        create(cluster, topic.encode(), 1, 1)
    commands = {
        name: function(f"mock_broker_set_{name}", ctypes.c_int, pointer, ctypes.c_int32) for name in ("down", "up")
    }
    print(function("mock_cluster_bootstraps", ctypes.c_char_p, pointer)(cluster).decode(), flush=True)  # noqa: T201
    for line in sys.stdin:
        if (command := line.strip()) == "quit":
            break
        commands[command](cluster, -1)
        print(command, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
