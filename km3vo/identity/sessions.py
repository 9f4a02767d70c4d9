"""Sessions of people who have logged in with a browser.

They are in the database, so that all processes know them and one statement ends them. A browser has 256 random bits, of
which the database keeps the SHA-256. With what the identity provider is asked again whether the person still has the
right is encrypted by those bits: whoever reads the database can do nothing with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from km3vo.database.pool import Pool
from km3vo.errors import BusyError, CredentialsError, Km3voError, UnavailableError

if TYPE_CHECKING:
    from km3vo.identity.attempt import Attempt, Person
    from km3vo.identity.login import Login

log = logging.getLogger(__name__)

ID = re.compile(r"[A-Za-z0-9_-]{43}")
ATTEMPTS_MOST = 10_000  # that are under way at once: nobody fills the disk
WAIT_SECONDS = 10.0  # for another request, or process, that asks the provider

NOTE_ATTEMPT = """
WITH gone AS (DELETE FROM km3vo.login WHERE ends_at < clock_timestamp())
INSERT INTO km3vo.login (sha256, next, ends_at)
SELECT %s, %s, clock_timestamp() + interval '10 minutes' WHERE (SELECT count(*) FROM km3vo.login) < %s RETURNING 1
"""
TAKE_ATTEMPT = "DELETE FROM km3vo.login WHERE sha256 = %s RETURNING next, ends_at > clock_timestamp()"
BEGIN = """
WITH gone AS (DELETE FROM km3vo.session WHERE ends_at < clock_timestamp() - interval '1 day')
INSERT INTO km3vo.session (sha256, name, shown, member, sealed, ends_at)
VALUES (%s, %s, %s, %s, %s, clock_timestamp() + interval '24 hours') RETURNING id
"""
# The rights are four minutes old at most when they are asked anew, so that nobody keeps them for longer than five.
FIND = """
SELECT id, name, shown, member, as_public, sealed, checked_at, checked_at < clock_timestamp() - interval '4 minutes',
    used_at < clock_timestamp() - interval '1 minute'
FROM km3vo.session
WHERE sha256 = %s AND ended_at IS NULL AND ends_at > clock_timestamp()
    AND used_at > clock_timestamp() - interval '8 hours'
