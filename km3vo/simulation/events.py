"""Simulated rows of km3net.events, the same for the same seed.

Directions are drawn at the detector and turned into the sky, so that the acceptance in declination comes out by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from km3vo.simulation import draw, sky
from km3vo.simulation.detectors import (
    ARCA,
    COSINES,
    MUON_SHARE,
    MUONS,
    ORCA,
    SHOWERS,
    SOURCE_INDEX,
    SOURCES,
    TRACKS,
    Detector,
    Stage,
)
from km3vo.simulation.draw import Flags, Floats, Ints

VERSION = 1  # to be raised when the same seed gives other events
BATCH = 100_000  # rows
SPAN = int(4 * 365.25 * 86400e6)  # microseconds before now from which there are events
RUN = int(6 * 3600e6)  # microseconds that a run of data taking lasts
HIGHEST = 1e8  # GeV

STAGES: tuple[tuple[Detector, Stage], ...] = tuple(
    (detector, stage) for detector in (ARCA, ORCA) for stage in detector.stages
)


def events(rows: int, *, seed: int = 1, now: datetime | None = None) -> Iterator[pa.RecordBatch]:
    """Simulate rows of km3net.events.

    Args:
        rows: how many.
        seed: equal seeds, with equal ``now``, give equal events; different ones give different identifiers.
        now: events are spread over the four years before; the present time unless stated.

    Yields:
        batches of at most 100,000 rows with the columns of km3net.events, of the types in ``results.stream``.
    """
    end = int((now or datetime.now(UTC)).timestamp() * 1e6)
    for first in range(0, rows, BATCH):
        count = min(BATCH, rows - first)
        yield _batch(np.random.default_rng([VERSION, seed, first]), seed, first, count, end)


def _batch(rng: np.random.Generator, seed: int, first: int, count: int, end: int) -> pa.RecordBatch:
    shares = np.array([(stage.end - stage.begin) * stage.rate for _, stage in STAGES])
    which = rng.choice(len(STAGES), count, p=shares / shares.sum())
    of = _per_row(which)

    micros = end - SPAN + (of(lambda _, s: s.begin) * SPAN).astype(np.int64)
    micros += (rng.random(count) * of(lambda _, s: s.end - s.begin) * SPAN).astype(np.int64)
    mjd = micros / 86400e6 + 40587
    site = of(lambda d, _: d.latitude), of(lambda d, _: d.longitude)

    shower = rng.random(count) < of(lambda d, _: d.showers)
    source = _sources(rng, mjd, *site)
    signal = source >= 0
    muon = (rng.random(count) < MUON_SHARE) & ~signal
    index = np.where(signal, SOURCE_INDEX, of(lambda d, _: d.index))
    energy = draw.significant(draw.power_law(rng, of(lambda d, _: d.least), HIGHEST, index, count), 4)
    err50 = _angular_errors(rng, of, shower, energy)
    ra, dec = _directions(rng, source, shower, muon, err50, mjd, *site)
    cos_zenith = np.round(sky.cosine_of_zenith(ra, dec, mjd, *site), 6)

    p_neutrino = np.where(muon, rng.beta(1.2, 4.0, count), rng.beta(9.0, 0.9, count))
    decades = np.log10(energy)
    columns = {
        "event_id": draw.identifiers("KM3-", seed, first, count),
        "mjd": mjd,
        "obs_time": pa.array(micros).cast(pa.timestamp("us")),
        "ra": ra,
        "dec": dec,
        "err50": err50,
        "energy": energy,
        "quality": np.round(rng.normal(45 + 18 * decades, 12.0) - 15 * muon, 2),
        "p_neutrino": np.round(p_neutrino, 4),
        "hypothesis": draw.words(("nu_mu", "nu_e", "nu_tau"), shower * (1 + (rng.random(count) < 0.15))),
        "topology": draw.words(("track", "shower"), shower),
        "multiplicity": (5 + rng.poisson(6 * np.exp(0.45 * decades))).astype(np.int32),
        "trigger_type": draw.words(("3DMuon", "3DShower", "MXShower"), shower * (1 + (rng.random(count) < 0.4))),
        "detector": draw.words([detector.name for detector, _ in STAGES], which),
        "configuration": draw.words([stage.name for _, stage in STAGES], which),
        "run": (of(lambda d, _: d.first_run) + (micros - end + SPAN) // RUN).astype(np.int32),
        "data_level": draw.words(("DL2", "DL3"), p_neutrino >= 0.5),
        "cos_zenith": cos_zenith,
        "up_going": (cos_zenith < 0).astype(np.int16),
        "simulation": draw.words([f"km3vo-simulation-{VERSION}/{stage.name}" for _, stage in STAGES], which),
    }
    return pa.RecordBatch.from_pydict(columns)


def runs(*, seed: int = 1, now: datetime | None = None) -> Iterator[pa.RecordBatch]:
    """The runs in which the events were recorded: all that `events` has with the same ``now``, whatever its seed."""
    end = int((now or datetime.now(UTC)).timestamp() * 1e6)
    rng = np.random.default_rng([VERSION, seed, 77])
    for detector in (ARCA, ORCA):
        count = SPAN // RUN
        start = end - SPAN + np.arange(count) * RUN
        place = np.searchsorted([stage.end for stage in detector.stages[:-1]], (start + RUN / 2 - end + SPAN) / SPAN)
        quality = rng.choice(3, count, p=[0.94, 0.04, 0.02])
        numbers = detector.first_run + np.arange(count)
        yield pa.RecordBatch.from_pydict(
            {
                "run_id": pa.array([f"SIM-{detector.name}-{number}" for number in numbers.tolist()]),
                "detector": pa.array([detector.name] * count),
                "configuration": draw.words([stage.name for stage in detector.stages], place),
                "run": numbers.astype(np.int32),
                "start_time": pa.array(start).cast(pa.timestamp("us")),
                "stop_time": pa.array(start + RUN).cast(pa.timestamp("us")),
                "livetime": np.round(RUN / 1e6 * np.where(quality == 0, rng.uniform(0.97, 0.998, count), 0.6), 1),
                "quality": draw.words(("good", "partial", "bad"), quality),
                "n_units": np.array([int(stage.name[4:]) for stage in detector.stages], np.int32)[place],
            }
        )


PerRow = Callable[[Callable[[Detector, Stage], float]], Floats]


def _per_row(which: Ints) -> PerRow:
    """A function that looks a number up for the detector and stage of each row."""
    return lambda number: np.array([number(detector, stage) for detector, stage in STAGES], np.float64)[which]


def _sources(rng: np.random.Generator, mjd: Floats, latitude: Floats, longitude: Floats) -> Ints:
    """Which source each event comes from, or -1: sources count less where the detector sees them badly."""
    edges = np.cumsum([source.share for source in SOURCES])
    choice = np.searchsorted(edges, rng.random(len(mjd)), side="right")
    choice[choice == len(SOURCES)] = -1
    some = np.flatnonzero(choice >= 0)
    ra, dec = _centres(choice[some])
    cosine = sky.cosine_of_zenith(ra, dec, mjd[some], latitude[some], longitude[some])
    kept = rng.random(len(some)) < np.interp(cosine, COSINES, TRACKS / TRACKS.max())
    choice[some[~kept]] = -1
    return choice


def _centres(source: Ints) -> tuple[Floats, Floats]:
    return np.array([s.ra for s in SOURCES])[source], np.array([s.dec for s in SOURCES])[source]


def _angular_errors(rng: np.random.Generator, of: PerRow, shower: Flags, energy: Floats) -> Floats:
    """Radii that hold half of the events: smaller at higher energies, larger for showers."""
    median = np.where(shower, of(lambda d, _: d.shower[0]), of(lambda d, _: d.track[0]))
    power = np.where(shower, of(lambda d, _: d.shower[1]), of(lambda d, _: d.track[1]))
    errors = median * (energy / 1000) ** -power * np.exp(rng.normal(0, 0.25, len(energy)))
    return np.asarray(np.round(np.clip(errors, of(lambda d, _: d.floor), 30), 3))


def _directions(
    rng: np.random.Generator,
    source: Ints,
    shower: Flags,
    muon: Flags,
    err50: Floats,
    mjd: Floats,
    latitude: Floats,
    longitude: Floats,
) -> tuple[Floats, Floats]:
    """Where events seem to come from: the background from the detector's acceptance, the rest from around a source."""
    count = len(mjd)
    cosine = draw.from_curve(rng, COSINES, TRACKS, count)
    cosine = np.where(shower, draw.from_curve(rng, COSINES, SHOWERS, count), cosine)
    cosine = np.where(muon, draw.from_curve(rng, COSINES, MUONS, count), cosine)
    ra, dec = sky.to_equatorial(cosine, 360 * rng.random(count), mjd, latitude, longitude)
    some = np.flatnonzero(source >= 0)
    ra[some], dec[some] = sky.offset(
        *_centres(source[some]), draw.within_error(rng, err50[some]), 360 * rng.random(len(some))
    )
    return draw.right_ascension(ra, 4), np.round(dec, 4)
