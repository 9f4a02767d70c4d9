"""The counting method: events in the error circles and windows of sources, and how many chance puts there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from km3vo.correlation import pairs
from km3vo.correlation.exposure import Exposure
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.pairs import Circle
from km3vo.correlation.parts import Progress, in_parts, silent
from km3vo.correlation.scrambles import Kind, scrambled
from km3vo.correlation.significance import poisson_p
from km3vo.correlation.sphere import Floats, Ints
from km3vo.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Counted:
    """Events of each source.

    Attributes:
        number: in the circle and the window.
        mean: expected from the background: the list's own events with their right ascensions drawn anew, times the
            part of the live-time that the window holds.
        p_local: Poisson probability of as many or more, before any trial factor.
    """

    number: Ints
    mean: Floats
    p_local: Floats


@dataclass(frozen=True, slots=True)
class ScrambledCounts:
    """The same on scrambled lists.

    Attributes:
        kind: what was drawn anew.
        seed, scrambles: of them.
        reached: for each source, how many scrambles gave it as many events as were observed.
        surpassed: for each source, how many gave any source a local p-value as small as it has.
        totals: of each scramble, events of all sources together.
        mean: of each source, averaged over scrambles.
    """

    kind: Kind
    seed: int
    scrambles: int
    reached: Ints
    surpassed: Ints
    totals: Ints
    mean: Floats


def count(events: Events, sources: Sources, circle: Circle, exposure: Exposure | None = None) -> Counted:
    """Count the events of each source. ``exposure`` is needed with windows."""
    mean = pairs.expected(events, sources, circle)
    if sources.start is not None:
        if exposure is None:
            raise ParameterError("A search in time needs the live-time of the list.")
        mean = mean * exposure.share(*sources.window())
    number = pairs.counts(events, sources, circle)
    return Counted(number, mean, poisson_p(number, mean))


def scramble(
    events: Events,
    sources: Sources,
    circle: Circle,
    observed: Counted,
    *,
    seed: int,
    number: int,
    kind: Kind | Literal["default"] = "default",
    threads: int = 1,
    progress: Progress = silent,
) -> ScrambledCounts:
    """Count scrambled lists. By default right ascensions are drawn anew, and with windows times are permuted too."""
    chosen: Kind = ("ra" if sources.start is None else "both") if kind == "default" else kind

    def one(which: int) -> Ints:
        return pairs.counts(scrambled(events, chosen, seed, which), sources, circle)

    reached, surpassed = np.zeros((2, len(sources)), dtype=np.int64)
    totals = np.zeros(number, dtype=np.int64)
    mean = np.zeros(len(sources), dtype=np.int64)
    for which, counted in in_parts(one, number, threads, progress):
        totals[which] = counted.sum()
        mean += counted
        reached += counted >= observed.number
        hit = np.flatnonzero(counted)
        smallest = poisson_p(counted[hit], observed.mean[hit]).min(initial=1.0)
        surpassed += smallest <= observed.p_local
    return ScrambledCounts(chosen, seed, number, reached, surpassed, totals, mean / max(number, 1))