"""
USE = "UPDATE km3vo.session SET used_at = clock_timestamp() WHERE id = %s RETURNING 1"
# Some providers take what they are asked with for stolen when it comes twice.
CLAIM = """
UPDATE km3vo.session SET checking_at = clock_timestamp()
WHERE id = %s AND checked_at = %s AND (checking_at IS NULL OR checking_at < clock_timestamp() - interval '20 seconds')
RETURNING 1
"""
LEAVE = "UPDATE km3vo.session SET checking_at = NULL WHERE id = %s RETURNING 1"
CHECKED = """
UPDATE km3vo.session SET checked_at = clock_timestamp(), checking_at = NULL, shown = %s, member = %s, sealed = %s
WHERE id = %s RETURNING 1
"""
END = """
UPDATE km3vo.session SET ended_at = clock_timestamp(), sealed = NULL WHERE id = %s AND ended_at IS NULL RETURNING 1
"""
END_OF = """
UPDATE km3vo.session SET ended_at = clock_timestamp(), sealed = NULL
WHERE sha256 = %s AND ended_at IS NULL RETURNING 1
"""
SHOW = "UPDATE km3vo.session SET as_public = %s WHERE id = %s RETURNING 1"


@dataclass(frozen=True, slots=True)
class Session:
    """A session that lasts.

    Attributes:
        name, shown, member: as of a ``Person`` (login.py).
        as_public: whether the person wants to see what the public sees.
    """

    number: int
    name: str
    shown: str
    member: bool
    as_public: bool


class Sessions:
    """The sessions, and the attempts to begin one. Needs a running event loop."""

    def __init__(self, pool: Pool, login: Login) -> None:
        """``pool`` is the service's own."""
        self._pool = pool
        self._login = login

    async def note(self, attempt: Attempt, place: str) -> None:
        """Keep that an attempt is under way, and to which ``place`` it leads.

        Raises:
            BusyError: too many are.
            UnavailableError: the database is away.
        """
        if not await self._rows(NOTE_ATTEMPT, _digest(attempt.secret), place, ATTEMPTS_MOST):
            raise BusyError("too many people are logging in just now; try again in a few minutes", 60)

    async def take(self, attempt: Attempt) -> str | None:
        """To which place an attempt leads that is under way, and is not from now on; None when it is not.

        Raises:
            UnavailableError: the database is away.
        """
        rows = await self._rows(TAKE_ATTEMPT, _digest(attempt.secret))
        return rows[0][0] if rows and rows[0][1] else None

    async def begin(self, person: Person) -> str:
        """Begin a session: what the browser has to send, which no browser has sent before.

        Raises:
            UnavailableError: the database is away.
        """
        id = secrets.token_urlsafe(32)
        values = (_digest(id), person.name, person.shown, person.member, _sealed(id, person.refresh))
        await self._rows(BEGIN, *values)
        if not person.refresh:
            log.warning(
                "the identity provider gives no refresh token, so sessions last for minutes: see KM3VO_OIDC_SCOPES"
            )
        return id

    async def find(self, id: str) -> Session | None:
        """The session of a browser that sends ``id``; None unless it lasts.

        Raises:
            UnavailableError: the database or the identity provider is away.
        """
        if not ID.fullmatch(id):
            return None
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            rows = await self._rows(FIND, _digest(id))
            if not rows:
                return None
            *known, sealed, checked_at, is_due, is_stale = rows[0]
            session = Session(*known)
            if is_stale:
                await self._rows(USE, session.number)
            if not is_due:
                return session
            if await self._rows(CLAIM, session.number, checked_at):
                await self._check(id, session, sealed)
            elif asyncio.get_running_loop().time() > until:
                raise UnavailableError("the identity provider has not answered as yet; try again in a moment")
            else:
                await asyncio.sleep(0.1)

    async def _check(self, id: str, session: Session, sealed: str | None) -> None:
        """Ask the provider what it says of the person now; the session ends when it does not vouch for him or her."""
        try:
            if not sealed:
                raise CredentialsError("the provider cannot be asked again")
            person = await self._login.again(session.name, _opened(id, sealed))
        except CredentialsError:
            await self.end(session.number)
        except BaseException:
            await self._rows(LEAVE, session.number)
            raise
        else:
            await self._rows(CHECKED, person.shown, person.member, _sealed(id, person.refresh), session.number)

    async def end(self, number: int) -> None:
        """End a session, for ever.

        Raises:
            UnavailableError: the database is away.
        """
        await self._rows(END, number)

    async def end_of(self, id: str) -> None:
        """End the session of a browser that sends ``id``, if there is one; raises as ``end``."""
        await self._rows(END_OF, _digest(id))

    async def show(self, number: int, *, as_public: bool) -> None:
        """Show the person of a session what the public sees, or what he or she may see.

        Raises:
            UnavailableError: the database is away.
        """
        await self._rows(SHOW, as_public, number)

    async def _rows(self, statement: Any, *values: object) -> list[Any]:
        try:
            return await self._pool.rows(statement, values)
        except Km3voError:
            raise UnavailableError("sessions cannot be looked up just now; try again in a moment") from None


def _digest(id: str) -> bytes:
    return hashlib.sha256(id.encode()).digest()


def _sealed(id: str, refresh: str) -> str | None:
    from joserfc import jwe

    return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, refresh.encode(), _key(id)) if refresh else None


def _opened(id: str, sealed: str) -> str:
    from joserfc import jwe

    return (jwe.decrypt_compact(sealed, _key(id)).plaintext or b"").decode()


def _key(id: str) -> Any:
    """A key that follows from what the browser sends, and not from its hash in the database."""
    from joserfc.jwk import OctKey

    return OctKey.import_key(hashlib.sha256(b"sealed by " + id.encode()).digest())
