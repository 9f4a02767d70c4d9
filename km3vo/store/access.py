"""What the service looks up and writes down about people with credentials. Anonymous requests never come here."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from km3vo.errors import UnavailableError
from km3vo.store.database import SERVICE, Database
from km3vo.store.tokens import digest

AWAY = UnavailableError("credentials cannot be checked just now; try again in a moment")

VALID = """
SELECT owner, audience, last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute'
FROM km3vo.token WHERE sha256 = %s AND revoked_at IS NULL AND expires_at > clock_timestamp()
"""
OBSERVER = """
SELECT login FROM km3vo.observer WHERE name = %s AND EXISTS (
    SELECT FROM km3vo.observer_grant
    WHERE observer = name AND revoked_at IS NULL AND ends_at > clock_timestamp()
)
"""
LOG = """
INSERT INTO km3vo.access_log (who, audience, method, path, parameters, status) VALUES (%s, %s, %s, %s, %s, %s)
"""


class Access:
    """Tokens, grants and the access log, for the service. Needs a running event loop."""

    def __init__(self, database: Database) -> None:
        self._pool: AsyncConnectionPool[AsyncConnection[tuple[Any, ...]]] = AsyncConnectionPool(
            # No connection until somebody comes with credentials.
            database.conninfo(SERVICE),
            min_size=0,
            max_size=4,
            open=False,
            timeout=5,
            kwargs={"autocommit": True},
        )

    async def open(self) -> None:
        """Get ready."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def owner_of(self, token: str) -> tuple[str, str] | None:
        """Whose a personal token is and for which audience ("member", "observer"); None unless it is valid now.

        Raises:
            UnavailableError: the database is away.
        """
        row = await self._one(VALID, (digest(token),))
        if row is None:
            return None
        owner, audience, stale = row
        if stale:
            await self._one(
                "UPDATE km3vo.token SET last_used_at = clock_timestamp() WHERE sha256 = %s RETURNING 1",
                (digest(token),),
            )
        return owner, audience

    async def observer(self, name: str) -> str | None:
        """The login of an observer with a grant that lasts, or None.

        Raises:
            UnavailableError: the database is away.
        """
        row = await self._one(OBSERVER, (name,))
        return row[0] if row else None

    async def note(self, who: str, audience: str, method: str, path: str, parameters: str, status: int) -> None:
        """Write down that somebody with credentials was answered.

        Raises:
            UnavailableError: it could not be written, so there must be no answer.
        """
        # PostgreSQL's text has no NUL.
        await self._one(
            LOG + "RETURNING 1",
            (who, audience, method, path, parameters.replace("\0", "\N{REPLACEMENT CHARACTER}"), status),
        )

    async def _one(self, statement: LiteralString, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        for attempt in (1, 2):
            try:
                async with self._pool.connection() as connection:
                    return await (await connection.execute(statement, values)).fetchone()
            except PoolTimeout:
                raise AWAY from None
            except psycopg.Error as error:
                # A pooled connection that PostgreSQL closed meanwhile shows only when it is used.
                if attempt == 2 or error.sqlstate not in (None, "57P01"):
                    raise AWAY from None
        raise AssertionError("unreachable")
