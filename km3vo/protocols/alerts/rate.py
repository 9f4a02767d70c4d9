"""How often a token may send: so many at once, and so many a minute from then on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from km3vo.errors import TooManyError

BURST, A_MINUTE = 20, 60


class Rate:
    """A bucket for each sender, which fills up again. For one server process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, float]] = {}

    def take(self, sender: str) -> None:
        """Count a message.

        Raises:
            TooManyError: the sender has to wait, and so long.
        """
        now = self._clock()
        left, since = self._known.get(sender, (float(BURST), now))
        left = min(float(BURST), left + (now - since) * A_MINUTE / 60)
        if left < 1:
            self._known[sender] = left, now
            error = TooManyError(f"one token sends {A_MINUTE} alerts a minute at most, and {BURST} at once")
            error.retry_after = math.ceil((1 - left) * 60 / A_MINUTE)
            raise error
        self._known[sender] = left - 1, now
