"""Turns are shared among clients, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from km3vo.database.turns import Turn, Turns
from km3vo.errors import BusyError


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), 20))


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_one_client_leaves_turns_to_others() -> None:
    async def work() -> None:
        turns = Turns(4, each=3, waiting=10, seconds=10)
        mine = [asyncio.create_task(turns.take("greedy")) for _ in range(8)]
        await settle()
        assert sum(task.done() for task in mine) == 3
        other = await turns.take("modest")
        assert turns.held == 4 and turns.waiting == 5
        other.end()
        await settle()
        assert turns.held == 3, "the greedy one has as many as it may"
        for task in mine:
            (await task).end()
            await settle()
        assert turns.held == turns.waiting == 0

    run(work)


def test_who_has_the_fewest_comes_first() -> None:
    async def work() -> list[str]:
        turns = Turns(2, each=2, waiting=10, seconds=10)
        order: list[str] = []

        async def use(client: str) -> Turn:
            turn = await turns.take(client)
            order.append(client)
            return turn

        first = [await use("a"), await use("a")]
        waiting = [asyncio.create_task(use(client)) for client in ("a", "a", "b", "c")]
        await settle()
        for turn in first:
            turn.end()
            await settle()
        for task in waiting[2:] + waiting[:2]:
            (await task).end()
            await settle()
        return order

    assert run(work) == ["a", "a", "b", "a", "c", "a"]


def test_waiting_has_bounds() -> None:
    async def work() -> None:
        turns = Turns(1, each=1, waiting=1, seconds=0.05)
        turn = await turns.take("a")
        waits = asyncio.create_task(turns.take("a"))
        await settle()
        with pytest.raises(BusyError, match="1 of your requests wait already"):
            await turns.take("a")
        with pytest.raises(BusyError):
            await waits
        turn.end()
        await settle()
        (await turns.take("a")).end()
        await settle()
        assert turns.held == turns.waiting == 0

    run(work)


def test_a_turn_of_somebody_who_left_is_not_lost() -> None:
    async def work() -> None:
        turns = Turns(1, each=1, waiting=5, seconds=10)
        turn = await turns.take("a")
        leaves = asyncio.create_task(turns.take("b"))
        await settle()
        turn.end()
        turn.end()
        await asyncio.sleep(0)  # granted, and not yet taken
        leaves.cancel()
        await settle()
        if not leaves.cancelled():
            (await leaves).end()
            await settle()
        assert turns.held == 0
        (await turns.take("c")).end()

    run(work)


def test_a_turn_that_has_ended_does_not_move() -> None:
    async def work() -> None:
        short, long = (Turns(1, each=1, waiting=1, seconds=1) for _ in range(2))
        turn = await short.take("a")
        assert turn.move(long) and turn.move(long), "a second time there is nothing to do"
        assert (short.held, long.held) == (0, 1)
        turn.end()
        assert not turn.move(long), "its connection may be somebody else's already"

    run(work)
