"""A question answered: which events are near which sources, what chance puts there, and what that is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from km3vo.correlation import (
    background,
    containment,
    counting,
    flare,
    likelihood,
    pairs,
    significance,
    spread,
    stacking,
    trials,
)
from km3vo.correlation.background import Background
from km3vo.correlation.exposure import Exposure, of_span
from km3vo.correlation.listed import Listed
from km3vo.correlation.lists import Events, Sources
from km3vo.correlation.parts import Progress, silent
from km3vo.correlation.question import MOST_FLARES, MOST_PAIRS, Question
from km3vo.correlation.sphere import Floats, Ints, share_of_circle
from km3vo.correlation.stacking import Stack
from km3vo.errors import ParameterError, TooLargeError

FEW = 1000  # sources for which an upper limit on a count is worked out


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came out. Arrays of sources are NaN where a source was not searched.

    Attributes:
        question: what was asked.
        events, sources: what was looked at.
        searched: for each source, whether there are enough events at its declination.
        number: events in the circle and the window of each source.
        mu: what chance puts there.
        ts, n_s: of the likelihood or of flares; NaN with other methods.
        p_local: before trials.
        p_scramble: the same from scrambles; NaN where too few reached what was observed.
        p_post: after trials: from scrambles where there are enough, else by Šidák's formula.
        q: false discovery rate.
        upper: upper limit (90 percent) on the number of events; NaN where it was not worked out.
        start, stop: windows (MJD), or None.
        t0, width: of flares (MJD, days), or None.
        stack: the catalogue as a whole, with that method.
        total: all pairs, and what chance gives, with its spread over scrambles (NaN without).
        pairs: of sources and events.
        s_over_b: of each pair, density of signal over that of the background.
        p_pair: chance that this event, with its right ascension drawn anew, lies as near.
        uniform_p: p-value of right ascensions being uniform (Rayleigh).
        exposure: where live-time came from, or None.
    """

    question: Question
    events: Listed
    sources: Listed
    searched: np.ndarray
    number: Ints
    mu: Floats
    ts: Floats
    n_s: Floats
    p_local: Floats
    p_scramble: Floats
    p_post: Floats
    q: Floats
    upper: Floats
    start: Floats | None
    stop: Floats | None
    t0: Floats | None
    width: Floats | None
    stack: Stack | None
    total: tuple[int, float, float]
    pairs: pairs.Pairs
    s_over_b: Floats
    p_pair: Floats
    uniform_p: float
    exposure: str | None


def events_of(listed: Listed) -> tuple[Events, Listed]:
    """A list as events, without those whose error is not known.

    Raises:
        ParameterError: no error is known.
    """
    listed = listed.rows(np.flatnonzero(listed.sigma > 0))
    if not len(listed):
        raise ParameterError(
            f"{listed.name} says of no event how well its direction is known: a column with the UCD stat.error;pos.eq "
            "is needed."
        )
    sigma = np.clip(listed.sigma, containment.FLOOR, containment.CEILING)
    return Events(ra=listed.ra, dec=listed.dec, sigma=sigma, mjd=listed.mjd, group=listed.group), listed


def sources_of(listed: Listed, window: tuple[float, float] | None) -> tuple[Sources, Listed]:
    """A list as sources; with a window without those that have no time. An error that is not known is none.

    Raises:
        ParameterError: there is a window and there are no times.
    """
    if window is not None:
        if listed.mjd is None or not np.isfinite(listed.mjd).any():
            raise ParameterError(f"{listed.name} has no times (UCD time.epoch) from which a WINDOW could count.")
        listed = listed.rows(np.flatnonzero(np.isfinite(listed.mjd)))
    sigma = np.where(listed.sigma > 0, listed.sigma, 0.0)
    if window is None or listed.mjd is None:
        return Sources(ra=listed.ra, dec=listed.dec, sigma=sigma), listed
    return Sources.transient(listed.ra, listed.dec, sigma, listed.mjd, *window), listed


