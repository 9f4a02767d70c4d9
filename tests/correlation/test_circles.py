"""Distances, circles and point spread functions: against other formulas for the same thing."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import angular_separation
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from km3vo.correlation import containment, sphere, spread
from km3vo.errors import ParameterError

RIGHT_ASCENSION, DECLINATION = st.floats(0, 360), st.floats(-90, 90)


@given(RIGHT_ASCENSION, DECLINATION, RIGHT_ASCENSION, DECLINATION)
def test_separation_is_that_of_astropy(ra1: float, dec1: float, ra2: float, dec2: float) -> None:
    ours = sphere.separation(ra1, dec1, ra2, dec2)
    theirs = angular_separation(ra1 * u.deg, dec1 * u.deg, ra2 * u.deg, dec2 * u.deg).to_value(u.deg)
    assert ours == pytest.approx(theirs, abs=1e-12)


@given(RIGHT_ASCENSION, DECLINATION, RIGHT_ASCENSION, DECLINATION)
def test_unit_vectors_lie_as_far_apart_as_directions(ra1: float, dec1: float, ra2: float, dec2: float) -> None:
    one, two = sphere.unit_vectors(ra1, dec1)[0], sphere.unit_vectors(ra2, dec2)[0]
    chord = float(np.linalg.norm(one - two))
    assert 2 * np.arcsin(min(chord / 2, 1)) == pytest.approx(
        np.radians(sphere.separation(ra1, dec1, ra2, dec2)), abs=1e-7
    )


def test_solid_angles_add_up_to_the_sphere() -> None:
    assert sphere.solid_angle(180) == pytest.approx(4 * np.pi)
    assert sphere.solid_angle(1) == pytest.approx(2 * np.pi * (1 - np.cos(np.radians(1))), rel=1e-9)
    assert sphere.band_solid_angle(-90, 90) == pytest.approx(4 * np.pi)
    # Beyond the poles there is nothing.
    assert sphere.band_solid_angle(80, 100) == pytest.approx(sphere.solid_angle(10))


@pytest.mark.parametrize("centre", [0.0, 40.0, -75.0, 89.5])
@pytest.mark.parametrize("radius", [0.5, 12.0, 60.0])
def test_shares_of_a_circle_sum_up_to_its_area(centre: float, radius: float) -> None:
    def ring(sin_dec: float) -> float:
        return 2 * np.pi * float(sphere.share_of_circle(np.degrees(np.arcsin(sin_dec)), centre, radius))

    low, high = (float(np.sin(np.radians(np.clip(edge, -90, 90)))) for edge in (centre - radius, centre + radius))
    beyond = [float(np.sin(np.radians(np.sign(centre) * (180 - abs(centre) - radius))))]
    ends = (
        (min(low, *beyond), 1.0)
        if centre + radius > 90
        else (-1.0, max(high, *beyond))
        if centre - radius < -90
        else (low, high)
    )
    area, _ = integrate.quad(ring, *ends, limit=500)
    assert area == pytest.approx(float(sphere.solid_angle(radius)), rel=1e-4)


def test_a_fine_grid_has_true_angles_and_stays_on_the_sphere() -> None:
    ra, dec = sphere.around(359.9, 80.0, 1.0, 0.1)
    assert len(ra) == 21 * 21
    assert (ra >= 0).all() and (ra < 360).all()
    # Meridians draw together towards the pole, so the corners are not all as far.
    assert sphere.separation(359.9, 80.0, ra, dec).max() == pytest.approx(np.sqrt(2), rel=0.15)
    _, at_pole = sphere.around(0.0, 89.5, 1.0, 0.1)
    assert np.abs(at_pole).max() < 90


@pytest.mark.parametrize(
    ("share", "factor"), [(0.5, 1.1774), (0.68, 1.5096), (0.9, 2.1460), (0.95, 2.4477), (0.99, 3.0349)]
)
def test_factors_are_rayleighs_quantiles(share: float, factor: float) -> None:
    assert containment.factor(share) == pytest.approx(factor, abs=1e-4)
    assert containment.factor(share) == pytest.approx(stats.rayleigh.ppf(share), rel=1e-12)


def test_radii_convert_as_km3nets_event_of_2023_has_them() -> None:
    """KM3-230213A: radii of 50, 68, 90 and 99 percent are 1.2, 1.5, 2.2 and 3.0 degrees (Nature 638, 376)."""
    radii = [float(containment.converted(1.2, 0.5, share)) for share in (0.68, 0.9, 0.99)]
    assert radii == pytest.approx([1.5, 2.2, 3.0], rel=0.04)


@given(st.floats(0, 50), st.floats(0.01, 20))
def test_contained_is_the_distribution_function(separation: float, sigma: float) -> None:
    assert containment.contained(separation, sigma) == pytest.approx(
        stats.rayleigh.cdf(separation, scale=sigma), rel=1e-12, abs=1e-15
    )


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 90.0, float("nan")])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ParameterError, match="between 0 and 1"):
        containment.factor(share)


def test_widths_are_held_between_floor_and_ceiling() -> None:
    assert containment.event_widths([0.0002, 1.1774, 40.0], 0.5) == pytest.approx([0.2, 1.0, 3.0], abs=1e-4)


@pytest.mark.parametrize("sigma", [0.2, 1.0, 3.0])
def test_the_gaussian_is_one_over_the_sphere_but_for_the_sine(sigma: float) -> None:
    total, _ = integrate.quad(
        lambda theta: float(spread.gaussian(np.degrees(theta), sigma)) * 2 * np.pi * np.sin(theta),
        0,
        np.pi,
        points=[0.1],
    )
    assert total == pytest.approx(1 - np.radians(sigma) ** 2 / 3, rel=1e-5)


def test_kings_function_holds_what_it_says_and_becomes_a_gaussian() -> None:
    sigma, gamma = 0.7, 2.3
    for edge in (0.5, 2.0, 6.0):
        held, _ = integrate.quad(
            lambda theta: float(spread.king(np.degrees(theta), sigma, gamma)) * 2 * np.pi * theta, 0, np.radians(edge)
        )
        assert held == pytest.approx(float(spread.king_contained(edge, sigma, gamma)), rel=1e-8)
    assert spread.king(1.0, 0.7, 1e7) == pytest.approx(spread.gaussian(1.0, 0.7), rel=1e-5)
    assert spread.king_contained(1.0, 0.7, 1e7) == pytest.approx(containment.contained(1.0, 0.7), rel=1e-5)


def test_an_ellipse_becomes_the_circle_of_its_area() -> None:
    assert containment.of_ellipse([2.0], [0.5]) == pytest.approx([1.0])
