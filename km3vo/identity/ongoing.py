"""Answers that are being given to people with credentials, and end within seconds of the right that they rest on.

Credentials are looked at when a request comes. A slow reader can take an hour for its answer, and a right may be
revoked meanwhile: so every second the tokens and grants of all that is under way are looked up in one statement.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from km3vo.embargo.access import Access
from km3vo.ending import ended
from km3vo.errors import Km3voError
from km3vo.identity.user import User

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class Ongoing:
    """What is under way in this process. For the event loop only."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._answers: dict[Callable[[], None], User] = {}
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._watch(), name="ongoing answers")

    async def close(self) -> None:
        """Look no more."""
        await ended(self._task)

    @contextmanager
    def answer(self, user: User, end: Callable[[], None]) -> Iterator[None]:
        """While it lasts, ``end`` is called once should the token, the session or one of the grants of ``user`` end."""
        if user.token is not None or user.session is not None or user.grants:
            self._answers[end] = user
        try:
            yield
        finally:
            self._answers.pop(end, None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:
                log.exception("rights cannot be looked up just now")

    async def look(self) -> None:
        """End the answers whose right has ended."""
        if not self._answers:
            return
        tokens = {user.token for user in self._answers.values() if user.token is not None}
        sessions = {user.session for user in self._answers.values() if user.session is not None}
        grants = {grant for user in self._answers.values() for grant in user.grants}
        try:
            ended = await self._access.ended(tokens, grants, sessions)
        except Km3voError as error:  # nobody can revoke anything either while the database is away
            log.warning("rights cannot be looked up just now: %s", error)
            return
        for end, user in list(self._answers.items()):
            if user.token in ended.tokens or user.session in ended.sessions or user.grants & ended.grants:
                del self._answers[end]
                end()
