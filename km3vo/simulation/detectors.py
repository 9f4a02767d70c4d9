"""The simulated telescopes and sources: every number the simulation goes by, all of our own making.

They are chosen to look like what ARCA and ORCA record, without claiming to be their response.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of construction.

    Attributes:
        name: telescope and number of detection units.
        begin, end: as fractions of the simulated time.
        rate: selected events per day, in comparison with the other stages.
    """

    name: str
    begin: float
    end: float
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A telescope.

    Attributes:
        name: of the telescope.
        latitude, longitude: of its site, degrees north and east.
        stages: of its construction, in order of time.
        first_run: number of the first simulated run.
        least: lowest energy proxy, GeV.
        index: of the power law that the detected energies of the background follow.
        track, shower: median angular error at 1 TeV in degrees, and the power of the energy that it falls with.
        floor: smallest angular error, degrees.
        showers: share of showers among the events.
    """

    name: str
    latitude: float
    longitude: float
    stages: tuple[Stage, ...]
    first_run: int
    least: float
    index: float
    track: tuple[float, float]
    shower: tuple[float, float]
    floor: float
    showers: float


ARCA = Detector(
    name="ARCA",
    latitude=36 + 16 / 60,
    longitude=16 + 6 / 60,
    stages=(
        Stage("ARCA6", 0.00, 0.05, 12),
        Stage("ARCA8", 0.05, 0.12, 14),
        Stage("ARCA19", 0.12, 0.25, 22),
        Stage("ARCA21", 0.25, 0.52, 24),
        Stage("ARCA28", 0.52, 0.80, 27),
        Stage("ARCA33", 0.80, 1.00, 29),
    ),
    first_run=13000,
    least=100.0,
    index=2.4,
    track=(0.7, 0.35),
    shower=(4.0, 0.15),
    floor=0.06,
    showers=0.15,
)
ORCA = Detector(
    name="ORCA",
    latitude=42 + 48 / 60,
    longitude=6 + 2 / 60,
    stages=(
        Stage("ORCA6", 0.00, 0.06, 12),
        Stage("ORCA10", 0.06, 0.12, 14),
        Stage("ORCA11", 0.12, 0.22, 15),
        Stage("ORCA15", 0.22, 0.40, 17),
        Stage("ORCA18", 0.40, 0.70, 19),
        Stage("ORCA23", 0.70, 1.00, 21),
    ),
    first_run=9000,
    least=3.0,
    index=2.6,
    track=(1.5, 0.30),
    shower=(6.0, 0.20),
    floor=0.3,
    showers=0.35,
)


@dataclass(frozen=True, slots=True)
class PointSource:
    """An injected source: ICRS position in degrees, and its share of all events where the acceptance is best."""

    ra: float
    dec: float
    share: float


# Far from anything famous, so that nobody takes them for a discovery.
SOURCES = (PointSource(150.0, -30.0, 0.0020), PointSource(232.5, 12.0, 0.0014), PointSource(20.0, -65.0, 0.0014))
SOURCE_INDEX = 1.8  # of the detected energies of their events

# How readily an event is kept, against the cosine of its zenith angle: neutrinos that came up through the Earth, more
# of them near the horizon, where their way through the air was long; muons from above that were taken for neutrinos;
# and showers, which are found in all directions.
COSINES = np.linspace(-1.0, 1.0, 201)
TRACKS = np.where(COSINES < 0.1, 1 + 1.2 * np.exp(-np.abs(COSINES) / 0.2), 0.0)
MUONS = np.where(COSINES > -0.1, 0.2 + np.clip(COSINES, 0, 1) ** 2, 0.0)
SHOWERS = np.where(COSINES < 0.0, 1.0, 0.5)
MUON_SHARE = 0.2
