"""VOEvent Transport Protocol 2.0: handing packets to a broker as their author.

GCN retired its broker in 2026; those of other observatories, such as Comet, go on.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from lxml import etree

from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.outbox import Arrived, Delivery, Refused

SECONDS = 20.0
MOST = 2**20  # bytes of an answer


class Vtp:
    """A connection for each packet, as §3.1 has it."""

    together = False

    def __init__(self, channel: Channel) -> None:
        host, _, port = channel.to.rpartition(":")
        self._place = host, int(port)

    def send(self, batch: list[Delivery]) -> Iterator[tuple[Delivery, Arrived | Refused]]:
        """Send one after the other."""
        for one in batch:
            try:
                yield one, _outcome(self._exchange(one.payload))
            except (OSError, EOFError) as error:
                yield one, Refused(type(error).__name__)

    def close(self) -> None:
        """Nothing is open between packets."""

    def _exchange(self, packet: bytes) -> bytes:
        """Send a packet, and read what comes back: each begins with its length in four bytes."""
        with socket.create_connection(self._place, SECONDS) as connection:
            connection.sendall(struct.pack(">I", len(packet)) + packet)
            (length,) = struct.unpack(">I", _read(connection, 4))
            return _read(connection, min(length, MOST))


def _read(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return content


def _outcome(answer: bytes) -> Arrived | Refused:
    try:
        role = etree.fromstring(answer, etree.XMLParser(resolve_entities=False, no_network=True)).get("role")
    except etree.XMLSyntaxError:
        role = None
    if role == "ack":
        return Arrived("ack")
    # A broker that has a packet already, or does not want it, says nak: again would not help.
    return Refused(f"the broker answered {role or 'something else'}", lasting=role == "nak")
