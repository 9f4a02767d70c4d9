"""What the service looks up and writes down about people with credentials. Anonymous requests never come here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass
from typing import Any, LiteralString, NamedTuple

from km3vo.database.pool import Pool
from km3vo.embargo.tokens import digest
from km3vo.errors import Km3voError, UnavailableError

VALID = """
SELECT id, owner, audience, scopes, pipelines,
    last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute'
FROM km3vo.token WHERE sha256 = %s AND revoked_at IS NULL AND expires_at > clock_timestamp()
"""
OBSERVER = """
SELECT login, array_agg(id) FROM km3vo.observer JOIN km3vo.observer_grant ON observer = name
WHERE name = %s AND revoked_at IS NULL AND ends_at > clock_timestamp() GROUP BY login
"""
ENDED = """
SELECT 'token', id FROM km3vo.token
WHERE id = ANY (%s) AND (revoked_at IS NOT NULL OR expires_at <= clock_timestamp())
UNION ALL
SELECT 'grant', id FROM km3vo.observer_grant
WHERE id = ANY (%s) AND (revoked_at IS NOT NULL OR ends_at <= clock_timestamp())
UNION ALL
SELECT 'session', id FROM km3vo.session
WHERE id = ANY (%s) AND (ended_at IS NOT NULL OR ends_at <= clock_timestamp())
"""
LOG = """
INSERT INTO km3vo.access_log (who, audience, client, method, path, parameters, status, location)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING 1
"""


class ValidToken(NamedTuple):
    """A personal token that is valid: its number, whose it is, for which audience, and what for (tokens.py)."""

    number: int
    owner: str
    audience: str
    scopes: list[str]
    pipelines: list[str]


class Observer(NamedTuple):
    """Somebody with grants that last: the login, and the numbers of the grants."""

    login: str
    grants: frozenset[int]


class Ended(NamedTuple):
    """Numbers of tokens, of grants and of sessions that are not valid any more."""

    tokens: frozenset[int]
    grants: frozenset[int]
    sessions: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What the access log keeps of a request.

    Attributes:
        who: the person's name; of credentials that were refused the user name that was sent, which may be anybody's.
        audience: as whom it was answered, or "refused".
        client: the address or network it came from.
        parameters: as protocols/http/record.py writes them.
        status: of the answer.
        location: where the answer sends the client, such as to the job that was made, or None.
    """

    who: str
    audience: str
    client: str
    method: str
    path: str
    parameters: str
    status: int
    location: str | None = None


class Access:
    """Tokens, grants and the access log, for the service. Needs a running event loop."""

    def __init__(self, pool: Pool) -> None:
        """``pool`` is the service's own."""
        self._pool = pool

    async def valid(self, token: str) -> ValidToken | None:
        """What is known of a personal token; None unless it is valid now.

        Raises:
            UnavailableError: the database is away.
        """
        row = await self._one(VALID, (digest(token),))
        if row is None:
            return None
        *known, stale = row
        if stale:
            await self._one(
                "UPDATE km3vo.token SET last_used_at = clock_timestamp() WHERE sha256 = %s RETURNING 1",
                (digest(token),),
            )
        return ValidToken(*known)

    async def observer(self, name: str) -> Observer | None:
        """An observer with a grant that lasts, or None.

        Raises:
            UnavailableError: the database is away.
        """
        row = await self._one(OBSERVER, (name,))
        return Observer(row[0], frozenset(row[1])) if row else None

    async def ended(self, tokens: Collection[int], grants: Collection[int], sessions: Collection[int]) -> Ended:
        """Those of these tokens, grants and sessions that have expired, ended or been revoked.

        Raises:
            Km3voError: the database is away.
        """
        rows = await self._pool.rows(ENDED, (list(tokens), list(grants), list(sessions)))
        tokens, grants, sessions = (
            frozenset(number for kind, number in rows if kind == wanted) for wanted in ("token", "grant", "session")
        )
        return Ended(tokens, grants, sessions)

    async def note(self, entry: Entry) -> None:
        """Write an entry of the access log.

        Raises:
            UnavailableError: it could not be written.
        """
        # PostgreSQL's text has no NUL.
        values = (
            value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value
            for value in astuple(entry)
        )
        await self._one(LOG, tuple(values))

    async def _one(self, statement: LiteralString, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        try:
            rows = await self._pool.rows(statement, values)
        except Km3voError:
            raise UnavailableError("credentials cannot be checked just now; try again in a moment") from None
        return rows[0] if rows else None
