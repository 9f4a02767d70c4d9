"""Whether the time of some work tells the server with embargoed events from those without.

Three servers work in turn: one without embargoed events, its twin, and one that has them. The first two tell what noise
is: in blocks, the medians of equal servers differ by so much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def told_apart(work: Callable[[int], object], blocks: int, rounds: int, warm: int = 1) -> tuple[float, float]:
    """(noise, difference) in seconds: between equal servers, and between those without and with embargoed events.

    The noise is what 19 of 20 blocks of equal servers stay below; the difference is the median over all blocks.
    ``work`` is given the place of the server that is to do it; each does it ``warm`` times before the clock runs.
    """
    for _ in range(warm):
        for place in range(3):
            work(place)
    equal, unequal = [], []
    for block in range(blocks):
        times: list[list[float]] = [[], [], []]
        for one in range(rounds):
            for turn in range(3):
                place = (turn + one + block) % 3  # nobody is always asked first
                began = time.perf_counter()
                work(place)
                times[place].append(time.perf_counter() - began)
        bare, twin, loaded = map(median, times)
        equal.append(abs(bare - twin))
        unequal.append(loaded - (bare + twin) / 2)
    return sorted(equal)[int(0.95 * blocks)], abs(median(unequal))
