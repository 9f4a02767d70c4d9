"""Responses as functions and as files, from the copies at hand; gammapy reads the files where it is installed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from km3vo.errors import NotFoundError, ParameterError
from km3vo.response import functions, gadf
from km3vo.response.functions import Floats, Response

AREA = ("log10_energy_min", "centre", "log10_energy_max", "cos_zenith_min", "middle", "cos_zenith_max", "aeff")
SPREAD = ("log10_energy_min", "centre", "log10_energy_max", "log10_separation", "density")
ENERGY = ("log10_energy_min", "centre", "log10_energy_max", "log10_proxy_min", "middle", "log10_proxy_max", "density")


def cells(file: Path, names: tuple[str, ...], *, delimiter: str | None = ",") -> dict[str, Floats]:
    return dict(zip(names, np.loadtxt(file, delimiter=delimiter, skiprows=1).T, strict=True))


@pytest.fixture(scope="module")
def arca(data_dir: Path) -> Response:
    """Tracks in the full ARCA detector."""
    folder = data_dir / "km3net_arca230_irf"
    tables = {
        "area": cells(folder / "aeff_coszen_allnumuCC_track.csv", AREA),
        "spread": cells(folder / "psf_numuCC_track.csv.gz", SPREAD),
        "energy": cells(folder / "energyresponse_numuCC_track.csv", ENERGY),
    }
    return functions.of_bins("track", tables)


@pytest.fixture(scope="module")
def icecube(data_dir: Path) -> Response:
    """The season of 2012."""
    folder, ends = data_dir / "icecube_3yr_2010_2012", ("energy_min", "energy_max")
    tables = {
        "area": cells(
            folder / "IC86-2012-TabulatedAeff.txt.gz", (*ends, "cos_zenith_min", "cos_zenith_max", "aeff"),
            delimiter=None,
        ),
        "resolution": cells(folder / "IC86-2012-AngRes.txt", (*ends, "median"), delimiter=None),
    }  # fmt: skip
    return functions.of_bins("IC86-2012", tables)


def test_areas_are_those_of_the_tables(arca: Response, icecube: Response) -> None:
    assert arca.area.area.shape == (40, 18) and icecube.area.area.shape == (200, 70)
    # The first row of ARCA's file: 50 to 112 GeV, straight up from below, which is the last zenith angle.
    assert arca.area.area[-1, 0] == pytest.approx(9.428264097595655e-05)
    np.testing.assert_allclose(arca.area.zenith[[0, -1]], [0, 180], atol=1e-6)
    np.testing.assert_allclose(arca.area.energy[[0, -1]], [10**1.7, 1e8])
    assert icecube.area.area[-1, 0] == pytest.approx(5.036e-4, rel=0.5)
    assert (np.diff(icecube.area.zenith) > 0).all()


def test_a_spread_is_a_probability(arca: Response, icecube: Response) -> None:
    for spread in (arca.spread, icecube.spread):
        assert spread is not None
        solid = 2 * np.pi * -np.diff(np.cos(np.radians(spread.separation)))
        np.testing.assert_allclose((spread.density * solid[:, None]).sum(axis=0), 1, atol=0.06)
    # The Gaussian of IceCube has the median that is tabulated: 0.32 degrees at 10 PeV.
    solid = 2 * np.pi * -np.diff(np.cos(np.radians(icecube.spread.separation)))  # type: ignore[union-attr]
    inside = np.cumsum(icecube.spread.density[:, 5] * solid)  # type: ignore[union-attr]
    assert np.interp(0.5, inside, functions.SEPARATIONS[1:]) == pytest.approx(0.32, rel=0.05)


def test_an_energy_response_is_a_probability(arca: Response) -> None:
    assert arca.energy is not None
    total = (arca.energy.density * np.diff(arca.energy.ratio)[:, None]).sum(axis=0)
    np.testing.assert_allclose(total[total > 0], 1)
    assert (total > 0).sum() == 18  # the two lowest energies have no events


def test_bins_with_holes_are_refused() -> None:
    holed = {"energy_min": np.array([1.0, 3.0]), "energy_max": np.array([2.0, 4.0]), "aeff": np.ones(2)}
    with pytest.raises(ParameterError, match="do not follow each other"):
        functions.of_bins("x", {"area": holed | {"cos_zenith_min": np.zeros(2), "cos_zenith_max": np.ones(2)}})
    with pytest.raises(NotFoundError, match="not loaded"):
        functions.of_bins("x", {})


def test_the_same_response_has_the_same_bytes(arca: Response) -> None:
    assert gadf.document(arca, "KM3NeT", "cited") == gadf.document(arca, "KM3NeT", "cited")


def test_the_file_has_the_classes_and_axes_of_the_format(arca: Response) -> None:
    with fits.open(io.BytesIO(gadf.document(arca, "KM3NeT", "cited"))) as opened:
        opened.verify("exception")
        assert [unit.header.get("HDUCLAS4") for unit in opened[1:]] == ["AEFF_2D", "EDISP_2D", "PSF_TABLE"]
        assert opened[1].data["EFFAREA"].shape == (1, 40, 18)
        assert opened[1].columns["ENERG_LO"].unit == "TeV" and opened[1].columns["EFFAREA"].unit == "m2"
        assert opened[2].data["MATRIX"].shape == (1, 1, 39, 20) and opened[3].data["RPSF"].shape[:2] == (1, 2000)


@pytest.mark.parametrize("name", ["arca", "icecube"])
def test_gammapy_reads_it(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    irf = pytest.importorskip("gammapy.irf", reason="gammapy is not installed")
    response: Response = request.getfixturevalue(name)
    file = tmp_path / "response.fits"
    file.write_bytes(gadf.document(response, "instrument", "cited"))
    area = irf.EffectiveAreaTable2D.read(file, hdu="EFFECTIVE AREA")
    middle = np.sqrt(response.area.energy[3:-1] * response.area.energy[4:]) / 1000
    zenith = (response.area.zenith[10] + response.area.zenith[11]) / 2
    read = area.evaluate(energy_true=middle * area.axes["energy_true"].unit, offset=zenith * area.axes["offset"].unit)
    np.testing.assert_allclose(read.to_value("m2").ravel(), response.area.area[10, 3:], rtol=1e-3, atol=1e-6)
    irf.PSF3D.read(file, hdu="POINT SPREAD FUNCTION")
    if response.energy is not None:
        irf.EnergyDispersion2D.read(file, hdu="ENERGY DISPERSION")
