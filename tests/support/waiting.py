"""Waiting for what comes to be by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T]) -> T:
    """What the condition gives as soon as it is true; waits long enough for a machine that has much to do."""
    end = time.monotonic() + 180
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found
