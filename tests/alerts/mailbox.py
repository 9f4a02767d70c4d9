"""A mail server on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """What a mail server does with mails: it keeps them, but for the first answers that it is given.

    Whose address begins with "refused" is not known to it.

    Attributes:
        got: the mails.
        to: whom each was for.
        options: of a channel that sends there.
    """

    def __init__(self, *answers: str) -> None:
        self.got: list[bytes] = []
        self.to: list[str] = []
        self.options: dict[str, str | int | bool] = {"host": "127.0.0.1", "port": free_port(), "from": "a@example.org"}
        self._answers = list(answers)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("refused"):
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._answers:
            return self._answers.pop(0)
        assert isinstance(envelope.content, bytes)
        self.to += envelope.rcpt_tos
        self.got.append(envelope.content)
        return "250 OK"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def mailbox(*answers: str) -> Iterator[Mailbox]:
    """A mail server, which gives these answers to the first mails."""
    box = Mailbox(*answers)
    server = Controller(box, hostname="127.0.0.1", port=int(box.options["port"]))
    server.start()
    try:
        yield box
    finally:
        server.stop()
