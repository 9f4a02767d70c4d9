"""The same list without its sources: what is drawn anew, and from which numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from km3vo.correlation.lists import Events
from km3vo.correlation.sphere import Floats
from km3vo.errors import ParameterError

# "ra": right ascensions are drawn anew. "time": times are permuted, positions stay. "both": one and the other.
Kind = Literal["ra", "time", "both"]


def generator(seed: int, scramble: int) -> np.random.Generator:
    """The random numbers of one scramble: they depend on nothing but these two numbers."""
    if seed < 0:
        raise ParameterError("A seed is a whole number, 0 or above.")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, scramble))))


def scrambled(events: Events, kind: Kind, seed: int, scramble: int) -> Events:
    """A scrambled list. Declination, error, weight and configuration of every event stay as they are."""
    random = generator(seed, scramble)
    if kind in ("ra", "both"):
        events = replace(events, ra=random.uniform(0, 360, len(events)))
    if kind in ("time", "both"):
        events = replace(events, mjd=permuted(events, random))
    return events


def permuted(events: Events, random: np.random.Generator) -> Floats:
    """Times in another order. Those of a configuration stay in it: others saw the sky differently."""
    mjd = events.timed()
    if events.group is None:
        return random.permutation(mjd)
    result = mjd.copy()
    for group in np.unique(events.group):
        mine = np.flatnonzero(events.group == group)
        result[mine] = mjd[random.permutation(mine)]
    return result
