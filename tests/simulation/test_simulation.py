"""Simulated events: reproducible, complete, consistent with each other and with the sky."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import astropy.units as u
import numpy as np
import pyarrow as pa
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from km3vo.catalog.files import read_catalog
from km3vo.catalog.model import Catalog
from km3vo.errors import SetupError
from km3vo.results.stream import arrow_type
from km3vo.simulation import draw, events, simulate, sky
from km3vo.simulation.detectors import ARCA, ORCA, SOURCES, Detector, PointSource
from tests.support.folders import ROOT

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROWS = 150_000


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return read_catalog(ROOT / "schemas")


@pytest.fixture(scope="module")
def some() -> pa.Table:
    """Simulated events, more than one batch of them."""
    return pa.Table.from_batches(events(ROWS, seed=7, now=NOW))


def column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def separation(table: pa.Table, ra: float, dec: float) -> np.ndarray:
    return SkyCoord(column(table, "ra"), column(table, "dec"), unit="deg").separation(SkyCoord(ra, dec, unit="deg")).deg


def test_the_same_seed_gives_the_same_events(some: pa.Table) -> None:
    assert pa.Table.from_batches(events(ROWS, seed=7, now=NOW)) == some


def test_another_seed_gives_other_events_with_other_identifiers(some: pa.Table) -> None:
    other = pa.Table.from_batches(events(1000, seed=8, now=NOW))
    assert not set(other["event_id"].to_pylist()) & set(some["event_id"].to_pylist())
    assert not np.array_equal(column(other, "ra"), column(some, "ra")[:1000])


def test_identifiers_are_unique_and_in_no_order(some: pa.Table) -> None:
    ids = some["event_id"].to_pylist()
    assert len(set(ids)) == ROWS
    numbers = np.array([int(identifier.removeprefix("KM3-"), 16) for identifier in ids], dtype=np.uint64)
    rank = np.argsort(np.argsort(numbers))
    for of_time in (np.arange(ROWS), np.argsort(np.argsort(column(some, "mjd")))):
        assert abs(np.corrcoef(rank, of_time)[0, 1]) < 0.01
    # Neighbours in number are as far apart as they would be by chance.
    assert np.median(np.diff(np.sort(numbers).astype(np.float64))) > 0.5 * 2**64 / ROWS * np.log(2)


@pytest.mark.parametrize("name", ["km3net.events", "ant20_01.main", "antares.data", "icecube.ps3yr"])
def test_rows_fit_their_description(catalog: Catalog, name: str) -> None:
    """Columns, their order and types; nothing missing; numbers in their ranges, words from their lists."""
    table = catalog.table(name)
    rows = pa.Table.from_batches(simulate(table, 5000, seed=3, now=NOW))
    assert rows.num_rows == 5000
    assert rows.column_names == [column.name for column in table.columns]
    for described in table.columns:
        cells = rows[described.name]
        assert cells.type == arrow_type(described)
        assert cells.null_count == 0
        if described.range is not None:
            assert all(value in described.range for value in cells.to_pylist())
        if described.values:
            assert set(cells.to_pylist()) == set(described.values)
    assert table.id is not None
    assert len(set(rows[table.id].to_pylist())) == 5000


@pytest.mark.parametrize("name", ["ant20_01.main", "antares.data", "icecube.ps3yr"])
def test_look_alikes_say_that_they_are_simulated_and_repeat(catalog: Catalog, name: str) -> None:
    table = catalog.table(name)
    rows = pa.Table.from_batches(simulate(table, 200, seed=3))
    assert all(identifier.startswith("SIM-") for identifier in rows["id"].to_pylist())
    assert pa.Table.from_batches(simulate(table, 200, seed=3)) == rows


def test_only_known_tables_can_be_simulated(catalog: Catalog) -> None:
    with pytest.raises(SetupError, match=r"There is no simulation of km3net\.alerts"):
        simulate(replace(catalog.table("km3net.events"), name="alerts"), 1)


def test_about_half_of_the_events_are_under_embargo(some: pa.Table) -> None:
    young = column(some, "obs_time") > np.datetime64((NOW - timedelta(days=730.5)).replace(tzinfo=None))
    assert 0.4 < young.mean() < 0.6
    assert column(some, "obs_time").max() <= np.datetime64(NOW.replace(tzinfo=None))
    assert column(some, "obs_time").min() >= np.datetime64((NOW - timedelta(days=1462)).replace(tzinfo=None))


def test_both_times_are_the_same(some: pa.Table) -> None:
    mjd = Time(column(some, "obs_time"), scale="utc").mjd
    assert np.abs(mjd - column(some, "mjd")).max() * 86400 < 1e-4


def test_runs_grow_with_time_and_belong_to_one_configuration(some: pa.Table) -> None:
    frame = {name: column(some, name) for name in ("detector", "run", "mjd", "configuration")}
    for detector, stages in (("ARCA", ARCA.stages), ("ORCA", ORCA.stages)):
        ours = frame["detector"] == detector
        order = np.argsort(frame["mjd"][ours])
        assert np.all(np.diff(frame["run"][ours][order]) >= 0)
        seen = list(dict.fromkeys(frame["configuration"][ours][order]))
        assert seen == [stage.name for stage in stages]


@pytest.mark.parametrize("detector", [ARCA, ORCA], ids=["ARCA", "ORCA"])
def test_zenith_angles_agree_with_astropy(some: pa.Table, detector: Detector) -> None:
    ours = some.filter(pa.compute.equal(some["detector"], detector.name)).slice(0, 500)
    place = EarthLocation(lat=detector.latitude * u.deg, lon=detector.longitude * u.deg)
    with iers.conf.set_temp("auto_download", False):
        frame = AltAz(obstime=Time(column(ours, "mjd"), format="mjd"), location=place)
        there = SkyCoord(column(ours, "ra"), column(ours, "dec"), unit="deg").transform_to(frame)
    zenith = np.degrees(np.arccos(column(ours, "cos_zenith")))
    assert np.abs(zenith - there.zen.deg).max() < 0.2
    assert np.array_equal(column(ours, "up_going"), column(ours, "cos_zenith") < 0)


def test_directions_come_back_from_the_horizon() -> None:
    rng = np.random.default_rng(1)
    cosine, azimuth = rng.uniform(-1, 1, 1000), rng.uniform(0, 360, 1000)
    mjd, latitude, longitude = rng.uniform(58000, 61000, 1000), rng.uniform(-90, 90, 1000), rng.uniform(0, 360, 1000)
    ra, dec = sky.to_equatorial(cosine, azimuth, mjd, latitude, longitude)
    assert np.allclose(sky.cosine_of_zenith(ra, dec, mjd, latitude, longitude), cosine, atol=1e-9)


def test_offsets_are_as_far_and_in_the_direction_asked_for() -> None:
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, 1000), rng.uniform(-89, 89, 1000)
    distance, angle = rng.uniform(0.01, 100, 1000), rng.uniform(0, 360, 1000)
    start = SkyCoord(ra, dec, unit="deg")
    wanted = start.directional_offset_by(angle * u.deg, distance * u.deg)
    assert SkyCoord(*sky.offset(ra, dec, distance, angle), unit="deg").separation(wanted).deg.max() < 1e-6


def test_most_tracks_come_from_below(some: pa.Table) -> None:
    track = column(some, "topology") == "track"
    likely = column(some, "p_neutrino") > 0.9
    assert column(some, "up_going")[track & likely].mean() > 0.8
    assert column(some, "up_going")[~likely].mean() < column(some, "up_going")[likely].mean()


def test_the_acceptance_in_declination_is_that_of_a_northern_site(some: pa.Table) -> None:
    """Tracks from below cannot come from declinations that are always above the horizon."""
    below = (column(some, "topology") == "track") & (column(some, "p_neutrino") > 0.95)
    dec = column(some, "dec")[below]
    per_area = [
        np.mean((dec >= low) & (dec < high)) / (np.sin(np.radians(high)) - np.sin(np.radians(low)))
        for low, high in ((-90, -45), (-45, 0), (0, 45), (60, 90))
    ]
    assert per_area[0] > per_area[2] > 5 * per_area[3]
    assert per_area[1] > per_area[2]


def test_energies_fall_as_a_power_law(some: pa.Table) -> None:
    arca = column(some, "detector") == "ARCA"
    energy = column(some, "energy")[arca]
    decades = [np.sum((energy >= 10**d) & (energy < 10 ** (d + 1))) for d in (2, 3, 4)]
    slopes = -np.diff(np.log10(decades))
    assert np.allclose(slopes, ARCA.index - 1, atol=0.1)


def test_errors_shrink_with_energy_and_are_larger_for_showers(some: pa.Table) -> None:
    arca = column(some, "detector") == "ARCA"
    track = arca & (column(some, "topology") == "track")
    shower = arca & (column(some, "topology") == "shower")
    bright = column(some, "energy") > 3000
    error = column(some, "err50")
    assert np.median(error[track & bright]) < 0.7 * np.median(error[track & ~bright])
    assert np.median(error[shower]) > 3 * np.median(error[track])


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_sources_show_as_an_excess(some: pa.Table, source: PointSource) -> None:
    """More events within a degree than in the ring around it, by five standard deviations."""
    near = separation(some, source.ra, source.dec)
    inside = np.sum(near < 1.0)
    background = (
        np.sum((near > 3) & (near < 6)) * (1 - np.cos(np.radians(1))) / (np.cos(np.radians(3)) - np.cos(np.radians(6)))
    )
    assert inside > background + 5 * np.sqrt(background)


def test_half_of_a_source_lies_within_the_stated_error() -> None:
    radius = np.full(20_000, 0.7)
    inside = draw.within_error(np.random.default_rng(1), radius) < radius
    assert abs(inside.mean() - 0.5) < 0.02


def test_batches_are_small_enough_to_stream() -> None:
    assert [batch.num_rows for batch in events(250_000, seed=1, now=NOW)] == [100_000, 100_000, 50_000]
