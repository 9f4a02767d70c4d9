"""Who wants to be told of which alerts, and how: conditions that were saved, with or without an address for mails."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from km3vo.database.pool import Pool
from km3vo.errors import NotFoundError, ParameterError, TooManyError

Format = Literal["txt", "json", "xml"]
FORMATS: tuple[Format, ...] = ("txt", "json", "xml")
# Of one address, and of all of them, within a day and unconfirmed: nobody is to be sent mails here by somebody else.
UNCONFIRMED, ALL_UNCONFIRMED = 3, 500
MOST = 10_000  # saved ones in all
NAME, TOKEN = re.compile(r"[a-z0-9]{12}"), re.compile(r"[A-Za-z0-9_-]{20,60}")
# One address, as it may stand in a header: nothing that could end a line or begin another recipient.
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")

COUNT = (
    "SELECT count(*), count(*) FILTER (WHERE confirmed IS NULL AND address IS NOT NULL AND created > now() - "
    "interval '1 day'), count(*) FILTER (WHERE confirmed IS NULL AND lower(address) = lower(%s) AND created > now() - "
    "interval '1 day') FROM km3vo.alert_subscription"
)
ADD = (
    "INSERT INTO km3vo.alert_subscription (name, token, condition, tests, address, format) "
    "VALUES (%s, %s, %s, %s, %s, %s) RETURNING name"
)
# A subscription without an address needs no confirmation.
NAMED = (
    "SELECT name, token, condition, tests, address, format, created, confirmed, ended FROM km3vo.alert_subscription "
    "WHERE name = %s AND ended IS NULL AND (address IS NULL OR confirmed IS NOT NULL)"
)
HELD = (
    "SELECT name, token, condition, tests, address, format, created, confirmed, ended FROM km3vo.alert_subscription "
    "WHERE token = %s"
)
# What was published before is not told of.
CONFIRM = (
    "UPDATE km3vo.alert_subscription SET confirmed = clock_timestamp(), seen = (SELECT last FROM km3vo.alert_count), "
    "due = clock_timestamp() WHERE token = %s AND confirmed IS NULL RETURNING name"
)
END = "DELETE FROM km3vo.alert_subscription WHERE token = %s RETURNING name"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A condition that somebody saved.

    Attributes:
        name: by which its stream is asked for.
        token: in the addresses that its mails hold; whoever has it may confirm and end.
        condition: ADQL over km3net.alerts; empty is all.
        tests: whether tests are wanted too.
        address: for mails, or None.
        format: what is attached to mails, ``txt`` for nothing.
        confirmed: when its owner said that the mails are wanted.
        ended: when mails were refused for good.
    """

    name: str
    token: str
    condition: str
    tests: bool
    address: str | None
    format: Format
    created: datetime
    confirmed: datetime | None
    ended: datetime | None


class Subscriptions:
    """The saved ones, for the service."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` is the service's own."""
        self._pool = pool

    async def add(self, condition: str, *, tests: bool, address: str | None, form: Format) -> str:
        """Save a condition that was checked; its name.

        The answer is the same whether an address is known already, or gets no more mails today.

        Raises:
            ParameterError: the address cannot be one.
            TooManyError: there are too many.
        """
        if address is not None and not ADDRESS.fullmatch(address):
            raise ParameterError("address: write one address, such as ada@example.org")
        ((all_, unconfirmed, of_address),) = await self._pool.rows(COUNT, (address,))
        if all_ >= MOST or unconfirmed >= ALL_UNCONFIRMED:
            raise TooManyError("too many subscribe just now: try again tomorrow, or follow /alerts/stream")
        name = secrets.token_hex(6)
        if of_address < UNCONFIRMED:
            values = (name, secrets.token_urlsafe(24), condition, tests, address, form)
            await self._pool.rows(ADD, values)
        return name

    async def named(self, name: str) -> Subscription:
        """The subscription whose stream is asked for. Raises NotFoundError."""
        return await self._one(NAMED, name if NAME.fullmatch(name) else "")

    async def held(self, token: str) -> Subscription:
        """The subscription that mails with this token belong to. Raises NotFoundError."""
        return await self._one(HELD, token if TOKEN.fullmatch(token) else "")

    async def confirm(self, token: str) -> None:
        """Its owner wants the mails: of what is published from now on."""
        await self._pool.rows(CONFIRM, (token,))

    async def end(self, token: str) -> None:
        """Forget it, and its address."""
        await self._pool.rows(END, (token,))

    async def _one(self, statement: str, key: str) -> Subscription:
        rows = await self._pool.rows(statement, (key,))
        if not rows:
            raise NotFoundError("There is no such subscription; it may have been ended, or its address is cut short.")
        return Subscription(*rows[0])
