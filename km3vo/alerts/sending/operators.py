"""Mails to the operators when something needs them: what `km3vo status` says is wrong, once each time it begins."""

from __future__ import annotations

import re
import smtplib

import psycopg

from km3vo.alerts.sending import outbox, smtp
from km3vo.alerts.sending.channels import Channel
from km3vo.catalog.model import Catalog
from km3vo.database.logins import SERVICE, Database
from km3vo.errors import UnavailableError
from km3vo.operating import state, troubles
from km3vo.settings import Settings

LOOK = 60.0  # seconds between looks
_SECONDS = re.compile(r"\d+ s\b")  # which pass while a trouble stays the same


class Operators:
    """Tells the operators. Of several processes one at a time does so; another one may tell once more."""

    def __init__(self, database: Database, settings: Settings, channel: Channel, catalog: Catalog) -> None:
        """
        Args:
            channel: of the kind ``operators``: the mail server, and whom to tell.
        """
        self._database = database
        self._settings = settings
        self._channel = channel
        self._catalog = catalog
        self._told: set[str] = set()
        self._connection: psycopg.Connection | None = None

    def look(self) -> list[str]:
        """Tell what is wrong and was not at the last look; returns that.

        Raises:
            UnavailableError: the mail server does not take it; to be tried again.
            SetupError: the database is away.
        """
        if self._connection is None or self._connection.closed:
            self._connection = self._database.connect(SERVICE, autocommit=True)
        if not outbox.is_mine(self._connection, self._channel.name):
            return []
        now = state.look(self._settings, self._database, self._catalog)
        wrong = {_SECONDS.sub("…", one): one for one in troubles.of(now, self._settings)}
        fresh = [one for key, one in wrong.items() if key not in self._told]
        if fresh:
            self._send(fresh)
        self._told = set(wrong)
        return fresh

    def close(self) -> None:
        """Let another process tell."""
        if self._connection is not None:
            self._connection.close()

    def _send(self, fresh: list[str]) -> None:
        lines = "\n".join(f"- {one}" for one in fresh)
        letter = smtp.letter(
            self._channel,
            f"km3vo: {fresh[0]}"[:120],
            f"{self._settings.base_url} needs somebody:\n\n{lines}\n\nMore: km3vo status\n",
        )
        letter["To"] = self._channel.to
        try:
            with smtp.opened(self._channel.values()) as server:
                server.send_message(letter)
        except (OSError, smtplib.SMTPException) as error:
            raise UnavailableError(f"the operators could not be told: {smtp.refused(error).why}") from None
