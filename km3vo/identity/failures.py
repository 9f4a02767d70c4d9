"""Wrong credentials of late, by where they came from and by whose they were said to be.

Nobody is locked out: right credentials are never kept waiting, whoever sends wrong ones under the same name or from the
same address. Each process counts for itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

MINUTE = 60.0
MOST_KEYS = 20_000  # the one that was quiet for longest is forgotten


class Attempt(NamedTuple):
    """A wrong attempt.

    Attributes:
        number: which it is since it was last quiet.
        wait: seconds until another one is taken as the first ones were; 0 when there were few.
    """

    number: int
    wait: float


class Failures:
    """Counts that leak: so many are free in a minute, and what is above drains at that rate."""

    def __init__(self, free: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``free`` is how many wrong attempts of one address or account there may be in a minute."""
        self._free = free
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, int, float]] = OrderedDict()

    def note(self, *keys: str) -> Attempt:
        """Count a wrong attempt for each of the keys, and say how it stands with the one that has most."""
        attempts = [self._count(key) for key in keys if key]
        return max(attempts, key=lambda attempt: (attempt.wait, attempt.number), default=Attempt(1, 0.0))

    def _count(self, key: str) -> Attempt:
        now, rate = self._clock(), self._free / MINUTE
        level, number, then = self._levels.pop(key, (0.0, 0, now))
        level = max(0.0, level - (now - then) * rate)
        number = number + 1 if level else 1
        level = min(level + 1, 2.0 * self._free)  # so that nobody waits for more than a minute
        self._levels[key] = level, number, now
        if len(self._levels) > MOST_KEYS:
            self._levels.popitem(last=False)
        return Attempt(number, max(0.0, level - self._free) / rate)
