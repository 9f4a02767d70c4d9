"""Look-alikes of the released lists, for where the lists themselves are not at hand.

Every identifier of theirs begins with SIM, the log of loads says that they are simulated, and so does the table's
description as long as they are in it (docs/tables.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from km3vo.catalog.model import Table
from km3vo.errors import SetupError
from km3vo.simulation import draw, sky
from km3vo.simulation.detectors import COSINES, ORCA, TRACKS
from km3vo.simulation.draw import Floats
from km3vo.simulation.events import BATCH, events, runs

Columns = dict[str, npt.NDArray[np.float64] | npt.NDArray[np.int32] | pa.Array]


def is_known(table: Table) -> bool:
    """Whether there is a simulation of a table."""
    return table.qualified in _MAKERS or table.qualified in ("km3net.events", "km3net.runs")


def simulate(table: Table, rows: int, *, seed: int = 1, now: datetime | None = None) -> Iterator[pa.RecordBatch]:
    """Simulate rows of a published table: of km3net.events, or a look-alike of a released list.

    Raises:
        SetupError: no simulation of this table is known.
    """
    if table.qualified == "km3net.events":
        return events(rows, seed=seed, now=now)
    if table.qualified == "km3net.runs":
        return runs(seed=seed, now=now)
    return look_alike(table, rows, seed=seed)


def look_alike(table: Table, rows: int, *, seed: int = 1) -> Iterator[pa.RecordBatch]:
    """Rows that look like those of a released list; the same for the same seed.

    Raises:
        SetupError: no simulation of this table is known.
    """
    maker = _MAKERS.get(table.qualified)
    if maker is None:
        raise SetupError(
            f"There is no simulation of {table.qualified}: load files of events into it with `km3vo load`."
        )

    def batches() -> Iterator[pa.RecordBatch]:
        for first in range(0, rows, BATCH):
            count = min(BATCH, rows - first)
            columns = maker(np.random.default_rng([seed, first]), count)
            columns["id"] = draw.identifiers("SIM-", seed, first, count)
            yield pa.RecordBatch.from_pydict({column.name: columns[column.name] for column in table.columns})

    return batches()


def _antares(first_mjd: float, last_mjd: float, hits: str, time: str) -> Callable[[np.random.Generator, int], Columns]:
    """Tracks as ANTARES selected them: up-going, seen from the sea off Toulon, where ORCA is now."""

    def make(rng: np.random.Generator, count: int) -> Columns:
        mjd = np.round(rng.uniform(first_mjd, last_mjd, count), 4)
        cosine = draw.from_curve(rng, COSINES, TRACKS, count)
        site = np.full(count, ORCA.latitude), np.full(count, ORCA.longitude)
        ra, dec = sky.to_equatorial(cosine, 360 * rng.random(count), mjd, *site)
        return {
            "ra": draw.right_ascension(ra, 1),
            "decl": np.round(dec, 1),
            hits: np.clip(13 + rng.lognormal(3.2, 0.6, count), 13, 400).astype(np.int32),
            "beta": np.round(np.clip(rng.lognormal(-0.9, 0.45, count), 0.1, 1.0), 1),
            time: mjd,
        }

    return make


def _icecube(rng: np.random.Generator, count: int) -> Columns:
    """Tracks as IceCube sees them from the South Pole, where zenith angle and declination are the same thing."""
    seasons = {"IC79-2010": (55348.0, 55694.0), "IC86-2011": (55694.0, 56062.0), "IC86-2012": (56062.0, 56415.0)}
    which = rng.choice(len(seasons), count, p=[0.28, 0.41, 0.31])
    begin, end = np.array(list(seasons.values()))[which].T
    mjd = np.round(begin + rng.random(count) * (end - begin), 8)
    dec: Floats = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    ra = 360 * rng.random(count)
    energy = np.log10(draw.power_law(rng, np.where(dec < 0, 2e4, 3e2), 1e8, 2.7, count))
    return {
        "mjd": mjd,
        "ra": draw.right_ascension(ra, 4),
        "dec": np.round(dec, 4),
        "ang_err": np.round(np.clip(rng.lognormal(-0.6, 0.6, count), 0.05, 10), 4),
        "log10_energy": np.round(energy, 4),
        "azimuth": draw.right_ascension(sky.earth_rotation(mjd) - ra, 4),
        "zenith": np.round(90 + dec, 4),
        "season": draw.words(list(seasons), which),
    }


_MAKERS: dict[str, Callable[[np.random.Generator, int], Columns]] = {
    "ant20_01.main": _antares(54138.0, 58118.0, "nhit", "mjd"),
    "antares.data": _antares(54138.0, 56292.0, "n_hits", "epoch_mjd"),
    "icecube.ps3yr": _icecube,
}
