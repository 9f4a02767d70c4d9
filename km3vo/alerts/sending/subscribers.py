"""Mails to those who subscribed: the question whether they did, and then each alert that their condition chooses."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage

import psycopg
from psycopg.rows import class_row

from km3vo.adql import QueryTables
from km3vo.alerts import filters, records
from km3vo.alerts.messages import mail
from km3vo.alerts.records import Record
from km3vo.alerts.sending import outbox, smtp
from km3vo.alerts.sending.channels import Channel
from km3vo.alerts.subscriptions import Format
from km3vo.database.logins import Database
from km3vo.settings import Settings

log = logging.getLogger(__name__)

BATCH = 100  # revisions, and subscribers, that are looked at in one go
SLOWEST = 60.0  # seconds between attempts

FORGET = (
    "DELETE FROM km3vo.alert_subscription WHERE address IS NOT NULL AND confirmed IS NULL "
    "AND created < clock_timestamp() - interval '2 days'"
)
WAITING = (
    "SELECT id, token, condition, tests, address, format, confirmed IS NOT NULL AS confirmed, seen, attempts "
    "FROM km3vo.alert_subscription WHERE ended IS NULL AND address IS NOT NULL AND due <= clock_timestamp() "
    "AND (asked IS NULL AND confirmed IS NULL OR confirmed IS NOT NULL AND seen < "
    "(SELECT last FROM km3vo.alert_count)) ORDER BY due, id LIMIT %s"
)
AFTER = (
    "SELECT number, published, event_name, revision, redacted, document::text FROM km3vo.alert "
    "WHERE number > %s ORDER BY number LIMIT %s"
)
ASKED = "UPDATE km3vo.alert_subscription SET asked = clock_timestamp(), attempts = 0, last_error = NULL WHERE id = %s"
SEEN = "UPDATE km3vo.alert_subscription SET seen = %s, attempts = 0, last_error = NULL WHERE id = %s"
AGAIN = (
    "UPDATE km3vo.alert_subscription SET attempts = attempts + 1, last_error = %s, "
    "due = clock_timestamp() + %s WHERE id = %s"
)
END = "UPDATE km3vo.alert_subscription SET last_error = %s, ended = clock_timestamp() WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Somebody to whom mails go.

    Attributes:
        confirmed: whether mails of alerts go there; else the question whether they are wanted.
        seen: number of the last revision that was looked at for it.
        attempts: how often the next mail was tried.
    """

    id: int
    token: str
    condition: str
    tests: bool
    address: str
    format: Format
    confirmed: bool
    seen: int
    attempts: int


class Subscribers:
    """Sends what is due. Of several processes one at a time does so.

    A revision counts as seen when its mail was handed over: after a crash it may come twice, with one Message-ID.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        channel: Channel,
        tables: QueryTables,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            channel: of the kind ``subscriptions``: the mail server.
            tables: what the public may name in conditions.
        """
        self._database = database
        self._settings = settings
        self._channel = channel
        self._tables = tables
        self._stopping = stopping

    def run(self) -> None:
        """Send until the service stops.

        Raises:
            Km3voError: the database went away; to be called again.
        """
        with outbox.turns(self._database, self._channel.name, self._stopping) as turns:
            for service in turns:
                self._look(service)

    def _look(self, service: psycopg.Connection) -> None:
        service.execute(FORGET)
        with service.cursor(row_factory=class_row(Subscriber)) as cursor:
            waiting = cursor.execute(WAITING, (BATCH,)).fetchall()
        if not waiting:
            return
        values = self._channel.values()
        with filters.connect(self._database) as public:
            server: smtplib.SMTP | None = None
            try:
                server = smtp.opened(values)
                for one in waiting:
                    if self._stopping():
                        break
                    self._serve(service, public, server, one)
            except (OSError, smtplib.SMTPException) as error:
                # The server itself: nobody's fault, and everybody waits.
                refused = smtp.refused(error)
                for one in waiting:
                    self._again(service, one, refused.why)
            finally:
                if server is not None:
                    server.close()

    def _serve(
        self, service: psycopg.Connection, public: psycopg.Connection, server: smtplib.SMTP, one: Subscriber
    ) -> None:
        """What is due for one subscriber, in its order."""
        try:
            if not one.confirmed:
                self._hand_over(server, one, self._question(one))
                service.execute(ASKED, (one.id,))
                return
            for row in service.execute(AFTER, (one.seen, BATCH)).fetchall():
                record = records.record(row)
                if self._wants(public, one, record):
                    self._send(server, one, record)
                service.execute(SEEN, (record.number, one.id))
        except smtplib.SMTPRecipientsRefused as error:
            refused = smtp.refused(error)
            server.rset()
            if refused.lasting:
                service.execute(END, (refused.why, one.id))
                log.warning("subscription %d has ended: %s", one.id, refused.why)
            else:
                self._again(service, one, refused.why)

    def _send(self, server: smtplib.SMTP, one: Subscriber, record: Record) -> None:
        """A mail that is refused for what is in it, as when it is too long, is left out; the next may go."""
        try:
            self._hand_over(server, one, self._letter(one, record))
        except smtplib.SMTPDataError as error:
            if not smtp.refused(error).lasting:
                raise
            name = f"{record.event_name}/{record.revision}"
            log.error("alert %s was refused for subscription %d: %s", name, one.id, smtp.refused(error).why)

    def _wants(self, public: psycopg.Connection, one: Subscriber, record: Record) -> bool:
        """Whether a revision is chosen. Of an alert that was, a retraction is told whatever it says."""
        said = record.found
        if said is None or (said.is_test and not one.tests):
            return False
        which = None if said.type == "retraction" else said.revision
        return filters.chooses(public, one.condition, self._tables, said.event_name, which)

    def _letter(self, one: Subscriber, record: Record) -> EmailMessage:
        place = address_of(one.token, self._settings)
        letter = mail.message(
            record.said,
            self._settings,
            sender=str(self._channel.options["from"]),
            attached="" if one.format == "txt" else one.format,
            unsubscribe=place,
        )
        letter["List-Unsubscribe"] = f"<{place}>"
        letter["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
        return letter

    def _question(self, one: Subscriber) -> EmailMessage:
        chosen = f"Which: {one.condition}\n" if one.condition else ""
        return smtp.letter(
            self._channel,
            "Do you want mails of KM3NeT alerts?",
            f"Somebody, perhaps you, asked at {self._settings.base_url} for mails of KM3NeT alerts to this address.\n"
            f"{chosen}\nIf you want them, open this page and say so within two days:\n"
            f"{address_of(one.token, self._settings)}\n\nIf not, do nothing: no more mails will come.\n",
        )

    def _hand_over(self, server: smtplib.SMTP, one: Subscriber, letter: EmailMessage) -> None:
        letter["To"] = one.address
        # Longer lines than usual: folded, an address in a header would be written in a way that programs do not read.
        content = letter.as_bytes(policy=letter.policy.clone(linesep="\r\n", max_line_length=990))
        server.sendmail(str(self._channel.options["from"]), [one.address], content)

    def _again(self, service: psycopg.Connection, one: Subscriber, why: str) -> None:
        pause = timedelta(seconds=min(SLOWEST, 2.0 ** min(one.attempts, 10)))
        service.execute(AGAIN, (why, pause, one.id))


def address_of(token: str, settings: Settings) -> str:
    """The page where a subscription is confirmed and ended."""
    return f"{settings.base_url}/alerts/subscriptions/{token}"
