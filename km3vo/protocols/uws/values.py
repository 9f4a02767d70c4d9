"""What the parameters of jobs say: times, durations, numbers (UWS 1.1 §2.1)."""

from __future__ import annotations

import re
from datetime import datetime

from km3vo import times
from km3vo.errors import ParameterError
from km3vo.protocols.dali.parameters import Parameters
from km3vo.settings import Limits


def time(name: str, text: str) -> datetime:
    """A time; without a zone it is UTC (DALI 1.1 §3.3.3)."""
    try:
        return times.moment(text, zones=True)
    except times.NotATime as wrong:
        raise ParameterError(f"{name}={text[:40]} {wrong}") from None


def seconds(parameters: Parameters, limits: Limits) -> int:
    """The execution duration asked for, up to the limit; 0 asks for as long as possible."""
    asked = count("EXECUTIONDURATION", parameters.one("EXECUTIONDURATION"))
    return min(asked or limits.async_seconds_hard, limits.async_seconds_hard)


def count(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise ParameterError(f"{name}={text[:40]} is not a whole number")
    return int(text)