def answer(
    question: Question,
    events: Listed,
    catalogue: Listed,
    exposure: Exposure | None = None,
    *,
    threads: int = 1,
    progress: Progress = silent,
) -> Answer:
    """Answer a question.

    Args:
        question: what is asked.
        events, catalogue: the tables.
        exposure: live-time; None for the span of the list where time matters.
        threads, progress: see :mod:`km3vo.correlation.parts`.

    Raises:
        ParameterError: the tables do not hold what the question needs.
        TooLargeError: there are too many pairs, or too many windows to try.
    """
    seen, events = events_of(events)
    looked, catalogue = sources_of(catalogue, question.window)
    if question.window is not None or question.method == "flare":
        exposure = exposure or of_span(seen.timed())
        within = (seen.timed() >= exposure.start[0]) & (seen.timed() <= exposure.stop[-1])
        if not within.any():
            raise ParameterError("No event lies in the time for which there is live-time.")
    else:
        exposure = None
    if question.method == "flare" and len(looked) * max(question.scrambles, 1) > MOST_FLARES:
        raise TooLargeError(
            f"Flares of {len(looked):,} sources in {question.scrambles:,} scrambles are more than {MOST_FLARES:,}: "
            "choose fewer of one or the other."
        )
    known = background.of_list(seen)
    searched = known.covers(looked.dec)
    if not searched.any():
        raise ParameterError("No source lies where there are enough events at its declination to compare with.")
    results = _Statistics(question, seen, looked, known, exposure, threads, progress, searched)
    near = pairs.find(seen, looked, question.circle, most=MOST_PAIRS, threads=threads)
    counted = counting.count(seen, looked, question.circle, exposure)
    results.of_counts(counted)
    if question.method == "count":
        results.count(counted)
    elif question.method == "flare":
        assert exposure is not None
        results.flare(exposure)
    else:
        results.likelihood(_weights(question, catalogue, searched))
    p_local = np.where(searched, results.p_local, np.nan)
    after = np.where(np.isnan(results.p_post), trials.after_trials(p_local, int(searched.sum())), results.p_post)
    start, stop = looked.window()
    timed = question.window is not None
    return Answer(
        question=question,
        events=events,
        sources=catalogue,
        searched=searched,
        number=counted.number,
        mu=np.where(searched, counted.mean, np.nan),
        ts=results.ts,
        n_s=results.n_s,
        p_local=p_local,
        p_scramble=np.where(searched, results.p_scramble, np.nan),
        p_post=np.where(searched, after, np.nan),
        q=trials.false_discovery(p_local),
        upper=results.upper,
        start=start if timed else None,
        stop=stop if timed else None,
        t0=results.t0,
        width=results.width,
        stack=results.stack,
        total=results.total,
        pairs=near,
        s_over_b=spread.gaussian(near.separation, near.sigma) * known.inverse(seen)[near.event],
        p_pair=_chance(seen, looked, near, exposure),
        uniform_p=background.rayleigh_p(seen.ra),
        exposure=exposure.origin if exposure else None,
    )


def _weights(question: Question, catalogue: Listed, searched: np.ndarray) -> Floats:
    weights = stacking.weights(catalogue.weight, len(catalogue))
    return np.where(searched, weights, 0.0)


def _chance(events: Events, sources: Sources, near: pairs.Pairs, exposure: Exposure | None) -> Floats:
    chance = share_of_circle(events.dec[near.event], sources.dec[near.source], near.separation)
    if exposure is not None and sources.start is not None:
        chance = chance * exposure.share(*sources.window())[near.source]
    return chance


