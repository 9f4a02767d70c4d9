"""Small statements go on after a restart of PostgreSQL, and say apart whether it is away or busy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from km3vo.database.logins import Database
from km3vo.database.pool import Pool
from km3vo.errors import BusyError, UnavailableError

pytestmark = pytest.mark.slow

SIZE = 5


def use(conninfo: str, work: Callable[[Pool], Awaitable[Any]], **settings: Any) -> Any:
    """The outcome of work with a pool."""

    async def run() -> Any:
        pool = Pool(conninfo, size=SIZE, **settings)
        await pool.open()
        try:
            return await asyncio.wait_for(work(pool), 60)
        finally:
            await pool.close()

    return asyncio.run(run())


def cut(database: Database) -> None:
    """End all connections, as a restart does."""
    with database.connect() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_all_connections_may_have_been_cut(published: Database) -> None:
    async def work(pool: Pool) -> list[Any]:
        # So that all of them are there.
        await asyncio.gather(*(pool.rows("SELECT pg_sleep(0.2) IS NULL") for _ in range(SIZE)))
        await asyncio.to_thread(cut, published)
        small = await asyncio.gather(*(pool.rows("SELECT 1") for _ in range(3 * SIZE)))
        await asyncio.to_thread(cut, published)
        async with pool.connection() as connection:
            large = await (await connection.execute("SELECT 2")).fetchall()
        return [*small, large]

    assert use(published.admin, work) == [*([(1,)] for _ in range(3 * SIZE)), [(2,)]]


def test_a_pool_that_is_in_use_is_not_called_a_database_that_is_away(published: Database) -> None:
    async def work(pool: Pool) -> None:
        busy = [asyncio.create_task(pool.rows("SELECT pg_sleep(3) IS NULL")) for _ in range(SIZE)]
        await asyncio.sleep(0.5)
        with pytest.raises(BusyError):
            await pool.rows("SELECT 1")
        await asyncio.gather(*busy)

    use(published.admin, work, seconds=0.5)


def test_a_database_that_is_away_is_not_called_busy(published: Database) -> None:
    async def work(pool: Pool) -> None:
        with pytest.raises(UnavailableError) as caught:
            await pool.rows("SELECT 1")
        assert not isinstance(caught.value, BusyError)

    use(psycopg.conninfo.make_conninfo(published.admin, host="/nowhere"), work, seconds=0.5)


def test_while_the_database_is_away_only_the_first_waits(published: Database) -> None:
    async def work(pool: Pool) -> None:
        with pytest.raises(UnavailableError):
            await pool.rows("SELECT 1", wait=0.1)
        with pytest.raises(UnavailableError):
            await pool.rows("SELECT 1")  # else a minute, and `use` would give up

    use(psycopg.conninfo.make_conninfo(published.admin, host="/nowhere"), work, seconds=60)


def test_a_busy_database_is_alive_and_one_that_is_away_is_not(published: Database) -> None:
    async def busy(pool: Pool) -> bool:
        work = [asyncio.create_task(pool.rows("SELECT pg_sleep(3) IS NULL")) for _ in range(SIZE)]
        await asyncio.sleep(0.5)
        alive = await pool.alive()
        await asyncio.gather(*work)
        return alive

    async def away(pool: Pool) -> bool:
        return await pool.alive()

    assert use(published.admin, busy, seconds=0.5) is True
    assert use(psycopg.conninfo.make_conninfo(published.admin, host="/nowhere"), away, seconds=0.5) is False
