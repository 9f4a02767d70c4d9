"""Released lists as arrays, from the folder of real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyarrow import csv

from km3vo.correlation import background, containment
from km3vo.correlation.background import Background
from km3vo.correlation.exposure import Exposure, of_runs
from km3vo.correlation.lists import Events, Sources

Floats = npt.NDArray[np.float64]

SEASONS = ("IC79-2010", "IC86-2011", "IC86-2012")
# Days of live-time of these seasons, from the good runs of the 10-year release.
LIVE = (316.05, 332.96, 331.98)
RUNS = ("IC79", "IC86_I", "IC86_II")


def columns(file: Path, *names: str) -> list[Floats]:
    """Columns of a CSV file as numbers; NaN where there is none."""
    nothing = csv.ConvertOptions(null_values=["", "nan", "None"], include_columns=list(names))
    table = csv.read_csv(file, convert_options=nothing)
    return [np.array(table[name].cast("float64").to_numpy(), dtype=np.float64) for name in names]


def words(file: Path, name: str) -> npt.NDArray[np.str_]:
    """A column of a CSV file as texts."""
    table = csv.read_csv(file, convert_options=csv.ConvertOptions(include_columns=[name], strings_can_be_null=False))
    return np.array([str(value).strip() for value in table[name].to_pylist()])


def antares(data: Path, years: str) -> Events:
    """2007_2012 or 2007_2017."""
    ra, dec, beta, mjd = columns(data / f"antares_{years}" / f"antares_{years}.csv", "ra", "decl", "beta", "mjd")
    return Events(ra=ra, dec=dec, sigma=containment.event_widths(beta, 1 - np.exp(-0.5)), mjd=mjd)


def icecube(data: Path) -> Events:
    """The three seasons of 2010 to 2012, each a configuration of its own."""
    folder = data / "icecube_3yr_2010_2012"
    names = ("ra_deg", "dec_deg", "ang_err_deg", "mjd")
    seasons = [columns(folder / f"{season}-events.csv.gz", *names) for season in SEASONS]
    ra, dec, error, mjd = (np.concatenate(column) for column in zip(*seasons, strict=True))
    group = np.repeat(np.arange(3), [len(season[0]) for season in seasons])
    return Events(ra=ra, dec=dec, sigma=np.clip(error, 0.2, 3.0), mjd=mjd, group=group)


def icecube_shares(data: Path, events: Events) -> Floats:
    """What part of an E^-2 signal of its declination the season of an event sees, from the effective areas."""
    dec = np.degrees(np.arcsin(np.linspace(-0.999, 0.999, 401)))
    accepted = []
    for season, live in zip(SEASONS, LIVE, strict=True):
        area = np.loadtxt(data / "icecube_3yr_2010_2012" / f"{season}-TabulatedAeff.txt.gz")
        low, high, cosine, size = area[:, 0], area[:, 1], (area[:, 2] + area[:, 3]) / 2, area[:, 4]
        number = size * (low * high) ** -1.0 * (high - low) * live
        # At the South Pole the declination is the zenith angle less 90 degrees.
        sines, place = np.unique(-cosine, return_inverse=True)
        accepted.append(np.interp(np.sin(np.radians(dec)), sines, np.bincount(place, weights=number)))
    return background.shares_of_signal(events, dec, np.array(accepted))


def icecube_known(data: Path) -> tuple[Events, Background, Floats]:
    """Events, their background and their shares."""
    events = icecube(data)
    return events, background.of_list(events), icecube_shares(data, events)


def good_runs(data: Path, season: str) -> Exposure:
    """The good runs of a season of the 10-year release."""
    file = data / "icecube_10yr_ic40_and_uptime" / "uptime" / f"{season}_exp.csv"
    start, stop = columns(file, "mjd_start", "mjd_stop")
    return of_runs(start, stop, f"good runs of {season}")


def bursts(data: Path, before: float, after: float) -> Sources:
    """Gamma-ray bursts of GRBweb that have a position with an error, with a window in days."""
    file = data / "grb_catalogues" / "grbweb_summary.csv.gz"
    ra, dec, error, mjd = columns(file, "ra", "decl", "pos_error", "mjd")
    known = np.isfinite(ra) & np.isfinite(dec) & np.isfinite(error) & np.isfinite(mjd)
    return Sources.transient(ra[known], dec[known], error[known], mjd[known], before, after)


def fermi(data: Path) -> tuple[npt.NDArray[np.str_], Floats, Floats, npt.NDArray[np.str_]]:
    """4FGL-DR3: names, right ascensions, declinations and classes."""
    file = data / "fermi_lat_4fgl_dr3" / "4fgl_dr3_gll_psc_v29.csv.gz"
    ra, dec = columns(file, "RAJ2000", "DEJ2000")
    return words(file, "Source_Name"), ra, dec, np.char.lower(words(file, "CLASS1"))