class _Statistics:
    """What the method says of each source; NaN until it does."""

    def __init__(
        self,
        question: Question,
        events: Events,
        sources: Sources,
        known: Background,
        exposure: Exposure | None,
        threads: int,
        progress: Progress,
        searched: np.ndarray,
    ) -> None:
        self.question = question
        self.events, self.sources, self.known, self.exposure = events, sources, known, exposure
        self.threads, self.progress, self.searched = threads, progress, searched
        self.ts, self.n_s, self.p_local, self.p_scramble, self.p_post, self.upper = np.full((6, len(sources)), np.nan)
        self.t0: Floats | None = None
        self.width: Floats | None = None
        self.stack: Stack | None = None
        self.total = (0, math.nan, math.nan)

    def of_counts(self, counted: counting.Counted) -> None:
        self.total = (int(counted.number.sum()), float(counted.mean.sum()), math.nan)

    def count(self, counted: counting.Counted) -> None:
        question, number = self.question, self.question.scrambles
        self.p_local = counted.p_local
        if len(self.sources) <= FEW:
            self.upper = np.array(
                [
                    significance.upper_limit(int(n), round(float(mean), 3)) if max(n, mean) <= 1000 else math.nan
                    for n, mean in zip(counted.number, counted.mean, strict=True)
                ]
            )
        if number:
            scrambled = counting.scramble(
                self.events, self.sources, question.circle, counted,
                seed=question.seed, number=number, threads=self.threads, progress=self.progress,
            )  # fmt: skip
            self._judged(scrambled.reached, scrambled.surpassed)
            self.total = (self.total[0], float(scrambled.totals.mean()), float(scrambled.totals.std()))

    def likelihood(self, weights: Floats) -> None:
        question, sources = self.question, self._where_searched()
        fitted = likelihood.search(
            self.events, sources, self.known, exposure=self.exposure, limits=True, threads=self.threads
        )
        self._spread(ts=fitted.ts, n_s=fitted.n_s, p_local=fitted.p_local, upper=fitted.upper)
        if question.scrambles:
            weight = weights[self.searched]
            scrambled = likelihood.scramble(
                self.events, sources, self.known, fitted, seed=question.seed, number=question.scrambles,
                weights=weight, exposure=self.exposure, threads=self.threads, progress=self.progress,
            )  # fmt: skip
            self._judged(scrambled.reached, scrambled.surpassed)
            if question.method == "stacking":
                self.stack = stacking.stack(fitted, scrambled, weight)

    def flare(self, exposure: Exposure) -> None:
        question, sources = self.question, self._where_searched()
        flares = flare.search(
            self.events, sources, self.known, exposure, threads=self.threads,
            progress=silent if question.scrambles else self.progress,
        )  # fmt: skip
        self._spread(ts=flares.ts, n_s=flares.n_s)
        self.t0, self.width = np.full((2, len(self.sources)), np.nan)
        self.t0[self.searched], self.width[self.searched] = flares.t0, flares.width
        if question.scrambles:
            scrambled = flare.scramble(
                self.events, sources, self.known, exposure, flares, seed=question.seed, number=question.scrambles,
                threads=self.threads, progress=self.progress,
            )  # fmt: skip
            self._judged(scrambled.reached, scrambled.surpassed)
        # There is no formula for what the best of many windows is worth.
        self.p_local = self.p_scramble

    def _where_searched(self) -> Sources:
        sources, chosen = self.sources, self.searched

        def of(values: Floats | None) -> Floats | None:
            return None if values is None else values[chosen]

        return replace(
            sources, ra=sources.ra[chosen], dec=sources.dec[chosen], sigma=sources.sigma[chosen],
            start=of(sources.start), stop=of(sources.stop), mjd=of(sources.mjd),
        )  # fmt: skip

    def _spread(self, **values: Floats) -> None:
        """Keep what was worked out for the sources that were searched."""
        for name, found in values.items():
            whole = np.full(len(self.sources), np.nan)
            whole[self.searched] = found
            setattr(self, name, whole)

    def _judged(self, reached: Ints, surpassed: Ints) -> None:
        number = self.question.scrambles
        for name, times in (("p_scramble", reached), ("p_post", surpassed)):
            p = trials.scrambled_p(times, number)
            if len(p) == len(self.sources):
                setattr(self, name, p)
            else:
                self._spread(**{name: p})
