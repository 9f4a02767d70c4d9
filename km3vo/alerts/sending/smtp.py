"""Mail, by an SMTP server (RFC 5321)."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Mapping
from email.message import EmailMessage
from typing import Any

from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.sending.outbox import Arrived, Delivery, Refused

SECONDS = 20.0  # for each step


class Smtp:
    """A session for each batch."""

    together = False

    def __init__(self, channel: Channel) -> None:
        self._values = channel.values()
        self._to = [address.strip() for address in channel.to.split(",")]

    def send(self, batch: list[Delivery]) -> Iterator[tuple[Delivery, Arrived | Refused]]:
        """Send one after the other. Where some of several recipients are refused, the others got it: it arrived."""
        try:
            server = opened(self._values)
        except (OSError, smtplib.SMTPException) as error:
            yield from ((one, refused(error)) for one in batch)
            return
        with server:
            for one in batch:
                try:
                    lost = server.sendmail(str(self._values["from"]), self._to, one.payload)
                    yield one, Arrived(f"{len(self._to) - len(lost)} of {len(self._to)} recipients")
                except (OSError, smtplib.SMTPException) as error:
                    yield one, refused(error)

    def close(self) -> None:
        """Nothing is open between batches."""


def opened(values: Mapping[str, Any]) -> smtplib.SMTP:
    """A session with the server that a channel's options name.

    Raises:
        OSError, smtplib.SMTPException: the server is away, or does not let us in.
    """
    server = smtplib.SMTP(str(values["host"]), int(values.get("port", 25)), timeout=SECONDS)
    try:
        if values.get("tls", False):
            server.starttls()
        if "user" in values:
            server.login(str(values["user"]), str(values.get("password", "")))
    except BaseException:
        server.close()
        raise
    return server


def letter(channel: Channel, subject: str, text: str) -> EmailMessage:
    """A mail of a text, without a recipient."""
    mail = EmailMessage()
    mail["From"] = str(channel.options["from"])
    mail["Subject"] = subject
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    return mail


def refused(error: OSError | smtplib.SMTPException) -> Refused:
    """What went wrong, by codes alone: a server's words may quote what we sent."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = {code for code, _ in error.recipients.values()}
        return Refused(f"recipients refused ({', '.join(map(str, sorted(codes)))})", lasting=min(codes) >= 500)
    if isinstance(error, smtplib.SMTPResponseException):
        return Refused(f"{type(error).__name__} ({error.smtp_code})", lasting=500 <= error.smtp_code < 600)
    return Refused(type(error).__name__)
